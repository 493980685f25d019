"""Axes for people: which unit to divide by, and where the labelled tics of a log axis lie."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.metrics import show

_STEPS: dict[str, tuple[tuple[float, str], ...]] = {
    "B": ((1, "B"), (2**10, "KiB"), (2**20, "MiB"), (2**30, "GiB"), (2**40, "TiB")),
    "ns": ((1, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")),
    "1/s": ((1, ""), (1e3, "thousand"), (1e6, "million"), (1e9, "billion")),
}


def unit_for(largest: float, unit: str) -> tuple[float, str]:
    """The divisor and name in which the largest value reads as 1 to 999."""
    chosen = _STEPS[unit][0]
    for step in _STEPS[unit]:
        if largest >= step[0]:
            chosen = step
    return chosen


def quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between order statistics; `ordered` is sorted and not empty."""
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def thin(ordered: Sequence[float], limit: int) -> list[float]:
    """At most `limit` values, evenly over the ranks, the least and the greatest among them."""
    if len(ordered) <= limit:
        return list(ordered)
    last = len(ordered) - 1
    return [ordered[round(index * last / (limit - 1))] for index in range(limit)]


def time_tics(high: float, most: int) -> list[tuple[str, float]]:
    """Round numbers from 0 on, at most `most` of them; the end of the axis stays free."""
    free = 0.92 * high
    step = 10.0 ** math.floor(math.log10(max(high, 1e-9) / most))
    for factor in (1, 2, 5, 10, 20, 50, 100):
        count = math.floor(free / (step * factor)) + 1
        if count <= most:
            return [(f"{i * step * factor:g}", i * step * factor) for i in range(count)]
    return [("0", 0.0)]


def log_tics(low: float, high: float, unit: str, most: int = 9) -> list[tuple[str, float]]:
    """Labelled tics for a log axis from low to high; unit "x" is a ratio."""
    for places in _candidates(low, high, unit):
        inside = [at for at in places if low * 0.999 <= at <= high * 1.001]
        if 2 <= len(inside) <= most and _apart(inside, low, high):
            return [(_label(at, unit), at) for at in inside]
    return [(_label(at, unit), at) for at in (low, high)]


def _apart(places: Sequence[float], low: float, high: float) -> bool:
    """True where no two neighbours are so near that their labels would touch."""
    least = math.log(high / low) / 8
    return all(math.log(b / a) >= least for a, b in zip(places, places[1:]))


def _candidates(low: float, high: float, unit: str) -> list[list[float]]:
    """Sets of round numbers over the range, the finest first."""
    if unit == "B":
        first, last = math.floor(math.log2(low)), math.ceil(math.log2(high))
        return [
            [2.0**power for power in range(first, last + 1) if power % step == 0]
            for step in (1, 2, 3, 4, 5, 10, 20)
        ]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = range(first, last + 1)
    fine = [
        [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2],
        [0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 4, 5, 7, 10],
    ]
    coarse = [
        [digit * 10.0**power for power in decades for digit in digits]
        for digits in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
    ]
    wide = [[10.0**power for power in decades if power % step == 0] for step in (2, 3, 6)]
    return [*(fine if unit == "x" else []), *coarse, *wide]


def _label(at: float, unit: str) -> str:
    if unit == "x":
        return f"{float(f'{at:.6g}'):,g}×"
    if at < 1 and unit == "1":
        return f"{at:g}"
    return show(int(at) if at >= 1 else at, unit)
