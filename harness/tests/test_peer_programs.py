"""The programs of allocator/bench/: all peers compute the same, and say what is asked of them."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness import library, peer_catalog
from harness.fault import BuildFault
from harness.launch import Job, Launcher
from harness.project import here

pytestmark = pytest.mark.slow

TINY = (
    ("binary-trees", "--depth", "8"), ("gcbench", "--depth", "6"),
    ("churn", "--live-mb", "2", "--batches", "20"),
    ("alloc", "--size", "16", "--phases", "1", "--phase-ms", "1"),
    ("alloc", "--size", "1024", "--phases", "1", "--phase-ms", "1"),
    ("lifetimes", "--live", "2000", "--ops", "20000"),
    ("marking", "--live-mb", "2", "--wide", "0", "--collections", "1"),
    ("marking", "--live-mb", "2", "--wide", "1", "--collections", "1"),
    ("live-heap", "--top-mb", "64", "--collections", "1"),
    ("types", "--append", "1000"), ("types", "--map", "1000"), ("types", "--channel", "1000"),
    ("types", "--defer", "1000"), ("types", "--pool", "1000"),
)
REAL = peer_catalog.load(here())


def build(peer: peer_catalog.Peer) -> Path:
    """The folder of a real peer's programs; skips where it is not installed."""
    if peer.missing():
        pytest.skip(f"{peer.missing()}")
    cell = library.default_cell()
    folder = here().build / "peers"
    try:
        library.make(here(), f"bench-{peer.id}", f"BUILD={folder}", f"CC={cell.command}",
                     f"CFLAGS=-g {cell.level}")
    except BuildFault as fault:
        pytest.fail(str(fault))
    return folder / "bench" / peer.id


@pytest.fixture(scope="module")
def sums() -> dict[tuple[str, ...], Any]:
    """What spanheap's programs come to."""
    return {key: record["checksum"] for key, record in records(REAL.peer("spanheap")).items()}


@cache
def records(peer: peer_catalog.Peer) -> dict[tuple[str, ...], dict[str, Any]]:
    """The records of all tiny works that a peer runs."""
    folder = build(peer)
    launcher = Launcher(here())
    runs = {w.program for w in REAL.works if peer.id in w.peers}
    result = {}
    for key in TINY:
        if key[0] not in runs:
            continue
        run = launcher.run(Job(folder / key[0], key[1:], env=peer.env, timeout_s=120))
        assert run.ok and run.record is not None, f"{peer.id} {key}: {run.message}"
        result[key] = run.record
    return result


@pytest.mark.parametrize("name", [p.id for p in REAL.peers if p.id != "spanheap"])
def test_real_programs_compute_the_same(name: str, sums: dict[tuple[str, ...], Any]) -> None:
    peer = REAL.peer(name)
    found = records(peer)
    programs = {w.program for w in REAL.works if peer.id in w.peers}
    assert len(found) >= min(len(programs), 6)
    for key, record in found.items():
        assert record["checksum"] == sums[key], key
        assert record["peak_rss_b"] > 0 and record["work_s"] > 0
        for work in (w for w in REAL.works if w.program == key[0]):
            wanted = {m for m in work.metrics if m not in ("stop_256m_ns", "stop_1024m_ns")}
            assert wanted <= set(record), f"{key} lacks {wanted - set(record)}"


@pytest.mark.parametrize("name", ["spanheap", "go", "boehm", "boehm-parallel"])
def test_collector_tells_its_stops(name: str) -> None:
    peer = REAL.peer(name)
    record = records(peer)["churn", "--live-mb", "2", "--batches", "20"]
    assert record["stops"] > 0 and record["stop_max_ns"] == max(record["pause_ns"])
    assert record["stop_p99_ns"] <= record["stop_max_ns"]


def test_malloc_has_no_stops_and_says_why() -> None:
    record = records(REAL.peer("glibc"))["binary-trees", "--depth", "8"]
    assert record["stop_max_ns"] is None and "stop nobody" in record["why_stop_max_ns"]


@pytest.mark.parametrize("name", ["spanheap", "go"])
def test_wrong_option_of_a_program_is_a_usage_error(name: str) -> None:
    folder = build(REAL.peer(name))
    for arguments, words in ((["--deep", "3"], "no such option: --deep"),
                             (["--depth"], "a number is missing"),
                             (["--depth", "x"], "not a number")):
        done = subprocess.run([folder / "binary-trees", *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and words in done.stderr and "usage:" in done.stderr


def test_program_by_hand_prints_its_record(tmp_path: Path) -> None:
    for name in ("spanheap", "go"):
        folder = build(REAL.peer(name))
        done = subprocess.run([folder / "binary-trees", "--depth", "6"], capture_output=True,
                              text=True, cwd=tmp_path)
        assert done.returncode == 0 and not done.stderr
        assert json.loads(done.stdout)["checksum"] > 0


def test_pause_against_roots_reads_what_it_registered() -> None:
    """Each row's root bytes are those of the first and what was added: 0 to 64 MiB."""
    build(REAL.peer("spanheap"))
    cell = library.default_cell()
    text = library.make(here(), "pause-roots", f"BUILD={here().build / 'peers'}",
                        f"CC={cell.command}", f"CFLAGS=-g {cell.level}")
    rows = [[float(word) for word in line.split()] for line in text.splitlines()[1:]]
    added = [row[0] - rows[0][0] for row in rows]
    assert rows[0][0] > 0
    assert added == pytest.approx([0, *(2**16 * 4**i for i in range(6))], abs=65536)
