"""A run from end to end on a checkout in miniature, and everything that can go wrong in it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from harness import bench, catalog, charts, plan, rig, store
from harness.build import Builder, Program
from harness.fault import Fault, UsageFault
from harness.launch import Job, Launcher, Run
from harness.plan import Options
from harness.progress import Live, time_left
from harness.project import Project
from harness.sheet import Sheet
from harness.summary import summarise
from harness.tests import tiny

CRASHES = "#include <signal.h>\n#define TINY_BEFORE raise(11);\n" + tiny.BAD
HANGS = "#define TINY_BEFORE for (;;) pause();\n" + tiny.BAD
LIES = "#define TINY_EXTRA \",\\\"user_ns\\\":-5\"\n" + tiny.BAD
SPEAKS_NONSENSE = ("#define TINY_BEFORE { dprintf(3, \"{nonsense\\n\"); return 0; }\n" + tiny.BAD)


def schema_errors(path: Path) -> list[str]:
    text = (Path(bench.__file__).parent / "schema" / "run.schema.json").read_text()
    validator = jsonschema.Draft202012Validator(json.loads(text))
    return [e.message for line in store.read(path) for e in validator.iter_errors(line)]


def test_small_run_is_stored_judged_and_valid(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    done = bench.run(tiny_project, replace(options, extras=True, quick=False, rounds=2), quiet)
    stored = store.read(done.path)
    assert not schema_errors(done.path)
    roles = [line["role"] for line in stored if line["kind"] == "sample"]
    assert {r: roles.count(r) for r in set(roles)} == {
        "timed": 2 * 2, "sweep": 2 * 3, "observe": 2, "startup": 2, "perf": 2}
    assert set(roles[-4:]) == {"timed"}  # the rounds come last, each program has run by then
    assert done.failed_samples == 0
    summary = summarise(stored, catalog.load(tiny_project))
    assert [law["held"] for law in summary["pitfalls"][0]["laws"]] == [True, True, True]
    bad = summary["pitfalls"][0]["cells"]["gcc-O2"]["variants"]["bad"]
    assert bad["metrics"]["ns_per_op"]["median"] == pytest.approx(1000, rel=0.1)
    assert bad["metrics"]["peak_live_b"]["reason"] == "not known" if (
        "peak_live_b" in bad["metrics"]) else True
    assert bad["collections_at_ns"] == [5, 9]


def test_pitfall_of_a_value_is_timed_once(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    tiny.add(tiny_project, "valued", {"bad": tiny.BAD, "fixed": tiny.FIXED},
             tiny.TOML.replace("[parameter]", "value_only = true\n[parameter]"))
    done = bench.run(tiny_project, replace(options, extras=True, rounds=3), quiet)
    stored = store.read(done.path)
    roles = [line["role"] for line in stored
             if line["kind"] == "sample" and line["pitfall"] == "valued"]
    assert {r: roles.count(r) for r in set(roles)} == {"sweep": 2 * 3, "timed": 2}
    summary = summarise(stored, catalog.load(tiny_project))
    assert summary["taken"] == {"samples": 2 * 3 + 2, "planned": 2 * 3 + 2, "rounds": [3, 3]}
    assert not any("interrupted" in one for one in summary["events"])
    valued = next(p for p in summary["pitfalls"] if p["id"] == "valued")
    assert [law["held"] for law in valued["laws"]] == [True, True, True]
    ratios = valued["cells"]["gcc-O2"]["ratios"]["main/fixed"]
    assert ratios["ns_per_op"]["ratio"] is ratios["peak_rss_b"]["ratio"] is None
    assert ratios["work"]["ratio"] == 1
    assert not any("valued" in chart.name for chart in charts.plans(summary))
    assert [row["programs"] for row in summary["flags"]] == [2]  # those that have every round


def test_nothing_is_linked_while_a_program_runs(
    tiny_project: Project, quiet: Live, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    linking: list[str] = []
    beside: list[list[str]] = []
    link, run = Builder.link, Launcher.run

    def noted_link(self: Builder, program: Program, layout_seed: int, path: Path) -> None:
        linking.append(path.name)
        link(self, program, layout_seed, path)
        linking.remove(path.name)

    def noted_run(self: Launcher, job: Job) -> Run:
        before = list(linking)
        done = run(self, job)
        beside.append(before + linking)
        return done

    monkeypatch.setattr(Builder, "link", noted_link)
    monkeypatch.setattr(Launcher, "run", noted_run)
    bench.run(tiny_project, replace(options, rounds=2 * rig.LINKS_AT_ONCE), quiet)
    assert len(beside) > 4 * rig.LINKS_AT_ONCE and not any(beside)


def test_seed_decides_order_layout_and_environment(
    tiny_project: Project, options: Options
) -> None:
    tiny.add(tiny_project, "other", {"bad": tiny.BAD, "fixed": tiny.FIXED})
    pitfalls = catalog.load(tiny_project)
    keys = [plan.ProgramKey(p.id, v.id, "gcc-O2") for p in pitfalls for v in p.variants]
    defaults = {p.id: 10 for p in pitfalls}
    big = replace(options, rounds=10)
    one, two = plan.rounds(keys, big, defaults), plan.rounds(keys, big, defaults)
    other = plan.rounds(keys, replace(big, seed=2), defaults)
    assert one == two
    assert [s.id for s in one] != [s.id for s in other]
    assert {s.round for s in one} == set(range(1, 11))
    for number in range(1, 11):
        assert {s.variant + s.pitfall for s in one if s.round == number} == {
            k.variant + k.pitfall for k in keys}
    assert len({tuple(s.id for s in one if s.round == n) for n in range(1, 11)}) > 5
    assert len({s.layout_seed for s in one}) == len(one)
    assert all(0 <= s.env_pad_b < 4096 and s.layout_seed > 0 for s in one)


def test_crash_is_a_sample_without_metrics_and_the_others_go_on(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    tiny.add(tiny_project, "tiny", {"bad": CRASHES})
    done = bench.run(tiny_project, options, quiet)
    sheet = Sheet(store.read(done.path))
    bad = sheet.timed("tiny", "bad", "gcc-O2")
    assert [s["status"]["signal"] for s in bad] == [11]
    assert bad[0]["metrics"] == {}
    assert sheet.outcome("tiny", "bad", "gcc-O2") == "crash"
    assert sheet.timed("tiny", "fixed", "gcc-O2")[0]["metrics"]["allocs_per_op"] == 0
    assert not schema_errors(done.path)


def test_variant_that_explains_is_asked_once_on_one_cell(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    says = '#define TINY_EXTRA ",\\"explanation\\":\\"pitfall_retains(p): kept\\""\n'
    toml = tiny.TOML.replace('role = "bad"', 'role = "bad"\nexplain = true')
    tiny.add(tiny_project, "tiny", {"bad": says + tiny.BAD}, toml)
    done = bench.run(tiny_project, replace(options, extras=True, quick=True), quiet)
    stored = store.read(done.path)
    asked = [line for line in stored if line.get("role") == "explain"]
    assert [(s["variant"], s["cell"], s["report"]) for s in asked] == [
        ("bad", "gcc-O2", "pitfall_retains(p): kept")]
    assert asked[0]["args"] == ["--n", "10", "--explain"]
    assert not schema_errors(done.path)
    assert not any(line.get("report") for line in stored if line not in asked)
    summary = summarise(stored, catalog.load(tiny_project))
    assert summary["pitfalls"][0]["explanations"] == [
        {"variant": "bad", "role": "bad", "cell": "gcc-O2", "text": "pitfall_retains(p): kept",
         "reason": None}]


@pytest.mark.parametrize(("source", "words"), [(HANGS, "still running after 0.3 s"),
                                               (SPEAKS_NONSENSE, "not JSON"),
                                               (LIES, "user_ns is -5, not a whole number")])
def test_program_that_gives_no_figures_is_reported(
    tiny_project: Project, quiet: Live, options: Options, said: Callable[[], str], source: str,
    words: str
) -> None:
    tiny.add(tiny_project, "tiny", {"bad": source},
             tiny.TOML.replace("title", "timeout_s = 0.3\ntitle", 1))
    done = bench.run(tiny_project, options, quiet)
    assert f"tiny.bad does not run: {words}" in said() or words in said()
    summary = summarise(store.read(done.path), catalog.load(tiny_project))
    assert any(row["variant"] == "bad" and row["cells"] == ["gcc-O2"] and words in row["message"]
               for row in summary["failed"])
    held = {law["id"]: law["held"] for law in summary["pitfalls"][0]["laws"]}
    assert held["allocations"] is None


def test_program_that_hangs_is_waited_for_once(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    tiny.add(tiny_project, "tiny", {"bad": HANGS},
             tiny.TOML.replace("title", "timeout_s = 0.3\ntitle", 1))
    done = bench.run(tiny_project, replace(options, rounds=3), quiet)
    bad = [s["status"] for s in store.samples(store.read(done.path)) if s["variant"] == "bad"]
    assert len(bad) == 6 and sum(s["timeout"] for s in bad) == 3  # once a value of the parameter
    assert all(s["timeout"] or s["message"].startswith("not started: ") for s in bad)


def test_variant_that_does_not_compile_is_reported_and_the_others_go_on(
    tiny_project: Project, quiet: Live, options: Options, said: Callable[[], str]
) -> None:
    tiny.add(tiny_project, "tiny", {"bad": "#error made to fail\n"})
    done = bench.run(tiny_project, options, quiet)
    assert done.failed_builds == 1
    assert "tiny.bad does not build in gcc-O2:" in said() and "made to fail" in said()
    sheet = Sheet(store.read(done.path))
    assert "made to fail" in sheet.cells["tiny", "bad", "gcc-O2"]["message"]
    assert sheet.timed("tiny", "fixed", "gcc-O2")
    assert not schema_errors(done.path)


def test_nothing_built_is_a_failure(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    (tiny_project.allocator / "stub.c").write_text("#error made to fail\n")
    with pytest.raises(Fault, match="nothing was built"):
        bench.run(tiny_project, options, quiet)


def test_no_pitfalls_is_explained(tiny_project: Project, quiet: Live, options: Options) -> None:
    for path in (tiny_project.pitfalls / "tiny").iterdir():
        path.unlink()
    (tiny_project.pitfalls / "tiny").rmdir()
    with pytest.raises(UsageFault, match="make new-pitfall"):
        bench.run(tiny_project, options, quiet)


def test_run_goes_on_after_a_cut_line(
    tiny_project: Project, quiet: Live, options: Options, said: Callable[[], str]
) -> None:
    done = bench.run(tiny_project, options, quiet)
    whole = store.samples(store.read(done.path))
    text = done.path.read_bytes()
    lines = text.splitlines(keepends=True)
    done.path.write_bytes(b"".join(lines[:-4]) + lines[-4][:50])
    (done.path.parent / bench.COMPLETE).unlink()
    again = bench.run(tiny_project, replace(options, seed=99), quiet, resume=True)
    assert again.path == done.path
    assert f"RESUME: going on with {done.run_id}" in said()
    new = store.samples(store.read(again.path))
    key = ("sample", "seed", "layout_seed", "env_pad_b", "args", "position")
    assert sorted([[s[k] for k in key] for s in new]) == sorted([[s[k] for k in key]
                                                                 for s in whole])
    assert new[: len(whole) - 4] == whole[: len(whole) - 4]
    assert sum(line["kind"] == "run" for line in store.read(again.path)) == 1
    assert sum(line["kind"] == "cell" for line in store.read(again.path)) == 2


def test_finished_run_is_not_gone_on_with(
    tiny_project: Project, quiet: Live, options: Options, said: Callable[[], str]
) -> None:
    first = bench.run(tiny_project, options, quiet)
    second = bench.run(tiny_project, replace(options, seed=2), quiet, resume=True)
    assert first.path != second.path
    assert "a new one begins" in said()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_killed_run_keeps_what_it_measured_and_goes_on(
    tiny_project: Project, quiet: Live, number: signal.Signals
) -> None:
    slow = "#define TINY_BEFORE usleep(30000);\n"
    tiny.add(tiny_project, "tiny", {"bad": slow + tiny.BAD, "fixed": slow + tiny.FIXED})
    arguments = ["bench", "--quick", "--cells", "gcc-O2"]
    process = tiny.start(tiny_project, *arguments)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        files = list(tiny_project.results.glob("*/run.jsonl"))
        if files and files[0].read_bytes().count(b'"kind":"sample"') >= 3:
            break
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if number != signal.SIGKILL else -9)
    if number != signal.SIGKILL:
        assert "RESUME=1 goes on" in errors
    kept = store.samples(store.read(files[0]))
    assert 3 <= len(kept) < 22
    found = bench.unfinished(tiny_project, "bench")
    options = None if found is None else bench.restored(Options, found[1])
    assert options is not None
    done = bench.run(tiny_project, options, quiet, resume=True)
    assert done.path == files[0]
    stored = store.samples(store.read(done.path))
    assert stored[: len(kept)] == kept
    assert len([s for s in stored if s["role"] == "timed"]) == 12


def test_instructions_are_counted_on_demand(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    source = "static int run_rounds(void);\n#define TINY_BEFORE run_rounds();\n" + tiny.BAD + (
        "static volatile int sink;\n__attribute__((noinline)) static int run_rounds(void)"
        "{ for (int i = 0; i < 1000; i++) sink = i; return 0; }\n")
    tiny.add(tiny_project, "tiny", {"bad": source, "fixed": source})
    counts = []
    for seed in (1, 2):
        done = bench.run(tiny_project, replace(options, instructions=True, seed=seed), quiet)
        found = Sheet(store.read(done.path)).role("tiny", "bad", "gcc-O2", "instr")
        assert len(found) == 1
        if not found[0]["metrics"]:
            pytest.skip(found[0]["reasons"]["instructions"])
        counts.append(found[0]["metrics"]["instructions"])
    assert counts[0] == counts[1] > 1000


@pytest.mark.parametrize(("elapsed", "done", "total", "text"),
                         [(0, 0, 10, "… left"), (10, 1, 10, "1:30 left"), (5, 10, 10, "0:00 left")])
def test_time_left(elapsed: float, done: int, total: int, text: str) -> None:
    assert time_left(elapsed, done, total) == text
