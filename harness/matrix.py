"""The cells: compilers x levels of compile-matrix/matrix.toml, and what is left out."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from harness.fault import Fault, UsageFault
from harness.project import Project


# Debian names the package of such a compiler as its command.
_PACKAGED = re.compile(r"(gcc|clang)(-\d+)?|tcc")


@dataclass(frozen=True)
class Cell:
    """One compiler at one level, perhaps with a sanitizer on the program."""

    name: str
    compiler: str
    command: str
    version: str
    level: str
    sanitizer: str | None = None
    extra: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def base(self) -> str:
        """The name of the cell without its sanitizer."""
        return self.name.split("+")[0]


@dataclass(frozen=True)
class LeftOut:
    """A cell that cannot be built here, and why."""

    cell: str
    compiler: str
    level: str
    reason: str


@dataclass(frozen=True)
class Matrix:
    """The cells of one profile."""

    cells: tuple[Cell, ...]
    left_out: tuple[LeftOut, ...]
    sanitizers: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]]

    def sanitized(self, cell: Cell, tool: str) -> Cell:
        """The same cell with a sanitizer on the program."""
        flags, environment = self.sanitizers[tool]
        return Cell(
            name=f"{cell.name}+{tool}",
            compiler=cell.compiler,
            command=cell.command,
            version=cell.version,
            level=cell.level,
            sanitizer=tool,
            extra=flags,
            environment=environment,
        )


def read(project: Project) -> dict[str, Any]:
    """matrix.toml as it stands; UsageFault if it cannot be read."""
    try:
        data = tomllib.loads(project.matrix_toml.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageFault(f"{project.matrix_toml}: {error}") from error
    for key in ("compilers", "profiles", "sanitizers"):
        if not isinstance(data.get(key), dict):
            raise UsageFault(f"{project.matrix_toml}: the table [{key}] is missing")
    for profile, compilers in data["profiles"].items():
        for compiler in compilers:
            if compiler not in data["compilers"]:
                raise UsageFault(
                    f"{project.matrix_toml}: profiles.{profile}: no [compilers.{compiler}]"
                )
    return data


def load(project: Project, profile: str = "default", wanted: Sequence[str] = ()) -> Matrix:
    """The cells of a profile, narrowed to the wanted names or globs."""
    data = read(project)
    if profile not in data["profiles"]:
        raise UsageFault(f"no profile '{profile}'; there are: {' '.join(data['profiles'])}")
    names = [
        (compiler, level)
        for compiler, levels in data["profiles"][profile].items()
        for level in levels
    ]
    for glob in wanted:
        if not any(fnmatchcase(f"{c}{level}", glob) for c, level in names):
            known = " ".join(f"{c}{level}" for c, level in names)
            raise UsageFault(f"no cell '{glob}' in profile {profile}; there are: {known}")
    cells: list[Cell] = []
    left_out: list[LeftOut] = []
    found: dict[str, tuple[str, str] | str] = {}
    for compiler, level in names:
        name = f"{compiler}{level}"
        if wanted and not any(fnmatchcase(name, glob) for glob in wanted):
            continue
        if compiler not in found:
            found[compiler] = _find(compiler, data["compilers"][compiler])
        where = found[compiler]
        if isinstance(where, str):
            left_out.append(LeftOut(name, compiler, level, where))
        else:
            cells.append(Cell(name, compiler, where[0], where[1], level))
    sanitizers = {
        tool: (tuple(entry["flags"]), tuple(sorted(entry.get("environment", {}).items())))
        for tool, entry in data["sanitizers"].items()
    }
    return Matrix(tuple(cells), tuple(left_out), sanitizers)


def one(project: Project, name: str) -> Cell:
    """The cell of that name, of any profile. UsageFault if the name is one of several cells, Fault
    if it cannot be built here."""
    found = load(project, "wide", (name,))
    if len(found.cells) + len(found.left_out) != 1:
        raise UsageFault(f"'{name}' is the name of several cells; give one")
    if not found.cells:
        raise Fault(found.left_out[0].reason)
    return found.cells[0]


def find_compiler(project: Project, name: str) -> tuple[str, str]:
    """(path, version line) of a compiler by its name in matrix.toml, or of any other command."""
    known = read(project)["compilers"]
    if name not in known and shutil.which(name) is None and not _PACKAGED.fullmatch(name):
        raise UsageFault(f"no compiler '{name}': no such command, nor one of {' '.join(known)}")
    found = _find(name, known.get(name, {"commands": [name], "package": name}))
    if isinstance(found, str):
        raise UsageFault(found)
    return found


def _find(name: str, entry: dict[str, Any]) -> tuple[str, str] | str:
    """(path, version line) of a compiler, or the reason why there is none."""
    for command in entry["commands"]:
        path = shutil.which(command)
        if path is None:
            continue
        try:
            version = subprocess.run(
                [path, "--version"], capture_output=True, text=True, timeout=30, check=True
            ).stdout.splitlines()[0]
        except (OSError, subprocess.SubprocessError, IndexError) as error:
            return f"{path} --version fails: {error}"
        return path, version
    return f"{name} is not installed: apt-get install {entry['package']}"
