"""The library spanheap itself. allocator/Makefile builds and installs it; this calls it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
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


def version_of(project: Project) -> str:
    """SH_VERSION of the public header."""
    header = project.allocator / "include" / "spanheap.h"
    found = re.search(r'^#define SH_VERSION "([\d.]+)"', header.read_text(), re.MULTILINE)
    if found is None:
        raise Fault(f"{header}: no SH_VERSION")
    return found[1]


def build(project: Project, cell: Cell) -> Library:
    """Both libraries with a cell's compiler and flags."""
    folder = project.build / "library" / cell.name
    flags = " ".join(["-g", cell.level, *cell.extra])
    make(project, "all", f"BUILD={folder}", f"CC={cell.command}", f"CFLAGS={flags}")
    return Library(folder, version_of(project))


def build_malloc(project: Project, cell: Cell) -> Path:
    """The drop-in for malloc with a cell's compiler and flags."""
    folder = project.build / "library" / cell.name
    flags = " ".join(["-g", cell.level, *cell.extra])
    make(project, "malloc", f"BUILD={folder}", f"CC={cell.command}", f"CFLAGS={flags}")
    return folder / "libspanheap-malloc.so"


def make(project: Project, *arguments: str) -> str:
    """Runs allocator/Makefile and returns what it prints; BuildFault with its words if it fails."""
    command = ["make", "-s", "-C", str(project.allocator), *arguments]
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    except FileNotFoundError as error:
        raise BuildFault("make is not installed: apt-get install make") from error
    if done.returncode != 0:
        raise BuildFault(done.stderr.strip())
    return done.stdout


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
        said = make(project, "install", f"BUILD={built.folder}", f"CC={cell.command}",
                     f"CFLAGS=-g {cell.level}", f"PREFIX={prefix}")
    except BuildFault as fault:
        raise Fault(f"{fault}\nPREFIX=dir installs elsewhere") from fault
    console.print(said.strip(), highlight=False, soft_wrap=True)
