"""`fuzz`: libFuzzer on the targets of allocator/fuzz/, one after the other, for some minutes.

Each target is a program that decodes an input to operations on a part of the library and on a model
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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
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

BROKEN = 1  # exit status: a target failed
PLAIN_EVERY_S = 30.0  # between two lines where there is no terminal
NEEDED = "clang and its libFuzzer are needed: apt-get install clang libclang-rt-14-dev"
WRAPPED = ("os_random", "map_random", "sh_fatal", "os_write_error", "segments_with_loader_locked")
LINKED = (*(f"-Wl,--wrap={name}" for name in WRAPPED), "-lm")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
              "-fno-omit-frame-pointer")
COVERED = "-fsanitize=fuzzer-no-link"
ENVIRONMENT = {
    **ctests.ENVIRONMENT,
    "ASAN_OPTIONS": ctests.ENVIRONMENT["ASAN_OPTIONS"] + ":quarantine_size_mb=16",
    # One thread does it all, so that an input does the same each time. Without a goal nobody has to
    # assist: in so small a heap that would mark everything at the first allocation.
    "SH_GOGC": "off", "SH_WORKERS": "0", "SH_TASK_THREADS": "1",
    "SH_CLOBBER": "1", "SH_VERIFY": "1",
}
# The sanitizer has the names themselves.
RENAMED = tuple(f"-D{name}=fuzzed_{name}" for name in (
    "malloc", "calloc", "realloc", "reallocarray", "free", "aligned_alloc", "posix_memalign",
    "memalign", "valloc", "pvalloc", "malloc_usable_size", "malloc_trim"))
# Needed by the collector's part of heap/, which the linker drops from the drop-in itself.
ABSENT = tuple(f"-Wl,--defsym={name}=0" for name in (
    "central_join_shard", "central_note_free", "central_restock", "central_unstock",
    "hook_attach_caller", "hook_pay", "hook_trigger", "sh_init"))
LIMITS = ("-max_len=1024", "-len_control=20", "-timeout=60", "-rss_limit_mb=2048")
COURSE = (*LIMITS, "-reload=0")  # what other processes find would come in at any time
LIMITED = ("-max_total_time=", "-runs=")  # arguments that only say when to stop
NEW, AGAIN = "new", "again"  # where a run puts what it finds, and one that repeats it
_STATUS = re.compile(r"^#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)/")
_WRITTEN = re.compile(r"Test unit written to (\S+)")


@dataclass(frozen=True)
class Target:
    """What a target is made of, and what of that counts as code to be reached."""

    own: tuple[str, ...]  # of allocator/fuzz/; roots.c says why it is the first
    library: str  # what allocator/Makefile calls its sources, in its own words
    covered: tuple[str, ...]  # of the library: folders and files, the beginnings of their paths
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of single sources
    linked: tuple[str, ...] = ()  # for the linker
    environment: Mapping[str, str] = field(default_factory=dict)


def of_type(name: str) -> Target:
    """A type of Go's. The collector would be noise in what is covered, here and below: its course
    depends on the whole process."""
    return Target(("roots.c", "fuzz.c", "collections.c", "panics.c", f"fuzz_{name}.c"),
                  "$(SPANHEAP_SOURCES)", ("types/",))


ALLOC = Target(("roots.c", "fuzz.c", "collections.c", "objects.c", "pattern.c", "go_sizes.c",
                "alloc_calls.c", "fuzz_alloc.c"),
               "$(SPANHEAP_SOURCES)",
               ("heap/", "collector/finalizer.c", "observe/explain", "observe/heap_dump"),
               # As programs have it: a heap that a sanitizer watches has no fast path.
               environment={"SH_POISON": "0"})
TARGETS = {
    "map": of_type("map"),
    "slice": of_type("slice"),
    "channel": of_type("channel"),
    "alloc": ALLOC,
    "alloc-debug": replace(ALLOC, environment={"SH_DEBUG_HEAP": "1", "SH_QUARANTINE": "64KiB"}),
    "malloc": Target(("fuzz.c", "pattern.c", "fuzz_malloc.c"),
                     "$(MALLOC_SOURCES)", ("shims/", "heap/"),
                     flags={"shims/malloc.c": RENAMED}, linked=ABSENT),
    "gc": Target(("roots.c", "fuzz.c", "objects.c", "pattern.c", "go_sizes.c", "gc_calls.c",
                  "fuzz_gc.c"),
                 "$(GC_HEAP_SOURCES) $(GC_SOURCES)", ("shims/", "heap/"),
                 environment={"SH_POISON": "0"}),
}


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


def operates(own: str) -> bool:
    """Whether a source of a target chooses what is done, and counts as code to be reached."""
    return own.startswith("fuzz_") or own.endswith("_calls.c")


def sources_of(project: Project, target: Target) -> list[str]:
    """Of the library, relative to allocator/."""
    return library.make(project, f"--eval=sources-of-target: ; @echo {target.library}",
                        "sources-of-target").split()


def build(project: Project, builder: Builder, name: str) -> Path:
    """The program of a target. Fault: this clang has no libFuzzer."""
    cell, target = fuzz_cell(), TARGETS[name]
    flags = {folder(project) / own: [COVERED] if operates(own) else [] for own in target.own}
    for source in sources_of(project, target):
        counts = source.startswith(target.covered) and source.endswith(".c")
        flags[project.allocator / source] = [*([COVERED] if counts else []),
                                             *target.flags.get(source, ())]
    futures = [builder.compile(path, cell, more, [(project.allocator, "**/*")])
               for path, more in flags.items()]
    objects = [str(future.result()) for future in futures]
    linked = [*LINKED, *target.linked]
    path = project.build / "fuzz" / f"{Path(target.own[-1]).stem}-{digest([*objects, *linked])}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        done = subprocess.run(
            [cell.command, "-fsanitize=fuzzer", *SANITIZERS, "-pthread", "-o", str(temporary),
             *objects, *linked], capture_output=True, text=True, cwd=project.root)
        if done.returncode != 0 and "libclang_rt" in done.stderr:
            raise Fault(NEEDED)
        if done.returncode != 0:
            raise BuildFault(done.stderr.strip(), linking=True)
    return path


def settings(target: str) -> dict[str, str]:
    """Of the library, for a target."""
    return {**ENVIRONMENT, **TARGETS[target].environment}


def environment(target: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Of a target: the caller's, without settings of the library and of the targets."""
    kept = {k: v for k, v in ctests.environment().items() if not k.startswith("FUZZ_")}
    return {**kept, **settings(target), **extra}


@cache
def at_fixed_addresses() -> tuple[str, ...]:
    """What comes before a program, so that the same inputs do the same: words that are taken for
    addresses, and the fuzzer's own tables, depend on where things lie. Empty where a container
    forbids it."""
    tool = shutil.which("setarch")
    if tool is None or subprocess.run([tool, "-R", "true"], capture_output=True).returncode != 0:
        return ()
    return ("setarch", "-R")


def repeat_line(target: str, command: Sequence[str], extra: Mapping[str, str]) -> str:
    """A line for the shell."""
    shown = [f"{name}={value}" for name, value in {**settings(target), **extra}.items()]
    return shlex.join(["env", *shown, *at_fixed_addresses(), *command])


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
        self.take_in(target)
        program = str(self.programs[target].relative_to(self.project.root))
        command = [*at_fixed_addresses(), program, *COURSE, *arguments,
                   f"-artifact_prefix={self.kept / target}/", *self.inputs(target, NEW)]
        self.say(f"{target:10} {' '.join(arguments)}")
        tally.state = "runs"
        start = time.monotonic()
        output = []
        process = subprocess.Popen(
            command, cwd=self.project.root, env=environment(target, self.extra), text=True,
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
            self.note_failure(target, program, code, "".join(output), log, arguments)

    def inputs(self, target: str, written_to: str) -> list[str]:
        """The folders of a run's inputs. The first one is for those that it finds: what it began
        with stays as it was, so that it can be repeated."""
        known = self.kept / target / "corpus"
        for path in (self.kept / target / written_to, known):
            path.mkdir(parents=True, exist_ok=True)
        return [str(self.kept / target / written_to), str(known),
                str(seeds(self.project, target))]

    def take_in(self, target: str) -> None:
        """What the run before found is now among what is known."""
        new, known, _ = self.inputs(target, NEW)
        for path in Path(new).iterdir():
            path.replace(Path(known) / path.name)

    def note_failure(self, target: str, program: str, code: int, output: str, log: Path,
                     arguments: Sequence[str] = ()) -> None:
        """Says what was wrong with which input, and the commands that repeat it, and all that went
        before."""
        tally = self.tallies[target]
        tally.failed += 1
        tally.state = str(tally.failed)
        written = _WRITTEN.search(output)
        lines = [line for line in output.splitlines() if line.startswith(("not so:", "wanted "))
                 or "fatal:" in line or "ERROR:" in line or "runtime error:" in line]
        command = [program, *([written[1]] if written is not None else [])]
        self.say(f"FAILED: {target}, exit status {code}", *(f"    {line}" for line in lines[:4]),
                 f"  repeat it, in {self.project.root}:",
                 f"    {repeat_line(target, command, self.extra)}")
        if at_fixed_addresses():
            course = [program, *COURSE, *(a for a in arguments if not a.startswith(LIMITED)),
                      f"-artifact_prefix={self.kept / target / AGAIN}/",
                      *self.inputs(target, AGAIN)]
            self.say("  if it does not fail by itself, with all that went before it"
                     f" ({tally.seconds:.0f} s), until {target} is fuzzed anew:",
                     f"    {repeat_line(target, course, self.extra)}")
        self.say(f"  its output: {log}")

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
    session.take_in(target)
    known = [session.kept / target / "corpus", seeds(session.project, target)]
    fresh = session.kept / target / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    for path in (fresh, *known):
        path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*at_fixed_addresses(), str(session.programs[target]), "-set_cover_merge=1",
         "-use_counters=0", *LIMITS[:1], str(fresh), *map(str, known)], cwd=session.project.root,
        env=environment(target, session.extra), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace")
    if done.returncode != 0:
        raise Fault(f"merging the inputs of {target} failed:\n{done.stderr[-2000:]}")
    for path in known[1].glob("found-*"):
        shutil.copy(path, fresh)
    shutil.rmtree(known[1])
    shutil.move(fresh, known[1])
    return len(os.listdir(known[1]))


def build_all(project: Project, targets: Iterable[str]) -> dict[str, Path]:
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
