"""The library spanheap itself. allocator/Makefile builds and installs it; this calls it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness.fault import BuildFault, Fault
from harness.matrix import Cell
from harness.project import Project

NAME = "spanheap"
LEVEL = "-O2"


@dataclass(frozen=True)
class Library:
    """A built library."""

    folder: Path
    version: str

    @property
    def static(self) -> Path:
        return self.folder / f"lib{NAME}.a"

    @property
    def shared(self) -> Path:
        return self.folder / f"lib{NAME}.so.{self.version}"

    @property
    def malloc(self) -> Path:
        """The drop-in for malloc, of the target of that name."""
        return self.folder / f"lib{NAME}-malloc.so"


def version_of(project: Project) -> str:
    """SH_VERSION of the public header."""
    header = project.allocator / "include" / "spanheap.h"
    found = re.search(r'^#define SH_VERSION "([\d.]+)"', header.read_text(), re.MULTILINE)
    if found is None:
        raise Fault(f"{header}: no SH_VERSION")
    return found[1]


def build(project: Project, cell: Cell, target: str = "all") -> Library:
    """A target of allocator/Makefile with a cell's compiler and flags: `all` are the libraries of
    the heap, `malloc` is the drop-in for malloc."""
    built = Library(project.build / "library" / cell.name, version_of(project))
    make(project, target, *_settings(built, cell))
    return built


def _settings(built: Library, cell: Cell) -> list[str]:
    flags = " ".join(["-g", cell.level, *cell.extra])
    return [f"BUILD={built.folder}", f"CC={cell.command}", f"CFLAGS={flags}"]


def make(project: Project, *arguments: str) -> str:
    """Runs allocator/Makefile and returns what it prints; BuildFault with its words if it fails."""
    command = ["make", "-s", "-C", str(project.allocator), *arguments]
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    folder = next((a[len("BUILD="):] for a in arguments if a.startswith("BUILD=")), None)
    try:
        with _alone_in(folder):
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
    except FileNotFoundError as error:
        raise BuildFault("make is not installed: apt-get install make") from error
    if done.returncode != 0:
        raise BuildFault(done.stderr.strip())
    return done.stdout


@contextmanager
def _alone_in(folder: str | None) -> Iterator[None]:
    """Two makes must not write the same files, as files of tests that run side by side might."""
    if folder is None:
        yield
        return
    Path(folder).parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def default_cell(*compilers: str) -> Cell:
    """At -O2, the first that is installed of the given ones, or of gcc and clang."""
    for compiler in compilers or ("gcc", "clang"):
        path = shutil.which(compiler)
        if path is not None:
            version = subprocess.run([path, "--version"], capture_output=True, text=True)
            return Cell(f"{compiler}{LEVEL}", compiler, path, version.stdout.split("\n")[0], LEVEL)
    raise Fault("no C compiler is installed: run make deps")


def install(project: Project, prefix: Path, console: Console) -> None:
    """Copies headers, libraries and the pkg-config file under a prefix."""
    cell = default_cell()
    built = build(project, cell)
    try:
        said = make(project, "install", *_settings(built, cell), f"PREFIX={prefix}")
    except BuildFault as fault:
        raise Fault(f"{fault}\nPREFIX=dir installs elsewhere") from fault
    console.print(said.strip(), highlight=False, soft_wrap=True)
