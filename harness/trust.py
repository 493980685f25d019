"""Can this run be believed? One program measured under two names must come out the same. Pure.

A pair with a `sham` variant is such a program. The ratio of its two names, one value a round (the
geometric mean over cells, so that all that was measured speaks), is pure noise: a margin that it
leaves is a difference that this run invents, and its interval is the least change that it can see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness import stats
from harness.catalog import Pitfall
from harness.metrics import describe, percent
from harness.sheet import Sheet
from harness.verdicts import LEAST_ROUNDS, SAME, UNCLEAR, floor

METRICS = ("ns_per_op", "peak_rss_b")
DIFFERENT = "different"


@dataclass(frozen=True)
class Control:
    """One metric of the control pair over all cells. Ratios; margin as a share of 1."""

    pitfall: str
    metric: str
    ratio: float | None
    low: float | None
    high: float | None
    n: int
    margin: float
    verdict: str
    reason: str | None

    @property
    def widest(self) -> float | None:
        """The largest change that the interval allows, as a share of 1; None without interval."""
        if self.low is None or self.high is None:
            return None
        return max(self.high - 1, 1 - self.low)


def controls(sheet: Sheet, catalog: Sequence[Pitfall], cells: Sequence[str]) -> list[Control]:
    """The verdict on each metric of each pair that has a sham."""
    result = []
    for pitfall in catalog:
        for _, bad, others in pitfall.pairs():
            shams = [o for o in others if pitfall.variant(o).role == "sham"]
            if bad is not None:
                result += [_control(sheet, pitfall, bad, sham, cells, metric)
                           for sham in shams for metric in METRICS]
    return result


def as_rows(found: Sequence[Control]) -> list[dict[str, Any]]:
    """As summary.json holds them."""
    return [asdict(one) for one in found]


def untrusted(summary: Mapping[str, Any]) -> bool:
    """True if the control pair of a summary came out different."""
    return any(row["verdict"] == DIFFERENT for row in summary["controls"])


def sentences(found: Sequence[Control]) -> list[str]:
    """What a reader should know of the control pair before believing a ratio."""
    result = []
    for one in found:
        title = describe(one.metric).title
        what = f"one program under two names ({one.pitfall}) differs in {title}"
        if one.verdict == DIFFERENT:
            result.append(f"do not trust this run: {what}: ratio {one.ratio:.3f}, 95 % interval"
                          f" {one.low:.3f} to {one.high:.3f}; measure again on a quiet machine")
        elif one.verdict == UNCLEAR and one.widest is not None:
            result.append(f"{what} by up to {percent(one.widest)} in this run: a smaller change"
                          " cannot be told from noise")
    return result


def _control(sheet: Sheet, pitfall: Pitfall, bad: str, sham: str, cells: Sequence[str],
             metric: str) -> Control:
    pooled: dict[int, list[float]] = {}
    smallest = float("inf")
    for cell in cells:
        top = sheet.by_round(pitfall.id, bad, cell, metric)
        bottom = sheet.by_round(pitfall.id, sham, cell, metric)
        for number in set(top) & set(bottom):
            if top[number] > 0 and bottom[number] > 0:
                pooled.setdefault(number, []).append(top[number] / bottom[number])
                smallest = min(smallest, bottom[number])
    margin = max(describe(metric).margin, floor(metric, [smallest] if pooled else []))
    means = [stats.geometric_mean(pooled[number]) for number in sorted(pooled)]
    ratios = [mean for mean in means if mean is not None]
    estimate = stats.paired_ratio(ratios, [1.0] * len(ratios))
    reason = estimate.reason
    if not ratios:
        reason = next((sheet.why_absent(pitfall.id, v, c, metric) for c in cells
                       for v in (bad, sham) if not sheet.values(pitfall.id, v, c, metric)), reason)
    return Control(pitfall.id, metric, estimate.value, estimate.low, estimate.high, estimate.n,
                   margin, _verdict(estimate, margin), reason)


def _verdict(estimate: stats.Estimate, margin: float) -> str:
    if estimate.low is None or estimate.high is None:
        return UNCLEAR
    low, high = 1 / (1 + margin), 1 + margin
    if estimate.low >= low and estimate.high <= high:
        return SAME
    outside = estimate.low > high or estimate.high < low
    return DIFFERENT if outside and estimate.n >= LEAST_ROUNDS else UNCLEAR
