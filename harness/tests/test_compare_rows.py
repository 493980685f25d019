"""From made-up rounds of a comparison to its verdicts, its means and its exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from harness import cli, compare, compare_rows, compare_table, store
from harness.compare import Options
from harness.compare_rows import CONFIRM, Found, Plan
from harness.compare_table import Comparison
from harness.project import Project
from harness.sheet import Sheet
from harness.stats import Estimate
from harness.tests import lines
from harness.verdicts import BETTER, ELIDED, IDENTICAL, SAME, UNCLEAR, WORSE, Row

OWN = Plan(("A", "B"), ("./old", "./new"), (("prog", ""),), ("wall_s",), 20, 1, True, "A'")
PITFALL = Plan(("A", "B"), ("gcc -O0", "gcc -O2"), (("tiny", "bad"),), ("ns_per_op", "text_b"), 20,
               1, False, None)
FIRST, AGAIN = range(1, 21), range(CONFIRM + 1, CONFIRM + 41)


def builds(pitfall: str, variant: str, *arms: str, **changes: Any) -> list[dict[str, Any]]:
    return [lines.cell(variant, pitfall=pitfall, **{"cell": arm, **changes}) for arm in arms]


def rounds(arm: str, value: float, numbers: Sequence[int] = FIRST) -> list[dict[str, Any]]:
    """Of the program of one's own, with 1 % of noise that is the same in each arm."""
    return [lines.sample("", {"wall_s": value * (1 + 0.01 * (number % 3))}, name=arm,
                         round_=number, pitfall="prog") for number in numbers]


def judged(stored: Sequence[dict[str, Any]], plan: Plan = OWN) -> Found:
    return compare_rows.judge(Sheet(stored), plan)[0]


# ---- Confirmation --------------------------------------------------------------------------------


@pytest.mark.parametrize(("again", "verdict", "confirmed"), [
    (1.2, WORSE, True), (1.0, UNCLEAR, False), (0.8, UNCLEAR, False), (None, WORSE, None),
])
def test_a_difference_stands_only_if_both_measurements_say_so(
    again: float | None, verdict: str, confirmed: bool | None
) -> None:
    stored = [*builds("prog", "", "A", "B"), *rounds("A", 1.0), *rounds("B", 1.2)]
    if again is not None:
        stored += [*rounds("A", 1.0, AGAIN), *rounds("B", again, AGAIN)]
    found = judged(stored)
    assert (found.row.verdict, found.confirmed) == (verdict, confirmed)
    comparison = Comparison(OWN, [found], (), (), ())
    said = compare_table.remarks(comparison)
    assert any("prog, time: not confirmed; measured again with new seeds" in one
               for one in said) == (confirmed is False)
    [sentence] = compare_rows.conclusion([found], OWN, False, {})
    assert ("time cannot be told" in sentence) == (verdict == UNCLEAR)


# ---- Notes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("work", "verdict"), [(0, ELIDED), (10, WORSE)])
def test_an_arm_that_did_other_work_is_elided(work: int, verdict: str) -> None:
    stored = [*builds("tiny", "bad", "A", "B")]
    for number in FIRST:
        stored += [lines.sample("bad", {"ns_per_op": value, "work": done}, name=arm, round_=number)
                   for arm, value, done in (("A", 1.0, 10), ("B", 3.0, work))]
    by_metric = {one.row.metric: one.row for one in compare_rows.judge(Sheet(stored), PITFALL)}
    assert by_metric["ns_per_op"].verdict == verdict and by_metric["ns_per_op"].ratio.value == 3
    assert by_metric["text_b"].verdict == SAME  # the size of a program is no work of it


@pytest.mark.parametrize(("identical", "verdict"), [(True, IDENTICAL), (False, WORSE)])
def test_the_same_image_is_answer_enough_unless_it_is_to_be_measured(identical: bool,
                                                                     verdict: str) -> None:
    stored = [*builds("prog", "", "A", "B", image_sha="1"), *rounds("A", 1.0), *rounds("B", 1.2)]
    assert judged(stored, replace(OWN, identical=identical)).row.verdict == verdict


@pytest.mark.parametrize(("twin", "other", "verdict"), [
    (1000, 1020, WORSE), (1005, 1020, WORSE), (1010, 1020, UNCLEAR), (1010, 1100, WORSE),
    (1010, 980, UNCLEAR), (1000, 990, BETTER),
])
def test_counts_speak_of_the_arms_only_if_the_reference_counts_alike_twice(
    twin: int, other: int, verdict: str
) -> None:
    stored = [*builds("prog", "", "A", "B", "A'"), *(
        lines.sample("", {"instructions": count}, name=arm, role="instr", round_=0, pitfall="prog")
        for arm, count in (("A", 1000), ("A'", twin), ("B", other)))]
    found = judged(stored, replace(OWN, metrics=("instructions",)))
    assert found.row.verdict == verdict
    assert (found.row.reason == "./old counts 1 % apart when it is run twice") == (
        verdict == UNCLEAR)


# ---- A run that differs from itself --------------------------------------------------------------


def stored_run(project: Project, twin: float, other: float, **machine: object) -> str:
    """The id of a comparison of two commands that is stored."""
    name = "20260102-030405-compare-1a2b"
    options = Options(rounds=20, seed=1, looks=1, instructions=False, commands=("./old", "./new"))
    settings = {**json.loads(json.dumps(asdict(options))), "arms": [
        {"name": arm, "title": title} for arm, title in zip(OWN.arms, OWN.titles)]}
    begun = lines.run()
    begun |= {"run": name, "target": "compare", "settings": settings}
    begun["machine"] |= machine
    folder = project.results / name
    folder.mkdir(parents=True)
    with store.Store(folder / store.RUN_FILE) as kept:
        for line in [begun, *builds("prog", "", "A", "B", "A'"), *rounds("A", 1.0),
                     *rounds("A'", twin), *rounds("B", other)]:
            kept.append({**line, "run": name})
    return name


@pytest.mark.parametrize(("twin", "code", "sentence", "note"), [
    (1.2, 3, "nothing may be concluded, because this run differs from itself",
     "do not trust this run: one program under two names (prog) differs in time of the whole"
     " process: ratio 1.200"),
    (1.0, 0, "B (./new) against A (./old): time worse (ratio 1.100", None),
])
def test_a_run_that_differs_from_itself(tiny_project: Project, capsys: pytest.CaptureFixture[str],
                                        twin: float, code: int, sentence: str,
                                        note: str | None) -> None:
    run = stored_run(tiny_project, twin, 1.1)
    assert cli.main(["compare", "--run", run], tiny_project) == code
    said = capsys.readouterr().out
    assert sentence in said and ("do not trust" in said) == (note is not None)
    assert note is None or note in said


def test_a_machine_that_is_busy_is_a_note_on_the_terminal_and_in_the_page(
    tiny_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored_run(tiny_project, 1.0, 1.1, busy_cpus=1.5)
    assert cli.main(["compare", "--run", run], tiny_project) == 0
    assert capsys.readouterr().out.count("note: other programs kept 1.5 of 2 processors busy") == 1
    path = store.find(tiny_project, run, "compare")
    comparison, begun = compare.judge(tiny_project, path)
    page = compare_table.markdown(comparison, begun, None)
    assert page.count("> other programs kept 1.5 of 2 processors busy") == 1


def test_the_twin_is_judged_by_the_fixed_margin() -> None:
    """A reference that is noisy is unclear, and does not raise its own margin."""
    stored = [*builds("prog", "", "A", "A'"), *rounds("A", 1.0), *(
        one | {"metrics": {"wall_s": 1.0 + 0.1 * (one["round"] % 7 - 3)}}
        for one in rounds("A'", 1.0))]
    [control] = compare_rows.controls(Sheet(stored), OWN, ())
    assert (control.verdict, control.margin) == (UNCLEAR, 0.03)


# ---- Means ---------------------------------------------------------------------------------------

THREE = Plan(("A", "B", "C"), ("a", "b", "c"), tuple((name, "") for name in "vwxyz"), ("wall_s",),
             20, 1, False, None)


def figures(arm: str, ratios: Mapping[str, float | None],
            verdicts: Mapping[str, str] | None = None) -> list[Found]:
    one = Estimate(1.0, 0.9, 1.1, 20)
    return [Found(arm, Row(name, "wall_s", one, one, Estimate(ratio, ratio, ratio, 20), 0.03,
                           (verdicts or {}).get(name, WORSE)))
            for name, ratio in ratios.items()]


def test_means_are_over_the_same_subjects_in_all_arms() -> None:
    """x did other work in C, y failed in B, z has no ratio in C: none of them is in any mean."""
    found = [*figures("B", {"v": 2.0, "w": 8.0, "x": 100.0, "y": 100.0, "z": 100.0}),
             *figures("C", {"v": 1.0, "w": 1.0, "x": 0.01, "y": 0.01, "z": None},
                      {"v": SAME, "w": IDENTICAL, "x": ELIDED})]
    failed = {"B": ("y",), "C": ()}
    b, c = compare_rows.means(found, THREE, failed)
    assert (b.arm, b.subjects, dict(b.counts)) == ("B", 2, {WORSE: 2})
    assert (c.arm, c.subjects, dict(c.counts)) == ("C", 2, {SAME: 1, IDENTICAL: 1})
    assert (b.ratio, c.ratio) == pytest.approx((4, 1))
    rows = compare_rows.document(lines.run(), found, THREE, (), failed)["rows"]
    assert [row["ratio"] for row in rows if row["id"].startswith("geometric mean of 2/")] == [
        pytest.approx(4), 1]


def test_means_are_printed_and_in_the_page() -> None:
    found = [*figures("B", {"v": 2.0, "w": 8.0}), *figures("C", {"v": 1.0, "w": 1.0})]
    comparison = Comparison(THREE, found, (), (), ())
    out = StringIO()
    compare_table.print_all(comparison, Console(file=out, width=100))
    assert "B, geometric means: time 4.000 of 2\n" in out.getvalue()
    assert "C, geometric means: time 1.000 of 2\n" in out.getvalue()
    assert "| time | B | 4.000 | 2 | 2 worse |" in compare_table.markdown(comparison,
                                                                        {"run": "r"}, None)


def test_one_subject_has_no_mean() -> None:
    comparison = Comparison(THREE, figures("B", {"v": 2.0}) + figures("C", {"v": 2.0}), (), (), ())
    assert compare_table.mean_lines(comparison) == []
    assert "Geometric means" not in compare_table.markdown(comparison, {"run": "r"}, None)
