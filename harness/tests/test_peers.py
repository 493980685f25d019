"""`make peers`: the goals, and runs in miniature with made-up programs."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness import cli, peer_catalog, peer_rows, peers, plan, stats, store, target
from harness.bench import COMPLETE
from harness.fault import Fault, UsageFault
from harness.progress import Live
from harness.project import Project
from harness.tests import golden, tiny

WORKS = """
[[peer]]
id = "spanheap"
title = "ours"
[[peer]]
id = "go"
title = "theirs"
needs = { package = "golang-go", file = "GO_FILE" }
env = { GREETING = "hello" }
[[peer]]
id = "boehm"
title = "one"
[[peer]]
id = "boehm-parallel"
title = "the other"
[[work]]
id = "trees"
title = "trees"
metrics = ["work_s", "stop_max_ns", "ops_per_s", "scaling"]
args = ["--depth", "9"]
quick = ["--depth", "3"]
"""
GOALS = """
[[goal]]
work = "trees"
metric = "work_s"
kind = "ratio"
peer = "go"
at_most = 0.5
[[goal]]
work = "trees"
metric = "work_s"
kind = "ratio"
peer = "boehm-better"
at_most = 0.5
[[goal]]
work = "trees"
metric = "ops_per_s"
kind = "ratio"
peer = "boehm-better"
at_least = 1.0
[[goal]]
work = "trees"
metric = "stop_max_ns"
kind = "medians"
peer = "go"
at_most = 2.0
[[goal]]
work = "trees"
metric = "scaling"
kind = "value"
at_least = 1.8
"""
MAKEFILE = """
bench-%:
\t@mkdir -p $(BUILD)/bench/$*
\t@install -m 755 fake/$* $(BUILD)/bench/$*/trees
"""


def program(work_s: float, stop_ns: int = 1000, *, checksum: int = 7, ops: float = 100.0,
            before: str = "") -> str:
    """A made-up work: a shell script that writes its record."""
    record = {"v": 1, "work": "trees", "checksum": checksum, "work_s": work_s,
              "stop_max_ns": stop_ns, "ops_per_s": ops, "scaling": 1.9, "pause_ns": [stop_ns]}
    return f"#!/bin/sh\n{before}\necho '{json.dumps(record)}' >&3\n"


@pytest.fixture
def project(tiny_project: Project) -> Project:
    """A checkout whose allocator/bench/ has one work and four peers, all installed."""
    write(tiny_project, "bench/works.toml", WORKS.replace("GO_FILE", "/"))
    write(tiny_project, "bench/goals.toml", GOALS)
    write(tiny_project, "Makefile", MAKEFILE)
    write(tiny_project, "fake/spanheap", program(1.0, ops=150))
    write(tiny_project, "fake/go", program(4.0, before='[ "$GREETING" = hello ] || exit 9'))
    write(tiny_project, "fake/boehm", program(1.5))
    write(tiny_project, "fake/boehm-parallel", program(3.0, ops=200))
    return tiny_project


def write(project: Project, name: str, text: str) -> None:
    path = project.allocator / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def measure(project: Project, live: Live, *, rounds: int = 3, quick: bool = True,
            resume: bool = False, seed: int = 1) -> Path:
    wanted = peers.options(rounds, quick, (), seed)
    return peers.run(project, wanted, live, resume=resume).path


def goal_rows(project: Project, path: Path) -> dict[str, dict[str, Any]]:
    document, _ = peers.judge(project, path)
    assert not list(jsonschema.Draft202012Validator(target.schema()).iter_errors(document))
    return {row["id"]: row for row in document["rows"]}


# ---- The hand-written files ----------------------------------------------------------------------


@pytest.mark.parametrize(("file", "old", "new", "words"), [
    ("goals", 'work = "trees"', 'work = "bushes"', "no work 'bushes'"),
    ("goals", 'metric = "scaling"', 'metric = "height"', "'trees' has no metric 'height'"),
    ("goals", 'peer = "go"', 'peer = "rust"', "'rust' does not run 'trees'"),
    ("goals", 'at_most = 0.5', 'at_most = 0.5\nat_least = 1', "valid under each of"),
    ("goals", 'at_most = 0.5', '', "goal[0]"),
    ("goals", 'kind = "ratio"', 'kind = "guess"', "'guess' is not one of"),
    ("goals", 'kind = "ratio"\npeer = "go"', 'kind = "value"\npeer = "go"', "goal[0].peer"),
    ("goals", 'peer = "boehm-better"', 'peer = "go"', "trees/work_s/go: is there twice"),
    ("goals", "[[goal]]", "[[goal", "goals.toml"),
    ("goals", 'peer = "go"', 'subject = "rust"\npeer = "go"', "'rust' does not run 'trees'"),
    ("works", 'title = "theirs"', 'title = "theirs"\nworks = ["weeds"]', "no work 'weeds'"),
    ("works", 'id = "boehm"\n', 'id = "go"\n', "peer 'go' is there twice"),
    ("works", 'id = "spanheap"', 'id = "spam"', "no peer 'spanheap'"),
    ("works", 'args = ', 'peers = ["nobody"]\nargs = ', "no peer 'nobody'"),
    ("works", 'args = ', 'argz = ', "'argz' was unexpected"),
])
def test_wrong_file_is_refused_with_words(
    project: Project, file: str, old: str, new: str, words: str
) -> None:
    path = project.allocator / "bench" / f"{file}.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UsageFault) as caught:
        peer_catalog.load(project)
    assert words in str(caught.value)


# ---- Order and statistics ------------------------------------------------------------------------


def test_rounds_keep_what_is_compared_together_in_a_random_order() -> None:
    works = {"a": ["x", "y", "z"], "b": ["x", "y"], "c": ["z"]}
    specs = plan.interleaved(works, "peers", 1, 20)
    assert specs == plan.interleaved(works, "peers", 1, 20)
    assert specs != plan.interleaved(works, "peers", 2, 20)
    assert len({s.id for s in specs}) == len(specs) == 20 * 6
    orders = set()
    for number in range(1, 21):
        seen = [s.pitfall for s in specs if s.round == number]
        assert Counter(seen) == {"a": 3, "b": 2, "c": 1}
        assert len(list(dict.fromkeys(seen))) == sum(
            a != b for a, b in zip(seen, ["", *seen[:-1]])), "a work's peers follow each other"
        orders.add(tuple(s.id.replace(f"/r{number:02d}", "") for s in specs if s.round == number))
    assert len(orders) > 15


def test_ratio_of_medians_takes_medians_first() -> None:
    top, bottom = [1.0, 2.0, 90.0], [10.0, 4.0, 1.0]
    found = stats.ratio_of_medians(top, bottom)
    assert found.value == 0.5 and found.n == 3
    assert found.low is not None and found.high is not None and found.low <= 0.5 <= found.high
    assert stats.ratio_of_medians(top, bottom) == found
    assert stats.ratio_of_medians([], []).reason == "no round has both"
    assert stats.ratio_of_medians([1.0], [0.0]).reason == "divided by 0"
    assert stats.ratio_of_medians([1.0], [2.0]).low is None


# ---- A run in miniature --------------------------------------------------------------------------


def test_small_run_is_stored_judged_and_valid(project: Project, quiet: Live) -> None:
    path = measure(project, quiet)
    schema = json.loads((Path(peers.__file__).parent / "schema" / "run.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    lines = store.read(path)
    assert not [e.message for line in lines for e in validator.iter_errors(line)]
    taken = store.samples(lines)
    assert Counter(s["variant"] for s in taken) == {
        "spanheap": 3, "go": 3, "boehm": 3, "boehm-parallel": 3}
    assert taken[0]["args"] == ["--depth", "3"] and "stolen_ticks" in taken[0]["metrics"]
    assert (path.parent / COMPLETE).exists()
    rows = goal_rows(project, path)
    go = rows["trees/work_s/go"]
    assert (go["value"], go["peer"], go["ratio"], go["n"]) == (1.0, 4.0, 0.25, 3)
    assert (go["met"], go["verdict"], go["goal"]) == (True, "met", "≤ 0.5")
    assert rows["trees/scaling/value"]["met"] and rows["trees/scaling/value"]["ratio"] is None
    plain = rows["trees/work_s/boehm-parallel"]
    assert plain["goal"] is None and plain["met"] is None and plain["ratio"] == pytest.approx(1 / 3)


def test_peers_file_is_the_golden_one(project: Project, quiet: Live) -> None:
    write(project, "fake/go", program(4.0).replace(
        '"stop_max_ns": 1000', '"stop_max_ns": null, "why_stop_max_ns": "it never stopped"'))
    path = measure(project, quiet)
    _, stored = peers.judge(project, path)
    for line in stored:
        if line["kind"] == "run":
            line |= {"git": "0123abcd", "machine": {"cpus": 2, "reasons": {}}}
        elif line["kind"] == "sample":
            line["metrics"].pop(peer_rows.STOLEN, None)
    peers.write(project, path, peer_rows.judge(stored, peer_catalog.load(project)), stored)
    golden.check("peers.json", (project.latest / peers.FIGURES).read_text(encoding="utf-8"))


def test_the_better_of_two_configurations_is_compared_with(project: Project, quiet: Live) -> None:
    rows = goal_rows(project, measure(project, quiet, rounds=1))
    faster = rows["trees/work_s/boehm-better"]
    assert (faster["peer_name"], faster["met"]) == ("boehm", False)
    more = rows["trees/ops_per_s/boehm-better"]
    assert (more["peer_name"], more["ratio"], more["verdict"]) == ("boehm-parallel", 0.75, "missed")


def test_goal_of_another_peer_is_judged_by_its_figure(
    project: Project, quiet: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    goals = project.allocator / "bench" / "goals.toml"
    goals.write_text(goals.read_text() + '[[goal]]\nwork = "trees"\nmetric = "work_s"\n'
                     'kind = "ratio"\nsubject = "boehm"\npeer = "boehm-parallel"\nat_most = 0.4\n'
                     '[[goal]]\nwork = "trees"\nmetric = "ops_per_s"\nkind = "value"\n'
                     'subject = "boehm"\nat_least = 100\n')
    path = measure(project, quiet)
    rows = goal_rows(project, path)
    of_boehm = rows["trees/work_s/boehm:boehm-parallel"]
    assert (of_boehm["value"], of_boehm["peer"], of_boehm["ratio"]) == (1.5, 3.0, 0.5)
    assert (of_boehm["met"], of_boehm["peer_name"]) == (False, "boehm-parallel")
    assert rows["trees/work_s/boehm-parallel"]["value"] == 1.0, "spanheap stands beside it as ever"
    own = rows["trees/ops_per_s/boehm:value"]
    assert (own["value"], own["met"]) == (100.0, True)
    assert cli.main(["peers", "--run", path.parent.name], project) == 0
    text = capsys.readouterr().out
    assert "boehm / boehm-parallel" in text
    assert [w for w in text.splitlines() if w.split()[:4] == ["trees", "work_s", "1", "s"]]


def test_peer_runs_the_works_that_it_names(project: Project) -> None:
    works = project.allocator / "bench" / "works.toml"
    works.write_text(works.read_text() + '[[work]]\nid = "bushes"\ntitle = "bushes"\n'
                     'metrics = ["work_s"]\nargs = []\n[[peer]]\nid = "guest"\ntitle = "guest"\n'
                     'works = ["bushes"]\n')
    ran_by = {w.id: w.peers for w in peer_catalog.load(project).works}
    assert "guest" in ran_by["bushes"] and "guest" not in ran_by["trees"]


def test_verb_prints_the_table_and_writes_the_files(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "elsewhere"
    assert cli.main(["peers", "--quick", "--rounds", "2", "--out", str(out)], project) == 0
    text = capsys.readouterr().out
    assert "goals met: 3 of 5; missed: 2" in text
    assert "≤ 0.5" in text and "2 round(s): a look" in text
    assert all(len(line) <= 100 for line in text.splitlines() if str(out) not in line)
    names = {"peers.jsonl", "peers.json", "peers.md"}
    assert {p.name for p in (out / "latest").iterdir()} == names
    assert "| trees | work_s | 1 s | 4 s | go |" in (out / "latest" / "peers.md").read_text()
    run_id = next(p.name for p in out.iterdir() if p.name != "latest")
    goals = project.allocator / "bench" / "goals.toml"
    goals.write_text(goals.read_text().replace("at_most = 0.5", "at_most = 0.1", 1))
    assert cli.main(["peers", "--run", run_id, "--out", str(out)], project) == 0
    assert "goals met: 2 of 5" in capsys.readouterr().out
    assert '"≤ 0.5"' in (out / "latest" / "peers.json").read_text(), "an older run changes nothing"
    assert cli.main(["peers", "--run", "--out", str(out)], project) == 0
    assert '"≤ 0.1"' in (out / "latest" / "peers.json").read_text()
    assert cli.main(["laws", "--run", run_id, "--out", str(out)], project) == 2
    assert "harness peers --run" in capsys.readouterr().err


def test_works_can_be_chosen(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    works = project.allocator / "bench" / "works.toml"
    works.write_text(works.read_text() + '[[work]]\nid = "bushes"\nprogram = "trees"\n'
                     'title = "bushes"\nmetrics = ["work_s"]\nargs = []\n')
    assert cli.main(["peers", "--rounds", "1", "--works", "bushes"], project) == 0
    assert "goals met: 0 of 0" in capsys.readouterr().out
    assert cli.main(["peers", "--rounds", "1", "--works", "weeds"], project) == 2
    assert "no work 'weeds'; there are: trees bushes" in capsys.readouterr().err


def test_peer_that_is_not_installed_is_said_and_its_goals_are_not_met(
    project: Project, quiet: Live, said: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, "bench/works.toml", WORKS.replace("GO_FILE", "/nowhere"))
    path = measure(project, quiet)
    why = "golang-go is not installed: apt-get install golang-go"
    assert f"go: not measured: {why}" in said()
    rows = goal_rows(project, path)
    for name in ("trees/work_s/go", "trees/stop_max_ns/go", "trees/scaling/go"):
        assert (rows[name]["met"], rows[name]["verdict"]) == (False, "not measured")
        assert rows[name]["reason"] == f"go: {why}"
    assert rows["trees/work_s/boehm-better"]["ratio"] is not None
    assert cli.main(["peers", "--quick", "--rounds", "1"], project) == 0
    assert "not measured, so not met: 2" in capsys.readouterr().out


def test_crash_is_a_line_and_the_others_go_on(
    project: Project, capsys: pytest.CaptureFixture[str], quiet: Live
) -> None:
    trace = "echo 'gc 1 @0.001s 5%: 0.1+2+0.1 ms clock' >&2; echo 'it broke' >&2; kill -SEGV $$"
    write(project, "fake/go", program(4.0, before=trace))
    assert cli.main(["peers", "--quick", "--rounds", "2"], project) == 4
    text = capsys.readouterr().out
    assert "trees of go: 2 sample(s) failed: killed by SIGSEGV" in text
    path = project.latest / peers.RUN_COPY
    broken = [s for s in store.samples(store.read(path)) if s["variant"] == "go"]
    assert [s["status"]["signal"] for s in broken] == [11, 11]
    assert "it broke" in broken[0]["status"]["message"]
    assert "gc 1" not in broken[0]["status"]["message"]
    rows = goal_rows(project, path)
    assert rows["trees/work_s/go"]["met"] is False
    assert "killed by SIGSEGV" in rows["trees/work_s/go"]["reason"]
    assert rows["trees/work_s/boehm-parallel"]["n"] == 2


def test_round_without_one_side_does_not_count_for_either(project: Project, quiet: Live) -> None:
    once = f"{project.root}/once"
    write(project, "fake/go", program(4.0, before=f"mkdir {once} 2>&- && exit 3"))
    rows = goal_rows(project, measure(project, quiet, rounds=3))
    assert rows["trees/work_s/go"]["n"] == 2 and rows["trees/work_s/go"]["met"]


def test_peer_that_does_not_build_is_said_and_the_others_go_on(
    project: Project, quiet: Live, said: Callable[[], str]
) -> None:
    (project.allocator / "fake" / "boehm").unlink()
    path = measure(project, quiet)
    assert "boehm does not build:" in said() and "fake/boehm" in said()
    assert peer_rows.went_wrong(store.read(path))
    assert "does not build" in goal_rows(project, path)["trees/work_s/boehm"]["reason"]
    for name in ("spanheap", "go", "boehm-parallel"):
        (project.allocator / "fake" / name).unlink()
    with pytest.raises(Fault, match="nothing was built"):
        measure(project, quiet)


def test_peers_that_computed_something_else_are_not_compared(project: Project, quiet: Live) -> None:
    write(project, "fake/go", program(4.0, checksum=8))
    row = goal_rows(project, measure(project, quiet))["trees/work_s/go"]
    assert (row["met"], row["verdict"], row["ratio"]) == (False, "not measured", None)
    assert "did not compute the same: checksums 7, 8" in row["reason"]


def test_figure_that_a_program_does_not_have_has_its_reason(project: Project, quiet: Live) -> None:
    write(project, "fake/go", program(4.0).replace(
        '"stop_max_ns": 1000', '"stop_max_ns": null, "why_stop_max_ns": "it never stopped"'))
    row = goal_rows(project, measure(project, quiet))["trees/stop_max_ns/go"]
    assert (row["met"], row["reason"]) == (False, "go: it never stopped")


def test_figure_with_nothing_beside_it_is_a_row_too(project: Project, quiet: Live) -> None:
    works = project.allocator / "bench" / "works.toml"
    works.write_text(works.read_text() + '[[work]]\nid = "alone"\nprogram = "trees"\n'
                     'title = "alone"\nmetrics = ["work_s", "cpu_s"]\nargs = []\n'
                     'peers = ["spanheap"]\n')
    rows = goal_rows(project, measure(project, quiet))
    own = rows["alone/work_s/value"]
    assert (own["value"], own["n"], own["goal"], own["met"]) == (1.0, 3, None, None)
    assert rows["alone/cpu_s/value"]["reason"] == "spanheap: not in the program's record"


def test_stolen_time_is_flagged_and_kept(project: Project, quiet: Live) -> None:
    lines = store.read(measure(project, quiet))
    for line in lines:
        if line["kind"] == "sample":
            line["metrics"]["stolen_ticks"] = int(
                line["variant"] == "go" and line["round"] < 3)
    rows = {r["id"]: r for r in peer_rows.judge(lines, peer_catalog.load(project))["rows"]}
    assert rows["trees/work_s/go"]["reason"] == "stolen time in 2 of 3 samples of go"
    assert rows["trees/work_s/go"]["n"] == 3
    assert rows["trees/work_s/boehm-parallel"]["reason"] is None


def test_interval_that_crosses_the_bound_is_said(project: Project, quiet: Live) -> None:
    lines = store.read(measure(project, quiet, rounds=5))
    for line in lines:
        if line["kind"] == "sample" and line["variant"] == "spanheap":
            line["metrics"]["work_s"] = (0.5, 1.0, 1.9, 2.5, 3.0)[line["round"] - 1]
    rows = {r["id"]: r for r in peer_rows.judge(lines, peer_catalog.load(project))["rows"]}
    assert rows["trees/work_s/go"]["verdict"] == "met, but the interval crosses the bound"


def test_run_goes_on_where_it_was_cut(
    project: Project, quiet: Live, said: Callable[[], str]
) -> None:
    path = measure(project, quiet)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-4]) + lines[-4][:50])
    (path.parent / COMPLETE).unlink()
    again = measure(project, quiet, seed=99, resume=True)
    assert again == path and f"RESUME: going on with {path.parent.name}" in said()
    stored = store.samples(store.read(path))
    whole = [json.loads(line) for line in lines]
    key = ("sample", "seed", "env_pad_b", "position")
    assert sorted([s[k] for k in key] for s in stored) == sorted(
        [s[k] for k in key] for s in whole if s["kind"] == "sample")
    assert sum(line["kind"] == "run" for line in store.read(path)) == 1
    fresh = measure(project, quiet, seed=3, resume=True)
    assert fresh != path and "a new one begins" in said()


def test_interrupted_run_keeps_what_it_measured(project: Project, quiet: Live) -> None:
    for name in ("spanheap", "go", "boehm", "boehm-parallel"):
        write(project, f"fake/{name}", program(1.0, before="sleep 0.1"))
    process = tiny.start(project, "peers")
    deadline = time.monotonic() + 60
    files: list[Path] = []
    while time.monotonic() < deadline:
        files = list(project.results.glob("*/run.jsonl"))
        if files and files[0].read_bytes().count(b'"kind":"sample"') >= 2:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "make peers RESUME=1 goes on" in errors
    kept = store.samples(store.read(files[0]))
    assert 2 <= len(kept) < 4 * peers.DEFAULT_ROUNDS
    assert measure(project, quiet, rounds=1, resume=True) == files[0]
    stored = store.samples(store.read(files[0]))
    assert stored[: len(kept)] == kept and len(stored) == 4 * peers.DEFAULT_ROUNDS
