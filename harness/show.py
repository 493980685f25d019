"""From a stored run to what the user sees: summary, laws, charts, report, table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness import catalog, charts, report, store, table, target, trust
from harness.fault import FAILED, LAW_FAILED, OK, UNCLEAR
from harness.project import Project
from harness.summary import summarise

SUMMARY_FILE = "summary.json"
BROKEN_SHOWN = 20


def summary_of(project: Project, path: Path) -> dict[str, Any]:
    """The summary of a stored run, judged by the pitfalls as they stand now."""
    lines = store.read(path)
    run = store.run_line(lines, path)
    if run["target"] != "bench":
        raise store.of_another(run["run"], run["target"], "bench")
    return summarise(lines, catalog.load(project))


def write_bench(project: Project, path: Path, summary: dict[str, Any]) -> None:
    """results/latest/: the run, its summary and the figures of bench."""
    if path != project.latest / store.RUN_FILE:
        store.replace_copy(path, project.latest / store.RUN_FILE)
    store.replace_json(project.latest / SUMMARY_FILE, summary)
    store.replace_json(project.latest / "bench.json", target.bench(summary))


def write_laws(project: Project, summary: dict[str, Any]) -> None:
    """results/latest/laws.json."""
    store.replace_json(project.latest / "laws.json", target.judged(summary))


def write_report(project: Project, summary: dict[str, Any], console: Console) -> Path:
    """results/latest/: plots/ and report.html."""
    drawn = charts.draw(summary, project.latest / "plots", templates=project.plots)
    for chart in drawn:
        if chart.skipped:
            console.print(f"no chart {chart.name}: {chart.skipped}", highlight=False, markup=False,
                          soft_wrap=True)
    beside = {name: target.read(project.latest, name) for name in report.BESIDE
              if (project.latest / f"{name}.json").exists()}
    svg, png = (project.latest / "plots" / f"soak.{kind}" for kind in ("svg", "png"))
    if "soak" in beside and svg.exists():
        drawn = [*drawn, charts.Chart(
            "soak", "Resident memory of long-lived programs",
            "Each program of make soak, from its start to its end.", svg, png, None, None)]
    return report.write(summary, drawn, project.latest / "report.html", beside)


def print_table(summary: dict[str, Any], console: Console,
                places: Sequence[tuple[str, object]] = ()) -> None:
    """The closing table, and where everything lies."""
    table.show(summary, console, places)


def print_laws(summary: dict[str, Any], console: Console, *, all_: bool = False) -> None:
    """One line a broken or unjudged law (or every one), then the count."""
    rows = target.judged(summary)["rows"]
    wrong = [row for row in rows if not row["met"]]
    for row in rows if all_ else wrong[:BROKEN_SHOWN]:
        console.print(f"{row['verdict']:10}  {row['id']}: {row['reason']}", highlight=False,
                      markup=False, soft_wrap=True)
    if not all_ and len(wrong) > BROKEN_SHOWN:
        console.print(f"… and {len(wrong) - BROKEN_SHOWN} more in laws.json", highlight=False)
    held = len(rows) - len(wrong)
    console.print(f"{held} of {len(rows)} laws, outcomes and detectors hold", highlight=False)


def verdict_code(summary: dict[str, Any]) -> int:
    """The exit code that the judged laws and the control pair call for."""
    verdicts = {row["verdict"] for row in target.judged(summary)["rows"]}
    if not any(v["n"] for v in _variants(summary)):
        return FAILED
    if "broken" in verdicts:
        return LAW_FAILED
    return UNCLEAR if "not judged" in verdicts or trust.untrusted(summary) else OK


def _variants(summary: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return [variant for pitfall in summary["pitfalls"] for cell in pitfall["cells"].values()
            for variant in cell["variants"].values()]
