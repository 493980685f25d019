"""report.html: one self-contained page of a run, readable offline, on paper and on a telephone.

The page is built in two steps: `context` turns the summary into plain rows of text (pure; this is
what the tests look at), and a template with autoescape turns rows into HTML. Pictures are inlined
as SVG; nothing is fetched and no script is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness import report_tables as tables
from harness import store
from harness.charts.model import Chart
from harness.report_view import (
    Json,
    cells_of,
    comparisons,
    count_text,
    focus_cell,
    is_control,
    left_out_of,
    mapping,
    notes_of,
    pitfalls_of,
    rounds_of,
    sequence,
    text,
    unjudged,
)

_TEMPLATES = Path(__file__).parent / "templates"
_FILE = "report.html"
BESIDE = ("fidelity", "soak")  # targets whose figures a report shows beside those of its run


def write(summary: Mapping[str, Any], charts: Sequence[Chart], out: Path,
          beside: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """Writes the page into the folder `out` (or to `out`, if that ends in .html), atomically.
    beside: what is in fidelity.json and soak.json, by target, as far as they were made."""
    path = out if out.suffix == ".html" else out / _FILE
    store.replace_file(path, render(summary, charts, beside))
    return path


def render(summary: Mapping[str, Any], charts: Sequence[Chart],
           beside: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(context(summary, charts, beside))


def context(summary: Json, charts: Sequence[Chart],
            beside: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Everything the template prints, as text."""
    others = {name: (beside or {}).get(name, {}) for name in BESIDE}
    cells = cells_of(summary)
    focus = focus_cell(cells)
    run = mapping(summary.get("run"))
    pitfalls = pitfalls_of(summary)
    return {
        "run": str(run.get("run") or "unnamed"),
        "started": str(run.get("started") or "an unknown time"),
        "facts": tables.run_facts(summary),
        "notes": notes_of(summary),
        "focus": focus or "no cell",
        "cells": cells,
        "anchor_of": {str(p.get("id")): anchor(str(p.get("id"))) for p in pitfalls},
        "headline": tables.headline(summary, focus) if focus else [],
        "totals": tables.totals(summary),
        "failures": tables.failures(summary),
        "failed_programs": tables.failed_programs(summary),
        "unjudged": unjudged(summary),
        "figures": [_figure(c) for c in charts
                    if c.pitfall is None and c.name not in ("flags", "soak")],
        "flag_figures": [_figure(c) for c in charts if c.name == "flags"],
        "flags": tables.flag_table(summary),
        "pitfalls": [_section(p, charts, summary) for p in pitfalls if not is_control(p)],
        "controls": [_section(p, charts, summary) for p in pitfalls if is_control(p)],
        "left_out": left_out_of(summary),
        "fidelity": tables.fidelity(others["fidelity"]),
        "soak": tables.soak(others["soak"]),
        "soak_figures": [_figure(c) for c in charts if c.name == "soak"],
        "commits": {name: str(found.get("git") or "unknown")[:12]
                    for name, found in others.items()},
        "rounds": rounds_of(summary) or "several",
        "sample": _sample(pitfalls, focus),
    }


def _section(pitfall: Json, charts: Sequence[Chart], summary: Json) -> dict[str, Any]:
    ident = str(pitfall.get("id"))
    cells = cells_of({"pitfalls": [pitfall]})
    order = [cell for cell in cells_of(summary) if cell in cells]
    mine = [chart for chart in charts if chart.pitfall == ident]
    return {
        "id": ident,
        "anchor": anchor(ident),
        "title": str(pitfall.get("title") or ident),
        "summary": str(pitfall.get("summary") or ""),
        "documented": str(pitfall.get("documented") or ""),
        "parameter": _parameter(mapping(pitfall.get("parameter"))),
        "cells": order,
        "value_only": bool(pitfall.get("value_only")),
        "variants": tables.variants(pitfall),
        "comparisons": tables.comparison_rows(pitfall, order),
        "numbers": tables.numbers(pitfall, order),
        "explanations": tables.explanations(pitfall),
        "laws": tables.laws(pitfall, order),
        "outcomes": tables.outcomes(pitfall, order),
        "detectors": tables.detectors(pitfall, order),
        "figures": [_figure(chart) for chart in mine if chart.skipped is None],
        "skipped": [(chart.title, str(chart.skipped)) for chart in mine if chart.skipped],
        "sample": _sample([pitfall], focus_cell(cells)),
    }


def anchor(ident: str) -> str:
    return "p-" + re.sub(r"[^A-Za-z0-9-]+", "-", ident)


def _figure(chart: Chart) -> dict[str, Any]:
    skipped = chart.skipped
    picture = Markup("")
    if skipped is None:
        try:
            picture = inline_svg(chart)
        except (OSError, ValueError) as error:
            skipped = f"the picture cannot be read: {error}"
    return {
        "title": chart.title,
        "caption": chart.caption,
        "svg": picture,
        "skipped": skipped,
        "png": chart.png.name,
        "wide": "forest" in chart.name,
    }


def inline_svg(chart: Chart) -> Markup:
    """The picture's <svg> element with a text alternative and ids of its own.

    Every picture of gnuplot uses the same ids, so on one page they need a prefix.
    """
    content = chart.svg.read_text(encoding="utf-8")
    start = content.find("<svg")
    if start < 0 or "<script" in content.lower():
        raise ValueError(f"{chart.svg.name} is not a plain SVG picture")
    content = content[start:]
    prefix = re.sub(r"[^A-Za-z0-9_-]", "_", chart.name) + "-"
    content = re.sub(r"""\bid=(["'])""", rf"id=\g<1>{prefix}", content)
    content = re.sub(r"""href=(["'])#""", rf"href=\g<1>#{prefix}", content)
    content = re.sub(r"url\((['\"]?)#", rf"url(\g<1>#{prefix}", content)
    content = re.sub(r"<(title|desc)>.*?</\1>\s*", "", content, flags=re.DOTALL)
    label = escape(chart.alt or chart.title, quote=True)
    return Markup(content.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))


def _parameter(parameter: Json) -> str | None:
    name = parameter.get("name")
    if not name:
        return None
    unit = str(parameter.get("unit") or "")

    def value(x: object) -> str:
        return text("parameter_b", x) if unit == "B" and isinstance(x, int) else count_text(x)

    words = f"{name} = {value(parameter.get('default'))}"
    words += f" {unit}" if unit and unit != "B" else ""
    words += f": {parameter.get('meaning')}" if parameter.get("meaning") else ""
    sweep = sequence(parameter.get("sweep"))
    if sweep:
        words += f"; swept over {', '.join(value(x) for x in sweep)}"
    return words


def _sample(pitfalls: Sequence[Json], cell: str | None) -> str:
    for pitfall in pitfalls:
        for one in comparisons(pitfall):
            return f"{pitfall.get('id')}/{one.bad}/{cell}/r01/timed"
    return "PITFALL/VARIANT/CELL/ROUND/timed"
