"""Resident memory of each program of a soak over time, a panel each from 0, with the trend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from harness.charts.model import Cell, Plan
from harness.charts.scale import time_tics, unit_for
from harness.flatness import HOUR_S, gaps
from harness.metrics import show
from harness.soak_rows import Soaked, in_words

NAME = "soak"
_MOST_POINTS = 1500  # of a panel
_UNITS = ((3600.0, "hours", 3 * 3600.0), (60.0, "minutes", 180.0), (1.0, "seconds", 0.0))


def plan(soaked: Sequence[Soaked], titles: dict[str, str]) -> Plan:
    """One chart for all programs."""
    chart = Plan(
        name=NAME, template="soak.gp",
        title="Resident memory of programs whose live size is constant",
        caption=("Resident memory (RSS). What is left of the dotted line is the warm-up and is not"
                 " judged; the dashed line is the trend of the blocks' medians (Theil and Sen),"
                 " whose growth stands above with its 95 % interval. The line is broken where no"
                 " sample was taken."))
    shown = [one for one in soaked if len(one.t_s) >= 2]
    if not shown:
        chart.skipped = "no program ran long enough"
        return chart
    longest_s = max(one.t_s[-1] for one in shown)
    divisor_s, unit = next((d, name) for d, name, least in _UNITS if longest_s >= least)
    chart.number("WIDTH", 960)
    chart.number("HEIGHT", 90 + 205 * len(shown))
    chart.number("PANELS", len(shown))
    chart.number("XMAX", longest_s / divisor_s)
    tics = time_tics(longest_s / divisor_s, 13)
    chart.tics("XTICS", tics)
    chart.text("BARE_XTICS", ", ".join(f"{at:g}" for _, at in tics))
    chart.text("XLABEL", f"time ({unit})")
    rows: list[list[Cell]] = []
    trends: list[list[Cell]] = []
    units = [unit_for(max(one.rss_b), "B") for one in shown]
    for one, (divisor_b, _) in zip(shown, units):
        for block, lines in ((rows, _lines(one.t_s, one.rss_b)), (trends, [_trend(one)])):
            for points in lines:
                block += [[t / divisor_s, b / divisor_b] for t, b in points] or [[None, None]]
                block.append([])
            block.append([])
    chart.texts("NAMES", [titles.get(one.name, one.name) for one in shown])
    chart.texts("NOTES", [_note(one) for one in shown])
    chart.texts("YLABELS", [name for _, name in units])
    chart.numbers("YMAX", [1.15 * max(one.rss_b) / divisor for one, (divisor, _) in
                           zip(shown, units)])
    chart.numbers("WARM_UP", [min(one.trend.warm_up_s, longest_s) / divisor_s for one in shown])
    chart.numbers("BROKEN", [int(one.broken) for one in shown])
    chart.block("series", rows)
    chart.block("trends", trends)
    chart.alt = f"{chart.title}. " + "; ".join(f"{one.name}: {_note(one)}" for one in shown)
    return chart


def _note(one: Soaked) -> str:
    words = [show(one.trend.level_b, "B"), in_words(one)] if one.trend.blocks else []
    collections = one.most.get("collections")
    words += [f"{collections:,.0f} collections"] if collections is not None else []
    return "   ·   ".join([*words, one.verdict])


def _trend(one: Soaked) -> list[tuple[float, float]]:
    """The ends of a line with the trend's slope, through the level in the middle."""
    found = one.trend
    if found.level_b is None or found.growth is None:
        return []
    half_s = (one.t_s[-1] - found.warm_up_s) / 2
    rise_b = found.level_b * found.growth * half_s / HOUR_S
    return [(found.warm_up_s, found.level_b - rise_b), (one.t_s[-1], found.level_b + rise_b)]


def _lines(t_s: Sequence[float], rss_b: Sequence[float]) -> list[list[tuple[float, float]]]:
    """The series, thinned: a line up to each gap."""
    series = list(zip(t_s, rss_b))
    ends = {before for before, _ in gaps(t_s)}
    cuts = [0, *(i + 1 for i, t in enumerate(t_s) if t in ends), len(series)]
    step = 2 * len(series) // _MOST_POINTS
    return [_thin(series[a:b], step) for a, b in pairwise(cuts)]


def _thin(series: Sequence[tuple[float, float]], step: int) -> list[tuple[float, float]]:
    """Of many points the least and the greatest of each stretch, so that no peak is lost."""
    if step < 2:
        return list(series)
    kept: list[tuple[float, float]] = []
    for first in range(0, len(series), step):
        part = series[first:first + step]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return kept
