"""Laws, work, outcomes and detectors over made-up samples: what holds, what does not, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness import catalog, laws, outcomes, show, store, target
from harness.catalog import Pitfall
from harness.project import Project
from harness.report_view import failures_of, unjudged
from harness.sheet import Sheet
from harness.summary import summarise
from harness.tests import golden, lines, tiny

SCHEMAS = Path(__file__).parents[1] / "schema"


def pitfall_with(project: Project, extra: str, drop_laws: bool = True,
                 **sources: str) -> Pitfall:
    """The tiny pitfall with other laws."""
    text = tiny.TOML.split("[[law]]")[0] if drop_laws else tiny.TOML
    tiny.add(project, "tiny", sources, text + extra)
    return catalog.load(project)[0]


def judge(pitfall: Pitfall, stored: list[dict[str, Any]], law: str) -> laws.Judgement:
    """The judgement of one law in gcc-O2."""
    found = [j for j in laws.judge(Sheet(stored), [pitfall], ["gcc-O2"]) if j.id == law]
    assert len(found) == 1
    return found[0]


def law(kind: str, bound: str, rest: str = 'of = "bad"', metric: str = "allocs_per_op") -> str:
    return (f'[[law]]\nid = "it"\ntitle = "t"\nkind = "{kind}"\nmetric = "{metric}"\n'
            f"{rest}\n{bound}\n")


def both(bad: float, fixed: float, metric: str = "allocs_per_op") -> list[dict[str, Any]]:
    return [lines.cell("bad"), lines.cell("fixed"), lines.sample("bad", {metric: bad}),
            lines.sample("fixed", {metric: fixed})]


@pytest.mark.parametrize(
    ("kind", "rest", "bound", "bad", "fixed", "held"),
    [
        ("exact", 'of = "bad"', "equals = 19", 19, 0, True),
        ("exact", 'of = "bad"', "equals = 19", 20, 0, False),
        ("exact", 'of = "fixed"', "at_most = 0", 19, 0, True),
        ("bound", 'of = "bad"', "within = [1, 2]", 1.5, 0, True),
        ("bound", 'of = "bad"', "within = [1, 2]", 2.5, 0, False),
        ("bound", 'of = "bad"', 'at_least_expr = "0.9 * n * allocs_per_op / 2"', 50, 0, False),
        ("bound", 'of = "bad"', 'at_least_expr = "0.9 * n"', 9, 0, True),
        ("bound", 'of = "bad"', 'equals_expr = "n"', 10, 0, True),
        ("ratio", 'pair = "main"', "at_least = 100", 200, 1, True),
        ("ratio", 'pair = "main"', "at_least = 100", 99, 1, False),
        ("ratio", 'pair = "main"', "at_least = 100", 5, 0, True),
        ("ratio", 'pair = "main"', "at_least = 100", 0, 0, False),
        ("ratio", 'of = "fixed"\nover = "bad"', "equals = 0.5", 2, 1, True),
        ("difference", 'pair = "main"', "at_least = 7", 9, 2, True),
        ("difference", 'pair = "main"', "at_least = 7", 8, 2, False),
    ],
)
def test_law_kinds(tiny_project: Project, kind: str, rest: str, bound: str, bad: float,
                   fixed: float, held: bool) -> None:
    pitfall = pitfall_with(tiny_project, law(kind, bound, rest))
    assert judge(pitfall, both(bad, fixed), "it").held is held


def test_broken_law_says_what_and_how_often(tiny_project: Project) -> None:
    pitfall = pitfall_with(tiny_project, law("exact", "equals = 19"))
    stored = both(19, 0) + [lines.sample("bad", {"allocs_per_op": 20}, round_=2)]
    judged = judge(pitfall, stored, "it")
    assert (judged.held, judged.observed) == (False, 20)
    assert judged.reason == "allocs_per_op is 20 in 1 of 2 samples, wanted = 19"


@pytest.mark.parametrize(
    ("kind", "rest", "bound", "bad", "fixed", "words"),
    [
        ("exact", 'of = "bad"', "equals = 1", 1.0000001, 0, "1.0000001, wanted = 1"),
        ("exact", 'of = "bad"', "equals = 262144", 262144.5, 0, "262,144.5, wanted = 262,144"),
        ("exact", 'of = "bad"', "equals = 12345678901", 12345678999, 0,
         "12,345,678,999, wanted = 12,345,678,901"),
        ("ratio", 'pair = "main"', "at_least = 100", 199.998, 2,
         "ratio 99.999 (bad 199.998, fixed 2), wanted >= 100"),
        ("difference", 'pair = "main"', "equals = 0", 9900001, 9900000,
         "1 (bad 9,900,001, fixed 9,900,000), wanted = 0"),
    ],
)
def test_broken_law_never_reads_as_if_it_held(
    tiny_project: Project, kind: str, rest: str, bound: str, bad: float, fixed: float, words: str
) -> None:
    judged = judge(pitfall_with(tiny_project, law(kind, bound, rest)), both(bad, fixed), "it")
    assert judged.held is False
    assert judged.reason.endswith(words)


def test_round_0_is_not_judged(tiny_project: Project) -> None:
    pitfall = pitfall_with(tiny_project, law("exact", "equals = 19"))
    stored = both(19, 0) + [lines.sample("bad", {"allocs_per_op": 77}, round_=0)]
    assert judge(pitfall, stored, "it").held is True


@pytest.mark.parametrize(
    ("kind", "values", "bound", "held"),
    [
        ("exponent", [10, 100, 1000], "within = [0.95, 1.05]", True),
        ("exponent", [10, 10, 10], "within = [0.95, 1.05]", False),
        ("exponent", [0, 0, 0], "at_most = 0.05", True),
        ("slope", [160, 1600, 16000], "equals = 16", True),
        ("slope", [0, 0, 0], "at_least = 1", False),
    ],
)
def test_sweeps(tiny_project: Project, kind: str, values: list[float], bound: str,
                held: bool) -> None:
    pitfall = pitfall_with(tiny_project, law(kind, bound, metric="retained_b"))
    stored = [lines.cell("bad")] + [
        lines.sample("bad", {"retained_b": v}, role="sweep", n=n, round_=0)
        for v, n in zip(values, (10, 100, 1000))]
    assert judge(pitfall, stored, "it").held is held


def test_sweep_with_a_hole_is_not_judged(tiny_project: Project) -> None:
    pitfall = pitfall_with(tiny_project, law("slope", "equals = 1", metric="retained_b"))
    stored = [lines.cell("bad"),
              lines.sample("bad", {"retained_b": 1}, role="sweep", n=10, round_=0),
              lines.failed("bad", "killed by SIGSEGV", role="sweep", n=100, round_=0, signal=11)]
    judged = judge(pitfall, stored, "it")
    assert judged.held is None
    assert judged.reason == "1 of 3 values of the sweep: killed by SIGSEGV"


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ([], "was not part of this run"),
        ([lines.cell("bad", status="failed", message="x.c:1: error: no\nmore")],
         "bad does not build: x.c:1: error: no"),
        ([lines.cell("bad")], "no sample of a kept round"),
        ([lines.cell("bad"), lines.failed("bad", "killed by SIGSEGV", signal=11)],
         "bad failed: killed by SIGSEGV"),
        ([lines.cell("bad"), lines.sample("bad", {}, reasons={"allocs_per_op": "not counted"})],
         "not counted"),
        ([lines.cell("bad"), lines.sample("bad", {"other": 1})], "has no 'allocs_per_op'"),
    ],
)
def test_law_that_cannot_be_judged_says_why(
    tiny_project: Project, stored: list[dict[str, Any]], words: str
) -> None:
    pitfall = pitfall_with(tiny_project, law("exact", "equals = 1"))
    judged = judge(pitfall, stored, "it")
    assert judged.held is None
    assert words in judged.reason


def test_name_in_a_bound_that_no_sample_reports_is_explained(tiny_project: Project) -> None:
    pitfall = pitfall_with(tiny_project, law("bound", 'at_least_expr = "text_b * 2"'))
    judged = judge(pitfall, both(1, 0), "it")
    assert judged.held is None
    assert "unknown name 'text_b'" in judged.reason


# ---- Work ----------------------------------------------------------------------------------------


def work(amounts: dict[str, float], variant: str = "bad") -> list[dict[str, Any]]:
    stored: list[dict[str, Any]] = []
    for name, amount in amounts.items():
        stored += [lines.cell(variant, name),
                   lines.sample(variant, {"work": amount, "count": 5, "allocs": 0}, name=name)]
    return stored


def test_cell_that_does_other_work_is_elided(tiny_project: Project) -> None:
    pitfall = pitfall_with(tiny_project, "")
    cells = ["gcc-O0", "gcc-O2", "clang-O2"]
    sheet = Sheet(work({"gcc-O0": 50, "gcc-O2": 0, "clang-O2": 50}))
    assert set(laws.elided(sheet, pitfall, cells)) == {("bad", "gcc-O2")}
    judged = {j.cell: j for j in laws.judge_work(sheet, pitfall, cells)}
    assert [judged[c].held for c in cells] == [True, False, True]
    assert judged["gcc-O2"].reason == "elided: bad reports work 0 and 50 in other cells"


def test_work_at_o0_is_the_reference_even_when_outvoted(tiny_project: Project) -> None:
    pitfall = pitfall_with(tiny_project, "")
    sheet = Sheet(work({"gcc-O0": 50, "gcc-O2": 0, "gcc-Os": 0}))
    assert set(laws.elided(sheet, pitfall, ["gcc-O0", "gcc-O2", "gcc-Os"])) == {
        ("bad", "gcc-O2"), ("bad", "gcc-Os")}


def test_variant_that_must_allocate_and_does_not_is_elided(tiny_project: Project) -> None:
    text = tiny.TOML.replace('role = "bad"', 'role = "bad"\nallocates = true')
    tiny.add(tiny_project, "tiny", {}, text)
    pitfall = catalog.load(tiny_project)[0]
    sheet = Sheet(work({"gcc-O2": 50}))
    assert laws.elided(sheet, pitfall, ["gcc-O2"]) == {("bad", "gcc-O2"): "bad allocated nothing"}


def test_declared_elision_is_not_a_failure(tiny_project: Project) -> None:
    pitfall = pitfall_with(
        tiny_project, '[[outcome]]\nvariant = "bad"\ncells = "*-O2"\nexpect = "elided"\n')
    sheet = Sheet(work({"gcc-O0": 50, "gcc-O2": 0}))
    cells = ["gcc-O0", "gcc-O2"]
    assert [j.held for j in laws.judge_work(sheet, pitfall, cells)] == [True, True]
    judged = outcomes.judge_outcomes(sheet, [pitfall], cells)
    assert [(j.cell, j.observed, j.held) for j in judged] == [("gcc-O2", "elided", True)]


# ---- Outcomes and detectors ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "observed"),
    [
        ([lines.cell("bad"), lines.sample("bad", {}, outcome="manifest")], "manifest"),
        ([lines.cell("bad"), lines.sample("bad", {}, outcome="latent")], "latent"),
        ([lines.cell("bad"), lines.failed("bad", "killed", signal=11)], "crash"),
        ([lines.cell("bad", status="failed", message="undefined", linking=True)], "link-fail"),
        ([lines.cell("bad", status="failed", message="error", linking=False)], None),
        ([lines.cell("bad")], None),
        ([lines.cell("bad"), lines.sample("bad", {}, outcome="manifest"),
          lines.sample("bad", {}, outcome="latent", round_=2)], "latent 1x, manifest 1x"),
    ],
)
def test_outcomes(tiny_project: Project, stored: list[dict[str, Any]],
                  observed: str | None) -> None:
    pitfall = pitfall_with(tiny_project, '[[outcome]]\nvariant = "bad"\nexpect = "manifest"\n')
    judged = outcomes.judge_outcomes(Sheet(stored), [pitfall], ["gcc-O2"])[0]
    assert judged.observed == observed
    assert judged.held is (None if observed is None else observed == "manifest")


ASAN = """==1==ERROR: AddressSanitizer: stack-buffer-overflow on address 0x7ffd at pc 0x55
READ of size 8 at 0x7ffd thread T0
    #0 0x555 in peek pitfalls/tiny/bad.c:{line}
    #1 0x556 in run_rounds pitfalls/pitfall.c:170
SUMMARY: AddressSanitizer: stack-buffer-overflow pitfalls/tiny/bad.c:{line} in peek
"""
UBSAN = "pitfalls/tiny/bad.c:{line}:17: runtime error: load of misaligned address 0x7f for type\n"
MARKED = "int other;\nint marked; /* DETECT */\n#include \"tiny.h\"\n"


def detector(tool: str, category: str, expect: str = "true") -> str:
    return (f'[[detector]]\ntool = "{tool}"\nvariant = "bad"\ncategory = "{category}"\n'
            f'line_marker = "DETECT"\nexpect = {expect}\n')


@pytest.mark.parametrize(
    ("tool", "category", "report", "expect", "found", "held"),
    [
        ("asan", "stack-buffer-overflow", ASAN.format(line=2), "true", True, True),
        ("asan", "stack-buffer-overflow", ASAN.format(line=1), "true", False, False),
        ("asan", "heap-use-after-free", ASAN.format(line=2), "true", False, False),
        ("asan", "stack-buffer-overflow", "", "true", False, False),
        ("asan", "stack-buffer-overflow", "", "false", False, True),
        ("asan", "stack-buffer-overflow", ASAN.format(line=1), "false", True, False),
        ("ubsan", "misaligned", UBSAN.format(line=2), "true", True, True),
        ("ubsan", "misaligned", UBSAN.format(line=3), "true", False, False),
        ("ubsan", "misaligned", UBSAN.format(line=1) + UBSAN.format(line=2), "true", True, True),
    ],
)
def test_detector_needs_category_and_line(
    tiny_project: Project, tool: str, category: str, report: str, expect: str, found: bool,
    held: bool
) -> None:
    pitfall = pitfall_with(tiny_project, detector(tool, category, expect), bad=MARKED)
    stored = [lines.cell("bad", f"gcc-O2+{tool}"),
              lines.sample("bad", {}, name=f"gcc-O2+{tool}", role="detect", report=report)]
    judged = outcomes.judge_detectors(Sheet(stored), [pitfall], ["gcc-O2"])[0]
    assert (judged.found, judged.held) == (found, held), judged.reason


def test_detector_is_judged_by_the_lines_that_were_marked_when_it_ran(
    tiny_project: Project
) -> None:
    sample = lines.sample("bad", {}, name="gcc-O2+asan", role="detect",
                          report=ASAN.format(line=2), marked={"DETECT": ["bad.c:2"]})
    older = {key: value for key, value in sample.items() if key != "marked"}
    validator = jsonschema.Draft202012Validator(
        json.loads((SCHEMAS / "run.schema.json").read_text()))
    found = pitfall_with(tiny_project, detector("asan", "overflow"), bad="int new;\n" + MARKED)
    assert found.detectors[0].marked == ("bad.c:3",)
    for stored, held in ((sample, True), (older, False)):
        validator.validate(stored)
        assert outcomes.judge_detectors(Sheet([stored]), [found], ["gcc-O2"])[0].held is held


def test_report_of_another_file_of_that_name_is_not_the_pitfalls(tiny_project: Project) -> None:
    found = pitfall_with(tiny_project, detector("ubsan", "misaligned"), bad=MARKED)
    report = UBSAN.format(line=2).replace("tiny/", "")
    sample = lines.sample("bad", {}, name="gcc-O2+ubsan", role="detect", report=report)
    judged = outcomes.judge_detectors(Sheet([sample]), [found], ["gcc-O2"])[0]
    assert (judged.found, judged.reason) == (False, "no report")


def test_detector_that_was_not_run_is_not_judged(tiny_project: Project) -> None:
    pitfall = pitfall_with(tiny_project, detector("asan", "x"), bad=MARKED)
    judged = outcomes.judge_detectors(Sheet([]), [pitfall], ["gcc-O2"])[0]
    assert (judged.found, judged.held) == (None, None)
    crashed = [lines.failed("bad", "killed by SIGSEGV", name="gcc-O2+asan", role="detect",
                            signal=11)]
    judged = outcomes.judge_detectors(Sheet(crashed), [pitfall], ["gcc-O2"])[0]
    assert judged.held is None
    assert "no report, and it failed" in judged.reason


# ---- Summary -------------------------------------------------------------------------------------


def full_run() -> list[dict[str, Any]]:
    stored = [lines.run(quick=True),
              {**lines.cell("bad", "clang-O2"), "pitfall": None, "variant": None,
               "status": "missing", "message": "clang is not installed: apt-get install clang"}]
    for variant, allocs, scale in (("bad", 2.0, 3.0), ("fixed", 0.0, 1.0)):
        stored.append(lines.cell(variant))
        for number in range(1, 7):
            stored.append(lines.sample(variant, {
                "ns_per_op": scale * (10 + number), "ops_per_s": 1e9 / (10 + number) / scale,
                "allocs_per_op": allocs, "peak_rss_b": 1000000 * scale, "work": 5, "count": 5,
            }, round_=number))
        for n in (10, 100, 1000):
            stored.append(lines.sample(variant, {"retained_b": 16.0 * n}, role="sweep", n=n,
                                       round_=0))
        stored.append(lines.sample(variant, {"startup_s": 0.001}, role="startup", round_=0))
        stored.append(lines.sample(variant, {"ns_per_op": 9.0}, role="observe", round_=0,
                                   timeline={"t_ns": [-5, 0], "rss_b": [1, 2]}))
    return stored


def test_stored_lines_follow_their_schema() -> None:
    validator = jsonschema.Draft202012Validator(
        json.loads((SCHEMAS / "run.schema.json").read_text()))
    for line in full_run():
        validator.validate(line)


def test_interrupted_run_says_what_is_there(tiny_project: Project) -> None:
    """Three rounds were asked for: bad has two of them, fixed one."""
    chosen = catalog.load(tiny_project)
    some = [lines.run(quick=True), lines.cell("bad"), lines.cell("fixed"),
            lines.cell("fixed", "clang-O2", status="failed", message="no"),
            *(lines.sample("bad", {"x": 1.0}, round_=number) for number in (1, 2)),
            lines.sample("fixed", {"x": 1.0})]
    summary = summarise(some, chosen)
    assert summary["taken"] == {"samples": 3, "planned": 6, "rounds": [1, 2]}
    assert summary["events"] == [
        "interrupted: 3 of 6 timed samples, 1 to 2 of 3 rounds",
        "a quick run: 1 to 2 short rounds give ratios, not verdicts"]
    rest = [lines.sample(variant, {"x": 1.0}, round_=number)
            for variant, number in (("bad", 3), ("fixed", 2), ("fixed", 3))]
    assert summarise([*some, *rest], chosen)["events"] == [
        "a quick run: 3 short rounds give ratios, not verdicts"]


def test_merged_runs_are_counted_each_by_its_own_rounds(tiny_project: Project) -> None:
    other = [lines.run(rounds=2) | {"run": "s"}, lines.cell("bad", pitfall="other", run="s"),
             *(lines.sample("bad", {"x": 1.0}, pitfall="other", round_=number, run="s")
               for number in (1, 2))]
    mine = [lines.run(rounds=1), lines.cell("bad"), lines.sample("bad", {"x": 1.0})]
    summary = summarise([*mine, *other], catalog.load(tiny_project))
    assert summary["taken"] == {"samples": 3, "planned": 3, "rounds": [1, 2]}


def test_summary_has_every_key_and_the_right_numbers(tiny_project: Project) -> None:
    summary = summarise(full_run(), catalog.load(tiny_project))
    assert list(summary) == ["v", "run", "taken", "cells", "pitfalls", "flags", "left_out",
                             "controls", "failed", "events"]
    found = summary["pitfalls"][0]
    bad = found["cells"]["gcc-O2"]["variants"]["bad"]
    assert (bad["n"], bad["failed"]) == (6, 0)
    assert bad["metrics"]["ns_per_op"]["median"] == 3 * 13.5
    assert bad["metrics"]["ns_per_op"]["low"] == 3 * 11
    assert bad["metrics"]["startup_s"]["median"] == 0.001
    assert bad["metrics"]["instructions"]["median"] is None
    assert "INSTR=1" in bad["metrics"]["instructions"]["reason"]
    assert bad["timeline"] == {"t_ns": [-5, 0], "rss_b": [1, 2]}
    ratios = found["cells"]["gcc-O2"]["ratios"]["main/fixed"]
    assert ratios["ns_per_op"]["ratio"] == pytest.approx(3)
    assert ratios["allocs_per_op"] == {"ratio": None, "low": None, "high": None, "n": 6,
                                       "reason": "divided by 0"}
    assert {(j["id"], j["held"]) for j in found["laws"]} == {
        ("allocations", True), ("grows", True), ("work", True)}
    assert summary["left_out"] == [
        {"cell": "clang-O2", "reason": "clang is not installed: apt-get install clang"}]
    assert any("quick run" in text for text in summary["events"])
    row = summary["flags"][0]
    assert (row["cell"], row["text_b"], row["startup_s"]) == (
        "gcc-O2", pytest.approx(1000), pytest.approx(0.001))


def test_failures_are_told_once_a_message(tiny_project: Project) -> None:
    stored = [lines.run(), lines.cell("fixed"), lines.cell("fixed", "gcc-Os")]
    stored += [lines.cell("bad", name, status="failed", message="In a:\nx.c:1: error: no")
               for name in ("gcc-O2", "gcc-Os")]
    stored += [lines.failed("fixed", "killed by SIGSEGV", name=name, round_=number, signal=11)
               for name in ("gcc-O2", "gcc-Os") for number in (1, 2)]
    stored += [lines.failed("fixed", "killed by SIGSEGV", role="sweep", round_=0, signal=11)]
    summary = summarise(stored, catalog.load(tiny_project))
    assert summary["failed"] == [
        {"pitfall": "tiny", "variant": "bad", "cells": ["gcc-O2", "gcc-Os"], "samples": {},
         "message": "x.c:1: error: no"},
        {"pitfall": "tiny", "variant": "fixed", "cells": ["gcc-O2", "gcc-Os"],
         "samples": {"timed": 4, "sweep": 1}, "message": "killed by SIGSEGV"}]
    assert [words for words, _ in failures_of(summary)] == [
        "tiny.bad does not build in gcc-O2, gcc-Os (4 not judged)",
        "tiny.fixed failed in gcc-O2, gcc-Os (4 timed, 1 sweep)"]
    assert unjudged(summary) == [("no sample reports its work", 2)]


def test_left_out_cell_is_told_in_one_place(tiny_project: Project) -> None:
    summary = summarise(full_run(), catalog.load(tiny_project))
    assert json.dumps(summary).count("clang is not installed") == 1


def test_every_null_has_a_reason(tiny_project: Project) -> None:
    summary = summarise([lines.run(), lines.cell("bad"), lines.cell("fixed")],
                        catalog.load(tiny_project))
    for cell in summary["pitfalls"][0]["cells"].values():
        for variant in cell["variants"].values():
            for name, metric in variant["metrics"].items():
                assert metric["median"] is not None or metric["reason"], name
        for ratio in cell["ratios"].values():
            assert all(r["ratio"] is not None or r["reason"] for r in ratio.values())
    for row in summary["flags"]:
        assert all(row[c] is not None or row["reasons"][c] for c in ("peak_rss_b", "speed"))


def test_target_files_follow_their_schema(tiny_project: Project) -> None:
    summary = summarise(full_run(), catalog.load(tiny_project))
    for made in (target.bench(summary), target.judged(summary)):
        jsonschema.validate(made, target.schema())
        assert made["rows"]
    rows = {row["id"]: row for row in target.bench(summary)["rows"]}
    assert rows["clang-O2"]["met"] is False
    assert "not installed" in rows["clang-O2"]["reason"]


def test_target_files_are_the_golden_ones(tiny_project: Project) -> None:
    """A row of every kind: with and without a ratio, left out, held, broken, not judged."""
    pitfall = pitfall_with(
        tiny_project,
        law("exact", "equals = 1").replace('"it"', '"too-few"')
        + law("exact", "equals = 1", metric="growths").replace('"it"', '"unknown"')
        + '[[outcome]]\nvariant = "bad"\nexpect = "manifest"\n'
        + detector("asan", "stack-buffer-overflow"), drop_laws=False,
        bad=MARKED + '/* "growths" */\n')
    stored = [*full_run(), lines.cell("bad", "gcc-O2+asan", sanitizer="asan"),
              lines.sample("bad", {}, name="gcc-O2+asan", role="detect", round_=0,
                           report=ASAN.format(line=2))]
    stored[0]["git"] = "0123abcd"
    for line in stored:
        if line["kind"] == "sample" and line["variant"] == "bad" and line["role"] == "timed":
            line["metrics"]["ns_per_op"] += line["round"] ** 2  # so that low, ratio, high differ
    summary = summarise(stored, [pitfall])
    show.write_bench(tiny_project, tiny_project.latest / store.RUN_FILE, summary)
    show.write_laws(tiny_project, summary)
    for name in ("bench.json", "laws.json"):
        golden.check(name, (tiny_project.latest / name).read_text(encoding="utf-8"))


def test_summary_of_the_same_lines_is_the_same(tiny_project: Project) -> None:
    found = catalog.load(tiny_project)
    assert json.dumps(summarise(full_run(), found)) == json.dumps(summarise(full_run(), found))
