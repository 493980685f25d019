"""How other tools would decide, on the same rounds: for the table of `make validate`. Pure.

Each function says whether it would call B slower than A.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

Values = Sequence[float]


def hyperfine(a: Values, b: Values) -> bool:
    """hyperfine's comparison: "B ran 1.05 ± 0.03 times slower": the ratio of the means, with the
    standard deviations propagated; slower, if 1 lies below what is left of it."""
    mean_a, mean_b = statistics.fmean(a), statistics.fmean(b)
    ratio = mean_b / mean_a
    spread = math.sqrt((statistics.stdev(a) / mean_a) ** 2 + (statistics.stdev(b) / mean_b) ** 2)
    return ratio - ratio * spread > 1


def perf_stat(a: Values, b: Values) -> bool:
    """`perf stat -r`: two means with their standard errors, as printed; slower, if they do not
    touch."""
    error_a = statistics.stdev(a) / math.sqrt(len(a))
    error_b = statistics.stdev(b) / math.sqrt(len(b))
    return statistics.fmean(b) - error_b > statistics.fmean(a) + error_a


def five_percent(a: Values, b: Values) -> bool:
    """The rule of many CI jobs: the mean is over 5 % higher."""
    return statistics.fmean(b) > 1.05 * statistics.fmean(a)


RIVALS: Mapping[str, Callable[[Values, Values], bool]] = {
    "hyperfine": hyperfine, "perf stat -r": perf_stat, "mean over 5 %": five_percent,
}
