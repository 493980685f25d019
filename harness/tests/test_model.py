"""The collector in small, every interleaving: allocator/tests/model/ searched by SPIN.

A collector that is right loses nothing in the whole search; each thing done wrongly is found, with
the shortest story of how the object is lost.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.project import here

MODEL = here().allocator / "tests" / "model"
TIMEOUT_S = 900  # a safety net: the longest search takes seconds
MEMORY_MB = 1900
CUT_SHORT = ("Search not completed", "max search depth too small", "Warning", "out of memory",
             "Bit statespace", "Hash-Compact", "resize failed")

# What is right: name in README.md, switches. Each search is complete.
SAFE = {
    "deletion": "BARRIER=DELETION OPS=5",
    "deletion-c": "BARRIER=DELETION SHARED_STACKS GLOBAL PLAIN_INIT OPS=4",
    "deletion-fork": "BARRIER=DELETION FORK OPS=4",
    "deletion-exchange": "BARRIER=DELETION EXCHANGE OPS=3",
    "deletion-weak": "BARRIER=DELETION WEAK OPS=4",
    "deletion-free": "BARRIER=DELETION EXPLICIT_FREE OPS=4",
    "insertion": "BARRIER=INSERTION OPS=5",
    "insertion-c": "BARRIER=INSERTION SHARED_STACKS GLOBAL OPS=4",
    "insertion-stacks-late":
        "BARRIER=INSERTION STACKS_AT_END SHARED_STACKS GLOBAL PLAIN_INIT OPS=4",
    "hybrid": "BARRIER=HYBRID START=1 OPS=4",
}

# What is wrong: name, switches, lines that its story must have, in their order.
LOST = {
    "none": ("BARRIER=NONE OPS=2", (
        "loads A.0 -> B", "stores A.0 = null, where B was", "marker: scans A.0, finds null",
        "sweep: frees B", "still holds B: it is lost")),
    "late-switch": ("FAULT_LATE_SWITCH OPS=2", (
        "reads all roots", "sees the barrier off", "stores A.0 = null, where B was",
        "switches the barrier on", "it is lost")),
    "missing-thread": ("FAULT_MISSING_THREAD OPS=1", (
        "mutator 1: forgets A", "reads all roots", "mutator 2 still holds A: it is lost")),
    "one-by-one": ("FAULT_ONE_BY_ONE START=1 OPS=3", (
        "collector: stops mutator 1, reads its roots", "mutator 2: stores A.0 = C, where B was",
        "mutator 2: forgets C", "collector: stops mutator 2, reads its roots",
        "A.0 still points to C: it is lost")),
    "born-white": ("FAULT_BORN_WHITE OPS=1", (
        "reads all roots", "allocates C", "sweep: frees C", "it is lost")),
    "no-restart": ("FAULT_NO_RESTART OPS=2", (
        "mutator 2: about to store to A.0, sees the barrier off", "reads all roots",
        "mutator 1: loads A.0 -> B", "mutator 2: stores A.0 = null, where B was",
        "mutator 1 still holds B: it is lost")),
    "no-second-look": ("FAULT_NO_SECOND_LOOK OPS=1", (
        "sees the barrier on", "all is marked", "logs B",
        "marks what it has logged, but no collection is running")),
    "no-flush": ("FAULT_NO_FLUSH OPS=2", (
        "logs B", "stores A.0 = null, where B was", "all is marked", "sweep: frees B",
        "it is lost")),
    "plain-overwrite": ("PLAIN_INIT FAULT_PLAIN_OVERWRITE OPS=2", (
        "B, which is fresh, B.0 -> C", "reads all roots", "loads B.0 -> C",
        "stores plainly B.0 = null, where C was", "mutator 1 still holds C: it is lost")),
    "exchange-stopped": ("EXCHANGE FAULT_STOP_ANYWHERE OPS=1", (
        "stores A.0 = null, where B was", "all is marked", "still holds B: it is lost")),
    "weak-stopped": ("WEAK FAULT_STOP_ANYWHERE OPS=1", (
        "reads B from the weak slot", "all is marked", "still holds B: it is lost")),
    "weak-unshaded": ("WEAK FAULT_WEAK_UNSHADED OPS=1", (
        "reads B from the weak slot", "clears the weak slot", "still holds B: it is lost")),
    "weak-late": ("WEAK FAULT_WEAK_LATE OPS=1", (
        "sweep: frees B", "reads B from the weak slot", "still holds B: it is lost")),
    "freed-ignored": ("EXPLICIT_FREE FAULT_FREED_IGNORED START=2 OPS=4", (
        "mutator 2: loads B.0 -> C", "mutator 2: logs B", "mutator 2: frees B", "all is marked",
        "sweep: frees C", "mutator 2 still holds C: it is lost")),
    "zombie-at-once": ("EXPLICIT_FREE FAULT_ZOMBIE_AT_ONCE OPS=3", (
        "marker: scans A.0, finds B", "mutator 2: stores A.0 = null, where B was",
        "mutator 2: frees B", "marker: a slot pointed to B, which is free")),
    "insertion-no-rescan": ("BARRIER=INSERTION FAULT_NO_RESCAN OPS=1", (
        "reads all roots", "all is marked", "it is lost")),
    "insertion-plain": ("BARRIER=INSERTION PLAIN_INIT START=1 OPS=5", (
        "allocates C", "reads all roots", "marker: scans C.0, finds null",
        "stores plainly C.0 = B, where null was", "forgets B",
        "C.0 still points to B: it is lost")),
    "insertion-born-black": ("BARRIER=INSERTION PLAIN_INIT FAULT_BORN_BLACK START=1 OPS=5", (
        "reads all roots", "allocates C", "stores plainly C.0 = B, where null was",
        "C.0 still points to B: it is lost")),
    "hybrid-shared-stacks": ("BARRIER=HYBRID SHARED_STACKS OPS=2", (
        "collector: stops mutator 1, reads its roots",
        "mutator 2: writes B to a local of mutator 1", "mutator 2: forgets B",
        "collector: stops mutator 2, reads its roots", "mutator 1 still holds B: it is lost")),
    "hybrid-global": ("BARRIER=HYBRID GLOBAL OPS=2", (
        "writes B to the global variable", "the global variable still holds B: it is lost")),
    "hybrid-plain": ("BARRIER=HYBRID PLAIN_INIT START=1 OPS=4", (
        "allocates C", "stores plainly C.0 = A, where null was", "forgets A",
        "C.0 still points to A: it is lost")),
}

# What the searches of SAFE must not have left out: switches, the story's last line.
HAPPENS = {
    "store-restarted": ("WITNESS=RESTARTED OPS=1", "about to store to A.0, sees the barrier on"),
    "barrier-off-meanwhile": ("WITNESS=LOOKED_AGAIN OPS=1", "stores A.0 = null, where B was"),
    "two-stores-at-once": ("WITNESS=RACED OPS=2", "stores A.0 = null, where B was"),
    "marking-resumed": ("WITNESS=RESUMED OPS=1", "finds work in the buffers"),
    "memory-reused-in-second-cycle": ("WITNESS=BORN START=3 OPS=2", "allocates B"),
}


@dataclass(frozen=True)
class Searched:
    """What SPIN's program said."""

    words: str
    errors: int
    states: int
    story: tuple[str, ...]  # of the error

    @property
    def complete(self) -> bool:
        """True if every state was visited, each kept in full."""
        return "Full statespace search for" in self.words and not any(
            sign in self.words for sign in CUT_SHORT)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
    text = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(command)}\n{text}"
    return text


def _number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    assert match is not None, text
    return int(match[1])


def search(folder: Path, switches: str, *, shortest: bool = False,
           depth: int = 10000) -> Searched:
    """Searches the model; shortest: breadth first, up to the first error."""
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    model = str(MODEL / "collector.pml")
    chosen = [f"-D{switch}" for switch in switches.split()]
    _run(["spin", "-a", *chosen, model], folder)
    _run(["gcc", "-w", "-DSAFETY", "-DNOREDUCE", f"-DMEMLIM={MEMORY_MB}",
          *(["-O0", "-DBFS"] if shortest else ["-O1"]), "-o", "pan", "pan.c"], folder)
    words = _run(["./pan", *(["-w18"] if shortest else ["-w22", f"-m{depth}"])], folder)
    story: list[str] = []
    if (folder / "collector.pml.trail").exists():
        told = _run(["spin", "-k", "collector.pml.trail", "-T", "-B", *chosen, model], folder)
        story = [line for line in told.splitlines() if line and not line.startswith("spin:")]
    return Searched(words, _number(r"errors: (\d+)", words),
                    _number(r"(\d+) states, stored", words), tuple(story))


def in_order(wanted: tuple[str, ...], story: tuple[str, ...]) -> bool:
    """Whether each wanted text is in a line after that of the one before."""
    lines = iter(story)
    return all(any(text in line for line in lines) for text in wanted)


def readme() -> str:
    return (MODEL / "README.md").read_text(encoding="utf-8")


def readme_row(name: str) -> list[str]:
    """The cells of the row that begins with a name."""
    match = re.search(rf"^\| `{re.escape(name)}` \|(.*)\|$", readme(), re.MULTILINE)
    assert match is not None, f"README.md has no row for {name}"
    return [cell.strip() for cell in match[1].split("|")]


@pytest.mark.parametrize("name", SAFE)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    found = search(tmp_path, SAFE[name])
    assert found.errors == 0, "\n".join(found.story)
    assert found.complete, found.words
    switches, states = readme_row(name)
    assert switches == f"`{SAFE[name]}`"
    assert states == f"{found.states / 1e6:.1f} million", "README.md names another number"


@pytest.mark.parametrize("name", LOST)
def test_fault_is_found(name: str, tmp_path: Path) -> None:
    switches, decisive = LOST[name]
    found = search(tmp_path, switches, shortest=True)
    assert found.errors == 1, found.words
    assert in_order(decisive, found.story), "\n".join(found.story)
    assert readme_row(name)[0] == f"`{switches}`"


@pytest.mark.parametrize("name", HAPPENS)
def test_it_does_happen(name: str, tmp_path: Path) -> None:
    switches, last = HAPPENS[name]
    found = search(tmp_path, switches, shortest=True)
    assert found.errors == 1, found.words
    assert last in found.story[-1], "\n".join(found.story)


def test_readme_tells_the_story_of_no_barrier(tmp_path: Path) -> None:
    found = search(tmp_path, LOST["none"][0], shortest=True)
    block = "".join(f"    {line}\n" for line in found.story)
    assert block in readme(), block


def test_search_that_was_cut_short_is_no_proof(tmp_path: Path) -> None:
    found = search(tmp_path, "OPS=1", depth=5)
    assert found.errors == 0
    assert not found.complete


def test_order_of_a_story_counts() -> None:
    assert in_order(("a", "b"), ("a", "x", "b"))
    assert not in_order(("a", "b"), ("b", "a"))
