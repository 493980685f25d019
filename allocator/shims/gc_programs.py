#!/usr/bin/python3
"""Programs of the distribution on the gc.h drop-in, each beside itself on Boehm's own library.

    make -C allocator gc-programs
    allocator/shims/gc_programs.py allocator/build/shims/libgc.so.1 [NAME ...]

Ends with 1 if one differs or fails; a program that is not installed is named and left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from compare_programs import Environment, Program, Work, called, found, main, plain

WORK = Path(__file__).resolve().parent / "programs"


def page() -> str:
    """An HTML page of 40 tables."""
    rows = "".join(f"<tr><td>{n}<td>{n * n}<td><a href='#{n}'>row {n}</a></tr>"
                   for n in range(60))
    words = " ".join(f"word{n}" for n in range(200))
    parts = (f"<h2>Section {n}</h2><table border=1>{rows}</table><p>{words}</p>"
             for n in range(40))
    return "<html><body>" + "".join(parts) + "</body></html>"


def with_work(*commands: tuple[str, ...]) -> Work:
    """What commands print one after the other, in a folder that has the files work.*."""
    def run(folder: Path, environment: Environment) -> bytes:
        for file in WORK.glob("work.*"):
            shutil.copy(file, folder)
        return b"".join(called(*command)(folder, environment) for command in commands)
    return run


PROGRAMS = (
    Program("w3m", "w3m", "w3m", called("w3m", "-dump", "-cols", "100", "-T", "text/html",
                                        text=page())),
    # threads, weak tables, guardians, futures
    Program("guile", "guile-3.0", "guile", with_work(("guile", "--no-auto-compile", "work.scm"))),
    # threads, hash tables
    Program("ecl", "ecl", "ecl", with_work(("ecl", "-norc", "--shell", "work.lisp"))),
    # its compiler is a program for it, too
    Program("neko", "neko", "neko", with_work(("nekoc", "work.neko"), ("neko", "work.n"))),
)


def environment_with(library: Path) -> Environment:
    """Where the loader looks first."""
    return {"LD_LIBRARY_PATH": str(library.parent)}


def takes(program: Program, library: Path) -> bool:
    """Whether the loader gives it the library."""
    done = subprocess.run(["ldd", found(program.command) or program.command], capture_output=True,
                          text=True, env=plain(environment_with(library)), check=False)
    return str(library) in done.stdout


if __name__ == "__main__":
    sys.exit(main(PROGRAMS, "gc", environment_with, takes))
