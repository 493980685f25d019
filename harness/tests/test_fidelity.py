"""The fidelity run: rules, trace lines, the file of facts, and both programs' keys."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from harness import facts, fidelity, library, probes, target
from harness.facts import Fact
from harness.fault import BuildFault, Fault, UsageFault
from harness.project import here


RUN = {"started": "2026-01-02T03:04:05+00:00", "git": "abc", "machine": {"cpus": 2}}


def fact(rule: str = "exact", tolerance: float = 0.0, differs: str | None = None,
         keys: str = "*", wanted: float | None = None, at_worst: float = 9.0) -> Fact:
    return Fact("a-fact", "a title", "program", keys, rule, tolerance, 1, wanted, differs, at_worst)


@pytest.mark.parametrize(("rule", "tolerance", "go", "ours", "verdict"), [
    ("exact", 0, 5.0, 5.0, facts.SAME),
    ("exact", 0, 5.0, 5.1, facts.DRIFT),
    ("exact", 0, "a b", "a b", facts.SAME),
    ("exact", 0, "a b", "a c", facts.DRIFT),
    ("within", 0.02, 100.0, 98.0, facts.SAME),
    ("within", 0.02, 100.0, 102.0, facts.SAME),
    ("within", 0.02, 100.0, 97.9, facts.DRIFT),
    ("within", 0.02, "text", "text", facts.SAME),
    ("at-most", 0, 100.0, 1.0, facts.SAME),
    ("at-most", 0, 100.0, 100.1, facts.DRIFT),
    ("at-most", 0.15, 100.0, 115.0, facts.SAME),
])
def test_rule_decides(rule: str, tolerance: float, go: facts.Value, ours: facts.Value,
                      verdict: str) -> None:
    assert facts.judge(fact(rule, tolerance), {"k": go}, {"k": ours}).verdict == verdict


def test_key_of_one_side_only_is_a_drift() -> None:
    assert facts.judge(fact(), {"a": 1.0, "b": 2.0}, {"a": 1.0}).verdict == facts.DRIFT
    assert facts.judge(fact(), {"a": 1.0}, {"a": 1.0, "b": 2.0}).verdict == facts.DRIFT


def test_no_key_is_not_compared() -> None:
    one = facts.judge(fact(keys="x/*"), {"a": 1.0}, {"a": 1.0})
    assert one.verdict == facts.UNKNOWN
    assert one.reason == "no key matches x/*"


def test_declared_difference_is_no_drift_and_says_why() -> None:
    one = facts.judge(fact(differs="C has none"), {"a": 1.0}, {"a": 2.0})
    assert one.verdict == facts.DIFFERS
    assert one.reason == "C has none"
    assert facts.judge(fact(differs="C has none"), {"a": 1.0}, {"a": 1.0}).reason is None


def test_declared_difference_has_a_bound_of_its_own() -> None:
    bounded = fact("at-most", differs="it is faster", at_worst=0.25)
    assert facts.judge(bounded, {"a": 100.0}, {"a": 124.0}).verdict == facts.DIFFERS
    assert facts.judge(bounded, {"a": 100.0}, {"a": 126.0}).verdict == facts.DRIFT
    assert facts.judge(bounded, {"a": 100.0, "b": 1.0}, {"a": 124.0}).verdict == facts.DRIFT


def test_drift_on_a_busy_machine_is_not_compared_where_it_needs_an_idle_one() -> None:
    one = replace(fact("at-most"), idle=True)
    assert facts.judge(one, {"a": 1.0}, {"a": 2.0}, 0.1).verdict == facts.DRIFT
    assert facts.judge(one, {"a": 1.0}, {"a": 2.0}, None).verdict == facts.DRIFT
    busy = facts.judge(one, {"a": 1.0}, {"a": 2.0}, 1.24)
    assert busy.verdict == facts.UNKNOWN
    assert busy.reason is not None and "kept 1.2 processors busy" in busy.reason
    assert facts.judge(one, {"a": 1.0}, {"a": 1.0}, 1.24).verdict == facts.SAME
    assert facts.judge(fact("at-most"), {"a": 1.0}, {"a": 2.0}, 1.24).verdict == facts.DRIFT


def test_processors_of_others_are_those_that_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(([0] * 8, [100, 0, 0, 100, 0, 0, 0, 0]))
    own, clock = iter((0.0, 0.5)), iter((0, 1))
    monkeypatch.setattr("harness.probes._ticks", lambda: next(ticks))
    monkeypatch.setattr("harness.probes._own_cpu_s", lambda: next(own))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert probes.Others().busy() == pytest.approx(0.5)


def test_formula_stands_in_for_go() -> None:
    one = facts.judge(fact("within", 0.01, wanted=1.0), {}, {"a": 1.005, "b": 1.0})
    assert one.verdict == facts.SAME and len(one.compared) == 2
    assert facts.judge(fact(wanted=1.0), {}, {"a": 0.98}).verdict == facts.DRIFT
    assert "1 (wanted)" in fidelity.page(RUN, [one])


def test_worst_key_is_a_failing_one() -> None:
    one = facts.judge(fact("at-most"), {"a": 10.0, "b": 10.0}, {"a": 1.0, "b": 10.1})
    worst = one.worst()
    assert worst is not None and worst.key == "b"


def test_runs_are_merged_to_medians_and_differing_texts_are_seen() -> None:
    runs: list[facts.Values] = [{"n": 1.0, "t": "a", "u": "x"}, {"n": 9.0, "t": "a", "u": "y"},
                                {"n": 2.0, "t": "a", "u": "x"}]
    assert facts.merged(runs) == {"n": 2.0, "t": "a", "u": "x / y / x"}


LINE = ("gc 3 @0.008s 8%: 0.004+2.0+0.002 ms clock, 0.008+0/1.6/0.014+0.004 ms cpu,"
        " {} MB, {} MB goal, 0 MB stacks, 0 MB globals, 4 P{}")


def line(heaps: str, goal: int, end: str = "") -> str:
    return LINE.format(heaps, goal, end)


def test_shape_is_what_is_left_without_numbers() -> None:
    assert facts.shape(line("10->10->8", 10)) == facts.shape(line("99->100->80", 200))
    assert facts.shapes([line("1->1->1", 4), line("2->2->1", 4, " (forced)")]).count(" | ") == 1
    whole = line("1->1->1", 4)
    assert facts.trace_lines(f"x\n{whole}\ny\n{whole[:50]}") == [whole]


def test_trigger_is_looked_for_inside_the_clamp() -> None:
    first = line("60->62->64", 64, " (forced)")
    assert facts.inside_clamp([first, line("112->120->64", 128)]) == 1.0
    assert facts.inside_clamp([first, line("100->120->64", 128)]) == 0.0  # below 64 + 45
    assert facts.inside_clamp([first, line("128->130->64", 128)]) == 0.0  # above 64 + 61
    assert facts.inside_clamp([first]) is None


@pytest.mark.parametrize(("entry", "words"), [
    ({"id": "a"}, "a: program, rule, title is missing"),
    ({"id": "a", "title": "t", "program": "p", "rule": "exact", "why": "x"}, "there is no why"),
    ({"id": "a", "title": "t", "program": "p", "rule": "exact", "differs": "C"}, "come together"),
    ({"id": "a", "title": "t", "program": "p", "rule": "near"}, "rule is one of exact, within"),
])
def test_mistake_in_the_file_is_named(entry: dict[str, str], words: str) -> None:
    with pytest.raises(UsageFault, match=words):
        facts.parse({"fact": [entry]})


def test_every_fact_names_a_program_and_a_rule_that_exist() -> None:
    folder = here().allocator / "fidelity"
    found = fidelity.load(here())
    assert len(found) >= 15
    programs = (folder / "go" / "main.go").read_text()
    for one in found:
        assert f'"{one.program}":' in programs, one.id


def test_page_and_figures_hold_every_fact() -> None:
    verdicts = [facts.judge(fact(), {"a": 1.0}, {"a": 2.0}),
                facts.judge(fact(differs="C | C"), {"a": 1.0}, {"a": 3.0})]
    page = fidelity.page(RUN, verdicts)
    assert "commit `abc`" in page
    assert page.count("| a title |") == 2
    assert "**a title**: C | C." in page
    document = fidelity.document(RUN, verdicts)
    jsonschema.validate(document, target.schema())
    rows = document["rows"]
    assert isinstance(rows, list)
    assert [row["met"] for row in rows] == [False, False, None, None]
    assert rows[0]["ratio"] == 2.0
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(fidelity.table(verdicts))
    assert "differs as declared" in console.export_text()


def rows_of(go: facts.Values, ours: facts.Values) -> list[dict[str, Any]]:
    found = fidelity.document(RUN, [facts.judge(fact(), go, ours)])
    jsonschema.validate(found, target.schema())
    rows = found["rows"]
    assert isinstance(rows, list)
    return rows


def test_figures_of_every_key_are_kept() -> None:
    rows = rows_of({"a": 1.0, "b": 4.0, "t": "x y"}, {"a": 1.0, "b": 2.0, "t": "x y"})
    assert [(row["id"], row["metric"]) for row in rows] == [
        ("a-fact/b", "fact"), ("a-fact/a", "fact_key"), ("a-fact/b", "fact_key"),
        ("a-fact/t", "fact_key")]
    assert [(row["value"], row["peer"]) for row in rows[1:]] == [(1.0, 1.0), (2.0, 4.0),
                                                                (3.0, 3.0)]
    assert rows[3]["reason"] == "a text of 3 characters, the same"


def test_texts_have_figures_and_a_reason() -> None:
    same = rows_of({"a": "1 2 3 ", "b": "x"}, {"a": "1 2 3 ", "b": "x"})[0]
    assert (same["value"], same["peer"], same["ratio"]) == (2.0, 2.0, 1.0)
    assert same["reason"] == "2 compared, all the same"
    rows = rows_of({"a": "1 2 3 ", "b": "x"}, {"a": "1 2 4 ", "b": "x"})
    assert rows[0]["id"] == "a-fact/a" and rows[0]["met"] is False
    assert (rows[0]["value"], rows[0]["peer"]) == (1.0, 2.0)
    assert rows[0]["reason"] == ("the first that differs is a: texts, which differ from character 5"
                                 " on: Go 3 , here 4 ")
    assert (rows[1]["value"], rows[1]["peer"]) == (4.0, 6.0)


def test_key_of_one_side_has_a_reason_in_place_of_figures() -> None:
    rows = rows_of({"a": 1.0, "t": "x"}, {"a": 1.0})
    assert rows[0]["reason"] == "the first that differs is t: spanheap says nothing of it"
    assert (rows[0]["value"], rows[0]["peer"]) == (1.0, 2.0)
    assert rows[2]["value"] is None and rows[2]["reason"] == "spanheap says nothing of it"


def test_program_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho gc 1 @0s >&2\necho no memory >&2\nexit 7\n")
    program.chmod(0o755)
    with pytest.raises(Fault, match="ended with status 7:\nno memory"):
        fidelity._once(program, "sizes", {})


@pytest.mark.skipif(shutil.which("go") is None, reason="golang-go is not installed")
def test_both_sides_say_the_same_of_what_is_quick(tmp_path: Path) -> None:
    compiler = library.default_cell()
    try:
        library.make(here(), "fidelity-programs", f"BUILD={tmp_path}", f"CC={compiler.command}")
    except BuildFault as fault:
        pytest.fail(str(fault))
    found = {f.id: f for f in fidelity.load(here())}
    for program in ("sizes", "appends", "escape", "pool", "channels", "maps", "trace"):
        said = {side: fidelity._once(tmp_path / "fidelity" / path, program, environment)
                for side, (path, environment) in fidelity.SIDES.items()}
        for one in found.values():
            if one.program == program:
                assert fidelity._judge(one, said).verdict == facts.SAME, one.id
    unknown = subprocess.run([tmp_path / "fidelity" / "fidelity", "nothing"], capture_output=True,
                             text=True)
    assert unknown.returncode == 2
    assert "one of: sizes appends" in unknown.stderr
