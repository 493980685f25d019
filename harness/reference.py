"""The reference run: a stored run that the READMEs quote, and the tables they take from it.

`python3 -m harness reference` copies what the documents need of results/latest/ to
results/reference/ and writes the tables between the marks of each README anew. The text outside the
marks is never touched.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import store, validate
from harness.catalog import load
from harness.fault import Fault
from harness.metrics import exact
from harness.project import Project
from harness.report_view import (
    Comparison,
    Json,
    cells_of,
    comparisons,
    focus_cell,
    interval_text,
    is_control,
    label_of,
    laws_of,
    metric_of,
    pitfalls_of,
    ratio_of,
    ratio_text,
    tally,
    text,
    variant_of,
)

FOLDER = "reference"
BEGIN, END = "<!-- numbers:begin -->", "<!-- numbers:end -->"
CHARTS = ("rss-slice-retention", "flags")  # the pictures of the README
# Of the last such runs, if there were any
PAGES = ("peers.md", "validate.md", "fidelity.md", "plots/soak.png")
_HEADLINES = {
    "retained_b": "kept for ever", "open_fds": "descriptors open", "held_b": "held at once",
    "copied_b": "copied", "alloc_b_per_op": "allocated each time",
}
_DROPPED = frozenset({"values", "pauses_ns", "timeline", "collections_at_ns", "sweep"})
_COLUMNS = ("allocs_per_op", "retained_b", "peak_rss_b", "ns_per_op")


def folder(project: Project) -> Path:
    """results/reference/ of the checkout, wherever OUT points."""
    return project.root / "results" / FOLDER


def renew(project: Project) -> list[Path]:
    """Makes the latest run the reference; returns the files that were written."""
    source = project.latest / "summary.json"
    if not source.exists():
        raise Fault(f"{source} is missing: run make bench first")
    summary = slim(json.loads(source.read_text()))
    if summary["run"]["settings"].get("quick"):
        raise Fault(f"{source} is of a quick run, which gives no figures to quote: make bench")
    taken = summary.get("taken") or {}
    if taken.get("samples", 0) < taken.get("planned", 0):
        raise Fault(f"{source} is of an interrupted run, which gives no figures to quote: make"
                    " bench RESUME=1")
    target = folder(project)
    target.mkdir(parents=True, exist_ok=True)
    compact = json.dumps(summary, ensure_ascii=False, separators=(",", ":"))
    store.replace_file(target / "summary.json", compact + "\n")
    written = [target / "summary.json"]
    for name in CHARTS:
        chart = project.latest / "plots" / f"{name}.png"
        if not chart.exists():
            raise Fault(f"{chart} is missing: draw it with make report")
        shutil.copy(chart, target / chart.name)
        written.append(target / chart.name)
    for name in PAGES:
        page = project.latest / name
        if page.exists() and validate.CUT.encode() not in page.read_bytes():
            written.append(target / page.name)
            shutil.copy(page, written[-1])
    return written + fill(project, summary)


def slim(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary without single values, sweeps and timelines, with six digits; of figures that are
    not there nothing is kept, and of intervals that are not, no reason."""
    def without(value: Any) -> Any:
        if isinstance(value, Mapping):
            found = value.get("median", value.get("ratio")) is not None
            return {key: without(item) for key, item in value.items()
                    if key not in _DROPPED and not (key == "reason" and (found or item is None))
                    and not (isinstance(item, Mapping) and _is_missing(item))}
        if isinstance(value, list):
            return [without(item) for item in value]
        return float(f"{value:.6g}") if isinstance(value, float) else value

    return {key: without(value) for key, value in summary.items() if key != "cells"}


def _is_missing(figure: Mapping[str, Any]) -> bool:
    return any(key in figure and figure[key] is None for key in ("median", "ratio"))


def fill(project: Project, summary: Json) -> list[Path]:
    """Writes the tables of every README; returns the files."""
    written = [_between_marks(project.root / "README.md", overview(summary))]
    by_id = {pitfall["id"]: pitfall for pitfall in summary["pitfalls"]}
    for pitfall in load(project):
        readme = project.pitfalls / pitfall.id / "README.md"
        if pitfall.id in by_id and readme.exists():
            written.append(_between_marks(readme, detail(summary, by_id[pitfall.id])))
    return written


def _between_marks(path: Path, body: str) -> Path:
    whole = path.read_text()
    marked = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not marked.search(whole):
        raise Fault(f"{path} has no place for numbers: put {BEGIN} and {END} into it")
    store.replace_file(path, marked.sub(lambda _: f"{BEGIN}\n{body}\n{END}", whole, count=1))
    return path


def source_line(summary: Json) -> str:
    """Which run the numbers are from, in words."""
    run = summary["run"]
    machine = run["machine"]
    cpus = machine.get("cpus")
    return (f"Run `{run['run']}`: {run['settings']['rounds']} rounds, {machine.get('cpu_model')},"
            f" {cpus} processors, {len(cells_of(summary))} cells; `results/{FOLDER}/summary.json`.")


def overview(summary: Json) -> str:
    """The table of all pitfalls at one cell, as Markdown."""
    cell = focus_cell(cells_of(summary)) or ""
    rows = [f"| pitfall, at {cell} | bad → fixed | what it shows | allocations | peak RSS |"
            " time, bad / fixed | laws held, all cells |", "|---|---|---|---|---|---|---|"]
    for pitfall in pitfalls_of(summary):
        if is_control(pitfall):
            continue
        rows += [_overview_row(summary, pitfall, cell, one) for one in comparisons(pitfall)]
    return "\n".join([*rows, "", source_line(summary)])


def _overview_row(summary: Json, pitfall: Json, cell: str, one: Comparison) -> str:
    def both(metric: str) -> str:
        return " → ".join(_shown(pitfall, cell, v, metric) for v in (one.bad, one.fix))

    time = ratio_of(pitfall, cell, one, "ns_per_op")
    judged = [law for each in cells_of(summary) for law in laws_of(pitfall, each, one)]
    held, _, total = _held(judged)
    name = f"[{pitfall['id']}](pitfalls/{pitfall['id']}/README.md)"
    return (f"| {name} | {label_of(pitfall, one.bad)} → {label_of(pitfall, one.fix)} |"
            f" {_headline(pitfall, cell, one)} | {both('allocs_per_op')} | {both('peak_rss_b')} |"
            f" {_ratio(time.value, time.low, time.high)} | {held}/{total} |")


def _headline(pitfall: Json, cell: str, one: Comparison) -> str:
    """The first of the lesson's metrics that differs between the two, or else the outcomes."""
    for metric, words in _HEADLINES.items():
        bad, fix = (metric_of(pitfall, cell, v, metric).value for v in (one.bad, one.fix))
        if bad is not None and fix is not None and bad > 2 * fix:
            return f"{text(metric, bad)} → {text(metric, fix)} {words}"
    outcomes = [variant_of(pitfall, cell, v).get("outcome") for v in (one.bad, one.fix)]
    return " → ".join(str(outcome or "–") for outcome in outcomes)


def _held(judged: list[Json]) -> tuple[int, int, int]:
    held, broken, unknown = tally(judged)
    return held, broken, held + broken + unknown


def _shown(pitfall: Json, cell: str, variant: str, metric: str) -> str:
    value = metric_of(pitfall, cell, variant, metric).value
    if value is None:
        return "–"
    return exact(value) if metric == "allocs_per_op" else text(metric, value)


def _ratio(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    if low is None or high is None:
        return ratio_text(value)
    return f"{ratio_text(value)} ({ratio_text(low)}–{ratio_text(high)})"


def detail(summary: Json, pitfall: Json) -> str:
    """One pitfall: every variant in every cell, as Markdown."""
    rows = ["| cell | variant | allocations | retained | peak RSS | time per operation (95 %) |",
            "|---|---|---|---|---|---|"]
    for cell in cells_of(summary):
        for variant in pitfall["variants"]:
            shown = [_shown(pitfall, cell, variant["id"], metric) for metric in _COLUMNS]
            time = metric_of(pitfall, cell, variant["id"], "ns_per_op")
            spread = interval_text("ns_per_op", time.low, time.high)
            rows.append(f"| {cell} | {label_of(pitfall, variant['id'])} | {shown[0]} | {shown[1]} |"
                        f" {shown[2]} | {shown[3]} ({spread}) |")
    return "\n".join([*rows, "", source_line(summary)])
