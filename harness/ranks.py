"""Rank tests and the correction for many of them: pure functions of numbers.

Both tests are exact, ties included: their distributions are counted over all assignments of the
ranks that the data have, by dynamic programming, instead of being approximated by a normal curve.
That is what a run has rounds for: 10 to 80, where the curve is worst in the tail that decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def signed_rank(differences: Sequence[float]) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test that differences are symmetric about 0.

    Differences of 0 are left out (Wilcoxon's own treatment); None when nothing is left. Equal
    magnitudes share their mean rank.
    """
    values = np.asarray([d for d in differences if d != 0], dtype=float)
    if values.size == 0:
        return None
    ranks = _doubled_ranks(np.abs(values))
    positive = int(ranks[values > 0].sum())
    total = int(ranks.sum())
    # chance[s]: of all 2^n choices of signs, the share whose positive ranks sum to s (doubled), for
    # the sums that are as extreme as this one.
    chance = np.zeros(min(positive, total - positive) + 1)
    chance[0] = 1.0
    for rank in ranks:
        moved = chance[:max(0, chance.size - rank)].copy()
        chance /= 2
        chance[rank:] += moved / 2
    return float(min(1.0, 2 * chance.sum()))


def rank_sum(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Two-sided p of the Mann-Whitney U test that both samples have one distribution; for data that
    are not paired. None if either is empty. Equal values share their mean rank."""
    n, both = len(one), np.asarray([*one, *other], dtype=float)
    if n == 0 or n == both.size:
        return None
    ranks = _doubled_ranks(both)
    seen = int(ranks[:n].sum())
    top = int(ranks.sum())
    # ways[k, s]: choices of k of the ranks that sum to s (doubled), as a share so that it fits.
    ways = np.zeros((n + 1, top + 1))
    ways[0, 0] = 1.0
    for rank in ranks:
        ways[1:, rank:] = ways[1:, rank:] + ways[:-1, :top + 1 - rank]
        ways /= ways.max()
    chance = ways[n] / ways[n].sum()
    middle = n * top / both.size
    distance = abs(seen - middle)
    sums = np.arange(top + 1)
    return float(min(1.0, chance[np.abs(sums - middle) >= distance - 1e-9].sum()))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The q of each p: the least false discovery rate at which it is still counted as a discovery.

    Benjamini and Hochberg (1995), step-up: q(i) = min over j >= i of p(j) * m / j, at most 1.
    """
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    result = [1.0] * m
    least = 1.0
    for place in range(m, 0, -1):
        index = order[place - 1]
        least = min(least, p_values[index] * m / place)
        result[index] = least
    return result


def _doubled_ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Twice the rank of each value, so that the mean rank of equal values is whole."""
    order = np.sort(values)
    below = np.searchsorted(order, values, side="left")
    upto = np.searchsorted(order, values, side="right")
    return (below + upto + 1).astype(np.int64)
