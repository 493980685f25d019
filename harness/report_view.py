"""How table, charts and report read a summary: estimates, comparisons, the law count of a cell.

Everything here is pure and forgiving: a key that is missing or null becomes an Estimate without a
value and with the best reason the summary has, so that an incomplete run still gives a report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.metrics import METRICS, describe, exact, show

Json = Mapping[str, Any]

NOT_MEASURED = "not measured"
NO_REASON = "the run has no value for it"
PREFERRED_CELL = "gcc-O2"
CONTROL_PREFIX = "control-"
# Plain numbers of a record that are arguments or bookkeeping, not results.
BOOKKEEPING = frozenset({
    "alloc_b", "allocs", "count", "end_ns", "expected", "frees", "n", "ops", "pauses_dropped",
    "peak_live_b", "rss_before_b", "start_ns", "stops", "sys_ns", "threads", "time_ns", "user_ns",
    "v", "value", "warmup", "work",
})


@dataclass(frozen=True)
class Estimate:
    """A median with its interval, or None and the reason why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    @property
    def known(self) -> bool:
        return self.value is not None

    @property
    def spread(self) -> bool:
        """True where the interval says more than the value alone."""
        return self.low is not None and self.high is not None and self.low < self.high


@dataclass(frozen=True)
class Comparison:
    """One bad variant against one fix, in one pitfall."""

    pair: str
    bad: str
    fix: str
    label: str  # what the fix does, in a few words
    first: bool  # the first of its pitfall: laws that name no fix are counted here

    @property
    def key(self) -> str:
        return f"{self.pair}/{self.fix}"


def number(value: object) -> float | None:
    """A finite number, or None. Whole numbers stay int: they print exactly."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def estimate(value: object, key: str = "median", reason: object = None) -> Estimate:
    """Reads {"median"|"ratio", "low", "high"}, a plain number, or null."""
    if isinstance(value, Mapping):
        middle = number(value.get(key))
        if middle is not None:
            return Estimate(middle, number(value.get("low")), number(value.get("high")))
        reason = value.get("reason") or reason
    else:
        middle = number(value)
        if middle is not None:
            return Estimate(middle)
    return Estimate(None, reason=str(reason) if reason else NO_REASON)


def variant_of(pitfall: Json, cell: str, variant: str) -> Json:
    """What one cell says about one variant; empty where it was not run."""
    in_cell = mapping(mapping(pitfall.get("cells")).get(cell))
    return mapping(mapping(in_cell.get("variants")).get(variant))


def metric_of(pitfall: Json, cell: str, variant: str, metric: str) -> Estimate:
    record = variant_of(pitfall, cell, variant)
    if not record:
        return Estimate(None, reason=f"{variant} was not run on {cell}")
    reason = mapping(record.get("reasons")).get(metric)
    failed = number(record.get("failed"))
    if not reason and failed and not number(record.get("n")):
        reason = f"every run failed ({failed:g})"
    return estimate(mapping(record.get("metrics")).get(metric), reason=reason)


def ratio_of(pitfall: Json, cell: str, comparison: Comparison, metric: str) -> Estimate:
    in_cell = mapping(mapping(pitfall.get("cells")).get(cell))
    ratios = mapping(mapping(in_cell.get("ratios")).get(comparison.key))
    reason = mapping(ratios.get("reasons")).get(metric)
    return estimate(ratios.get(metric), key="ratio", reason=reason)


def values_of(pitfall: Json, cell: str, variant: str, key: str) -> list[float]:
    """A list of numbers of one variant, such as pauses_ns; empty where there is none."""
    found = sequence(variant_of(pitfall, cell, variant).get(key))
    return [kept for kept in map(number, found) if kept is not None]


def is_control(pitfall: Json) -> bool:
    """True for the pitfalls that judge the harness itself."""
    return pitfall.get("always") is True or str(pitfall.get("id")).startswith(CONTROL_PREFIX)


def pitfalls_of(summary: Json) -> list[Json]:
    """The pitfalls, the controls of the harness last."""
    found = [mapping(pitfall) for pitfall in sequence(summary.get("pitfalls"))]
    return sorted(found, key=is_control)


def rounds_of(summary: Json) -> str | None:
    """How many rounds the run has, and of how many if it was interrupted; None if nothing tells."""
    taken, asked = mapping(summary.get("taken")), mapping(mapping(summary.get("run")).get(
        "settings")).get("rounds")
    found = [count_text(count) for count in dict.fromkeys(sequence(taken.get("rounds")))]
    if not found:
        return count_text(asked) if isinstance(asked, int) else None
    cut = (number(taken.get("samples")) or 0) < (number(taken.get("planned")) or 0)
    return " to ".join(found) + (f" of {asked}" if cut else "")


def left_out_of(summary: Json) -> list[tuple[str, str]]:
    """(cells, the one reason why they were not measured)."""
    cells: dict[str, list[str]] = {}
    for left in map(mapping, sequence(summary.get("left_out"))):
        cells.setdefault(str(left.get("reason")), []).append(str(left.get("cell")))
    return [(", ".join(names), reason) for reason, names in cells.items()]


def notes_of(summary: Json) -> list[str]:
    """What else a reader should know before believing a figure."""
    return [str(text) for text in sequence(summary.get("events"))]


def cells_of(summary: Json) -> list[str]:
    """Every cell that any pitfall was measured on, in the order of the matrix."""
    order: dict[str, None] = {}
    for row in sequence(summary.get("flags")):
        order.setdefault(str(mapping(row).get("cell")))
    for pitfall in pitfalls_of(summary):
        for cell in mapping(pitfall.get("cells")):
            order.setdefault(str(cell))
    measured = {str(c) for p in pitfalls_of(summary) for c in mapping(p.get("cells"))}
    return [cell for cell in order if cell in measured]


def focus_cell(cells: Sequence[str]) -> str | None:
    """The cell that single-cell charts show: gcc-O2, or the first there is."""
    if PREFERRED_CELL in cells:
        return PREFERRED_CELL
    return cells[0] if cells else None


def label_of(pitfall: Json, variant: str) -> str:
    for known in sequence(pitfall.get("variants")):
        if mapping(known).get("id") == variant and mapping(known).get("label"):
            return str(mapping(known)["label"])
    return variant


def comparisons(pitfall: Json) -> list[Comparison]:
    found: list[Comparison] = []
    for pair, variants in pair_variants(pitfall):
        for fix in variants[1:]:
            found.append(Comparison(pair, variants[0], fix, label_of(pitfall, fix), not found))
    return found


def pair_variants(pitfall: Json) -> list[tuple[str, list[str]]]:
    """Each pair with its variants, bad first: what one chart compares. No bad, no pair."""
    return [
        (str(pair.get("pair")), [str(pair["bad"]), *map(str, sequence(pair.get("fixes")))])
        for pair in map(mapping, sequence(pitfall.get("pairs")))
        if pair.get("bad") is not None
    ]


def laws_of(pitfall: Json, cell: str, comparison: Comparison) -> list[Json]:
    """The laws of one cell that belong to one comparison; each law belongs to exactly one."""
    everyone = comparisons(pitfall)
    return [
        mapping(law)
        for law in sequence(pitfall.get("laws"))
        if mapping(law).get("cell") == cell
        and _home(str(mapping(law).get("variant")), everyone) == comparison
    ]


def _home(variant: str, everyone: Sequence[Comparison]) -> Comparison | None:
    named = variant.split("/")  # a law over two variants is stored as "bad/fixed"
    for known in everyone:
        if known.fix in named:
            return known
    for known in everyone:
        if known.bad in named:
            return known
    return everyone[0] if everyone else None


def tally(judged: Sequence[Json]) -> tuple[int, int, int]:
    """How many were held, failed, and could not be judged."""
    held = sum(1 for one in judged if one.get("held") is True)
    failed = sum(1 for one in judged if one.get("held") is False)
    return held, failed, len(judged) - held - failed


def claims(summary: Json, kind: str) -> Iterator[tuple[Json, Json]]:
    """Every (pitfall, law|outcome|detector) of the run."""
    for pitfall in pitfalls_of(summary):
        for claim in sequence(pitfall.get(kind)):
            yield pitfall, mapping(claim)


KINDS = ("laws", "outcomes", "detectors")


def failures_of(summary: Json) -> list[tuple[str, Json]]:
    """What did not build or run, in words without its message; and the whole row."""
    found = []
    for row in map(mapping, sequence(summary.get("failed"))):
        counts = mapping(row.get("samples"))
        details = ", ".join(f"{count} {role}" for role, count in counts.items())
        kept = sum(_explains(row, pitfall, claim)
                   for kind in KINDS for pitfall, claim in claims(summary, kind))
        details += ("; " if details and kept else "") + (f"{kept} not judged" if kept else "")
        words = (f"{row.get('pitfall')}.{row.get('variant')}"
                 f" {'failed' if counts else 'does not build'} in"
                 f" {', '.join(map(str, sequence(row.get('cells'))))}")
        found.append((words + (f" ({details})" if details else ""), row))
    return found


def unjudged(summary: Json) -> list[tuple[str, int]]:
    """(reason, how many claims it kept from being judged), without what failures_of tells."""
    failed = [mapping(row) for row in sequence(summary.get("failed"))]
    reasons: dict[str, int] = {}
    for kind in KINDS:
        for pitfall, claim in claims(summary, kind):
            if claim.get("held") is None and not any(_explains(row, pitfall, claim)
                                                     for row in failed):
                reason = str(claim.get("reason") or "no reason was recorded")
                reasons[reason] = reasons.get(reason, 0) + 1
    return list(reasons.items())


def _explains(failure: Json, pitfall: Json, claim: Json) -> bool:
    """True if this failure is why a claim is not judged: its reason ends with the message."""
    cell = str(claim.get("cell")) + (f"+{claim['tool']}" if claim.get("tool") else "")
    return (claim.get("held") is None
            and failure.get("pitfall") == pitfall.get("id")
            and failure.get("variant") in str(claim.get("variant")).split("/")
            and cell in sequence(failure.get("cells"))
            and str(claim.get("reason")).endswith(str(failure.get("message"))))


def title_of(metric: str) -> str:
    """What a metric is called: the declared title, or the name with its unit spelled out."""
    if metric in METRICS or metric.startswith("perf_"):
        return describe(metric).title
    for suffix, word in (("_b", " bytes"), ("_ns", " time"), ("_s", " time")):
        if metric.endswith(suffix):
            return metric[: -len(suffix)].replace("_", " ") + word
    return metric.replace("_", " ")


def text(metric: str, value: float | None) -> str:
    """A value with its unit for people, or "not measured"."""
    if value is None:
        return NOT_MEASURED
    return show(value, describe(metric).unit)


def figure_text(metric: str, value: float | None) -> str:
    """The same, but every digit of an exact metric: 262,144 B."""
    known = describe(metric)
    if value is None or not known.exact:
        return text(metric, value)
    return exact(value) + (f" {known.unit}" if known.unit != "1" else "")


def observed_text(law: Json) -> str:
    """What a law observed. Fits and ratios are rounded where they hold."""
    value = number(law.get("observed"))
    if value is None:
        return "held" if law.get("held") is True else "not judged"
    fitted = law.get("kind") in ("ratio", "slope", "exponent")
    return count_text(value) if fitted and law.get("held") is True else exact(value)


def ratio_text(value: float | None, times: str = "×") -> str:
    """12.3×, 1.04×, 0.052×, 5,210×: three digits, never an exponent."""
    if value is None:
        return "–"
    if value >= 100 or value == 0:
        return f"{value:,.0f}{times}"
    if value >= 10:
        return f"{value:.1f}{times}"
    if value >= 0.1:
        return f"{value:.2f}{times}"
    return f"{value:.{1 - math.floor(math.log10(value))}f}".rstrip("0").rstrip(".") + times


def count_text(value: object) -> str:
    """A number without a unit, without an exponent where it can be helped."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1e4:
        return f"{value:,.0f}"
    return f"{value:,.4g}"


def interval_text(metric: str, low: float | None, high: float | None) -> str:
    """40.6 to 41.2 ns; the unit once where both have the same."""
    first, last = text(metric, low), text(metric, high)
    value, _, unit = first.partition(" ")
    return f"{value if unit and last.endswith(' ' + unit) else first} to {last}"
