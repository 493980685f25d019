"""Pause times: every pause as a point over its box, one group a cell, bad beside each fix."""

from __future__ import annotations

from collections.abc import Iterator

from harness.charts.model import Cell, Plan, file_name
from harness.charts.scale import log_tics, quantile, thin
from harness.metrics import show
from harness.report_view import Json, cells_of, label_of, pair_variants, values_of

_MOST_POINTS = 1200  # in a whole chart: the picture is inlined in the report
_LEAST_PER_GROUP = 20


def plans(pitfall: Json) -> Iterator[Plan]:
    """One chart a pair of the pitfall."""
    for index, (pair, variants) in enumerate(pair_variants(pitfall)):
        yield _plan(pitfall, variants, "" if index == 0 else pair)


def _plan(pitfall: Json, variants: list[str], suffix: str) -> Plan:
    ident = str(pitfall.get("id"))
    parts = ["pauses", ident, suffix] if suffix else ["pauses", ident]
    plan = Plan(
        name=file_name(*parts),
        template="pauses.gp",
        title=f"{ident}{f' ({suffix})' if suffix else ''}: how long collections stop the program",
        caption=(
            "Each point is one pause, on a log scale. The box holds the middle half, the line in "
            "it is the median, the diamond the 99th percentile; n is the number of pauses. "
            "A variant without a box did not stop at all."
        ),
        pitfall=ident,
    )
    cells = cells_of({"pitfalls": [pitfall]})
    groups = {
        (c, v): sorted(p for p in values_of(pitfall, c, v, "pauses_ns") if p > 0)
        for c in cells
        for v in variants
    }
    full = [pauses for pauses in groups.values() if pauses]
    if not full:
        plan.skipped = "no variant of this pair paused"
        return plan
    low, high = min(p[0] for p in full) * 0.6, max(p[-1] for p in full) * 1.6
    limit = max(_LEAST_PER_GROUP, _MOST_POINTS // len(full))
    width = 0.84 / len(variants)
    boxes: list[list[Cell]] = []
    points: list[list[Cell]] = []
    counts: list[list[Cell]] = []
    for at, cell in enumerate(cells):
        for index, variant in enumerate(variants):
            pauses = groups[(cell, variant)]
            x = at + (index - (len(variants) - 1) / 2) * width
            counts.append([x, f"{len(pauses):,}"])
            if not pauses:
                continue
            quarters = [quantile(pauses, share) for share in (0.25, 0.5, 0.75, 0.99)]
            boxes.append([x, *quarters, index])
            kept = thin(pauses, limit)
            points += [[x + _jitter(i) * width * 0.62, p, index] for i, p in enumerate(kept)]
    if any(len(pauses) > limit for pauses in full):
        plan.caption += (
            f" Groups of more than {limit} are drawn by {limit} of their points, evenly over the "
            "ranks, the shortest and the longest among them."
        )
    plan.number("WIDTH", max(760, 110 + len(cells) * (24 + 34 * len(variants))))
    plan.number("HEIGHT", 440)
    plan.number("BOX", width * 0.8)
    plan.number("CELLS", len(cells))
    plan.number("VARIANTS", len(variants))
    plan.number("YMIN", low)
    plan.number("YMAX", high)
    plan.tics("XTICS", [(cell, at) for at, cell in enumerate(cells)])
    plan.tics("YTICS", log_tics(low, high, "ns"))
    labels = [label_of(pitfall, v) for v in variants]
    plan.texts("NAMES", [v if v == text else f"{v}: {text}" for v, text in zip(variants, labels)])
    plan.block("boxes", boxes)
    plan.block("points", points)
    plan.block("counts", counts)
    plan.alt = plan.title + ". Median pauses: " + "; ".join(
        f"{cell} {variant} {show(quantile(pauses, 0.5), 'ns')} (n = {len(pauses)})"
        for (cell, variant), pauses in groups.items()
        if pauses
    )
    return plan


def _jitter(index: int) -> float:
    """Spreads points sideways in -0.5..0.5, the same way each time (golden ratio sequence)."""
    return (index * 0.6180339887498949) % 1.0 - 0.5
