"""The gate: what it calls a regression, and what it does not."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from harness import baseline, check, check_rows, check_table, cli, exports, store, target, trust
from harness import verdicts as verdicts_
from harness.baseline import Known
from harness.check import Options
from harness.compare_rows import Found, Plan
from harness.compare_table import Comparison
from harness.fault import UsageFault
from harness.progress import Live
from harness.project import Project
from harness.stats import Estimate
from harness.tests import tiny

PLACE = ("x86_64", "avx2", "2.36", "valgrind-3.19.0", "gcc 12.2.0")
BEFORE = Known("growth", "bad", "gcc-O2", PLACE, "aa",
               {"instructions": 10_000, "text_b": 1000, "allocs": 5, "alloc_b": 80,
                "collections": 2})


def now(**metrics: float) -> Known:
    return replace(BEFORE, metrics={**BEFORE.metrics, **metrics})


def verdicts(new: Known, old: tuple[Known, ...] = (BEFORE,)) -> dict[str, str]:
    return {row.metric: row.verdict for row in check_rows.judged(old, [new])}


# ---- Judging -------------------------------------------------------------------------------------


def test_nothing_moved() -> None:
    assert set(verdicts(now()).values()) == {"same"}


@pytest.mark.parametrize(("metric", "value", "verdict"), [
    ("instructions", 10_100, "worse"), ("instructions", 10_049, "same"),
    ("instructions", 9_900, "better"), ("allocs", 6, "worse"), ("allocs", 4, "better"),
    ("alloc_b", 81, "worse"), ("text_b", 1011, "worse"), ("text_b", 1009, "same"),
    ("collections", 3, "worse"),
])
def test_one_figure_moved(metric: str, value: float, verdict: str) -> None:
    found = verdicts(now(**{metric: value}))
    assert found.pop(metric) == verdict
    assert set(found.values()) == {"same"}


def test_other_compiler_is_another_place_and_no_regression() -> None:
    other = replace(now(instructions=20_000), place=(*PLACE[:4], "gcc 13.1.0"))
    [row] = check_rows.judged([BEFORE], [other])
    assert row.verdict == check_rows.ELSEWHERE
    assert row.reason is not None and "compiler: gcc 12.2.0 there, gcc 13.1.0 here" in row.reason


def test_other_processor_features_are_another_place_and_no_regression() -> None:
    """The C library chooses its code by them, and so the count of instructions."""
    machine = {"arch": "x86_64", "features": ["sse4_2", "avx2"], "glibc": "2.36"}
    tools = {"valgrind": "valgrind-3.19.0"}
    here, there = (baseline.place_of(one, tools, "gcc 12.2.0") for one in (
        machine, machine | {"features": ["sse4_2"]}))
    assert replace(BEFORE, place=here).place != there
    known = replace(BEFORE, place=there)
    [row] = check_rows.judged([known], [replace(now(instructions=20_000), place=here)])
    assert row.verdict == check_rows.ELSEWHERE
    assert row.reason == ("the baseline is of another place: features: sse4_2 there,"
                          " sse4_2 avx2 here")
    result = check.Result({}, Path("run.jsonl"), (row,), None)
    assert not result.regressions and check.verdict_code(result) == 3
    unknown = baseline.place_of(machine | {"features": None}, tools, "gcc 12.2.0")
    [row] = check_rows.judged([known], [replace(now(instructions=20_000), place=unknown)])
    assert row.verdict == check_rows.ELSEWHERE and "features: sse4_2 there, not known" in (
        row.reason or "")


def test_each_place_has_a_baseline_of_its_own() -> None:
    there = replace(now(instructions=20_000), place=(*PLACE[:4], "gcc 13.1.0"))
    assert set(verdicts(now(), (there, BEFORE)).values()) == {"same"}


def test_a_program_that_was_edited_is_no_regression() -> None:
    assert verdicts(replace(now(allocs=9), workload_sha="bb")) == {
        "instructions": check_rows.CHANGED}


def test_a_new_program_is_no_regression() -> None:
    assert verdicts(replace(now(), variant="fixed")) == {"instructions": check_rows.NEW}


def test_a_figure_that_is_gone_is_one() -> None:
    new = replace(BEFORE, metrics={k: v for k, v in BEFORE.metrics.items() if k != "allocs"})
    assert verdicts(new)["allocs"] == "worse"


# ---- The file ------------------------------------------------------------------------------------


def test_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    path.write_text(baseline.text_of([BEFORE, now(allocs=7)]))
    assert baseline.read(path) == [BEFORE, now(allocs=7)]
    assert baseline.read(tmp_path / "nothing.jsonl") == []


def test_renewing_keeps_what_it_did_not_measure() -> None:
    other_place = replace(BEFORE, place=("aarch64", *PLACE[1:]))
    other_program = replace(BEFORE, variant="fixed")
    new = baseline.renewed([BEFORE, other_place, other_program], [now(allocs=9)])
    assert new == [other_place, now(allocs=9), other_program]


@pytest.mark.parametrize(("line", "words"), [
    ("{", "Expecting property name"), ("[]", "baseline.jsonl:2"),
    ('{"kind":"run"}', "not a line of kind baseline"),
    (BEFORE.as_line().replace('"v": 1', '"v": 2'), "written by a newer one"),
    (BEFORE.as_line().replace('"workload_sha"', '"sha"'), "'workload_sha' is missing"),
    (BEFORE.as_line().replace("10000", '"10000"'), "a metric is not a number"),
    (BEFORE.as_line()[:40], "baseline.jsonl:2"),
])
def test_a_wrong_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "baseline.jsonl"
    path.write_text(BEFORE.as_line() + "\n" + line + "\n")
    with pytest.raises(UsageFault) as caught:
        baseline.read(path)
    assert words in str(caught.value) and "make baseline writes the file anew" in str(caught.value)


# ---- From end to end -----------------------------------------------------------------------------


@pytest.fixture
def counted(tiny_project: Project, quiet: Live) -> Callable[[], check.Result]:
    """Measures the tiny project and judges it; skips where there is no valgrind."""
    def run() -> check.Result:
        result = check.run(tiny_project, Options(cells=("gcc-O2",)), quiet)
        if any("valgrind is not installed" in (row.reason or "") for row in result.rows):
            pytest.skip("no valgrind")
        return result

    return run


# The driver of the tiny programs has no run_rounds(), by which callgrind counts: here it has.
COUNTED = """#include <stdint.h>
static volatile long sink;
__attribute__((noinline)) static void run_rounds(long n) { for (long i = 0; i < n; i++) sink += i; }
#define TINY_BEFORE run_rounds(ROUNDS);
"""


def program(project: Project, rounds: int, allocs: str = "2.0") -> None:
    text = COUNTED.replace("ROUNDS", "STUB_ROUNDS") + tiny.BAD.replace("2.0", allocs)
    (project.allocator / "include" / "rounds.h").write_text(f"#define STUB_ROUNDS {rounds}\n")
    tiny.add(project, "tiny", {"bad": '#include "rounds.h"\n' + text,
                               "fixed": '#include "rounds.h"\n' + text})


def test_gate_from_end_to_end(tiny_project: Project, counted: Callable[[], check.Result],
                              quiet: Live) -> None:
    program(tiny_project, 10_000)
    first = counted()
    assert {row.verdict for row in first.rows} == {check_rows.NEW}
    assert check.verdict_code(first) == 3
    moved, file = check.renew(tiny_project, first.path)
    assert file == tiny_project.root / "results" / "baseline.jsonl"
    again = counted()
    assert {row.verdict for row in again.rows} == {"same"} and check.verdict_code(again) == 0
    program(tiny_project, 10_100)  # what lies in allocator/ has got slower by 1 %
    slower = counted()
    assert {row.metric for row in slower.regressions} == {"instructions"}
    assert check.verdict_code(slower) == 1
    check.write(tiny_project, slower, check_table.markdown(slower.rows, None, []))
    document = target.read(tiny_project.latest, check.TARGET)
    jsonschema.Draft202012Validator(target.schema()).validate(document)
    page = (tiny_project.latest / check.PAGE).read_text()
    assert "| tiny.bad/gcc-O2 | instructions of the timed region |" in page and "(+1" in page
    program(tiny_project, 10_100, allocs="3.0")  # the program asks for something else
    assert {row.verdict for row in counted().rows} == {check_rows.CHANGED}


def test_a_program_that_fails_is_named(tiny_project: Project,
                                       counted: Callable[[], check.Result]) -> None:
    program(tiny_project, 100)
    tiny.add(tiny_project, "tiny", {"bad": "int main(void) { return 5; }"})
    result = counted()
    failed = [row for row in result.rows if row.verdict == check_rows.FAILED]
    assert [row.subject for row in failed] == ["tiny.bad/gcc-O2"]
    assert check.verdict_code(result) == 4


def test_what_cannot_be_counted_here_is_a_reason_and_no_failure(
    tiny_project: Project, counted: Callable[[], check.Result]
) -> None:
    program(tiny_project, 100)
    result = counted()
    check.renew(tiny_project, result.path)
    lines = store.read(result.path)
    hidden = [x | {"metrics": {}, "reasons": {"instructions": "valgrind cannot read it"}}
              if x["kind"] == "sample" and x["variant"] == "bad" else x for x in lines]
    result.path.write_text("".join(json.dumps(x) + "\n" for x in hidden))
    again = check.judge(tiny_project, result.path)
    left = [row for row in again.rows if row.verdict != "same"]
    assert [(row.subject, row.verdict, row.reason) for row in left] == [
        ("tiny.bad/gcc-O2", "not compared", "valgrind cannot read it")]
    assert check.verdict_code(again) == 3
    [line] = check_table.workflow_commands(again.rows, [])
    assert line == ("::warning title=pitmark::tiny.bad/gcc-O2: valgrind cannot read it")
    document = check_rows.document(again.run, again.rows, ())
    assert '<skipped message="not compared' in exports.FORMATS["junit"].export(
        exports.Source(lines, document))


def test_rounds_without_a_base_are_refused(tiny_project: Project,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--rounds", "5"], tiny_project) == 2
    assert "give BASE=revision" in capsys.readouterr().err


def test_place_of_the_junit_file_is_looked_at_first(tiny_project: Project,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--junit", "/proc/no/x.xml"], tiny_project) == 4
    assert "/proc/no: cannot be written" in capsys.readouterr().err
    assert not store.runs(tiny_project)


def test_verbs_write_and_print(tiny_project: Project, counted: Callable[[], check.Result],
                               capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program(tiny_project, 100)
    counted()
    assert cli.main(["baseline", "--cells", "gcc-O2"], tiny_project) == 0
    assert "look at its difference in git" in capsys.readouterr().out.replace("\n", " ")
    junit = tmp_path / "check.xml"
    program(tiny_project, 200)
    assert cli.main(["check", "--cells", "gcc-O2", "--github", "--junit", str(junit)],
                    tiny_project) == 1
    said = capsys.readouterr().out
    assert "::error title=pitmark::tiny.bad/gcc-O2: instructions of the timed region" in said
    assert "<failure" in junit.read_text()


def test_baseline_shows_what_moved(tiny_project: Project, counted: Callable[[], check.Result],
                                   capsys: pytest.CaptureFixture[str]) -> None:
    """The second one against the first, as the file's difference in git would."""
    program(tiny_project, 10_000)
    counted()
    assert cli.main(["baseline", "--cells", "gcc-O2"], tiny_project) == 0
    said = capsys.readouterr().out
    assert "not in the baseline: make baseline adds it (and 1 more)" in said
    assert "2 new of 2 exact figures" in said
    [old, _] = baseline.read(baseline.path_of(tiny_project))
    program(tiny_project, 10_100)
    assert cli.main(["baseline", "--cells", "gcc-O2"], tiny_project) == 0
    said = capsys.readouterr().out
    [new, _] = baseline.read(baseline.path_of(tiny_project))
    before, now = (f"{one.metrics['instructions']:,}" for one in (old, new))
    assert f"tiny.bad/gcc-O2  instructions of the timed region: {before} → {now} (+1" in said
    assert "2 worse" in said
    document = target.read(tiny_project.latest, check.MOVED)
    jsonschema.Draft202012Validator(target.schema()).validate(document)
    [row] = [row for row in document["rows"]
             if (row["id"], row["verdict"]) == ("tiny.bad/gcc-O2", "worse")]
    assert (row["peer"], row["value"]) == (old.metrics["instructions"], new.metrics["instructions"])
    assert cli.main(["check", "--cells", "gcc-O2"], tiny_project) == 0  # it is the baseline now


def test_annotations_are_one_line_each() -> None:
    row = check_rows.Checked("a.b/c", "allocs", 1, 2, "failed", reason="100 %\nof it")
    [line] = check_table.workflow_commands([row], [])
    assert line == "::error title=pitmark::a.b/c: 100 %25%0Aof it"


# ---- Base against head ---------------------------------------------------------------------------


def against_base(*rows: verdicts_.Row, failures: tuple[str, ...] = (),
                 control: str = "same", notes: tuple[str, ...] = ()) -> check.Result:
    """A result whose exact figures are all the same, with a comparison of base and head."""
    plan = Plan(("A", "B"), ("main", "the working tree"), (("tiny", "bad"),), ("ns_per_op",), 20, 2,
                True, None)
    controls = [trust.Control("control-same", "ns_per_op", 1.0, 0.99, 1.01, 20, 0.03, control,
                              None)]
    comparison = Comparison(plan, [Found("B", row) for row in rows], controls, failures, notes)
    same = check_rows.Checked("tiny.bad/gcc-O2", "allocs", 1, 1, "same")
    return check.Result({}, Path("run.jsonl"), (same,), comparison)


def figure(metric: str, verdict: str) -> verdicts_.Row:
    estimate = Estimate(1.2, 1.1, 1.3, 20)
    return verdicts_.Row("tiny.bad", metric, estimate, estimate, estimate, 0.03, verdict)


@pytest.mark.parametrize(("result", "code"), [
    (against_base(figure("ns_per_op", "same")), 0),
    (against_base(figure("ns_per_op", "worse")), 1),
    (against_base(figure("allocs_per_op", "worse")), 1),
    (against_base(figure("pause_max_ns", "worse")), 0),
    (against_base(figure("ns_per_op", "unclear")), 0),
    (against_base(figure("ns_per_op", "worse"), control=trust.DIFFERENT), 3),
    (against_base(figure("ns_per_op", "unclear"), failures=("it crashed",)), 4),
])
def test_what_base_against_head_means_for_the_gate(result: check.Result, code: int) -> None:
    assert check.verdict_code(result) == code
    page = check_table.markdown(result.rows, result.comparison, result.slower)
    assert ("Nothing got worse" in page) == (code == 0)


def test_what_is_noted_of_base_against_head_is_in_the_page(
    capsys: pytest.CaptureFixture[str]
) -> None:
    result = against_base(figure("ns_per_op", "same"), notes=("the machine was busy",))
    page = check_table.markdown(result.rows, result.comparison, result.slower)
    assert page.count("\n> the machine was busy\n") == 1
    check_table.print_all(result.rows, result.comparison, Console(), [])
    assert capsys.readouterr().out.count("note: the machine was busy") == 1


def exact(*words: str) -> check.Result:
    """A result with figures that came to these verdicts."""
    rows = tuple(check_rows.Checked(f"tiny.{i}/gcc-O2", "allocs", 1, 1, word, reason="it is so")
                 for i, word in enumerate(words))
    return check.Result({}, Path("run.jsonl"), rows, None)


@pytest.mark.parametrize(("words", "code"), [
    (("same", "better"), 0), (("same", check_rows.NEW), 0), (("same", check_rows.CHANGED), 0),
    (("better", check_rows.ELSEWHERE), 0),
    (("same", check_rows.NEW, check_rows.CHANGED, check_rows.ELSEWHERE), 0),
    ((check_rows.NEW,), 3), ((check_rows.CHANGED, check_rows.ELSEWHERE), 3),
    (("same", check_rows.NOT_COMPARED), 3), ((check_rows.NEW, check_rows.NOT_COMPARED), 3),
    (("worse", check_rows.NOT_COMPARED, check_rows.NEW), 1), (("worse", check_rows.FAILED), 1),
    (("same", check_rows.FAILED, check_rows.NOT_COMPARED), 4), ((), 4),
])
def test_what_a_mixture_of_exact_figures_means_for_the_gate(words: tuple[str, ...],
                                                            code: int) -> None:
    assert check.verdict_code(exact(*words)) == code


# ---- The workflow --------------------------------------------------------------------------------


def workflow() -> dict[Any, Any]:
    path = Path(check.__file__).parent / "ci" / "github-actions.yml"
    yaml = pytest.importorskip("yaml")
    result: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return result


def test_workflow_has_the_shape_of_one() -> None:
    found = workflow()
    assert found[True] == {"pull_request": None}  # YAML 1.1 reads the key `on` so
    [job] = found["jobs"].values()
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert set(step) <= {"name", "run", "uses", "with", "env", "if"}


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_commands_of_the_workflow_are_those_of_a_shell(shell: str) -> None:
    """GitHub runs them with bash where there is one, in a container else with sh."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    [job] = workflow()["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert len(commands) == 3
    for text in commands:
        plain = re.sub(r"\$\{\{.*?\}\}", "expression", text)
        done = subprocess.run([shell, "-n"], input=plain, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, ""), text


def test_a_broken_command_would_be_found() -> None:
    done = subprocess.run(["sh", "-n"], input='if [ "$code" = 3 ]; then\n', text=True,
                          capture_output=True)
    assert done.returncode != 0


def test_workflow_uses_arguments_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps(workflow())
    cli.main(["check", "--help"])
    offered = capsys.readouterr().out
    for option in ("--github", "--cells", "--base", "--junit"):
        assert option in text and option in offered
