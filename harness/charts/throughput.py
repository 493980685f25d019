"""Throughput with intervals: bars from 0, one group a cell, bad beside each fix."""

from __future__ import annotations

from collections.abc import Iterator

from harness.charts.model import Cell, Plan, file_name
from harness.charts.scale import unit_for
from harness.report_view import (
    Json,
    cells_of,
    comparisons,
    label_of,
    metric_of,
    pair_variants,
    ratio_of,
)

_METRIC = "ops_per_s"


def plans(pitfall: Json) -> Iterator[Plan]:
    """One chart a pair of the pitfall."""
    for index, (pair, variants) in enumerate(pair_variants(pitfall)):
        yield _plan(pitfall, variants, "" if index == 0 else pair)


def _plan(pitfall: Json, variants: list[str], suffix: str) -> Plan:
    ident = str(pitfall.get("id"))
    parts = ["throughput", ident, suffix] if suffix else ["throughput", ident]
    plan = Plan(
        name=file_name(*parts),
        template="throughput.gp",
        title=f"{ident}{f' ({suffix})' if suffix else ''}: operations per second, higher is better",
        caption=(
            "Median over the rounds; the whisker is the 95 % interval. The number over a fix says "
            "how many times as long the bad variant takes."
        ),
        pitfall=ident,
    )
    cells = cells_of({"pitfalls": [pitfall]})
    found = {(c, v): metric_of(pitfall, c, v, _METRIC) for c in cells for v in variants}
    largest = max((e.high or e.value or 0.0 for e in found.values()), default=0.0)
    if largest <= 0:
        reasons = [e.reason for e in found.values() if e.reason]
        plan.skipped = f"no throughput was measured: {reasons[0]}" if reasons else "no cells"
        return plan
    divisor, unit = unit_for(largest, "1/s")
    width = 0.8 / len(variants)
    bars: list[list[Cell]] = []
    notes: list[list[Cell]] = []
    for at, cell in enumerate(cells):
        for index, variant in enumerate(variants):
            one = found[(cell, variant)]
            if one.value is None:
                continue
            x = at + (index - (len(variants) - 1) / 2) * width
            low = one.low if one.low is not None else one.value
            high = one.high if one.high is not None else one.value
            bars.append([x, one.value / divisor, low / divisor, high / divisor, index])
            for other in comparisons(pitfall):
                ratio = ratio_of(pitfall, cell, other, "ns_per_op").value
                if other.fix == variant and other.bad == variants[0] and ratio is not None:
                    notes.append([x, high / divisor, _short(ratio)])
    plan.number("WIDTH", max(760, 110 + len(cells) * (24 + 42 * len(variants))))
    plan.number("HEIGHT", 400)
    plan.number("BAR", width * 0.92)
    plan.number("CELLS", len(cells))
    plan.text("ROLES", " ".join(str(i) for i in range(len(variants))
                               if any(bar[4] == i for bar in bars)))
    plan.number("NOTES", len(notes))
    plan.number("YMAX", largest / divisor * 1.12)
    plan.text("YLABEL", f"{unit} operations per second".strip())
    plan.tics("XTICS", [(cell, at) for at, cell in enumerate(cells)])
    labels = [label_of(pitfall, v) for v in variants]
    plan.texts("NAMES", [v if v == text else f"{v}: {text}" for v, text in zip(variants, labels)])
    plan.block("bars", bars)
    plan.block("notes", notes or [[None, None, ""]])
    plan.alt = plan.title + ". " + "; ".join(
        f"{c}: " + ", ".join(
            f"{v} {found[(c, v)].value:.4g} per second"
            for v in variants if found[(c, v)].value is not None
        )
        for c in cells
    )
    return plan


def _short(ratio: float) -> str:
    """Two digits are enough over a bar: 4.2×, 22×, 530×."""
    return f"{ratio:.1f}×" if 1 <= ratio < 9.95 else f"{float(f'{ratio:.2g}'):,g}×"
