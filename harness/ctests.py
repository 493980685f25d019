"""A pytest plugin: every cmocka test of allocator/tests/test_*.c is a test of its own.

A file is compiled once a mode with all of the allocator and run once; its items then look up what
the run said about them. Near its head a test program may state, in comments of one line:

    /* run: native asan valgrind */    the modes (default: native asan)
    /* libs: -ldl */                   more libraries
    /* needs-shared */                 link libspanheap.so instead of the objects
    /* needs-malloc */                 link libspanheap-malloc.so instead: malloc is its

Modes: native is gcc -O1 -g with the invariants on (-DSH_DEBUG); asan adds ASan and UBSan, to the
allocator too; tsan adds ThreadSanitizer instead and leaves the invariants off, whose reads are not
those of the shipped library; valgrind runs the native program under memcheck. A mode whose tool is
missing is skipped with the reason.

Runner.build also makes programs that are not tests (tests/stress.c), by another compiler, at
another level, and with a fault of collector/fault.h built in.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from harness import library
from harness.build import Builder, digest
from harness.fault import BuildFault
from harness.matrix import Cell
from harness.project import Project

MODES = ("native", "asan", "tsan", "valgrind")
DEFAULT_MODES = ("native", "asan")
TIMEOUT_S = {"native": 120, "asan": 300, "tsan": 300, "valgrind": 900}
ENDING = "ends-well"  # the item for what the program says after its last test
LEVEL = "-O1"
EXTRA = {
    "asan": ("-DSH_DEBUG", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
             "-fno-omit-frame-pointer"),
    "tsan": ("-fsanitize=thread",),
}
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=0:detect_leaks=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99",
    "TSAN_OPTIONS": "report_signal_unsafe=0:history_size=4:exitcode=98",
    "LC_ALL": "C",
    "CMOCKA_MESSAGE_OUTPUT": "STDOUT",
    # Under a tool, freed memory is held for a while; the tests of accounting want it back at once.
    "SH_QUARANTINE": "0",
}
VALGRIND = ("--quiet", "--error-exitcode=97", "--undef-value-errors=no", "--leak-check=no")
_TEST = re.compile(r"\bcmocka_unit_test(?:_setup_teardown|_setup|_teardown|_prestate\w*)?"
                   r"\(\s*(\w+)")
_HEAD_LINES = 40
_STATE = re.compile(r"\[\s*(RUN|OK|FAILED|SKIPPED)\s*\]\s+(\w+)")


@dataclass
class Ran:
    """What one run of a test program said."""

    states: dict[str, str] = field(default_factory=dict)  # test -> OK, FAILED, SKIPPED, RUN
    words: dict[str, str] = field(default_factory=dict)
    ending: str | None = None  # None: it ended with the status that its tests call for
    skipped: str | None = None  # the mode cannot be run here


@dataclass(frozen=True)
class Program:
    """What a test file says about itself."""

    path: Path
    tests: tuple[str, ...]
    modes: tuple[str, ...]
    libs: tuple[str, ...]
    shared: bool  # linked with a library instead of the objects
    malloc: bool = False  # that library is the drop-in for malloc


def describe(path: Path) -> Program:
    """Reads the comments and the names of the tests."""
    text = path.read_text(encoding="utf-8")
    head = "\n".join(text.splitlines()[:_HEAD_LINES])
    modes = re.search(r"/\*\s*run:\s*([a-z ]+?)\s*\*/", head)
    libs = re.search(r"/\*\s*libs:\s*(.+?)\s*\*/", head)
    chosen = tuple(modes[1].split()) if modes else DEFAULT_MODES
    for mode in chosen:
        if mode not in MODES:
            raise ValueError(f"{path.name}: no mode '{mode}' (there are: {', '.join(MODES)})")
    tests = tuple(dict.fromkeys(_TEST.findall(text)))
    needs = set(re.findall(r"/\*\s*needs-(shared|malloc)\s*\*/", head))
    return Program(path, tests, chosen, tuple(libs[1].split()) if libs else (),
                   bool(needs), "malloc" in needs)


def parse(output: str) -> Ran:
    """What cmocka printed; a test without an end was running when the program died."""
    ran = Ran()
    current: str | None = None
    for line in output.splitlines():
        match = _STATE.search(line)
        if match is not None and not line.startswith("[==") and "test(s)" not in line:
            state, name = match[1], match[2]
            # The summary at the end names failed tests again; only the first end counts.
            if state == "RUN" or ran.states.get(name) == "RUN":
                ran.states[name] = state
            current = name if state == "RUN" else None
            if state == "FAILED":
                ran.words[name] = ran.words.get(name, "") + line + "\n"
            continue
        if current is not None:
            ran.words[current] = ran.words.get(current, "") + line + "\n"
    return ran


class Runner:
    """Compiles and runs test programs of one checkout, each (file, mode) once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._builder: Builder | None = None
        self._ran: dict[tuple[Path, str], Ran] = {}

    @property
    def builder(self) -> Builder:
        if self._builder is None:
            self._builder = Builder(self.project)
        return self._builder

    def close(self) -> None:
        """Ends the compiler pool."""
        if self._builder is not None:
            self._builder.close()

    def run(self, program: Program, mode: str) -> Ran:
        """The result of a file in a mode; run at the first question."""
        key = (program.path, mode)
        if key not in self._ran:
            self._ran[key] = self._run_now(program, mode)
        return self._ran[key]

    def _run_now(self, program: Program, mode: str) -> Ran:
        if mode == "valgrind" and shutil.which("valgrind") is None:
            return Ran(skipped="valgrind is not installed: apt-get install valgrind")
        path = self.build(program, mode)
        command = [str(path)]
        if mode == "valgrind":
            excused = self.project.allocator / "tests" / "valgrind.supp"
            known = [f"--suppressions={excused}"] if excused.exists() else []
            command = ["valgrind", *VALGRIND, *known, *command]
        try:
            done = subprocess.run(
                command, cwd=self.project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**environment(), "SPANHEAP_TEST_MODE": mode}, text=True,
                errors="replace", timeout=TIMEOUT_S[mode], stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            said = error.stdout or b""
            text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
            ran = parse(text)
            ran.ending = f"still running after {TIMEOUT_S[mode]} s: killed\n{text[-2000:]}"
            return ran
        ran = parse(done.stdout)
        failed = sum(state == "FAILED" for state in ran.states.values())
        unfinished = "RUN" in ran.states.values()
        if unfinished or (done.returncode != 0 and done.returncode != failed):
            ran.ending = f"exit status {done.returncode}\n{done.stdout[-6000:]}"
        return ran

    def build(self, program: Program, mode: str, *, compiler: str | None = None,
              level: str = LEVEL, fault: int = 0) -> Path:
        """The program, from objects kept by content; fault is a number of collector/fault.h."""
        cell = test_cell(mode, compiler, level)
        builder = self.builder
        folder = (self.project.allocator, "**/*")
        sources = [] if program.shared else [
            self.project.allocator / source for source in builder.settings.sources]
        futures = [builder.compile(source, cell, fault_flags(source, fault), [folder])
                   for source in (program.path, *sources)]
        objects = [str(future.result()) for future in futures]
        libraries: list[str] = []
        if program.malloc:
            built = library.build(self.project, cell, "malloc").malloc
            objects.append(str(built))
            libraries = [f"-Wl,-rpath,{built.parent}"]
        elif program.shared:
            folder_ = library.build(self.project, cell).folder
            libraries = [f"-L{folder_}", "-lspanheap", f"-Wl,-rpath,{folder_}"]
        key = digest([*objects, *libraries, *program.libs])
        path = self.project.build / "tests" / f"{program.path.stem}-{mode}-{key}"
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        done = subprocess.run(
            [cell.command, cell.level, "-g", *cell.extra, "-o", str(temporary), *objects,
             *libraries, "-pthread", "-lcmocka", "-lm", *program.libs],
            capture_output=True, text=True, cwd=self.project.root)
        if done.returncode != 0:
            raise BuildFault(done.stderr.strip(), linking=True)
        os.replace(temporary, path)
        return path


def environment() -> dict[str, str]:
    """Of a test program: the caller's, without settings of the library."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SH_")}
    return {**kept, **ENVIRONMENT}


def fault_flags(source: Path, fault: int) -> list[str]:
    """For the sources that have faults; all others are the objects of the sound build."""
    if fault == 0 or '#include "collector/fault.h"' not in source.read_text(encoding="utf-8"):
        return []
    return [f"-DSH_FAULT={fault}"]


@cache
def test_cell(mode: str, compiler: str | None = None, level: str = LEVEL) -> Cell:
    """The invariants on, or a sanitizer; gcc, or clang where there is no gcc."""
    base = library.default_cell(*([compiler] if compiler else []))
    extra = EXTRA.get(mode, ("-DSH_DEBUG",))
    suffix = f"+{mode}" if mode in EXTRA else ""
    return Cell(f"{base.compiler}{level}{suffix}", base.compiler, base.command, base.version,
                level, mode if suffix else None, extra)


# ---- The plugin ----------------------------------------------------------------------------------

_RUNNER = pytest.StashKey[Runner]()


class CTestFailure(Exception):
    """A C test failed; the text is all there is to say."""


class CTest(pytest.Item):
    """One cmocka test in one mode."""

    def __init__(self, *, program: Program, mode: str, test: str, runner: Runner,
                 **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self.program = program
        self.mode = mode
        self.test = test
        self.runner = runner
        self.add_marker(mode)

    def runtest(self) -> None:
        """Looks up what the run of the file said about this test."""
        try:
            ran = self.runner.run(self.program, self.mode)
        except BuildFault as fault:
            raise CTestFailure(f"{self.program.path.name} does not build:\n{fault}") from None
        if ran.skipped is not None:
            pytest.skip(ran.skipped)
        if self.test == ENDING:
            if ran.ending is not None and "RUN" not in ran.states.values():
                raise CTestFailure(ran.ending)
            return
        state = ran.states.get(self.test)
        words = ran.words.get(self.test, "").strip()
        if state == "SKIPPED":
            pytest.skip(words or "skipped by the test")
        if state == "RUN":
            raise CTestFailure(f"the program died in this test: {ran.ending}\n{words}")
        if state is None:
            raise CTestFailure(f"it was never run: {ran.ending or 'not in its group?'}")
        if state == "FAILED":
            raise CTestFailure(words or "failed")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException],
                     style: str | None = None) -> str:
        """The program's words, without a Python traceback."""
        if isinstance(excinfo.value, CTestFailure):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        """What pytest prints in front."""
        return self.path, 0, self.name


class CTestFile(pytest.File):
    """One test_*.c."""

    runner: Runner

    def collect(self) -> Iterator[CTest]:
        """Every test of the file in each of its modes."""
        program = describe(self.path)
        for mode in program.modes:
            for test in (*program.tests, ENDING):
                item: CTest = CTest.from_parent(
                    self, name=f"{test}[{mode}]", program=program, mode=mode, test=test,
                    runner=self.runner)
                yield item


@pytest.fixture(scope="session")
def c_runner(pytestconfig: pytest.Config) -> Runner:
    """For Python tests that build C programs of allocator/tests/."""
    return pytestconfig.stash[_RUNNER]


def pytest_configure(config: pytest.Config) -> None:
    """Makes the modes known as marks, and the one runner of this session."""
    for mode in MODES:
        config.addinivalue_line("markers", f"{mode}: a C test run in this mode")
    config.stash[_RUNNER] = Runner(Project(Path(str(config.rootpath))))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the compiler pool."""
    runner = config.stash.get(_RUNNER, None)
    if runner is not None:
        runner.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CTestFile | None:
    """Takes test_*.c of allocator/tests/."""
    runner = parent.config.stash[_RUNNER]
    if (file_path.suffix != ".c" or not file_path.name.startswith("test_")
            or file_path.parent != runner.project.allocator / "tests"):
        return None
    collected: CTestFile = CTestFile.from_parent(parent, path=file_path)
    collected.runner = runner
    return collected
