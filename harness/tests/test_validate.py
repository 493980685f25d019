"""The validation in small: its program, its rivals, and what it writes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from harness import catalog, compare, rivals, spent, store, target, validate
from harness.compare import Options
from harness.progress import Live
from harness.project import Project, here
from harness.tests import lines

FLAT = [100.0, 101.0, 99.0, 100.0, 102.0, 98.0]
QUICK = Options(rounds=2, seed=1, quick=True, looks=1, confirm=False, instructions=False,
                region_s=0.005)


@pytest.mark.parametrize("name", list(rivals.RIVALS))
def test_rivals_see_what_is_plain_to_see(name: str) -> None:
    slower = rivals.RIVALS[name]
    assert slower(FLAT, [2 * v for v in FLAT])
    assert not slower(FLAT, FLAT)
    assert not slower(FLAT, [v / 2 for v in FLAT])


def test_rivals_differ() -> None:
    """3 % with a spread of 1 %: errors of means do not touch, deviations do, 5 % is more."""
    b = [1.02 * v for v in FLAT]
    assert [slower(FLAT, b) for slower in rivals.RIVALS.values()] == [False, True, False]


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The program with the known change; builds go to the checkout's own folder."""
    project = validate.checkout(here())
    return Project(project.root, tmp_path_factory.mktemp("results"))


def found(changes: Project, before: str, after: str, metric: str) -> float:
    path = compare.run(changes, replace(QUICK, compilers=(f"gcc -O2 {before}",
                                                          f"gcc -O2 {after}")),
                       Live(Console(file=StringIO())))
    comparison, _ = compare.judge(changes, path)
    [row] = [f.row for f in comparison.found if f.row.metric == metric]
    assert row.ratio.value is not None or row.b.value is not None
    return row.ratio.value if row.ratio.value is not None else float("inf")


def test_the_program_is_a_pitfall(changes: Project) -> None:
    assert [p.id for p in catalog.load(changes)] == ["known-change"]


@pytest.mark.parametrize(("flag", "metric", "ratio", "within"), [
    ("-DCHANGE_ALLOCS=1", "allocs_per_op", 2.0, 1e-9),
    ("-DCHANGE_RSS_KIB=8192", "peak_rss_b", 4.7, 1.5),
])
def test_changes_are_as_large_as_they_say(changes: Project, flag: str, metric: str, ratio: float,
                                          within: float) -> None:
    assert found(changes, "", flag, metric) == pytest.approx(ratio, abs=within)


def test_instructions_grow_by_the_thousandths_that_are_asked_for(changes: Project) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("no valgrind")
    path = compare.run(changes, replace(QUICK, instructions=True,
                                        compilers=("gcc -O2", "gcc -O2 -DCHANGE_TIME=100")),
                       Live(Console(file=StringIO())))
    comparison, _ = compare.judge(changes, path)
    [row] = [f.row for f in comparison.found if f.row.metric == "instructions_per_op"]
    assert row.ratio.value == pytest.approx(1.1, abs=0.01)


def test_what_was_found_is_written(tmp_path: Path) -> None:
    rows = [validate.Line("false alarms", 0, "at most 2 of 200", True, 200, "0 of 200 rows"),
            validate.Line("the promise", None, "at most 10 %", False, 20, "unknown")]
    tally = validate.Tally()
    for changed in (False, True):
        tally.trials[changed] += 1
        tally.note("pitmark", changed, changed)
    run = {**lines.run(), "started": "today", "git": None}
    made = validate.Validation(Project(tmp_path), Live(Console(file=StringIO())), lines=rows,
                               tally=tally, usual=2,
                               seconds={spent.LINKING: 1.0, spent.PROGRAMS: 3.0})
    document = validate.document(run, made)
    jsonschema.Draft202012Validator(target.schema()).validate(document)
    shares = {row["id"]: row["value"] for row in document["rows"]}
    assert shares["wall time: measured programs"] == 0.75
    page = validate.page(run, made, True)
    assert "| measured programs | 3.0 | 75 % |\n| linking | 1.0 | 25 % |" in page
    assert "| false alarms | 0 of 200 rows | at most 2 of 200 | yes |" in page
    assert "| pitmark | 0 | 0 |" in page


def taken(role: str, round_: int, wall_s: float, took_s: float, link_s: float = 0.0,
          **metrics: float) -> dict[str, Any]:
    return lines.sample("bad", metrics, role=role, round_=round_, wall_s=wall_s, took_s=took_s,
                        link_s=link_s)


def test_only_judged_rounds_are_time_in_measured_programs() -> None:
    stored = [lines.run(), taken("timed", 0, 0.5, 0.75, 0.125), taken("instr", 0, 8.0, 8.25),
              taken("timed", 1, 1.0, 2.0, 0.5, startup_s=0.25), taken("timed", 2, 1.0, 1.5)]
    phases = {spent.BEGINNING: 1.0, spent.BUILDING: 4.0, spent.CALIBRATING: 0.5,
              "measuring": 12.0, "confirming 3": 1.0, spent.JUDGING: 0.25}
    found = spent.where(stored, phases, 20.0)
    assert found == {
        spent.PROGRAMS: 2.25, spent.BUILDING: 4.0, spent.WARMING: 1.0, spent.LINKING: 0.625,
        spent.STARTING: 3.625 - 2.25 - 0.5, spent.COUNTING: 8.25, spent.JUDGING: 0.25 + 0.5,
        spent.REST: 20.0 - 17.75}
    assert sum(found.values()) == 20.0


def test_time_of_a_comparison_is_accounted_for(tiny_project: Project, quiet: Live) -> None:
    """Of a real one: all parts are there."""
    made = validate.Validation(tiny_project, quiet, pitfalls=("tiny",))
    project = validate.afresh(tiny_project)
    assert not project.build.exists()
    comparison, path = made._compare_and_clock(project, replace(
        QUICK, instructions=True, compilers=("gcc -O2", "gcc -O2"), pitfalls=("tiny",)))
    samples = [x for x in store.read(path) if x["kind"] == "sample"]
    assert all(x["took_s"] >= x["link_s"] >= 0 for x in samples)
    assert all(seconds >= 0 for seconds in made.seconds.values())
    assert made.seconds[spent.LINKING] > 0 and made.seconds[spent.BUILDING] > 0
    timed = [x for x in samples if x["role"] == "timed" and x["round"] > 0]
    assert made.seconds[spent.PROGRAMS] == pytest.approx(sum(
        x["wall_s"] + x["metrics"]["startup_s"] for x in timed))
    assert made.usual == 1
    made._efficiency()
    assert made.lines[-1].value == pytest.approx(
        made.seconds[spent.PROGRAMS] / sum(made.seconds.values()))
