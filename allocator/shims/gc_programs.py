#!/usr/bin/env python3
"""Programs of the distribution on the gc.h drop-in, each beside itself on Boehm's own library.

    make -C allocator gc-programs
    python3 allocator/shims/gc_programs.py --library allocator/build/shims [--only guile]

Each row says whether the two outputs are the same. Exit status 1: some are not. A program that is
not installed is named, and counts as nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

WORK = Path(__file__).parent / "programs"
LIMIT_S = 120


@dataclass(frozen=True)
class Program:
    """How a program is run in an empty folder; its files are work.* and what `prepare` makes."""

    name: str
    package: str
    command: tuple[str, ...]
    about: str
    prepare: tuple[str, ...] = ()
    output: str = ""  # a file that it writes; lines that begin with %% have dates


PROGRAMS = (
    Program("w3m", "w3m", ("w3m", "-dump", "-cols", "100", "page.html"), "a page of 40 tables"),
    Program("guile", "guile-3.0", ("guile", "--no-auto-compile", "work.scm"),
            "threads, weak tables, guardians, futures"),
    Program("ecl", "ecl", ("ecl", "-norc", "--shell", "work.lisp"), "threads, hash tables"),
    Program("asymptote", "asymptote", ("asy", "-noV", "-f", "eps", "-o", "out.eps", "work.asy"),
            "a drawing, lists, strings", output="out.eps"),
    Program("neko", "neko", ("neko", "work.n"), "lists, strings, arrays",
            prepare=("nekoc", "work.neko")),
)


def page() -> str:
    """An HTML page of 40 tables."""
    rows = "".join(f"<tr><td>{n}<td>{n * n}<td><a href='#{n}'>row {n}</a></tr>"
                   for n in range(60))
    words = " ".join(f"word{n}" for n in range(200))
    parts = (f"<h2>Section {n}</h2><table border=1>{rows}</table><p>{words}</p>"
             for n in range(40))
    return "<html><body>" + "".join(parts) + "</body></html>"


@dataclass(frozen=True)
class Ran:
    """What one run printed and wrote."""

    status: int
    text: str
    seconds: float
    errors: str


def run(program: Program, environment: dict[str, str]) -> Ran:
    """Runs it in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in WORK.glob("work.*"):
            shutil.copy(file, folder)
        (folder / "page.html").write_text(page(), encoding="utf-8")
        full = {**os.environ, "HOME": name, "LC_ALL": "C.UTF-8", **environment}
        if program.prepare:
            subprocess.run(program.prepare, cwd=folder, check=True, capture_output=True)
        start = time.monotonic()
        done = subprocess.run(program.command, cwd=folder, env=full, capture_output=True,
                              timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        text = done.stdout.decode(errors="replace")
        if program.output and done.returncode == 0:
            lines = (folder / program.output).read_text(errors="replace").splitlines()
            text += "\n".join(line for line in lines if not line.startswith("%%"))
        return Ran(done.returncode, text, seconds, done.stderr.decode(errors="replace"))


def loads(program: Program, library: Path) -> bool:
    """Whether the program takes the library that it is offered."""
    full = {**os.environ, "LD_LIBRARY_PATH": str(library)}
    binary = shutil.which(program.command[0])
    done = subprocess.run(["ldd", str(binary)], env=full, capture_output=True, text=True,
                          check=False)
    return str(library / "libgc.so.1") in done.stdout


def compare(program: Program, library: Path) -> tuple[str, str]:
    """The word for the row, and what to say besides."""
    if shutil.which(program.command[0]) is None:
        return "missing", f"apt-get install {program.package}"
    if not loads(program, library):
        return "DIFFERS", "does not load the library: is it built? (make -C allocator gc)"
    stock = run(program, {})
    ours = run(program, {"LD_LIBRARY_PATH": str(library)})
    if stock.status != 0:
        return "missing", f"fails on the stock library: {stock.errors.strip()[-200:]}"
    if (stock.status, stock.text) == (ours.status, ours.text):
        return "same", f"{len(ours.text)} bytes; {stock.seconds:.2f} s, here {ours.seconds:.2f} s"
    return "DIFFERS", f"status {ours.status}: {(ours.errors or ours.text).strip()[-300:]}"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="programs on the gc.h drop-in")
    parser.add_argument("--library", type=Path, required=True, help="the folder of libgc.so.1")
    parser.add_argument("--only", help="one program")
    asked = parser.parse_args()
    names = [program.name for program in PROGRAMS]
    if asked.only is not None and asked.only not in names:
        parser.error(f"no program {asked.only} (there are: {', '.join(names)})")
    bad = 0
    for program in PROGRAMS:
        if asked.only in (None, program.name):
            word, more = compare(program, asked.library.resolve())
            bad += word == "DIFFERS"
            print(f"{program.name:<10} {word:<8} {program.about}: {more}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
