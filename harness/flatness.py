"""Is a resident set flat? A robust slope over blocks of time, with its interval. Pure.

After the warm-up the series is cut into BLOCKS blocks of the same length, and of each its median
is taken: a collected heap is a sawtooth of many teeth a block, of which the median is steady (of
ten minutes of these programs the medians of 30 s vary by 1 %, the maxima by 5 %). Theil and Sen's
slope of these medians (the median of the slopes of all pairs) and its 95 % interval, made of the
same slopes (P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, 1968), are
shares of the level for an hour. A step in the middle moves the upper end of the interval: such a
series is not flat either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

from harness.stats import CONFIDENCE, median

FLAT, GROWS, UNCLEAR = "flat", "grows", "unclear"
SHARE = 0.02  # of the level, in an hour: more than this is growth
SEEN = 0.01  # of the level: less than this, seen in a short run, may be a late end of the warm-up
HOUR_S = 3600.0
WARM_UP_SHARE = 0.25  # of the run: memory of all sizes gets its holes, and the pacer its habits
WARM_UP_LEAST_S = 30.0  # threads, caches and the library's own tables are all there
BLOCKS = 15  # in a run of an hour 3 minutes each, with collections every second or more often
LEAST_BLOCKS = 6  # fewer slopes have no such interval


@dataclass(frozen=True)
class Trend:
    """What a series came to. Growth, low and high are shares of the level for an hour."""

    verdict: str
    warm_up_s: float
    level_b: float | None = None  # the median of the blocks' medians
    growth: float | None = None
    low: float | None = None
    high: float | None = None
    blocks: int = 0
    reason: str | None = None


def warm_up(length_s: float) -> float:
    """How much of a run is not looked at."""
    return max(WARM_UP_SHARE * length_s, WARM_UP_LEAST_S)


def trend(t_s: Sequence[float], rss_b: Sequence[float], warm_up_s: float | None = None) -> Trend:
    """Judges a series; t_s counts from the program's start."""
    begin_s = warm_up(t_s[-1] if t_s else 0.0) if warm_up_s is None else warm_up_s
    middles = _medians([(t, b) for t, b in zip(t_s, rss_b, strict=True) if t >= begin_s])
    if len(middles) < LEAST_BLOCKS:
        return Trend(UNCLEAR, begin_s, blocks=len(middles), reason=(
            f"too short: of what comes after the first {begin_s:.0f} s {LEAST_BLOCKS} blocks or"
            " more are needed"))
    level_b = median([b for _, b in middles])
    slopes = sorted((b - a) / (t - s) * HOUR_S / level_b for (s, a), (t, b) in combinations(middles,
                                                                                          2))
    low, high = _interval(slopes, len(middles))
    found = Trend(FLAT, begin_s, level_b, median(slopes), low, high, len(middles))
    seen = low * (middles[-1][0] - middles[0][0]) / HOUR_S
    if low > SHARE and seen > SEEN:
        return replace(found, verdict=GROWS)
    if high > SHARE:
        return replace(found, verdict=UNCLEAR, reason=(
            f"growth of more than {100 * SHARE:g} % an hour is not ruled out: run longer"))
    return found


def _medians(series: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The middle of each block's time and its median; blocks without a sample are left out."""
    if len(series) < 2 or series[-1][0] <= series[0][0]:
        return []
    begin_s, length_s = series[0][0], (series[-1][0] - series[0][0]) / BLOCKS
    blocks: dict[int, list[float]] = {}
    for t, b in series:
        blocks.setdefault(min(int((t - begin_s) / length_s), BLOCKS - 1), []).append(b)
    return [(begin_s + (block + 0.5) * length_s, median(b)) for block, b in sorted(blocks.items())]


def _interval(slopes: Sequence[float], n: int) -> tuple[float, float]:
    """Sen's interval of the slope from the sorted slopes of all pairs of n points."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    half = z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    first = max(0, round(len(slopes) / 2 - half) - 1)
    return slopes[first], slopes[len(slopes) - 1 - first]
