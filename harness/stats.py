"""Statistics: pure functions of numbers. Nothing here reads a file, a clock or a global."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; None where the data cannot give one."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str | None = None


def median(values: Sequence[float]) -> float:
    """The middle value; of an even number the mean of the two in the middle."""
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[half])
    return (ordered[half - 1] + ordered[half]) / 2


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The median and the narrowest symmetric pair of order statistics that covers it.

    The chance that the true median lies between the k-th smallest and k-th largest of n values is
    1 - 2 P(X < k) with X binomial(n, 1/2): no assumption on the distribution. Under 6 values there
    is no 95 % interval.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, "no values")
    ordered = sorted(float(v) for v in values)
    tail = 0.0
    best = 0
    for k in range(1, n // 2 + 1):
        tail += math.comb(n, k - 1) / 2.0**n
        if 1 - 2 * tail < confidence:
            break
        best = k
    if best == 0:
        return Estimate(median(ordered), None, None, n,
                        f"{n} value(s): an interval of {confidence:.0%} needs 6")
    return Estimate(median(ordered), ordered[best - 1], ordered[n - best], n)


def paired_ratio(top: Sequence[float], bottom: Sequence[float],
                 confidence: float = CONFIDENCE, resamples: int = RESAMPLES) -> Estimate:
    """The median over rounds of top/bottom, with a bootstrap interval over rounds.

    The two belong to the same rounds in the same order, so drift of the machine cancels. The
    bootstrap is seeded by a hash of the data: the same data give the same interval.
    """
    if len(top) != len(bottom):
        raise ValueError("paired data have the same length")
    n = len(top)
    if n == 0:
        return Estimate(None, None, None, 0, "no round has both")
    if any(b == 0 for b in bottom):
        return Estimate(None, None, None, n, "divided by 0")
    ratios = np.asarray(top, dtype=float) / np.asarray(bottom, dtype=float)
    value = float(np.median(ratios))
    if n < 2:
        return Estimate(value, None, None, n, "one round has no interval")
    seed = int.from_bytes(hashlib.sha256(ratios.tobytes()).digest()[:8], "little")
    chosen = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    medians = np.median(ratios[chosen], axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(medians, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), n)


def ratio_of_medians(top: Sequence[float], bottom: Sequence[float],
                     confidence: float = CONFIDENCE, resamples: int = RESAMPLES) -> Estimate:
    """median(top) / median(bottom), with a bootstrap interval over the rounds of both together.

    For figures of which only the median over rounds means something, such as the longest stop.
    """
    if len(top) != len(bottom):
        raise ValueError("paired data have the same length")
    n = len(top)
    if n == 0:
        return Estimate(None, None, None, 0, "no round has both")
    if any(b <= 0 for b in bottom):
        return Estimate(None, None, None, n, "divided by 0")
    tops, bottoms = np.asarray(top, dtype=float), np.asarray(bottom, dtype=float)
    value = float(np.median(tops) / np.median(bottoms))
    if n < 2:
        return Estimate(value, None, None, n, "one round has no interval")
    digest = hashlib.sha256(tops.tobytes() + bottoms.tobytes()).digest()
    seed = int.from_bytes(digest[:8], "little")
    chosen = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    ratios = np.median(tops[chosen], axis=1) / np.median(bottoms[chosen], axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), n)


def slope(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Least-squares slope of y over x; None with fewer than two different x."""
    if len(x) != len(y) or len(set(x)) < 2:
        return None
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    dx = xs - xs.mean()
    return float((dx * (ys - ys.mean())).sum() / (dx * dx).sum())


def exponent(x: Sequence[float], y: Sequence[float]) -> float | None:
    """k of y ~ x^k, fitted on logarithms. Values below 1 count as 1 (counts and bytes are whole,
    so 0 and 1 are both "nothing")."""
    if any(value <= 0 for value in x):
        return None
    return slope([math.log(v) for v in x], [math.log(max(v, 1.0)) for v in y])


def geometric_mean(values: Sequence[float]) -> float | None:
    """Of positive values; None without values or with one that is not positive."""
    if not values or any(v <= 0 for v in values):
        return None
    return math.exp(sum(math.log(v) for v in values) / len(values))
