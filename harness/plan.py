"""What a run measures, in which order: every sample of it, from a seed. Pure.

First come the samples that are taken once, so that every program has run before it is timed; then
the rounds, in each of which every program is started once, in an order shuffled anew. A sample's
own seed, layout and environment follow from the run's seed and the sample's name, so one sample can
be repeated, and a run can be gone on with, without replaying what came before.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.catalog import Pitfall, cell_matches
from harness.matrix import Cell, Matrix

PAD_LIMIT_B = 4096
SWEEP_COUNT = 2  # rounds per value of a sweep: enough for exact counters
QUICK_ROUNDS, DEFAULT_ROUNDS = 6, 20
QUICK_REGION_S, DEFAULT_REGION_S = 0.020, 0.050
# A comparison's: as much measured time in twice as many layouts (README.md, "By turns").
COMPARED_ROUNDS, COMPARED_REGION_S = 2 * DEFAULT_ROUNDS, DEFAULT_REGION_S / 2
CALIBRATION_CELL = "gcc-O2"


@dataclass(frozen=True)
class Options:
    """What the user asked for. Stored with the run, so that it can be gone on with."""

    rounds: int
    region_s: float
    quick: bool
    instructions: bool
    profile: str
    pitfalls: tuple[str, ...]
    cells: tuple[str, ...]
    seed: int
    extras: bool = True  # observation, start-up and perf samples


@dataclass(frozen=True)
class Spec:
    """One sample that is to be taken."""

    id: str
    pitfall: str
    variant: str
    cell: str
    role: str
    round: int
    position: int
    seed: int
    n: int

    @property
    def layout_seed(self) -> int:
        """Where the linker puts the functions; never 0, which means unshuffled."""
        return self.seed % 0x7FFFFFFE + 1

    @property
    def env_pad_b(self) -> int:
        """How far the environment moves the stack."""
        return (self.seed >> 40) % PAD_LIMIT_B


@dataclass(frozen=True)
class ProgramKey:
    """A program's name."""

    pitfall: str
    variant: str
    cell: str


def seed_of(run_seed: int, name: str) -> int:
    """A 64-bit seed from the run's and a name."""
    digest = hashlib.sha256(f"{run_seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def make_spec(key: ProgramKey, role: str, round_: int, position: int, run_seed: int, n: int,
              middle: str | None = None, pair: str | None = None) -> Spec:
    """A sample; its name carries the round, or what stands in for it. pair: what it has in common
    with those that it is compared with, in this round: they have one seed, and so one layout, as
    far as their code is alike."""
    name = f"{key.pitfall}/{key.variant}/{key.cell}/{middle or f'r{round_:02d}'}/{role}"
    # Timed samples have a layout of their own each; the others of a program share one link.
    source = name if role == "timed" else f"{key.pitfall}/{key.variant}/{key.cell}"
    if pair is not None:
        source = f"{pair}/r{round_:02d}/{role}"
    return Spec(name, key.pitfall, key.variant, key.cell, role, round_, position,
                seed_of(run_seed, source), n)


def rounds(keys: Sequence[ProgramKey], options: Options, defaults: Mapping[str, int],
           once: Collection[str] = ()) -> list[Spec]:
    """The timed samples: rounds 1 and up, each in an order of its own. The pitfalls in `once` are
    in the first alone."""
    result = []
    for number in range(1, options.rounds + 1):
        order = [key for key in keys if number == 1 or key.pitfall not in once]
        random.Random(seed_of(options.seed, f"order {number}")).shuffle(order)
        result += [
            make_spec(key, "timed", number, position, options.seed, defaults[key.pitfall])
            for position, key in enumerate(order)
        ]
    return result


def interleaved(programs: Mapping[str, Sequence[str]], cell: str, seed: int,
                count: int) -> list[Spec]:
    """Rounds 1 to count of works and the peers that run them. The works of a round are shuffled,
    and so are the peers of a work: what is compared runs side by side, in an order of its own."""
    result: list[Spec] = []
    for number in range(1, count + 1):
        works = list(programs)
        random.Random(seed_of(seed, f"order {number}")).shuffle(works)
        for work in works:
            peers = list(programs[work])
            random.Random(seed_of(seed, f"order {number} {work}")).shuffle(peers)
            for peer in peers:
                key = ProgramKey(work, peer, cell)
                result.append(make_spec(key, "timed", number, len(result), seed, 0))
    return result


def subject_of(pitfall: str, variant: str, whole: Collection[str] = ()) -> tuple[str, ...]:
    """What arms are compared on: a variant; or a pitfall, of those whose variants are compared with
    each other."""
    return (pitfall,) if pitfall in whole else (pitfall, variant)


def side_by_side(subjects: Sequence[tuple[str, str]], arms: Sequence[str], seed: int,
                 numbers: Sequence[int], counts: Mapping[tuple[str, str], int],
                 whole: Collection[str] = ()) -> list[Spec]:
    """The timed samples of some rounds of a comparison. In each round the subjects are shuffled
    and, within a subject, its arms: what makes one ratio runs one after the other, so that a slow
    spell of the machine meets both. whole: as subject_of() is told."""
    result: list[Spec] = []
    for number in numbers:
        order = list(dict.fromkeys(subject_of(*subject, whole) for subject in subjects))
        random.Random(seed_of(seed, f"order {number}")).shuffle(order)
        for name in order:
            sides = [ProgramKey(*subject, arm) for subject in subjects
                     if subject_of(*subject, whole) == name for arm in arms]
            random.Random(seed_of(seed, f"order {number} {' '.join(name)}")).shuffle(sides)
            result += [make_spec(key, "timed", number, len(result) + place, seed,
                                 counts[key.pitfall, key.variant], pair="/".join(name))
                       for place, key in enumerate(sides)]
    return result


def singles(keys: Sequence[ProgramKey], roles: Sequence[str], options: Options,
            defaults: Mapping[str, int], values: Mapping[str, Sequence[int]]) -> list[Spec]:
    """One sample a program in each role; role sweep: one for each value of its pitfall's sweep."""
    result = []
    for position, key in enumerate(keys):
        for role in roles:
            points = values[key.pitfall] if role == "sweep" else (defaults[key.pitfall],)
            result += [make_spec(key, role, 0, position, options.seed, n,
                                 middle=f"n{n}" if role == "sweep" else None) for n in points]
    return result


def program_keys(pitfalls: Sequence[Pitfall], cells: Sequence[Cell]) -> list[ProgramKey]:
    """Every program of the matrix."""
    return [ProgramKey(p.id, v.id, c.name) for c in cells for p in pitfalls for v in p.variants]


def detections(pitfalls: Sequence[Pitfall], matrix: Matrix) -> list[tuple[Pitfall, str, Cell]]:
    """(pitfall, variant, cell with sanitizer) for every detector of the chosen cells."""
    wanted: dict[tuple[str, str, str], tuple[Pitfall, str, Cell]] = {}
    for pitfall in pitfalls:
        for detector in pitfall.detectors:
            for cell in matrix.cells:
                if cell_matches(cell.name, detector.cells):
                    built = matrix.sanitized(cell, detector.tool)
                    wanted[pitfall.id, detector.variant, built.name] = (
                        pitfall, detector.variant, built)
    return list(wanted.values())


def explained(pitfalls: Sequence[Pitfall], built: Sequence[ProgramKey]) -> list[ProgramKey]:
    """The variants that explain why their object is alive, each on one cell: the answer does not
    depend on the cell."""
    wanted = {(p.id, v.id) for p in pitfalls for v in p.variants if v.explain}
    cells: dict[tuple[str, str], list[str]] = {}
    for key in built:
        if (key.pitfall, key.variant) in wanted:
            cells.setdefault((key.pitfall, key.variant), []).append(key.cell)
    return [ProgramKey(*name, calibration_cell(found)) for name, found in cells.items()]


def calibration_cell(cells: Sequence[str]) -> str:
    """Where the counts are found: gcc -O2, or the first cell there is."""
    return CALIBRATION_CELL if CALIBRATION_CELL in cells else cells[0]
