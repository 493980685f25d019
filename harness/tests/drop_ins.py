"""The drop-ins for gc.h and for malloc, and small programs on them, for tests."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import library
from harness.project import here

SHIMS = here().allocator / "shims"
TESTS = SHIMS / "tests"
NAMES = ("gc", "malloc")
GC_BUILD = (f"BUILD={here().build / 'gc-shim'}", "CFLAGS=-O1 -g -DSH_DEBUG")


def gc_folder() -> Path:
    """Where libgc.so.1 is built."""
    library.make(here(), "gc", *GC_BUILD)
    return here().build / "gc-shim" / "shims"


def ours(folder: Path) -> tuple[str, ...]:
    """What a program for gc.h is built with."""
    return (f"-I{SHIMS / 'include'}", f"-L{folder}", "-lgc")


def compile_program(source: Path, out: Path, *flags: str) -> Path:
    """Warnings are errors."""
    compiler = "g++" if source.suffix == ".cc" else "gcc"
    subprocess.run([compiler, "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", str(out),
                    str(source), *flags, "-pthread"], check=True)
    return out


def environment(at: Path | None, **more: str) -> dict[str, str]:
    """The caller's without what changes a library, and with the one that is to be found."""
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith(("SH_", "GC_")) and k not in ("LD_LIBRARY_PATH", "LD_PRELOAD")}
    return {**kept, **({"LD_LIBRARY_PATH": str(at)} if at is not None else {}), **more}


@dataclass(frozen=True)
class DropIn:
    """One of NAMES, built."""

    name: str
    flags: tuple[str, ...]  # of a program for it
    folder: Path | None  # that the loader is to look in
    preloaded: Path | None

    def program(self, source: Path, out: Path) -> Path:
        """Built for it: -DON_GC or -DON_MALLOC tells the source."""
        return compile_program(source, out, f"-DON_{self.name.upper()}", *self.flags)

    def settings(self, *before: Path) -> dict[str, str]:
        """What makes a program take it, with other libraries preloaded before it."""
        preloaded = " ".join(str(p) for p in (*before, self.preloaded) if p is not None)
        return {**({"LD_LIBRARY_PATH": str(self.folder)} if self.folder else {}),
                **({"LD_PRELOAD": preloaded} if preloaded else {})}


def drop_in(name: str) -> DropIn:
    """Built if need be."""
    if name == "gc":
        folder = gc_folder()
        return DropIn(name, ours(folder), folder, None)
    built = library.build(here(), library.default_cell(), "malloc")
    return DropIn(name, (), None, built.malloc)
