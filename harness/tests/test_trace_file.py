"""The trace file that SH_TRACE names is JSON in Chrome's trace format, and its parts fit together.

What the library writes when is tested in allocator/tests/test_trace.c.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from harness.tests import linked

PROGRAM = r"""
#include <spanheap.h>
#include <sys/prctl.h>
static void *work(void *arg)
{
    prctl(PR_SET_NAME, "a \"name\" \xff");
    for (int i = 0; i < 20000; i++)
        SH_KEEP_ALIVE(sh_alloc_noscan(1024));
    return arg;
}
int main(void)
{
    pthread_t thread;
    struct sh_stats stats;
    work(NULL);
    sh_thread_create(&thread, NULL, work, NULL);
    for (int i = 0; i < 5; i++)
        sh_collect();
    sh_stats_read(&stats);
    sh_thread_join(thread, NULL);
    return 0;
}
"""

Record = dict[str, Any]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("trace")
    linked.run(folder, PROGRAM, SH_TRACE=str(folder / "trace.json"))
    loaded: Record = json.loads((folder / "trace.json").read_text(encoding="utf-8"))
    return loaded


def records(trace: Record, phase: str) -> list[Record]:
    return [record for record in trace["traceEvents"] if record["ph"] == phase]


def test_trace_has_only_records_that_viewers_know(trace: Record) -> None:
    for record in trace["traceEvents"]:
        assert isinstance(record["name"], str) and isinstance(record["pid"], int)
        if record["ph"] == "X":
            assert isinstance(record["tid"], int)
            assert record["ts"] >= 0 and record["dur"] >= 0
        elif record["ph"] == "C":
            assert record["ts"] >= 0 and set(record["args"]) == {"bytes"}
        else:
            assert record["ph"] == "M" and record["args"]["name"]
    assert len({record["pid"] for record in trace["traceEvents"]}) == 1


def test_trace_names_its_process_threads_and_tracks(trace: Record) -> None:
    names = {record["tid"]: record["args"]["name"] for record in records(trace, "M")
             if record["name"] == "thread_name"}
    assert {"collection phases", "world stopped", 'a "name" ?'} <= set(names.values())
    assert {record["tid"] for record in records(trace, "X")} <= set(names)
    process = [r["args"]["name"] for r in records(trace, "M") if r["name"] == "process_name"]
    assert process == ["p"]


def test_trace_slices_of_a_track_nest(trace: Record) -> None:
    tracks: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for record in records(trace, "X"):
        # In nanoseconds, so that no sum is rounded.
        start = round(record["ts"] * 1000)
        tracks[record["tid"]].append((start, -(start + round(record["dur"] * 1000))))
    for slices in tracks.values():
        open_until: list[float] = []
        for start, negative_end in sorted(slices):
            while open_until and open_until[-1] <= start:
                open_until.pop()
            assert not open_until or -negative_end <= open_until[-1]
            open_until.append(-negative_end)


def test_trace_parts_of_a_stop_add_up(trace: Record) -> None:
    lengths: dict[str, float] = defaultdict(float)
    for record in records(trace, "X"):
        kind = "stop" if record["name"].startswith("stop") else record["name"]
        lengths[kind] += record["dur"]
    assert lengths["stop"] == pytest.approx(
        lengths["signal"] + lengths["roots"] + lengths["rest"], abs=0.01)


def test_trace_draws_live_bytes_goal_and_resident_memory(trace: Record) -> None:
    curves: dict[str, list[int]] = defaultdict(list)
    for record in records(trace, "C"):
        curves[record["name"]].append(record["args"]["bytes"])
    assert set(curves) == {"live heap", "heap goal", "resident memory"}
    assert min(curves["heap goal"]) >= 4 << 20
    assert max(curves["live heap"]) > min(curves["live heap"])
    assert min(curves["resident memory"]) > 0
    assert trace["otherData"]["lost_events"] == 0 and trace["otherData"]["events"] > 20
