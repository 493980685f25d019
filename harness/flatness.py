"""Is a resident set flat? A robust slope over blocks of time, with its interval. Pure.

After the warm-up the series is cut into BLOCKS blocks of the same length, and of each its median
is taken: a collected heap is a sawtooth of many teeth a block, of which the median is steady (of
ten minutes of these programs the medians of 30 s vary by 1 %, the maxima by 5 %). Theil and Sen's
slope of these medians (the median of the slopes of all pairs) and its 95 % interval, made of the
same slopes (P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, 1968), are
shares of the level for an hour. A step in the middle moves the upper end of the interval: such a
series is not flat either.

Sen's interval is for blocks that do not depend on each other. A resident set wanders in waves, and
where a block resembles its neighbour by a correlation r, n blocks tell as much as n (1-r)/(1+r)
(S. Yue and C. Wang, The Mann-Kendall test modified by effective sample size, 2004): the interval is
wider by the root of that. r is found from few blocks, which a line was fitted to, and comes out too
small by some (2 + 4r)/n (M. G. Kendall, Note on bias in the estimation of autocorrelation, 1954);
what is put on here is more, since it varies as well. Of stationary series (AR(1)) whose correlation
lasts for 1/45 to 1/4 of what is judged at most 3 in 100 are then said to grow, instead of up to 14.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from statistics import NormalDist

from harness.stats import CONFIDENCE, median

FLAT, GROWS, UNCLEAR = "flat", "grows", "unclear"
SHARE = 0.02  # of the level, in an hour: more than this is growth
SEEN = 0.01  # of the level: less than this, seen in a short run, may be a late end of the warm-up
CLOSE = 0.1  # of the level, in an hour: half of the widest interval of what is called flat
HOUR_S = 3600.0
WARM_UP_SHARE = 0.25  # of the run: memory of all sizes gets its holes, and the pacer its habits
WARM_UP_LEAST_S = 30.0  # threads, caches and the library's own tables are all there
BLOCKS = 30  # in a run of an hour 90 s each, with collections every second or more often
LEAST_BLOCKS = 10  # fewer say too little of how they depend on each other
GAP = 10.0  # times as long as it is from one sample to the next: nobody looked meanwhile
MOST_CORRELATION = 0.975


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
    judged_s: float = 0.0  # how long the series is after the warm-up
    reason: str | None = None


def warm_up(length_s: float) -> float:
    """How much of a run is not looked at."""
    return max(WARM_UP_SHARE * length_s, WARM_UP_LEAST_S)


def trend(t_s: Sequence[float], rss_b: Sequence[float], warm_up_s: float | None = None) -> Trend:
    """Judges a series; t_s counts from the program's start."""
    begin_s = warm_up(t_s[-1] if t_s else 0.0) if warm_up_s is None else warm_up_s
    series = [(t, b) for t, b in zip(t_s, rss_b, strict=True) if t >= begin_s]
    middles = _medians(series)
    if len(middles) < LEAST_BLOCKS:
        return Trend(UNCLEAR, begin_s, blocks=len(middles), reason=_too_few(series, begin_s))
    level_b = median([b for _, b in middles])
    slope, low, high = (share * HOUR_S / level_b for share in theil_sen(middles))
    wider = 1 / math.sqrt(_independent(middles, slope * level_b / HOUR_S))
    found = Trend(FLAT, begin_s, level_b, slope, slope - wider * (slope - low),
                  slope + wider * (high - slope), len(middles), series[-1][0] - series[0][0])
    assert found.low is not None and found.high is not None
    seen = found.low * (middles[-1][0] - middles[0][0]) / HOUR_S
    if found.low > SHARE and seen > SEEN:
        return replace(found, verdict=GROWS)
    if found.high > SHARE:
        return replace(found, verdict=UNCLEAR, reason=(
            f"growth of more than {100 * SHARE:g} % an hour is not ruled out: run longer"))
    if found.high - found.low > 2 * CLOSE:
        return replace(found, verdict=UNCLEAR, reason=(
            f"it fell, but how fast is not known to ±{100 * CLOSE:g} % an hour: run longer"))
    return found


def theil_sen(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """The slope of points, and Sen's interval of it."""
    slopes = sorted((b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2))
    n = len(points)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    half = z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    first = max(0, round(len(slopes) / 2 - half) - 1)
    return median(slopes), slopes[first], slopes[len(slopes) - 1 - first]


def gaps(t_s: Sequence[float]) -> list[tuple[float, float]]:
    """Where nobody looked for long: the times of the samples before and after."""
    steps = [b - a for a, b in pairwise(t_s)]
    usual_s = median(steps) if steps else 0.0
    return [(a, b) for a, b in pairwise(t_s) if b - a > GAP * usual_s]


def _too_few(series: Sequence[tuple[float, float]], begin_s: float) -> str:
    """Why there are too few blocks."""
    holes = gaps([t for t, _ in series])
    if not holes:
        return (f"too short: of what comes after the first {begin_s:.0f} s {LEAST_BLOCKS} blocks or"
                " more are needed")
    longest = max(holes, key=lambda hole: hole[1] - hole[0])
    more = f" and in {len(holes) - 1} more stretches" if len(holes) > 1 else ""
    return (f"no sample was taken from {longest[0]:.0f} s to {longest[1]:.0f} s{more}: of {BLOCKS}"
            f" blocks of time {LEAST_BLOCKS} or more are needed")


def _medians(series: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The middle of each block's time and its median; blocks without a sample are left out."""
    if len(series) < 2 or series[-1][0] <= series[0][0]:
        return []
    begin_s, length_s = series[0][0], (series[-1][0] - series[0][0]) / BLOCKS
    blocks: dict[int, list[float]] = {}
    for t, b in series:
        blocks.setdefault(min(int((t - begin_s) / length_s), BLOCKS - 1), []).append(b)
    return [(begin_s + (block + 0.5) * length_s, median(b)) for block, b in sorted(blocks.items())]


def _independent(points: Sequence[tuple[float, float]], slope: float) -> float:
    """The share of the points that tell something which their neighbours do not, around a line."""
    rest = [b - slope * t for t, b in points]
    mean = sum(rest) / len(rest)
    rest = [b - mean for b in rest]
    squares = sum(b * b for b in rest)
    found = sum(a * b for a, b in pairwise(rest)) / squares if squares > 0 else 0.0
    n = len(points)
    r = min(max((n * found + 4) / (n - 5), 0.0), MOST_CORRELATION)
    return (1 - r) / (1 + r)
