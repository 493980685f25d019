"""The driver of the pitfall programs: command line, record, readable line, exact counters."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import build, catalog, matrix, project

KEYS = {
    "v", "pitfall", "variant", "n", "count", "ops", "threads", "warmup", "work", "work_unit",
    "start_ns", "end_ns", "time_ns", "user_ns", "sys_ns", "allocs", "frees", "alloc_b",
    "collections", "stops", "allocs_per_op", "alloc_b_per_op", "rss_before_b", "peak_rss_b",
    "peak_rss_reset", "peak_live_b", "retained_b", "held_b", "open_fds", "manifest", "outcome",
    "pause_ns", "pause_signal_ns", "pause_roots_ns", "pause_root_b", "pause_cause", "pause_at_ns",
    "pauses_dropped",
}
PAUSES = sorted(key for key in KEYS if key.startswith("pause_"))
RECORD_FD = 3
TIMEOUT_S = 60
CATALOG = catalog.load(project.here())

Programs = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """(pitfall, variant) -> the program, built once at -O2 by the first compiler there is."""
    here = project.here()
    cells = matrix.load(here, "default").cells
    optimised = [cell for cell in cells if cell.level == "-O2"]
    if not optimised:
        pytest.skip("no compiler of the matrix is installed: apt-get install gcc")
    folder = tmp_path_factory.mktemp("programs")
    with build.Builder(here) as builder:

        def program(pitfall: str, variant: str) -> Path:
            path = folder / f"{pitfall}.{variant}"
            if not path.exists():
                found = catalog.read(here.pitfalls / pitfall)
                built = builder.program(found, found.variant(variant), optimised[0])
                assert isinstance(built, build.Program), built.message
                builder.link(built, 0, path)
            return path

        yield program


def run(program: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """By hand: descriptor 3 is closed."""
    return subprocess.run([program, *args], capture_output=True, text=True, timeout=TIMEOUT_S)


def record(program: Path, *args: str) -> dict[str, Any]:
    """The one record of a run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record"
        redirect = f'record=$1; shift; exec "$@" {RECORD_FD}>"$record"'
        shell = ["sh", "-c", redirect, "sh", str(path), str(program), *args]
        done = subprocess.run(shell, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        text = path.read_text(encoding="utf-8")
    assert done.stdout == "", "the record takes the place of the readable line"
    lines = text.splitlines()
    assert len(lines) == 1 and text.endswith("\n")
    result: dict[str, Any] = json.loads(lines[0])
    return result


@pytest.mark.parametrize(
    "args, words",
    [
        (["--n", "many"], "--n wants a whole number from 1 to 100000, not 'many'"),
        (["--n", "0"], "--n wants a whole number"),
        (["--n", "-1"], "--n wants a whole number"),
        (["--n=100001"], "--n wants a whole number from 1 to 100000"),
        (["--n", "99999999999999999999999"], "--n wants a whole number"),
        (["--n"], "--n wants a value"),
        (["--count", "1.5"], "--count wants a whole number"),
        (["--seconds", "0"], "--seconds wants a number above 0"),
        (["--seconds", "nan"], "--seconds wants a number above 0"),
        (["--count", "2", "--seconds", "1"], "exclude each other"),
        (["--threads", "2"], "--threads 1 only"),
        (["--fast"], "there is no option '--fast'"),
        (["10000"], "there is no option '10000'"),
    ],
)
def test_wrong_argument_prints_what_is_right(
    programs: Programs, args: list[str], words: str
) -> None:
    done = run(programs("growth", "bad"), *args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr.splitlines()[0]
    assert "usage: growth.bad" in done.stderr


def test_help_shows_a_real_command(programs: Programs) -> None:
    done = run(programs("growth", "bad"), "--help")
    assert done.returncode == 0
    assert "growth.bad --seconds 0.05 3>&1" in done.stdout


def test_readable_line_by_hand(programs: Programs) -> None:
    done = run(programs("growth", "bad"), "--count", "3")
    assert done.returncode == 0
    assert done.stdout.startswith("growth.bad n=10000: 3 operations in ")
    assert "per operation 19 allocations" in done.stdout
    assert "work 30000 elements" in done.stdout
    assert done.stdout.count("\n") == 1


def test_descriptor_open_for_reading_is_not_taken_for_the_record(programs: Programs) -> None:
    shell = ["sh", "-c", f'exec "$1" {RECORD_FD}</dev/null', "sh", str(programs("growth", "bad"))]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.stdout.startswith("growth.bad n=10000")


def test_record_that_cannot_be_written_is_a_failure(programs: Programs) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this machine has no /dev/full")
    shell = ["sh", "-c", f'exec "$1" {RECORD_FD}>/dev/full', "sh", str(programs("growth", "bad"))]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 1
    assert "the record cannot be written: No space left on device" in done.stderr


def test_record_has_every_key_and_a_reason_for_every_null(programs: Programs) -> None:
    got = record(programs("growth", "bad"), "--count", "2")
    assert got.keys() >= KEYS
    for key, value in got.items():
        if value is None:
            assert got[f"why_{key}"]
        else:
            assert f"why_{key}" not in got
    assert got["ops"] == got["count"] == 2
    assert got["time_ns"] == got["end_ns"] - got["start_ns"] > 0
    assert got["peak_rss_b"] > 0


def test_operations_are_the_divisor(programs: Programs) -> None:
    got = record(programs("escape", "bad"), "--n", "1000", "--count", "7")
    assert got["ops"] == 7000
    assert got["allocs"] == 14000
    assert got["alloc_b"] == 7000 * 48
    assert got["work"] == 7000 * 3


def test_pauses_are_those_of_the_timed_region(programs: Programs) -> None:
    got = record(programs("escape", "bad"), "--count", "3")
    assert got["collections"] >= 3
    assert {len(got[key]) for key in PAUSES} == {got["stops"]}
    assert got["stops"] >= got["collections"]
    assert all(got["start_ns"] <= at <= got["end_ns"] for at in got["pause_at_ns"])
    assert all(length > 0 for length in got["pause_ns"])
    assert got["pauses_dropped"] == 0


def test_seconds_doubles_the_count_until_the_time_is_reached(programs: Programs) -> None:
    got = record(programs("growth", "fixed"), "--seconds", "0.01")
    assert got["time_ns"] >= 10_000_000
    assert got["count"] & (got["count"] - 1) == 0


def test_threads_each_run_every_round(programs: Programs) -> None:
    got = record(programs("escape", "bad"), "--n", "1000", "--count", "3", "--threads", "2")
    assert got["threads"] == 2
    assert got["ops"] == 6000
    assert got["work"] == 18000


def test_start_only_does_no_work(programs: Programs) -> None:
    done = run(programs("growth", "bad"), "--start-only")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_events_are_in_the_order_of_the_phases(programs: Programs) -> None:
    got = record(programs("growth", "bad"), "--events")
    assert got["mark"] == ["start", "collect", "warm-up", "timed", "left behind", "end"]
    assert got["mark_at_ns"] == sorted(got["mark_at_ns"])
    assert "mark" not in record(programs("growth", "bad"))


@pytest.mark.parametrize("pitfall", ["slice-retention", "control-leak"])
def test_explaining_tells_why_the_marked_object_is_alive(programs: Programs, pitfall: str) -> None:
    bad = run(programs(pitfall, "bad"), "--explain")
    assert (bad.returncode, bad.stderr) == (0, "")
    name = {"slice-retention": "kept", "control-leak": "leaked"}[pitfall]
    assert f"\n  global variable {name} " in bad.stdout
    assert "is alive: " in bad.stdout.splitlines()[0]
    fixed = run(programs(pitfall, "fixed"), "--explain").stdout
    assert fixed.endswith("bytes, and nothing leads to it\n")
    got = record(programs(pitfall, "bad"), "--explain", "--n", "5000")
    assert got.keys() == {"v", "pitfall", "variant", "n", "explanation"}
    assert got["n"] == 5000
    assert f"global variable {name} " in got["explanation"]


def test_explaining_looks_at_the_worst_moment_of_a_round(programs: Programs) -> None:
    bad = run(programs("loop-defer", "bad"), "--explain", "--n", "1000").stdout.splitlines()
    assert re.fullmatch(r"while the round holds the most, \d{7} bytes:", bad[0])
    assert "is alive: pointer-free, 1024 bytes" in bad[1]
    assert "in the frame of process" in bad[2]
    assert re.search(r"struct heap_record, 80 bytes; .*, and so on: 99\d such objects", bad[3])
    fixed = run(programs("loop-defer", "fixed"), "--explain", "--n", "1000").stdout
    assert fixed.endswith("is in no object: it was freed, or never used\n")


def test_list_is_followed_to_its_far_end(programs: Programs) -> None:
    done = run(programs("control-leak", "bad"), "--explain", "--n", "1000")
    assert "points on at offset 0, and so on: 999 such objects\n" in done.stdout


def test_variant_that_marks_no_object_cannot_explain(programs: Programs) -> None:
    done = run(programs("growth", "bad"), "--explain")
    assert done.returncode == 1
    assert "this variant marks no object with pitfall_retains()" in done.stderr


def test_too_few_descriptors_are_told(programs: Programs) -> None:
    shell = ["sh", "-c", 'ulimit -n 64 && exec "$1" --n 1000', "sh",
             str(programs("loop-defer", "bad.fd"))]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 1
    assert "n = 1000 needs 1016 file descriptors and the hard limit is 64" in done.stderr


@pytest.mark.parametrize("variant", ["bad", "fixed", "bad.fd", "fixed.fd"])
def test_looking_measures_what_is_held_at_the_worst_moment(
    programs: Programs, variant: str
) -> None:
    got = record(programs("loop-defer", variant), "--n", "200")
    if variant.startswith("bad"):
        assert got["open_fds"] == (200 if variant == "bad.fd" else 0)
        assert got["held_b"] >= (0 if variant == "bad.fd" else 200 * 1024)
    else:
        assert got["open_fds"] == (1 if variant == "fixed.fd" else 0)
        assert got["held_b"] < 2 * 1024
    assert got["retained_b"] == 0


@pytest.mark.parametrize("found", CATALOG, ids=[pitfall.id for pitfall in CATALOG])
def test_program_and_catalogue_agree(programs: Programs, found: catalog.Pitfall) -> None:
    for variant in found.variants:
        got = record(programs(found.id, variant.id), "--warmup", "0")
        assert got["pitfall"] == found.id
        assert got["variant"] == variant.id
        assert got["n"] == found.parameter.default
        assert got["work"] > 0
        assert not variant.allocates or got["allocs"] > 0
        if variant.explain:
            assert record(programs(found.id, variant.id), "--explain")["explanation"]


@pytest.mark.parametrize("n", [1, 2, 3, 255, 257, 1000, 10000, 100000])
def test_growth_goes_through_the_capacities_of_go(programs: Programs, n: int) -> None:
    lines = (project.here().pitfalls / "growth" / "capacities.csv").read_text().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    go = [int(word) for word in rows[0]["capacities"].split()]
    assert rows[0]["element_b"] == "8"
    got = record(programs("growth", "bad"), "--n", str(n))
    enough = next(index for index, capacity in enumerate(go) if capacity >= n)
    assert got["capacities"] == go[: enough + 1]
    assert got["growths"] == enough
    assert got["capacity_mismatches"] == 0
    assert got["allocs_per_op"] == enough + 1
    assert got["copied_b"] == 8 * sum(go[:enough])
    assert got["waste_b"] == 8 * (go[enough] - n)


def test_two_names_are_one_program() -> None:
    folder = project.here().pitfalls / "control-same"
    assert (folder / "bad.c").read_bytes() == (folder / "sham.c").read_bytes()
