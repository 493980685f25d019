"""The library spanheap itself: libspanheap.a, libspanheap.so and its pkg-config file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness.build import Builder, digest
from harness.fault import BuildFault, Fault
from harness.matrix import Cell
from harness.project import Project

NAME = "spanheap"
LEVEL = "-O2"
# All else is hidden by the compiler already, but for ld's own __start_ and __stop_ names.
# The names beside sh_ are those that the shared library takes over (collector/interpose.c).
EXPORTS = "{ global: sh_*; pthread_*; thrd_*; sig*; local: *; };\n"
_VARIABLE = re.compile(r"^SPANHEAP_SHARED_SOURCES\s*:?=\s*(.+)$", re.MULTILINE)


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
    def soname(self) -> str:
        return f"lib{NAME}.so.{self.version.split('.')[0]}"


def version_of(project: Project) -> str:
    """SH_VERSION of the public header."""
    header = project.allocator / "include" / "spanheap.h"
    found = re.search(r'^#define SH_VERSION "([\d.]+)"', header.read_text(), re.MULTILINE)
    if found is None:
        raise Fault(f"{header}: no SH_VERSION")
    return found[1]


def shared_sources(project: Project) -> tuple[str, ...]:
    """Sources that are only part of the shared library."""
    text = (project.allocator / "sources.mk").read_text().replace("\\\n", " ")
    found = _VARIABLE.search(text)
    return tuple(found[1].split()) if found else ()


def build(project: Project, builder: Builder, cell: Cell) -> Library:
    """Both libraries, content-addressed like every other object."""
    plain = [builder.compile(project.allocator / source, cell, [], [(project.allocator, "**/*")])
             for source in builder.settings.sources]
    pic = ["-fPIC", "-DSH_SHARED=1"]
    shared = [
        builder.compile(project.allocator / source, cell, pic, [(project.allocator, "**/*")])
        for source in (*builder.settings.sources, *shared_sources(project))
    ]
    objects = [str(f.result()) for f in plain]
    shared_objects = [str(f.result()) for f in shared]
    version = version_of(project)
    soname = f"lib{NAME}.so.{version.split('.')[0]}"
    link = ["-shared", "-pthread", f"-Wl,-soname,{soname}", "-Wl,-z,defs"]
    key = digest([*objects, *shared_objects, version, *link, EXPORTS])[:16]
    folder = project.build / "library" / key
    library = Library(folder, version)
    if folder.is_dir():
        return library
    temporary = folder.with_suffix(f".{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    _run(["ar", "crs", str(temporary / library.static.name), *objects])
    script = temporary / "exports"
    script.write_text(EXPORTS)
    link.append(f"-Wl,--version-script={script}")
    _run([cell.command, *link, "-o", str(temporary / library.shared.name), *shared_objects,
          "-lm", "-ldl"])
    (temporary / library.soname).symlink_to(library.shared.name)
    (temporary / f"lib{NAME}.so").symlink_to(library.soname)
    try:
        temporary.rename(folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)  # another process was faster
    return library


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise BuildFault(f"{command[0]} is not installed: run make deps") from error
    if done.returncode != 0:
        raise BuildFault(done.stderr.strip())


def default_cell() -> Cell:
    """gcc -O2, or clang -O2 where there is no gcc."""
    for compiler in ("gcc", "clang"):
        path = shutil.which(compiler)
        if path is not None:
            version = subprocess.run([path, "--version"], capture_output=True, text=True)
            return Cell(f"{compiler}{LEVEL}", compiler, path, version.stdout.split("\n")[0], LEVEL)
    raise Fault("no C compiler is installed: run make deps")


def pkgconfig(prefix: Path, version: str) -> str:
    """The text of spanheap.pc."""
    return (
        f"prefix={prefix}\nincludedir=${{prefix}}/include\nlibdir=${{prefix}}/lib\n\n"
        f"Name: {NAME}\nDescription: a Go-shaped garbage-collected heap for C\n"
        f"Version: {version}\nCflags: -I${{includedir}} -pthread\n"
        f"Libs: -L${{libdir}} -l{NAME} -pthread\nLibs.private: -lm -ldl\n"
    )


def install(project: Project, prefix: Path, console: Console) -> None:
    """Copies headers, libraries and the pkg-config file under a prefix."""
    with Builder(project) as builder:
        library = build(project, builder, default_cell())
    include, lib = prefix / "include", prefix / "lib"
    source = project.allocator / "include"
    try:
        for path in sorted(source.rglob("*.h")):
            _copy(path, include / path.relative_to(source))
        _copy(library.static, lib / library.static.name)
        _copy(library.shared, lib / library.shared.name)
        for link, to in ((library.soname, library.shared.name),
                         (f"lib{NAME}.so", library.soname)):
            (lib / link).unlink(missing_ok=True)
            (lib / link).symlink_to(to)
        (lib / "pkgconfig").mkdir(exist_ok=True)
        (lib / "pkgconfig" / f"{NAME}.pc").write_text(pkgconfig(prefix, library.version))
    except OSError as error:
        raise Fault(f"{error.filename}: {error.strerror}. PREFIX=dir installs elsewhere") from error
    console.print(f"installed {NAME} {library.version} under {prefix}", highlight=False,
                  soft_wrap=True)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copy2(source, temporary)
    os.replace(temporary, target)
