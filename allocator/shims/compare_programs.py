"""Programs of the distribution on a drop-in: do they write the same as on the stock library?

Each program does the same work twice, in an empty folder and a plain environment: on the stock
library, and on ours. What it writes must be equal to the byte, and its exit status 0 both times.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 120  # of one command
# What the set-up has unpacked and not installed (harness/deps.py).
UNPACKED = Path(__file__).resolve().parents[2] / "compile-matrix" / "build" / "unpacked"
Environment = dict[str, str]
Work = Callable[[Path, Environment], bytes]


class Failed(Exception):
    """The program ended otherwise than by 0, did not answer, or wrote something else."""


class Missing(Exception):
    """It is not there; the text says how to get it."""


@dataclass(frozen=True)
class Program:
    """A program and its work; run writes what is compared."""

    name: str
    package: str
    command: str
    run: Work


def plain(more: Mapping[str, str] | None = None) -> Environment:
    """An environment in which nothing of the caller's shows in an output, nor changes a library."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin", "LC_ALL": "C.UTF-8",
            "HOME": "/nonexistent", "PYTHONHASHSEED": "1", "PERL_HASH_SEED": "1", **(more or {})}


def found(command: str) -> str | None:
    """The path of a command, or None."""
    folders = [plain()["PATH"], *(str(p) for p in UNPACKED.glob("*/usr/sbin"))]
    return shutil.which(command, path=":".join(folders))


def called(*command: str, text: str = "") -> Work:
    """What a command prints; text is its standard input."""
    def run(folder: Path, environment: Environment) -> bytes:
        done = subprocess.run(command, cwd=folder, env=environment, input=text.encode(),
                              capture_output=True, timeout=TIMEOUT_S)
        if done.returncode != 0 or b"spanheap:" in done.stderr:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise Failed(f"exit status {done.returncode}: {said[-2000:]}")
        return done.stdout
    return run


def _output(program: Program, environment: Environment) -> tuple[bytes, float]:
    """What it writes in an empty folder, and the seconds that it takes."""
    with tempfile.TemporaryDirectory(prefix="spanheap-") as name:
        start = time.monotonic()
        try:
            written = program.run(Path(name), environment)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(str(error)) from error
        return written, time.monotonic() - start


def _compare(program: Program, ours: Environment) -> str:
    """In words that they are the same, or Failed."""
    try:
        expected, stock_s = _output(program, plain())
        if not expected:
            raise Failed("it writes nothing")
    except Failed as error:
        raise Failed(f"on the stock library: {error}") from error
    written, here_s = _output(program, plain(ours))
    if written == expected:
        return f"the same, {len(written)} bytes ({stock_s:.2f} s, here {here_s:.2f} s)"
    at = next((i for i, (a, b) in enumerate(zip(expected, written)) if a != b),
              min(len(expected), len(written)))
    raise Failed(f"differs from byte {at} on: {expected[at:at + 60]!r} on the stock library, "
                 f"{written[at:at + 60]!r} here")


def main(programs: Sequence[Program], target: str, environment: Callable[[Path], Environment],
         takes: Callable[[Program, Path], bool]) -> int:
    """A script: LIBRARY [NAME ...], a row a program; 1 if one differs or fails, 2 for wrong usage.

    environment says what makes a program take the library, takes whether this one does; target is
    what `make -C allocator` builds it by.
    """
    script, path, *names = [*sys.argv, ""] if len(sys.argv) < 2 else sys.argv
    library = Path(path).resolve()
    known = {program.name: program for program in programs}
    unknown = [name for name in names if name not in known]
    if not library.is_file():
        print(f"usage: {Path(script).name} LIBRARY [NAME ...]: {path!r} is no file; make -C "
              f"allocator {target} builds it", file=sys.stderr)
        return 2
    if unknown:
        print(f"no program {unknown[0]!r}; there are: {' '.join(known)}", file=sys.stderr)
        return 2
    counts = {"the same": 0, "failed": 0, "not installed": 0}
    for program in (known[name] for name in names or known):
        try:
            if found(program.command) is None:
                raise Missing(f"make deps brings {program.package}")
            if not takes(program, library):
                raise Failed(f"it does not take {library}")
            said, kind = _compare(program, environment(library)), "the same"
        except Missing as error:
            said, kind = f"not installed: {error}", "not installed"
        except Failed as error:
            said, kind = f"FAILED: {error}", "failed"
        counts[kind] += 1
        print(f"{program.name:10} {said}", flush=True)
    if sum(counts.values()) > 1:
        print(f"{library.name}: " + ", ".join(f"{n} {kind}" for kind, n in counts.items() if n))
    return 1 if counts["failed"] else 0
