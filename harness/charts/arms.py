"""Forest plot of a comparison: each arm over the reference, with its interval and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from harness.charts.model import Cell, Plan
from harness.charts.scale import log_tics
from harness.compare_rows import TELLING, Found
from harness.compare_rows import Plan as Arms
from harness.compare_rows import short
from harness.verdicts import BETTER, WORSE

NAME = "compare"
_ROW = 15
_GAP_ROWS = 0.7
_POINT = {WORSE: 1, BETTER: 2}
_CHARACTER = 0.0085  # of the width



def plan(found: Sequence[Found], arms: Arms) -> Plan:
    """Time and memory of every subject; of a single subject all that has an interval."""
    chart = Plan(
        name=NAME, template="forest.gp", title="Each arm over A: " + arms.titles[0],
        caption=("The median of the rounds' own ratios with its 95 % interval, on a log scale. "
                 "Circles are the same or unclear, triangles up are worse, triangles down "
                 "better."))
    chosen = [one for one in found if one.row.ratio.value and one.row.ratio.low is not None
              and one.row.ratio.value > 0
              and (one.row.metric in TELLING or len(arms.subjects) == 1)]
    if not chosen:
        chart.skipped = "no ratio has an interval"
        return chart
    rows: list[list[Cell]] = []
    heads: list[list[Cell]] = []
    labels: list[list[Cell]] = []
    numbers: list[list[Cell]] = []
    bounds: list[float] = []
    y = 0.0
    many = len(arms.arms) > 2
    for metric, group in groupby(chosen, key=lambda one: one.row.metric):
        y -= _GAP_ROWS
        heads.append([y, short(metric)])
        for one in group:
            ratio = one.row.ratio
            if ratio.value is None or ratio.low is None or ratio.high is None:
                continue
            y -= 1
            bounds += [ratio.low, ratio.high]
            labels.append([y, one.row.subject + (f" {one.arm}" if many else "")])
            rows.append([ratio.value, y, ratio.low, ratio.high,
                         _POINT.get(one.row.verdict, 0)])
            numbers.append([y, f"{ratio.value:.3f}  {one.row.verdict}"])
        y -= 1
    least, most = min([*bounds, 1 / 1.15]) / 1.05, max([*bounds, 1.15]) * 1.05
    chart.number("WIDTH", 960)
    chart.number("HEIGHT", 125 + _ROW * -y)
    chart.number("LEFT", max(0.13, 0.03 + _CHARACTER * max(len(str(l[1])) for l in labels)))
    chart.number("YMIN", y + 0.3)
    chart.number("XMIN", least)
    chart.number("XMAX", most)
    chart.tics("XTICS", log_tics(least, most, "x"))
    chart.text("XLABEL", "arm / A (log scale)")
    chart.block("rows", rows)
    chart.block("heads", heads)
    chart.block("labels", labels)
    chart.block("numbers", numbers)
    chart.alt = f"{chart.title}. " + ", ".join(
        f"{one.row.subject} {short(one.row.metric)} {one.row.ratio.value:.3f}"
        for one in chosen[:12] if one.row.ratio.value)
    return chart
