"""What may be said of two arms: for each metric a ratio, its interval, and one word. Pure.

The rules, in the order in which they are asked (README.md, "Comparing", tells why):

- `elided`: the work of an arm is not the work of the other; nothing else is said.
- `identical-code`: the program's own code is the same bytes; what would differ is noise.
- An exact metric: `same` inside its margin, else `better` or `worse`. No test is needed.
- A noisy one: `worse` if q < Q and the whole interval lies beyond the margin, `better` mirrored,
  `same` if the whole interval lies inside it, else `unclear`.

A ratio is always B / A; "worse" knows which way is better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness import ranks, stats
from harness.metrics import describe

BETTER, WORSE, SAME, UNCLEAR = "better", "worse", "same", "unclear"
ELIDED, IDENTICAL = "elided", "identical-code"
Q = 0.05
Q_TWO_LOOKS = 0.0294  # Pocock's level for each of two looks that keep 0.05 together
LEAST_ROUNDS = 10  # under this the least p that there is does not survive a table
LEAST_RSS_B = 256 * 1024  # the kernel counts resident pages in batches
NOISE_FACTOR = 2.0  # a margin is raised to this many half-widths of the ratio's own interval,
MOST_RAISED = 0.10  # but never beyond: "the same within 30 %" would say nothing
FENCE = 3.0  # interquartile ranges beyond the quartiles: an outlier, counted and kept
TOO_FEW = "{} round(s) are too few for a verdict: " f"{LEAST_ROUNDS} are needed"
MAX_ROUNDS = 100_000  # "more rounds do not help" beyond

Series = Mapping[int, float]  # round -> value


@dataclass(frozen=True)
class Row:
    """One metric of one subject in two arms. Ratios are B / A, margins shares of 1."""

    subject: str
    metric: str
    a: stats.Estimate
    b: stats.Estimate
    ratio: stats.Estimate
    margin: float
    verdict: str
    p: float | None = None
    q: float | None = None
    rounds_needed: int | None = None  # an unclear row: how many would decide it; None: none would
    outliers: tuple[int, int] = (0, 0)  # values far from the others, in A and B
    reason: str | None = None

    @property
    def decided(self) -> bool:
        """True unless more rounds could tell more."""
        return self.verdict != UNCLEAR


def compare(subject: str, metric: str, a: Series, b: Series, *, note: str | None = None,
            margin: float | None = None, exact: bool | None = None) -> Row:
    """A row without verdict (that takes the whole table's q). note: `elided` or `identical-code`,
    which stands whatever is measured. margin, exact: instead of the metric's own."""
    both = sorted(set(a) & set(b))
    tops, bottoms = [b[i] for i in both], [a[i] for i in both]
    known = describe(metric)
    least = known.margin if margin is None else margin
    ratio = ratio_of(tops, bottoms)
    row = Row(subject, metric, stats.median_interval(list(a.values())),
              stats.median_interval(list(b.values())), ratio, least, note or UNCLEAR,
              outliers=(outliers(list(a.values())), outliers(list(b.values()))),
              reason=ratio.reason)
    if (known.exact if exact is None else exact) and _constant(bottoms) and _constant(tops):
        return replace(row, verdict=note or _exact(row, known.better))
    if margin is None:
        row = replace(row, margin=margin_of(metric, bottoms, ratio))
    logs = [math.log(t / u) for t, u in zip(tops, bottoms) if t > 0 and u > 0]
    return replace(row, p=ranks.signed_rank(logs))


def judge(rows: Sequence[Row], level: float = Q) -> list[Row]:
    """The verdicts of a whole table, corrected for its size metric by metric."""
    result = list(rows)
    for metric in dict.fromkeys(row.metric for row in rows):
        tested = [i for i, row in enumerate(rows) if row.metric == metric and row.p is not None
                  and row.verdict == UNCLEAR]
        q_values = ranks.benjamini_hochberg([_p(rows[i]) for i in tested])
        for index, q in zip(tested, q_values):
            result[index] = _noisy(replace(rows[index], q=q), level)
    return [_finished(row) for row in result]


def _p(row: Row) -> float:
    assert row.p is not None
    return row.p


def ratio_of(tops: Sequence[float], bottoms: Sequence[float],
             resamples: int = stats.RESAMPLES) -> stats.Estimate:
    """B / A over the rounds of both, with its interval."""
    if tops and all(t == u for t, u in zip(tops, bottoms)):
        return stats.Estimate(1.0, 1.0, 1.0, len(tops))  # 0 and 0 are as equal as 7 and 7
    return stats.paired_ratio(tops, bottoms, resamples=resamples)


def margin_of(metric: str, bottoms: Sequence[float], ratio: stats.Estimate) -> float:
    """The metric's own, raised to what these figures can tell apart."""
    return max(describe(metric).margin, floor(metric, bottoms), min(noise(ratio), MOST_RAISED))


def _constant(values: Sequence[float]) -> bool:
    return len(set(values)) == 1


def _exact(row: Row, better: str | None) -> str:
    a, b = row.a.value, row.b.value
    if a is None or b is None:
        return UNCLEAR
    if abs(b - a) <= row.margin * abs(a):
        return SAME
    return _word(b > a, better)


def _word(grew: bool, better: str | None) -> str:
    """Where neither way is better a change is one for the worse: somebody has to look at it."""
    return BETTER if grew == (better == "more") and better is not None else WORSE


def _noisy(row: Row, level: float) -> Row:
    low, high = row.ratio.low, row.ratio.high
    if low is None or high is None or row.q is None:
        return row
    above, below = 1 + row.margin, 1 / (1 + row.margin)
    if row.ratio.n < LEAST_ROUNDS:
        return replace(row, reason=TOO_FEW.format(row.ratio.n))
    if below <= low and high <= above:
        return replace(row, verdict=SAME)
    if row.q < level and (low > above or high < below):
        return replace(row, verdict=_word(low > above, describe(row.metric).better))
    return row


def _finished(row: Row) -> Row:
    if row.verdict != UNCLEAR:
        return row
    if row.p is None and row.ratio.low == row.ratio.high == 1.0:
        if row.ratio.n < LEAST_ROUNDS:
            return replace(row, reason=TOO_FEW.format(row.ratio.n))
        return replace(row, verdict=SAME)  # no difference in any round leaves nothing to test
    return replace(row, rounds_needed=rounds_needed(row))


# ---- Margins and noise ---------------------------------------------------------------------------


def floor(metric: str, values: Sequence[float]) -> float:
    """The change, as a share, below which a metric cannot be told from how it is counted."""
    smallest = min(values, default=0.0)
    if metric.endswith("rss_b") and smallest > 0:
        return LEAST_RSS_B / smallest
    return 0.0


def noise(ratio: stats.Estimate) -> float:
    """What a ratio's own spread makes of its margin: NOISE_FACTOR half-widths of its interval. Not
    the spread of an arm: drift is in that, and cancels in the ratio."""
    if ratio.low is None or ratio.high is None or not ratio.value or ratio.value <= 0:
        return 0.0
    return NOISE_FACTOR * (ratio.high - ratio.low) / 2 / ratio.value


def outliers(values: Sequence[float]) -> int:
    """How many values lie more than FENCE interquartile ranges outside the quartiles."""
    if len(values) < 4:
        return 0
    low, high = np.quantile(np.asarray(values, dtype=float), [0.25, 0.75])
    reach = FENCE * (high - low)
    return sum(not low - reach <= v <= high + reach for v in values)


def rounds_needed(row: Row) -> int | None:
    """With how many rounds an unclear row would be decided, if its ratio stays where it is: the
    interval shrinks as 1/sqrt(n). None if it never would, because the ratio lies on the margin."""
    low, high, value = row.ratio.low, row.ratio.high, row.ratio.value
    if low is None or high is None or not value or low <= 0 or value <= 0:
        return None
    half = (math.log(high) - math.log(low)) / 2
    room = abs(abs(math.log(value)) - math.log(1 + row.margin))
    if room <= 0:
        return None
    needed = math.ceil(row.ratio.n * (half / room) ** 2)
    return max(needed, row.ratio.n + 1, LEAST_ROUNDS) if needed <= MAX_ROUNDS else None
