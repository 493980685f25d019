"""The arms of a comparison, as a person names them: compilers with flags, allocators to preload,
commands that are there already, or another revision of this checkout.

The first arm is the reference and is called A; the others are B, C and so on.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.fault import Fault, UsageFault
from harness.matrix import Cell, find_compiler
from harness.project import Project

NAMES = "ABCDEFGH"
TWIN = "A'"  # arm A once more: what differs between the two is noise


@dataclass(frozen=True)
class Allocator:
    """A malloc that can be put under a program by LD_PRELOAD."""

    name: str
    package: str | None  # of Debian; None: nothing to install
    library: str | None  # a file name or its glob below /usr/lib
    own: bool = False  # this project's, built when it is asked for


ALLOCATORS = (
    Allocator("glibc", None, None),
    Allocator("jemalloc", "libjemalloc2", "libjemalloc.so.2"),
    Allocator("mimalloc", "libmimalloc2.0", "libmimalloc.so.2"),
    Allocator("tcmalloc", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
    Allocator("spanheap", None, None, own=True),
)


@dataclass(frozen=True)
class Arm:
    """One side of a comparison."""

    name: str
    title: str
    cell: Cell | None = None  # what it is compiled with; None: it is a command
    command: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


def compilers(project: Project, texts: Sequence[str]) -> list[Arm]:
    """Arms such as "gcc -O2" or "clang-14 -Os -march=native"."""
    _at_least_two(texts, 'A="gcc -O2" B="gcc -Os"')
    return [compiler(project, name, text) for name, text in zip(NAMES, texts)]


def compiler(project: Project, name: str, text: str) -> Arm:
    """One such arm."""
    words = _words(text, name)
    path, version = find_compiler(project, words[0])
    levels = [w for w in words[1:] if w.startswith("-O")]
    level = levels[-1] if levels else "-O0"  # as compilers do without one
    rest = tuple(w for w in words[1:] if not w.startswith("-O"))
    return Arm(name, text.strip(), Cell(name, words[0], path, version, level, extra=rest))


def commands(texts: Sequence[str]) -> list[Arm]:
    """Arms that are programs already: `./old --fast`, `./new --fast`. No shell is involved."""
    _at_least_two(texts, 'CMD_A="./old input" CMD_B="./new input"')
    return [command(text, name) for name, text in zip(NAMES, texts)]


def command(text: str, name: str = "A") -> Arm:
    """One such arm."""
    words = _words(text, f"CMD_{name}")
    return Arm(name, text.strip(), command=(_program(words[0]), *words[1:]))


def allocators(names: Sequence[str], base: Arm | None, build: Callable[[], Path]) -> list[Arm]:
    """One program under several allocators; base says what it is built with, or its command. build
    makes this project's own library."""
    known = {a.name: a for a in ALLOCATORS}
    for name in names:
        if name not in known:
            raise UsageFault(f"ALLOC: no allocator '{name}'; there are: {' '.join(known)}")
    _at_least_two(names, 'ALLOC="glibc jemalloc"')
    result = []
    for letter, name in zip(NAMES, names):
        library = build() if known[name].own else _library(known[name])
        result.append(Arm(letter, name, None if base is None else base.cell,
                          () if base is None else base.command,
                          () if library is None else (("LD_PRELOAD", str(library)),)))
    return result


def optimised_at_link(arms: Iterable[Arm]) -> bool:
    """Whether one of them is optimised when it is linked: its functions cannot be shuffled then,
    and so those of no arm may be."""
    return any(arm.cell is not None and any(flag.startswith("-flto") for flag in arm.cell.extra)
               for arm in arms)


def twin(arm: Arm) -> Arm:
    """The reference under a second name."""
    return Arm(TWIN, f"{arm.title}, once more", arm.cell, arm.command, arm.env)


def _at_least_two(texts: Sequence[str], example: str) -> None:
    if len(texts) < 2:
        raise UsageFault(f"a comparison has at least two arms, for example {example}")
    if len(texts) > len(NAMES):
        raise UsageFault(f"a comparison has at most {len(NAMES)} arms, not {len(texts)}")


def _words(text: str, what: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageFault(f"{what}: {text!r}: {error}") from error
    if not words:
        raise UsageFault(f"{what} is empty")
    return words


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UsageFault(f"{name}: no such program, or it may not be executed")
    return os.path.abspath(found)  # not resolved: a program may go by its name


def _library(allocator: Allocator) -> Path | None:
    """Where the allocator's library lies; None for that of the C library."""
    if allocator.library is None:
        return None
    for folder in ("/usr/lib", "/lib", "/usr/local/lib"):
        root = Path(folder)
        for found in sorted([*root.glob(allocator.library), *root.glob(f"*/{allocator.library}")]):
            return found
    raise Fault(f"{allocator.name} is not installed: apt-get install {allocator.package}")
