"""Resident memory over time: one panel a variant, the same height scale, collections marked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.charts.model import Plan, file_name, shorten
from harness.charts.scale import thin, time_tics, unit_for
from harness.metrics import show
from harness.report_view import (
    Json,
    cells_of,
    focus_cell,
    label_of,
    mapping,
    number,
    pair_variants,
    sequence,
    values_of,
    variant_of,
)

_MOST_MARKS = 250
_EXEC_B = 128 << 10  # a running program is never this small


def plans(pitfall: Json) -> Iterator[Plan]:
    """One chart a pair of the pitfall."""
    cell = _cell(pitfall)
    for index, (pair, variants) in enumerate(pair_variants(pitfall)):
        yield _plan(pitfall, cell, variants, "" if index == 0 else pair)


def _cell(pitfall: Json) -> str | None:
    """The preferred cell among those that were observed; observing is done on few."""
    observed = [
        cell
        for cell in cells_of({"pitfalls": [pitfall]})
        if any(_line(pitfall, cell, v) for _, vs in pair_variants(pitfall) for v in vs)
    ]
    return focus_cell(observed)


def _line(pitfall: Json, cell: str, variant: str) -> list[tuple[float, float]]:
    timeline = mapping(variant_of(pitfall, cell, variant).get("timeline"))
    times, sizes = sequence(timeline.get("t_ns")), sequence(timeline.get("rss_b"))
    pairs = ((number(t), number(b)) for t, b in zip(times, sizes))
    line = [(t, b) for t, b in pairs if t is not None and b is not None]
    empty = [index for index, (_, size) in enumerate(line) if size < _EXEC_B]
    # Memory is nearly 0 while the program replaces the launcher: what is before is not it.
    return line[empty[-1] + 1 :] if empty else line


def _plan(pitfall: Json, cell: str | None, variants: list[str], suffix: str) -> Plan:
    ident = str(pitfall.get("id"))
    parts = ["rss", ident, suffix] if suffix else ["rss", ident]
    title = f"{ident}{f' ({suffix})' if suffix else ''}: resident memory over time"
    plan = Plan(
        name=file_name(*parts),
        template="rss.gp",
        title=f"{title}, {cell}",
        caption=(
            "Resident memory (RSS) of one observed run of each variant from its start, all on the "
            "same height scale. The dotted upright line is where the timed region begins; before "
            "it lies a warm-up. Each tick at the foot is a collection of the timed region. The "
            "dashed line is the peak of the bad variant."
        ),
        pitfall=ident,
    )
    lines = {v: _line(pitfall, cell, v) for v in variants} if cell else {}
    shown = [v for v in variants if len(lines.get(v, [])) >= 2]
    if cell is None or not shown:
        plan.skipped = "no run of this pitfall was observed over time"
        return plan
    peaks = {v: max(size for _, size in lines[v]) for v in shown}
    divisor, unit = unit_for(max(peaks.values()), "B")
    plan.number("WIDTH", 960)
    plan.number("HEIGHT", 402)
    plan.number("PANELS", len(shown))
    plan.number("YMAX", max(peaks.values()) / divisor * 1.25)
    plan.number("BAD_PEAK", peaks[shown[0]] / divisor if shown[0] == variants[0] else -1)
    plan.text("YLABEL", f"resident memory ({unit})")
    plan.text("KEY", _key(shown[0] == variants[0]))
    plan.texts("NAMES", [shorten(_name(pitfall, v), 112 // len(shown)) for v in shown])
    plan.texts("PEAKS", [f"peak {show(peaks[v], 'B')}" for v in shown])
    plan.texts("COUNTS", [_count(pitfall, cell, v) for v in shown])
    plan.numbers("ROLES", [variants.index(v) for v in shown])
    rows: list[list[Any]] = []
    marks: list[list[Any]] = []
    units: list[str] = []
    ends: list[float] = []
    begins: list[float] = []
    for variant in shown:
        times = [t for t, _ in lines[variant]]
        scale, name = unit_for(max(max(times) - min(times), 1.0), "ns")
        units.append(name)
        start = min(times)
        right = max((max(times) - start) / scale, 1e-6)
        ends.append(right)
        begins.append(-start / scale if start < 0 else -1.0)
        most = 4 if len(shown) > 2 else 6
        plan.tics(f"XTICS{len(units)}", time_tics(right, most))
        rows += [[(t - start) / scale, size / divisor] for t, size in lines[variant]]
        within = [
            at for at in values_of(pitfall, cell, variant, "collections_at_ns")
            if min(times) <= at <= max(times)
        ]
        marks += [[(at - start) / scale] for at in thin(sorted(within), _MOST_MARKS)] or [[None]]
        rows += [[], []]
        marks += [[], []]
    plan.texts("TIME_UNITS", units)
    plan.numbers("XMAX", ends)
    plan.numbers("BEGINS", begins)
    plan.block("runs", rows)
    plan.block("marks", marks)
    plan.alt = title + " on " + cell + ": " + "; ".join(
        f"{_name(pitfall, v)}, peak {show(peaks[v], 'B')}, {_count(pitfall, cell, v)}"
        for v in shown
    )
    return plan


def _key(with_peak: bool) -> str:
    """What the lines and ticks mean, in the picture itself."""
    words = ["dotted line: the timed region begins", "tick at the foot: a collection"]
    return "   ·   ".join([*words, "dashed line: peak of bad"] if with_peak else words)


def _name(pitfall: Json, variant: str) -> str:
    label = label_of(pitfall, variant)
    return variant if label == variant else f"{variant}: {label}"


def _count(pitfall: Json, cell: str, variant: str) -> str:
    count = len(values_of(pitfall, cell, variant, "collections_at_ns"))
    word = "collection" if count == 1 else "collections"
    return f"{count or 'no'} {word}"
