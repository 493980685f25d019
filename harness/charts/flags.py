"""The compile-flag table as a heat map: the value printed, the colour its ratio to -O0."""

from __future__ import annotations

import math

from harness.charts.model import Cell, Plan
from harness.charts.scale import log_tics
from harness.report_view import (
    PREFERRED_CELL,
    Estimate,
    Json,
    mapping,
    number,
    ratio_text,
    sequence,
    text,
)

# column, title, the metric whose unit prints it, and whether more is better
COLUMNS = (
    ("text_b", "code size", "text_b", False),
    ("peak_rss_b", "peak memory", "peak_rss_b", False),
    ("startup_s", "start-up", "startup_s", False),
    ("speed", "speed", "ops_per_s", True),
)
_LEAST_RANGE = 1.25  # the colour scale never stretches mere noise to full colour


def value_of(row: Json, column: str) -> Estimate:
    value = number(row.get(column))
    if value is None:
        reason = mapping(row.get("reasons")).get(column) or row.get("reason")
        return Estimate(None, reason=str(reason) if reason else "the run has no value for it")
    low, high = (number(mapping(row.get(side)).get(column)) for side in ("low", "high"))
    return Estimate(value, low, high)


def reference(rows: list[Json], row: Json) -> Json:
    """That compiler's own -O0; without one gcc-O2; without that the first row."""
    for other in rows:
        if other.get("compiler") == row.get("compiler") and other.get("level") == "-O0":
            return other
    for other in rows:
        if other.get("cell") == PREFERRED_CELL:
            return other
    return rows[0]


def ratio(rows: list[Json], row: Json, column: str) -> float | None:
    """The row's value over that of its reference; None where either is not known."""
    value = value_of(row, column).value
    base = value_of(reference(rows, row), column).value
    if value is None or base is None or value <= 0 or base <= 0:
        return None
    return value / base


def rows_of(summary: Json) -> list[Json]:
    return [mapping(row) for row in sequence(summary.get("flags"))]


def plan(summary: Json) -> Plan:
    rows = rows_of(summary)
    chart = Plan(
        name="flags",
        template="flags.gp",
        title="What a compiler and its level cost",
        caption=(
            "Each box prints the value and its ratio to the same compiler's -O0 (where that was "
            "not measured, to gcc-O2). Blue is better than that, orange is worse, white is the "
            "same; the colour scale is logarithmic and counts cost, so for speed it is the inverse "
            "ratio. Speed is operations per second. All four are geometric means over the programs "
            "that every cell ran."
        ),
    )
    boxes: list[list[Cell]] = []
    values: list[list[Cell]] = []
    notes: list[list[Cell]] = []
    ratios: list[float] = []
    for at, row in enumerate(rows):
        for column, (key, _, metric, more) in enumerate(COLUMNS):
            one, relative = value_of(row, key), ratio(rows, row, key)
            values.append([column, at, text(metric, one.value)])
            if relative is None:
                continue
            cost = 1 / relative if more else relative
            ratios.append(cost)
            boxes.append([column, at, math.log2(cost)])
            is_base = reference(rows, row) is row
            notes.append([column, at, "the reference" if is_base else ratio_text(relative)])
    if not boxes:
        chart.skipped = "no cell has both a value and a reference"
        return chart
    reach = max(_LEAST_RANGE, *(max(one, 1 / one) for one in ratios))
    chart.number("WIDTH", 820)
    chart.number("HEIGHT", 150 + 46 * max(4, len(rows)))
    chart.number("ROWS", len(rows))
    chart.number("COLUMNS", len(COLUMNS))
    chart.number("REACH", math.log2(reach))
    chart.tics("XTICS", [(title, at) for at, (_, title, _, _) in enumerate(COLUMNS)])
    chart.tics("YTICS", [(str(row.get("cell")), at) for at, row in enumerate(rows)])
    chart.tics(
        "CBTICS",
        [(label, math.log2(at)) for label, at in log_tics(1 / reach, reach, "x", most=7)],
    )
    chart.block("boxes", boxes)
    chart.block("values", values)
    chart.block("notes", notes)
    chart.alt = chart.title + ". " + "; ".join(
        f"{row.get('cell')}: " + ", ".join(
            f"{title} {text(metric, value_of(row, key).value)}" for key, title, metric, _ in COLUMNS
        )
        for row in rows
    )
    return chart
