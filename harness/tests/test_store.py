"""What is measured is kept: cut lines, full disks, wrong files."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import bench, store
from harness.fault import Fault, UsageFault
from harness.plan import Options
from harness.project import Project
from harness.tests import lines

RUN = lines.run()
LINE: dict[str, Any] = lines.sample("bad", {"x": 1.5}) | {"text": "x" * 100}


@contextmanager
def small_files() -> Iterator[None]:
    """Files cannot grow beyond 1000 bytes: a full disk without root. No fixture: what pytest
    itself writes must not be cut."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_no_two_runs_share_a_folder(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path)
    paths = []
    for _ in range(3):
        paths.append(store.new_run(project, "bench", 1))
        paths[-1].parent.mkdir()
    assert len(set(paths)) == 3


def test_runs_keep_their_order_when_the_clock_is_set_back(tmp_path: Path) -> None:
    project = Project(tmp_path)
    names = ["20990101-235959-bench-0001", "copied by hand"]
    for seed in (9, 1):
        for name in names:
            (project.results / name).mkdir(parents=True, exist_ok=True)
            (project.results / name / store.RUN_FILE).touch()
        names.append(store.new_run(project, "bench", seed).parent.name)
    assert names[2:] == ["20990102-000000-bench-0009", "20990102-000001-bench-0001"]


def test_lines_come_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "run.jsonl"
    with store.Store(path) as kept:
        kept.append(RUN)
        kept.append(LINE)
    assert store.read(path) == [RUN, LINE]


def test_cut_last_line_is_passed_over_and_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with store.Store(path) as kept:
        kept.append(LINE)
        kept.append({**LINE, "sample": "second"})
    path.write_bytes(path.read_bytes()[:-20])
    assert store.read(path) == [LINE]
    with store.Store(path) as kept:
        kept.append({**LINE, "sample": "third"})
    assert [line["sample"] for line in store.read(path)] == [LINE["sample"], "third"]


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(f'{json.dumps(RUN)}\n{{"kind":\n{json.dumps(RUN)}\n')
    with pytest.raises(Fault, match=r"run.jsonl:2: not JSON"):
        store.read(path)
    path.write_text(f'{json.dumps(RUN)}\n{{"kind":"other"}}\n')
    with pytest.raises(Fault, match=r"run.jsonl:2: not a line of kind"):
        store.read(path)


STATUS: dict[str, Any] = dict(LINE["status"])
PAUSES: dict[str, Any] = dict(LINE["pauses"])


@pytest.mark.parametrize(("change", "words"), [
    ({"v": 2}, "written by a newer pitmark"),
    ({"kind": ["sample"]}, "not a line of kind run, cell or sample"),
    ({"metrics": [1, 2]}, "'metrics' is of the wrong type"),
    ({"metrics": {"ns_per_op": "fast"}}, "in 'metrics' 'ns_per_op' is not a number"),
    ({"metrics": {"ns_per_op": True}}, "in 'metrics' 'ns_per_op' is not a number"),
    ({"metrics": {"ns_per_op": float("nan")}}, "in 'metrics' 'ns_per_op' is not a number"),
    ({"metrics": {"ns_per_op": 10**400}}, "in 'metrics' 'ns_per_op' is not a number"),
    ({"reasons": {"x": 5}}, "in 'reasons' 'x' is not a text"),
    ({"round": "first"}, "'round' is of the wrong type"),
    ({"round": True}, "'round' is of the wrong type"),
    ({"round": -1}, "'round' or 'wall_s' is out of its range"),
    ({"wall_s": -0.5}, "'round' or 'wall_s' is out of its range"),
    ({"seed": 1.5}, "'seed' is of the wrong type"),
    ({"n": None}, "'n' is of the wrong type"),
    ({"status": None}, "'status' is of the wrong type"),
    ({"status": {k: v for k, v in STATUS.items() if k != "message"}},
     "in 'status' 'message' is missing"),
    ({"status": STATUS | {"signal": "SIGSEGV"}}, "in 'status' 'signal' is of the wrong type"),
    ({"args": ["--n", 10]}, "'args' is not a list of texts"),
    ({"args": ["--count"]}, "'args' has no number after --count"),
    ({"args": ["--count", "many"]}, "'args' has no number after --count"),
    ({"pauses": {}}, "in 'pauses' 'length_ns' is not a list of whole numbers"),
    ({"pauses": PAUSES | {"at_ns": [1.5]}}, "in 'pauses' 'at_ns' is not a list of whole numbers"),
    ({"timeline": {"t_ns": [1]}}, "in 'timeline' 'rss_b' is not a list of whole numbers"),
    ({"marked": {"/* here */": "bad.c:1"}}, "'marked' has something else"),
    ({"outcome": 7}, "'outcome' is of the wrong type"),
])
def test_line_of_a_newer_pitmark_or_of_a_hand_is_named(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps(RUN) + "\n" + json.dumps(LINE | change) + "\n")
    with pytest.raises(Fault, match=f"run.jsonl:2: .*{words}"):
        store.read(path)


@pytest.mark.parametrize(("change", "words"), [
    ({"status": "fine"}, "'status' is none of ok failed missing"),
    ({"flags": "-O2"}, "'flags' is of the wrong type"),
    ({"flags": [2]}, "'flags' is not a list of texts"),
    ({"text_b": "1 KiB"}, "'text_b' is of the wrong type"),
    ({"pitfall": 3}, "'pitfall' is of the wrong type"),
    ({"image_sha": 3}, "'image_sha' is of the wrong type"),
])
def test_build_that_was_edited_is_named(tmp_path: Path, change: dict[str, object],
                                        words: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps(RUN) + "\n" + json.dumps(lines.cell("bad") | change) + "\n")
    with pytest.raises(Fault, match=f"run.jsonl:2: {words}: was the file edited. Delete"):
        store.read(path)


ARMS = [{"name": "A", "title": "gcc -O2"}, {"name": "B", "title": "gcc -Os"}]
COMPARED = {"rounds": 3, "seed": 1, "arms": ARMS}


@pytest.mark.parametrize(("target", "settings", "words"), [
    ("compare", {"rounds": 3, "seed": 1}, "'settings' has no 'arms'"),
    ("compare", {"arms": ARMS, "seed": 1}, "'settings' has no 'rounds'"),
    ("compare", COMPARED | {"arms": []}, "in 'settings' 'arms' is not a list of objects"),
    ("compare", COMPARED | {"arms": [{"name": "A"}]}, "in 'settings' 'arms' is not a list"),
    ("compare", COMPARED | {"rounds": "3"}, "in 'settings' 'rounds' is of the wrong type"),
    ("compare", COMPARED | {"turns": 1}, "in 'settings' 'turns' is of the wrong type"),
    ("compare", COMPARED | {"pitfalls": "growth"}, "in 'settings' 'pitfalls' is not a list"),
    ("bench", {"quick": "no"}, "in 'settings' 'quick' is of the wrong type"),
    ("peers", {}, "'settings' has no 'works'"),
])
def test_settings_that_were_edited_are_named(tmp_path: Path, target: str,
                                             settings: dict[str, object], words: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps(RUN | {"target": target, "settings": settings}) + "\n")
    with pytest.raises(Fault, match=f"run.jsonl:1: {words}.*Put back what was there"):
        store.read(path)


@pytest.mark.parametrize(("change", "words"), [
    ({"machine": {"features": "avx2"}}, "in 'machine' 'features' is not a list"),
    ({"machine": {"busy_cpus": "2"}}, "in 'machine' 'busy_cpus' is of the wrong type"),
    ({"tools": {"gcc": 12}}, "in 'tools' 'gcc' is not a text"),
])
def test_facts_that_were_edited_are_named(tmp_path: Path, change: dict[str, object],
                                          words: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps(RUN | change) + "\n")
    with pytest.raises(Fault, match=f"run.jsonl:1: {words}"):
        store.read(path)


def test_the_gate_needs_to_know_what_a_program_is_made_of(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    run = RUN | {"target": "check"}
    path.write_text(json.dumps(run) + "\n" + json.dumps(lines.cell("bad")) + "\n")
    with pytest.raises(Fault, match="run.jsonl:2: 'workload_sha' is missing"):
        store.read(path)
    left = lines.cell("bad", status="missing", message="no gcc")
    path.write_text(json.dumps(run) + "\n" + json.dumps(left) + "\n")
    assert store.read(path) == [run, left]


def test_settings_that_lack_something_cannot_be_gone_on_with() -> None:
    with pytest.raises(Fault, match="settings of this run have no 'region_s': was the file edited"):
        bench.restored(Options, {"rounds": 3})


def test_line_without_what_judging_needs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps({k: v for k, v in LINE.items() if k != "metrics"}) + "\n")
    with pytest.raises(Fault, match="run.jsonl:1: 'metrics' is missing: was the file edited"):
        store.read(path)


def test_full_disk_keeps_what_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with small_files(), store.Store(path) as kept:
        stored = 0
        with pytest.raises(Fault, match="the disk is full. What was stored until now is kept"):
            for _ in range(20):
                kept.append(LINE)
                stored += 1
    assert 0 < stored < 20
    assert store.read(path) == [LINE] * stored
    assert path.read_bytes().endswith(b"\n")


def test_device_without_space_is_a_clear_message() -> None:
    with store.Store(Path("/dev/full")) as kept, pytest.raises(Fault, match="the disk is full"):
        kept.append(LINE)


def test_folder_that_cannot_be_made_is_a_clear_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match="OUT=dir"):
        store.Store(tmp_path / "file" / "run.jsonl")


def test_replacing_a_file_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "latest" / "bench.json"
    store.replace_json(path, {"v": 1})
    with small_files(), pytest.raises(Fault, match="cannot be written"):
        store.replace_json(path, {"v": "x" * 5000})
    assert json.loads(path.read_text()) == {"v": 1}
    assert [p.name for p in path.parent.iterdir()] == ["bench.json"]


def test_runs_are_found_by_name(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path / "out")
    with pytest.raises(Fault, match="make bench"):
        store.find(project, None)
    for name in ("20260101-000000-bench-0001", "20260102-000000-bench-0002", "latest"):
        (project.results / name).mkdir(parents=True)
        (project.results / name / "run.jsonl").write_text("")
    assert [p.name[:8] for p in store.runs(project)] == ["20260101", "20260102"]
    assert store.find(project, None).parent.name == "latest"
    assert store.find(project, "20260101-000000-bench-0001").parent.name.startswith("20260101")
    with pytest.raises(UsageFault, match="no run 'other'"):
        store.find(project, "other")


def test_run_of_another_target_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path / "out")
    for number, target in enumerate(("bench", "compare", "soak")):
        store.replace_file(project.results / f"2026010{number}-{target}" / store.RUN_FILE,
                           json.dumps(RUN | {"target": target}) + "\n")
    with pytest.raises(UsageFault, match="20260102-soak is a run of make soak, not of make bench"):
        store.find(project, "20260102-soak")
    assert store.find(project, "20260101-compare", "compare").parent.name == "20260101-compare"
    with pytest.raises(UsageFault, match=r"no run 'x' of make bench in .* \(there are: "
                       r"20260100-bench\)"):
        store.find(project, "x")
    with pytest.raises(Fault, match="20260100-bench was begun: RUN=20260100-bench takes"):
        store.find(project, None)


@pytest.mark.parametrize("write", [
    lambda path: store.replace_file(path, "x"), lambda path: store.replace_json(path, {}),
    lambda path: store.replace_copy(Path(__file__), path),
    lambda path: store.make_folder(path.parent)])
def test_place_that_cannot_be_written_is_a_fault(tmp_path: Path,
                                                 write: Callable[[Path], object]) -> None:
    (tmp_path / "file").write_text("")
    for place in (Path("/proc/no/x"), tmp_path / "file" / "x", tmp_path / "file" / "in" / "x"):
        with pytest.raises(Fault, match="cannot be written"):
            write(place)


def test_nan_is_never_stored(tmp_path: Path) -> None:
    with store.Store(tmp_path / "run.jsonl") as kept, pytest.raises(ValueError):
        kept.append({"kind": "sample", "x": float("nan")})
