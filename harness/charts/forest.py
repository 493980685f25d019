"""Forest plot: bad over fixed with its interval, a row a cell, a dashed line at "no difference"."""

from __future__ import annotations

from harness.charts.model import Cell, Plan, file_name
from harness.charts.scale import log_tics
from harness.report_view import (
    Estimate,
    Json,
    cells_of,
    comparisons,
    focus_cell,
    pitfalls_of,
    ratio_of,
    ratio_text,
)

_WORDS = {
    "ns_per_op": ("time", "How many times as long the bad variant takes"),
    "peak_rss_b": ("memory", "How many times as much memory the bad variant needs at its peak"),
}
_ROW = 15
_GAP_ROWS = 0.7


def plan(summary: Json, metric: str) -> Plan:
    short, title = _WORDS[metric]
    chart = Plan(
        name=file_name("forest", short),
        template="forest.gp",
        title=title,
        caption=(
            "Bad over fixed, the median of the rounds' own ratios with its 95 % interval, on a log "
            "scale. Right of the dashed line at 1× the fix helps; a bar that crosses the line "
            "shows no difference. Circles are gcc, triangles are clang or another compiler."
        ),
    )
    rows: list[list[Cell]] = []
    heads: list[list[Cell]] = []
    labels: list[list[Cell]] = []
    numbers: list[list[Cell]] = []
    found: list[float] = []
    y = 0.0
    for pitfall in pitfalls_of(summary):
        for comparison in comparisons(pitfall):
            cells = cells_of({"pitfalls": [pitfall]})
            ratios = {cell: ratio_of(pitfall, cell, comparison, metric) for cell in cells}
            if not any(_drawable(one) for one in ratios.values()):
                continue
            y -= _GAP_ROWS
            heads.append([y, f"{pitfall.get('id')}: {comparison.bad} against {comparison.fix}"])
            for cell, one in ratios.items():
                y -= 1
                labels.append([y, cell])
                if not _drawable(one) or one.value is None:
                    numbers.append([y, "not measured"])
                    continue
                low, high = one.low or one.value, one.high or one.value
                found += [low, high]
                other = 0 if cell.split("-")[0] == "gcc" else 1
                rows.append([one.value, y, low, high, other])
                numbers.append([y, _numbers(one)])
            y -= 1
    if not rows:
        chart.skipped = f"no ratio of {short} was measured"
        return chart
    least, most = min([*found, 1 / 1.15]) / 1.08, max([*found, 1.15]) * 1.08
    chart.number("WIDTH", 960)
    chart.number("HEIGHT", 125 + _ROW * -y)
    chart.number("YMIN", y + 0.3)
    chart.number("XMIN", least)
    chart.number("XMAX", most)
    chart.tics("XTICS", log_tics(least, most, "x"))
    chart.text("XLABEL", f"{short}, bad / fixed (log scale)")
    chart.block("rows", rows)
    chart.block("heads", heads)
    chart.block("labels", labels)
    chart.block("numbers", numbers)
    chart.alt = f"{title}. {_in_words(summary, metric)}"
    return chart


def _drawable(one: Estimate) -> bool:
    return one.value is not None and one.value > 0


def _numbers(one: Estimate) -> str:
    text = ratio_text(one.value)
    if not one.spread:
        return text
    return f"{text}  ({ratio_text(one.low, '')} to {ratio_text(one.high, '')})"


def _in_words(summary: Json, metric: str) -> str:
    cell = focus_cell(cells_of(summary))
    said = []
    for pitfall in pitfalls_of(summary):
        for comparison in comparisons(pitfall):
            one = ratio_of(pitfall, cell or "", comparison, metric)
            if one.known:
                said.append(f"{pitfall.get('id')} {comparison.fix} {ratio_text(one.value)}")
    return f"On {cell}: " + ", ".join(said)
