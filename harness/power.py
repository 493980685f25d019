"""How small a change can be seen: from an A/A measurement to a promise. Pure.

A change of c is found when the low end of the interval, times 1 + c, lies beyond the margin: in the
first look, or in the second, which has twice the rounds; and once more in the confirmation, which
has as many as both looks. So the rounds of an A/A measurement are drawn again and again, each time
as many as a run would have, and the change is noted that two draws, of the run and of its
confirmation, would just have found. The promise is the change that nearly all pairs of draws find.
It holds for one program; a table of many asks for a smaller p, which 20 rounds have and 10 have
not (q, see verdicts).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from harness import stats, verdicts
from harness.verdicts import Series

REDRAWN = 300
RESAMPLES = 500  # of an interval: fewer than a table's, as it is one of hundreds
FOUND = 0.95  # of the redrawn runs find the promised change


@dataclass(frozen=True)
class Promise:
    """What a number of rounds can decide for one metric. Shares of 1."""

    metric: str
    rounds: int
    change: float | None  # found with FOUND probability; None: unknown
    margin: float  # median of the first look: a smaller change counts as none
    half_width: float  # median half-width of the ratio's interval, likewise


def promise(metric: str, a: Series, b: Series, rounds: int, seed: int = 1) -> Promise:
    """For `rounds` rounds, from the rounds of an A/A measurement (10 at least)."""
    both = sorted(set(a) & set(b))
    if len(both) < verdicts.LEAST_ROUNDS:
        return Promise(metric, rounds, None, 0.0, 0.0)
    chance = random.Random(seed)
    # The two arms are one program: what they differ by here is luck, and no part of the promise.
    luck = stats.median([b[r] / a[r] for r in both if a[r] > 0] or [1.0])
    first, second, margins, halves = [], [], [], []
    for _ in range(REDRAWN):
        drawn = chance.choices(both, k=2 * rounds)
        bottoms, tops = [a[r] for r in drawn], [b[r] / luck for r in drawn]
        one, twice = (verdicts.ratio_of(tops[:n], bottoms[:n], RESAMPLES)
                      for n in (rounds, 2 * rounds))
        if not (one.low and one.high and twice.low):
            continue
        margins.append(verdicts.margin_of(metric, bottoms[:rounds], one))
        first.append((1 + margins[-1]) / one.low - 1)
        second.append((1 + verdicts.margin_of(metric, bottoms, twice)) / twice.low - 1)
        halves.append((one.high - one.low) / 2)
    if not first:
        return Promise(metric, rounds, None, 0.0, 0.0)
    confirmed = [*second[1:], second[0]]
    needed = sorted(max(min(looks), again) for *looks, again in zip(first, second, confirmed))
    change = needed[min(len(needed) - 1, int(FOUND * len(needed)))]
    return Promise(metric, rounds, change, stats.median(margins), stats.median(halves))
