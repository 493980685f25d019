"""Who sees the mistakes of allocator/tests/seen/ and of some pitfalls: each compiler and tool, at
each level, without what the heap tells them (SH_POISON=0, -DSH_NO_ATTRIBUTES) and with it. A report
counts if it names the marked line (D), or is the heap's own fatal message (d); the fixed variant
must have neither. allocator/README.md has the table, and it must be what is found here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from harness import library
from harness.project import here

# All with `make test SEEN_LEVELS=all PYTEST="-k test_seen"`, which takes a minute; else one.
LEVELS = ("-O0", "-O2", "-Os")
MEASURED = LEVELS if os.environ.get("SEEN_LEVELS") == "all" else LEVELS[1:2]
FOLDER = here().allocator / "tests" / "seen"
FATAL = "spanheap: fatal: "


@dataclass(frozen=True)
class Case:
    """A row of the table: a bad program, the fixed one, and how the line of the mistake is marked.
    A program of tests/seen/ is both, by -DFIXED; one of a pitfall has the driver."""

    name: str
    bad: Path
    fixed: Path
    marker: str
    driven: bool

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("--n", "1", "--count", "1", "--warmup", "0") if self.driven else ()


def of_pitfall(pitfall: str, pair: str, marker: str = "/* DETECT */") -> Case:
    """Of a pair of a pitfall's variants."""
    bad, fixed = (here().pitfalls / pitfall / f"{role}{pair}.c" for role in ("bad", "fixed"))
    return Case(f"{pitfall}/bad{pair}", bad, fixed, marker, True)


CASES = {case.name: case for case in (
    *(Case(path.stem, path, path, "/* here */", False) for path in sorted(FOLDER.glob("*.c"))),
    of_pitfall("append-stale", "", "*first = paid;"),
    of_pitfall("append-stale", ".realloc"),
    of_pitfall("arena-use-after-free", ""),
    of_pitfall("arena-use-after-free", ".told"),
    of_pitfall("pool-use-after-put", ""),
    of_pitfall("pool-use-after-put", ".twice"),
)}


@dataclass(frozen=True)
class Detector:
    """A column of the table: a compiler's warnings, or a run under a tool."""

    name: str
    compiler: str
    flags: tuple[str, ...] = ()
    tool: tuple[str, ...] = ()  # in front of the program
    settings: tuple[str, ...] = ()  # of the run with what the heap tells
    runs: bool = True


DETECTORS = (
    Detector("gcc -Wall", "gcc", ("-Wall",), runs=False),
    Detector("gcc -fanalyzer", "gcc", ("-fanalyzer", "-Wno-analyzer-malloc-leak"), runs=False),
    Detector("clang -Wall", "clang", ("-Wall",), runs=False),
    Detector("gcc ASan", "gcc", ("-fsanitize=address",)),
    Detector("clang ASan", "clang", ("-fsanitize=address",)),
    Detector("gcc, valgrind", "gcc", tool=("valgrind", "-q")),
    Detector("gcc ASan, SH_DEBUG_HEAP", "gcc", ("-fsanitize=address",),
             settings=("SH_DEBUG_HEAP=1",)),
    Detector("SH_DEBUG_HEAP alone", "gcc", settings=("SH_DEBUG_HEAP=1",)),
)


OLDEST_GCC = 12  # whose warnings the table has; before 11 it knows of no function that ends objects


@cache
def missing(detector: Detector) -> str | None:
    """What has to be installed, or None: an empty program must compile and link."""
    for command in (detector.compiler, *detector.tool[:1]):
        if shutil.which(command) is None:
            return f"no {command}: apt-get install {command}"
    if detector.compiler == "gcc" and not detector.runs:
        version = call(["gcc", "-dumpversion"]).strip()
        if int(version.split(".")[0]) < OLDEST_GCC:
            return f"gcc {version} is older than {OLDEST_GCC}"
    # The heap tells valgrind what it does only where this header was there to be compiled with.
    source = "#include <valgrind/memcheck.h>\n" if detector.tool[:1] == ("valgrind",) else ""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [detector.compiler, *detector.flags, "-x", "c", "-", "-o", f"{folder}/empty"],
            input=f"{source}int main(void) {{ return 0; }}\n", capture_output=True, text=True,
            env={**os.environ, "LC_ALL": "C"}, check=False)
    said = done.stderr.strip().splitlines() or ["it says nothing"]
    return None if done.returncode == 0 else f"{detector.compiler}: {said[0]}"


@cache
def heap() -> library.Library:
    """The ordinary shared library: no tool was there when it was built."""
    return library.build(here(), library.default_cell())


INCLUDES = (f"-I{here().allocator / 'include'}", f"-I{here().pitfalls}")


@cache
def driver() -> tuple[str, ...]:
    """The objects of the pitfalls' driver, without a tool's code in them."""
    folder = Path(tempfile.mkdtemp(dir=heap().folder))
    sources = sorted(here().pitfalls.glob("*.c"))
    subprocess.run(["gcc", "-std=gnu17", "-O2", "-g", "-pthread", *INCLUDES, "-c",
                    *map(str, sources)], cwd=folder, check=True)
    return tuple(str(folder / f"{source.stem}.o") for source in sources)


def call(command: list[str], settings: tuple[str, ...] = ()) -> str:
    """What a command prints; its status says nothing, a crash is no detection."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SH_")}
    extra = dict(setting.split("=", 1) for setting in settings)
    done = subprocess.run(
        command, cwd=here().root, capture_output=True, text=True, errors="replace", timeout=120,
        env={**kept, "ASAN_OPTIONS": "detect_leaks=0", "LC_ALL": "C", **extra}, check=False)
    return done.stdout + done.stderr


def report(detector: Detector, case: Case, level: str, fixed: bool, told: bool,
           folder: Path) -> str:
    """What the detector says of one variant at one level."""
    source = case.fixed if fixed else case.bad
    program = folder / f"{case.bad.name}-{fixed}-{told}{level}-{DETECTORS.index(detector)}"
    command = [detector.compiler, "-std=gnu17", "-g", level, *detector.flags,
               *(["-DFIXED"] if fixed else []), *([] if told else ["-DSH_NO_ATTRIBUTES"]),
               "-fno-diagnostics-color", "-fno-omit-frame-pointer",
               *INCLUDES, str(source), *(driver() if case.driven else ()), "-o", str(program),
               f"-L{heap().folder}", "-lspanheap", f"-Wl,-rpath,{heap().folder}", "-pthread"]
    said = call(command)
    if not detector.runs:
        return said
    return call([*detector.tool, str(program), *case.arguments],
                detector.settings if told else ("SH_POISON=0",))


def first_place(said: str, source: Path) -> int | None:
    """The first line of the case's own source that a report names."""
    match = re.search(rf"{re.escape(source.name)}:(\d+)", said)
    return int(match[1]) if match else None


def letter(detector: Detector, case: Case, level: str, told: bool, folder: Path) -> str:
    """How it is seen; a dot: it is not."""
    lines = case.bad.read_text(encoding="utf-8").splitlines()
    marked = next(n for n, line in enumerate(lines, 1) if case.marker in line)
    said = report(detector, case, level, False, told, folder)
    warned = detector.runs or "warning:" in said
    named = warned and first_place(said, case.bad) == marked
    seen = "D" if named else "d" if FATAL in said else "."
    if seen != ".":
        fixed = report(detector, case, level, True, told, folder)
        assert first_place(fixed, case.fixed) is None and FATAL not in fixed, fixed
    return seen


def cell(detector: Detector, case: Case, folder: Path) -> str:
    """As in the table: the levels without, and with; those that are not measured left out."""
    def letters(told: bool) -> str:
        return "".join(letter(detector, case, level, told, folder) for level in MEASURED)
    return f"{letters(False)} {letters(True)}"


def documented() -> dict[str, list[str]]:
    """The rows of the table in allocator/README.md, without their first cell."""
    text = (here().allocator / "README.md").read_text(encoding="utf-8")
    rows = (line.strip().strip("|").split("|") for line in text.splitlines()
            if line.startswith("| `"))
    cells = {row[0].strip().strip("`"): [c.strip().strip("`") for c in row[1:]] for row in rows}
    return {name: row for name, row in cells.items() if name in CASES}


def test_every_case_has_its_row() -> None:
    assert set(documented()) == set(CASES)


@pytest.mark.parametrize("case", sorted(CASES))
def test_table_says_who_sees_it(case: str, tmp_path: Path) -> None:
    driver()
    lacking = {d.name: missing(d) for d in DETECTORS}
    row = CASES[case]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        measured = list(pool.map(
            lambda d: cell(d, row, tmp_path) if lacking[d.name] is None else None, DETECTORS))
    told = [" ".join("".join(half[LEVELS.index(level)] for level in MEASURED)
                     for half in cell_.split(" ")) for cell_ in documented()[case]]
    assert [m if m is not None else t for m, t in zip(measured, told, strict=True)] == told
    unseen = "; ".join(f"{name} ({why})" for name, why in lacking.items() if why is not None)
    if unseen:
        pytest.skip(f"as in the table, but these were not asked: {unseen}")
