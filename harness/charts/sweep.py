"""Sweeps of the parametrised pitfalls: how a cost grows with the parameter, log against log."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.charts.model import Plan, file_name
from harness.charts.scale import log_tics
from harness.metrics import METRICS, describe
from harness.report_view import (
    BOOKKEEPING,
    Json,
    estimate,
    focus_cell,
    label_of,
    mapping,
    number,
    pair_variants,
    sequence,
    title_of,
)

Line = list[tuple[float, float]]

_MOST_PANELS = 3
# What a cost is usually called, first; then the pitfall's other own metrics; then these.
_COSTS = ("held_b", "open_fds", "copied_b", "waste_b", "growths", "retained_b")
_COMMON = ("allocs_per_op", "alloc_b_per_op", "peak_rss_b")


def plans(pitfall: Json) -> Iterator[Plan]:
    """One chart for the pitfall, with a panel a metric; none where nothing is swept."""
    parameter = mapping(pitfall.get("parameter"))
    if not sequence(parameter.get("sweep")):
        return
    ident = str(pitfall.get("id"))
    name = str(parameter.get("name") or "n")
    plan = Plan(
        name=file_name("sweep", ident),
        template="sweep.gp",
        title=f"{ident}: how the cost grows with {name}",
        caption=(
            f"Both axes are logarithmic; {name} = {parameter.get('meaning') or 'the parameter'}. "
            "The dotted line is growth in proportion to it. A value of 0 lies on the line marked 0."
        ),
        pitfall=ident,
    )
    by_cell = mapping(pitfall.get("sweep"))
    cell = focus_cell([str(c) for c, swept in by_cell.items() if any(mapping(swept).values())])
    swept = mapping(by_cell.get(cell or ""))
    panels = _panels(pitfall, swept)
    if cell is None or not panels:
        plan.skipped = "no sweep was measured"
        yield plan
        return
    plan.title += f", {cell}"
    _fill(plan, pitfall, panels)
    yield plan


def _panels(pitfall: Json, swept: Json) -> dict[str, dict[str, Line]]:
    """metric -> variant -> line, for the metrics that tell something."""
    names: dict[str, None] = {}
    parameter = mapping(pitfall.get("parameter")).get("name")
    for points in swept.values():
        for point in sequence(points):
            for metric in mapping(mapping(point).get("metrics")):
                if metric not in METRICS and metric not in BOOKKEEPING and metric != parameter:
                    names.setdefault(str(metric))
    order = dict.fromkeys((*_COSTS, *names, *_COMMON))
    chosen: dict[str, dict[str, Line]] = {}
    for metric in order:
        lines: dict[str, Line] = {}
        for _, group in pair_variants(pitfall):
            found = {v: line for v in group if len(line := _line(swept.get(v), metric)) >= 2}
            if any(y > 0 for line in found.values() for _, y in line):
                lines.update(found)  # a pair that this metric says nothing about stays out
        moving = any(len({y for _, y in line}) > 1 for line in lines.values())
        if moving and not _alike(list(lines.values())) and len(chosen) < _MOST_PANELS:
            chosen[metric] = lines
    return chosen


def _alike(lines: Sequence[Line]) -> bool:
    """True where every variant costs the same: a panel that would show one line."""
    return len(lines) > 1 and all(
        len(line) == len(lines[0])
        and all(math.isclose(a[1], b[1], rel_tol=0.01) for a, b in zip(line, lines[0]))
        for line in lines[1:]
    )


def _line(points: object, metric: str) -> Line:
    line = []
    for point in sequence(points):
        x = number(mapping(point).get("n"))
        y = estimate(mapping(mapping(point).get("metrics")).get(metric)).value
        if x is not None and x > 0 and y is not None and y >= 0:
            line.append((x, y))
    return sorted(line)


def _fill(plan: Plan, pitfall: Json, panels: dict[str, dict[str, Line]]) -> None:
    parameter = mapping(pitfall.get("parameter"))
    variants = [v for _, group in pair_variants(pitfall) for v in group]
    variants = [v for v in variants if any(v in lines for lines in panels.values())]
    every_x = [x for lines in panels.values() for line in lines.values() for x, _ in line]
    rows: list[list[float | None]] = []
    guides: list[list[float | None]] = []
    ylow, yhigh, ytics = [], [], []
    any_zero = False
    for metric, lines in panels.items():
        positive = [y for line in lines.values() for _, y in line if y > 0]
        zero = any(y == 0 for line in lines.values() for _, y in line)
        any_zero = any_zero or zero
        least, most = min(positive), max(positive)
        floor = least / max(2.0, (most / least) ** 0.15) if zero else 0.0
        ylow.append((floor or least) / 1.8)
        yhigh.append(most * 2.2)
        unit = describe(metric).unit
        bottom = least / 1.3 if zero else ylow[-1]
        tics = log_tics(bottom, yhigh[-1], unit if unit in ("B", "ns") else "1", most=6)
        ytics.append([*([("0", floor)] if zero else []), *tics])
        for variant in variants:
            rows += [[x, y or floor] for x, y in lines.get(variant, [])] or [[None, None]]
            rows += [[], []]
        x0, x1 = min(every_x), max(every_x)
        start = max(x0, x1 * least / most)  # a guide below the least value would say nothing
        guides += [[start, most * start / x1], [x1, most], [], []]
    plan.number("WIDTH", 420 + 300 * (len(panels) - 1) if len(panels) > 1 else 560)
    plan.number("HEIGHT", 370 + 19 * len(variants))
    plan.number("PANELS", len(panels))
    plan.number("VARIANTS", len(variants))
    plan.number("XMIN", min(every_x) / 1.4)
    plan.number("XMAX", max(every_x) * 1.4)
    unit = "B" if parameter.get("unit") in ("B", "bytes") else "1"
    plan.tics("XTICS", log_tics(min(every_x), max(every_x), unit, most=4))
    name = str(parameter.get("name") or "n")
    units = "" if unit == "B" else f"{parameter.get('unit') or 'count'}, "
    plan.text("XLABEL", f"{name} ({units}log scale)")
    plan.text("KEY", f"dotted: in proportion to {name}"
              + ("   ·   0 has a line of its own below the log scale" if any_zero else ""))
    plan.texts("PANEL_TITLES", [title_of(metric) for metric in panels])
    for index, tics in enumerate(ytics, 1):
        plan.tics(f"YTICS{index}", tics)
    plan.numbers("YLOW", ylow)
    plan.numbers("YHIGH", yhigh)
    plan.texts("NAMES", [_name(pitfall, v) for v in variants])
    plan.block("lines", rows)
    plan.block("guides", guides)
    plan.alt = plan.title + ". " + "; ".join(
        f"{title_of(metric)} of {v}: exponent {_exponent(line)}"
        for metric, lines in panels.items()
        for v, line in lines.items()
    )


def _name(pitfall: Json, variant: str) -> str:
    label = label_of(pitfall, variant)
    return variant if label == variant else f"{variant}: {label}"


def _exponent(line: Line) -> str:
    (x0, y0), (x1, y1) = line[0], line[-1]
    if y0 <= 0 or y1 <= 0 or x0 == x1:
        return "none, the value is 0 somewhere"
    return f"{math.log(y1 / y0) / math.log(x1 / x0):.2f}"
