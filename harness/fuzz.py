"""`fuzz`: libFuzzer on the targets of allocator/fuzz/, one after the other, for some minutes.

Each target is a program that decodes an input to operations on a type of the library and on a model
of it, and aborts where they differ. It begins with the inputs of allocator/fuzz/corpus/ and with
what earlier runs found, and stops at its first failure.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness import ctests, library
from harness.build import Builder, digest, written_whole
from harness.fault import BuildFault, Fault
from harness.matrix import Cell
from harness.progress import say_plain
from harness.project import Project

TARGETS = ("map", "slice", "channel")
BROKEN = 1  # exit status: a target failed
PLAIN_EVERY_S = 30.0  # between two lines where there is no terminal
NEEDED = "clang and its libFuzzer are needed: apt-get install clang libclang-rt-14-dev"
SOURCES = ("roots.c", "fuzz.c")  # of every target; roots.c says why it is the first
WRAPPED = ("os_random", "map_random", "segments_with_loader_locked")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
              "-fno-omit-frame-pointer")
COVERED = "-fsanitize=fuzzer-no-link"  # the types and the targets; the collector would be noise
ENVIRONMENT = {
    **ctests.ENVIRONMENT,
    "ASAN_OPTIONS": ctests.ENVIRONMENT["ASAN_OPTIONS"] + ":quarantine_size_mb=16",
    # One thread does it all, so that an input does the same each time. Without a goal nobody has to
    # assist: in so small a heap that would mark everything at the first allocation.
    "SH_GOGC": "off", "SH_WORKERS": "0", "SH_TASK_THREADS": "1",
    "SH_CLOBBER": "1", "SH_VERIFY": "1",
}
LIMITS = ("-max_len=1024", "-len_control=20", "-timeout=60", "-rss_limit_mb=2048")
_STATUS = re.compile(r"^#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)/")
_WRITTEN = re.compile(r"Test unit written to (\S+)")


def folder(project: Project) -> Path:
    """The sources of the targets."""
    return project.allocator / "fuzz"


def seeds(project: Project, target: str) -> Path:
    """The inputs of a target that are kept with the sources."""
    return folder(project) / "corpus" / target


def fuzz_cell() -> Cell:
    """clang with its sanitizers and the invariants of the library."""
    try:
        base = library.default_cell("clang")
    except Fault as fault:
        raise Fault(NEEDED) from fault
    return Cell("clang-O1+fuzz", base.compiler, base.command, base.version, "-O1", "fuzz",
                ("-DSH_DEBUG", *SANITIZERS))


def build(project: Project, builder: Builder, target: str) -> Path:
    """The program of a target. Fault: this clang has no libFuzzer."""
    cell = fuzz_cell()
    own = [folder(project) / name for name in (*SOURCES, f"fuzz_{target}.c")]
    heap = [project.allocator / name for name in builder.settings.sources]
    covered = {*own, *(path for path in heap
                       if path.parent.name == "types" and path.suffix == ".c")}
    futures = [builder.compile(path, cell, [COVERED] if path in covered else [],
                               [(project.allocator, "**/*")]) for path in (*own, *heap)]
    objects = [str(future.result()) for future in futures]
    path = project.build / "fuzz" / f"fuzz_{target}-{digest([*objects, *WRAPPED])}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        done = subprocess.run(
            [cell.command, "-fsanitize=fuzzer", *SANITIZERS, "-pthread", "-o", str(temporary),
             *objects, *(f"-Wl,--wrap={name}" for name in WRAPPED), "-lm"],
            capture_output=True, text=True, cwd=project.root)
        if done.returncode != 0 and "libclang_rt" in done.stderr:
            raise Fault(NEEDED)
        if done.returncode != 0:
            raise BuildFault(done.stderr.strip(), linking=True)
    return path


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Of a target: the caller's, without settings of the library and of the targets."""
    kept = {k: v for k, v in ctests.environment().items() if not k.startswith("FUZZ_")}
    return {**kept, **ENVIRONMENT, **extra}


def repeat_line(command: Sequence[str], extra: Mapping[str, str]) -> str:
    """A line for the shell."""
    shown = [f"{name}={value}" for name, value in {**ENVIRONMENT, **extra}.items()]
    return shlex.join(["env", *shown, *command])


@dataclass
class Tally:
    """What a target came to so far."""

    executions: int = 0
    seconds: float = 0.0
    edges: int = 0
    features: int = 0
    inputs: int = 0
    failed: int = 0
    state: str = "not run"  # then "runs", then how many crashes

    def read(self, line: str) -> None:
        """Takes a line of libFuzzer's, if it says how far it is."""
        status = _STATUS.match(line)
        if status is None:
            return
        self.executions, self.edges, self.features, self.inputs = map(int, status.groups())

    @property
    def cells(self) -> list[str]:
        """Its row of the table."""
        rate = self.executions / self.seconds if self.seconds > 0 else 0
        return [f"{self.executions:,}", f"{rate:,.0f}", f"{self.edges:,}", f"{self.features:,}",
                f"{self.inputs:,}", self.state]


class Session:
    """One call of the verb."""

    def __init__(self, project: Project, console: Console, programs: Mapping[str, Path],
                 extra: Mapping[str, str] | None = None) -> None:
        self.project = project
        self.console = console
        self.programs = programs
        self.extra = extra or {}
        self.tallies = {target: Tally() for target in programs}
        self.kept = (project.out or project.build) / "fuzz"
        self._live: Live | None = None
        self._said = time.monotonic()

    @property
    def failed(self) -> bool:
        return any(tally.failed for tally in self.tallies.values())

    def go(self, minutes: float, seed: int) -> None:
        """Runs all targets, an equal share each."""
        drawn = random.Random(seed)
        share_s = max(1, round(minutes * 60 / len(self.programs)))
        with self._shown():
            for target in self.programs:
                self.run(target, [f"-seed={drawn.randrange(1, 1 << 31)}",
                                  f"-max_total_time={share_s}"])

    def run(self, target: str, arguments: Sequence[str]) -> None:
        """One run of libFuzzer; says how to repeat it if it fails."""
        tally = self.tallies[target]
        corpus = self.kept / target / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        program = str(self.programs[target].relative_to(self.project.root))
        command = [program, *LIMITS, *arguments, f"-artifact_prefix={self.kept / target}/",
                   str(corpus), str(seeds(self.project, target))]
        self.say(f"{target:10} {' '.join(arguments)}")
        tally.state = "runs"
        start = time.monotonic()
        output = []
        process = subprocess.Popen(
            command, cwd=self.project.root, env=environment(self.extra), text=True,
            errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                output.append(line)
                tally.read(line)
                tally.seconds = time.monotonic() - start
                self.update(target)
            code = process.wait()
        except BaseException:
            tally.state = "interrupted"
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
            log = self.kept / target / "log.txt"
            log.write_text("".join(output), encoding="utf-8")
        tally.state = "0"
        if code != 0:
            self.note_failure(target, program, code, "".join(output), log)

    def note_failure(self, target: str, program: str, code: int, output: str, log: Path) -> None:
        """Says what was wrong with which input, and the command that repeats it."""
        tally = self.tallies[target]
        tally.failed += 1
        tally.state = str(tally.failed)
        written = _WRITTEN.search(output)
        lines = [line for line in output.splitlines() if line.startswith(("not so:", "wanted "))
                 or "fatal:" in line or "ERROR:" in line or "runtime error:" in line]
        command = [program, *([written[1]] if written is not None else [])]
        self.say(f"FAILED: {target}, exit status {code}", *(f"    {line}" for line in lines[:4]),
                 f"  repeat it, in {self.project.root}:",
                 f"    {repeat_line(command, self.extra)}", f"  its output: {log}")

    # ---- What is shown -------------------------------------------------------------------------

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if not self.console.is_terminal:
            yield
            return
        with Live(self.table(), console=self.console, transient=True,
                  auto_refresh=False) as self._live:
            yield
        self._live = None

    def update(self, target: str) -> None:
        """The live table, or a line from time to time."""
        now = time.monotonic()
        if self._live is not None and now - self._said >= 0.5:
            self._said = now
            self._live.update(self.table(), refresh=True)
        elif self._live is None and now - self._said >= PLAIN_EVERY_S:
            self._said = now
            tally = self.tallies[target]
            self.say(f"{target:10} {tally.seconds:.0f} s, {tally.executions:,} executions, "
                     f"{tally.edges:,} edges, {tally.features:,} features")

    def say(self, *lines: str) -> None:
        """Plain lines, as long as they are."""
        say_plain(self.console, *lines)

    def table(self) -> Table:
        """All targets."""
        shown = Table("target")
        for title in ("executions", "a second", "edges", "features", "corpus", "crashes"):
            shown.add_column(title, justify="right")
        for target, tally in self.tallies.items():
            shown.add_row(target, *tally.cells)
        return shown


def renew_seeds(session: Session, target: str) -> int:
    """Makes a target's seeds the fewest of all its known inputs that reach the same edges, and
    those that found something. Returns how many."""
    known = [session.kept / target / "corpus", seeds(session.project, target)]
    fresh = session.kept / target / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    for path in (fresh, *known):
        path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(session.programs[target]), "-set_cover_merge=1", "-use_counters=0", *LIMITS[:1],
         str(fresh), *map(str, known)], cwd=session.project.root, env=environment(session.extra),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise Fault(f"merging the inputs of {target} failed:\n{done.stderr[-2000:]}")
    for path in known[1].glob("found-*"):
        shutil.copy(path, fresh)
    shutil.rmtree(known[1])
    shutil.move(fresh, known[1])
    return len(os.listdir(known[1]))


def build_all(project: Project, targets: Sequence[str]) -> dict[str, Path]:
    """The programs of some targets."""
    with Builder(project) as builder:
        return {target: build(project, builder, target) for target in targets}


def run(project: Project, targets: Sequence[str], minutes: float, seed: int, console: Console,
        renew: bool = False) -> int:
    """BROKEN if a target failed. An interrupt shows the table so far, and goes on up."""
    session = Session(project, console, build_all(project, targets))
    if renew:
        for target in targets:
            session.say(f"{target}: {renew_seeds(session, target)} seeds")
        return 0
    session.say(f"seed {seed}, {minutes:g} minutes")
    try:
        session.go(minutes, seed)
    finally:
        console.print(session.table(), highlight=False)
    return BROKEN if session.failed else 0
