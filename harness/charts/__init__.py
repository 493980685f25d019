"""The charts of a run: data out of the summary, gnuplot templates out of plots/, SVG and PNG.

    summary.json -> one Plan a chart (pure) -> NAME.dat -> gnuplot -> NAME.svg, NAME.png

The same summary gives the same bytes. A chart that cannot be drawn (no gnuplot, no data) comes
back with the reason in `skipped`; drawing never stops a run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.charts import arms, engine, flags, forest, pauses, rss, sweep, throughput
from harness.charts.model import Chart, Plan
from harness.report_view import is_control, pitfalls_of

__all__ = ["arms", "Chart", "Plan", "draw", "draw_plan", "plans"]

_KINDS = ("flags", "forest", "pauses", "rss", "sweep", "throughput")


def plans(summary: Mapping[str, Any]) -> Iterator[Plan]:
    """Every chart of the run, those of the whole run first. What a value shows is no chart."""
    yield forest.plan(summary, "ns_per_op")
    yield forest.plan(summary, "peak_rss_b")
    yield flags.plan(summary)
    for pitfall in pitfalls_of(summary):
        if is_control(pitfall) or pitfall.get("value_only"):
            continue
        yield from rss.plans(pitfall)
        yield from throughput.plans(pitfall)
        yield from pauses.plans(pitfall)
        yield from sweep.plans(pitfall)


def draw(
    summary: Mapping[str, Any], out: Path, *, gnuplot: str = "gnuplot", templates: Path
) -> list[Chart]:
    """Draws every chart into the folder `out`; pictures of an earlier run are replaced."""
    out.mkdir(parents=True, exist_ok=True)
    missing: str | None = None
    program = gnuplot
    try:
        program = engine.find(gnuplot)
    except engine.DrawError as error:
        missing = str(error)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        charts = list(pool.map(lambda plan: _draw_one(plan, out, program, templates, missing),
                               plans(summary)))
    _forget_others(out, {chart.name for chart in charts if chart.skipped is None})
    return charts


def draw_plan(plan: Plan, out: Path, *, gnuplot: str = "gnuplot", templates: Path) -> Chart:
    """Draws one chart that is not of a bench run."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        return _draw_one(plan, out, engine.find(gnuplot), templates, None)
    except engine.DrawError as error:
        return _draw_one(plan, out, gnuplot, templates, str(error))


def _draw_one(
    plan: Plan, out: Path, program: str, templates: Path, missing: str | None
) -> Chart:
    svg, png, data = (out / f"{plan.name}{suffix}" for suffix in (".svg", ".png", ".dat"))
    skipped = plan.skipped or missing
    if skipped is None:
        try:
            _write(data, plan.content())
            for picture in (svg, png):
                engine.render(program, templates / plan.template, data, picture)
        except engine.DrawError as error:
            skipped = str(error)
    return Chart(
        name=plan.name,
        title=plan.title,
        caption=plan.caption,
        svg=svg,
        png=png,
        data=data if skipped is None else None,
        skipped=skipped,
        pitfall=plan.pitfall,
        alt=plan.alt or plan.title,
    )


def _write(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(content, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise engine.DrawError(f"{error.strerror or error}: {path.name}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _forget_others(out: Path, drawn: set[str]) -> None:
    """Removes our pictures of an earlier run that this run does not have: none may look current."""
    for path in out.iterdir():
        ours = path.suffix in (".svg", ".png", ".dat") and path.stem.split("-")[0] in _KINDS
        if ours and path.stem not in drawn:
            path.unlink(missing_ok=True)
