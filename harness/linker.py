"""Links programs, each in a layout of its own: mold puts the sections in an order from a seed.
Without mold, the order of the objects is shuffled and a pad object is put in front.

A run links thousands of times, and a compiler takes longer to start than a linker takes to link:
the compiler is asked once a cell, by `-###`, for the command that it would run, and that command is
run instead. Where the answer is not understood, and for a message when a link fails, it is the
compiler that links.
"""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.fault import BuildFault
from harness.matrix import Cell

COARSE = ("the order of whole object files and what stands before them differ from sample to"
          " sample, not the order of functions: layouts vary less")
WITHOUT_MOLD = f"ld.mold is not installed (apt-get install mold): {COARSE}"
WITH_LTO = f"an arm is optimised when it is linked (-flto), so in all arms {COARSE}"
_MAX_PAD_B = 4096
_LINKERS = ("collect2", "ld", "ld.mold")
# One thread and no process of its own, as several links run at a time.
_FLAGS = ("--no-threads", "--no-fork")


@dataclass(frozen=True)
class Command:
    """A linker's command line with a gap for the objects."""

    head: tuple[str, ...]
    tail: tuple[str, ...]
    output: int  # where in head the output's name stands


class Linker:
    """The links of one checkout. run: runs a command and gives what it printed; BuildFault if it
    fails. Safe to use from several threads."""

    def __init__(self, run: Callable[[Sequence[str]], str], libs: Sequence[str],
                 mold: str | None) -> None:
        self._run = run
        self._libs = tuple(libs)
        self.mold = mold  # its path; None: it is not installed
        self.commands: dict[Cell, Command | None] = {}

    def link(self, cell: Cell, objects: Sequence[Path], layout_seed: int, path: Path) -> None:
        """Links objects into path. layout_seed 0: in the order in which they come. Raises
        BuildFault."""
        options: list[str] = []
        if self.mold is not None:
            options += [*_FLAGS, *([f"--shuffle-sections={layout_seed}"] if layout_seed else [])]
        elif layout_seed:
            objects = _shuffled(objects, layout_seed, path)
        direct = self._command(cell, objects[0], path)
        if direct is not None:
            head = list(direct.head)
            head[direct.output] = str(path)
            try:
                self._run([*head, *options, *map(str, objects), *direct.tail])
                return
            except BuildFault:
                pass  # the compiler's message is the one that people know
        self._run(self._through_compiler(cell, options, objects, path))

    def _through_compiler(self, cell: Cell, options: Sequence[str], objects: Sequence[Path],
                          path: Path) -> list[str]:
        use = ["-fuse-ld=mold"] if self.mold is not None else []
        return [cell.command, cell.level, *cell.extra, *use, *(f"-Wl,{o}" for o in options),
                "-o", str(path), *map(str, objects), *self._libs]

    def _command(self, cell: Cell, sample: Path, path: Path) -> Command | None:
        """The cell's own link command, if it can be run without the compiler."""
        if self.mold is None or cell.sanitizer is not None:
            return None
        if cell not in self.commands:
            try:
                printed = self._run([*self._through_compiler(cell, [], [sample], path), "-###"])
            except BuildFault:
                printed = ""
            found = parse_command(printed, str(sample), str(path))
            self.commands[cell] = None if found is None else replace(
                found, head=(self.mold, *found.head[1:]))
        return self.commands[cell]


def parse_command(printed: str, sample: str, output: str) -> Command | None:
    """The link command among the lines of `-###`, or None. Options of a plug-in (gcc's, for
    link-time optimisation) and the choice of a linker are left out."""
    for line in reversed(printed.splitlines()):
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        if not words or Path(words[0]).name not in _LINKERS:
            continue
        if words.count(sample) != 1 or words.count(output) != 1 or "-flto" in line:
            return None
        kept = [word for before, word in zip(["", *words], words)
                if word != "-plugin" and before != "-plugin"
                and not word.startswith(("-plugin-opt=", "-fuse-ld="))]
        gap = kept.index(sample)
        if output not in kept[:gap]:
            return None
        return Command(tuple(kept[:gap]), tuple(kept[gap + 1:]), kept.index(output))
    return None


def _shuffled(objects: Sequence[Path], layout_seed: int, path: Path) -> list[Path]:
    chance = random.Random(layout_seed)
    result = list(objects)
    chance.shuffle(result)
    pad = path.with_suffix(".pad.s")
    # R: it is kept though nothing refers to it.
    pad.write_text(f'.section .text.pad,"axR",@progbits\n.skip {chance.randrange(1, _MAX_PAD_B)}\n'
                   '.section .note.GNU-stack,"",@progbits\n', encoding="ascii")
    return [pad, *result]
