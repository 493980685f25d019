"""What a bare machine lacks is null with a reason, and nothing fails for it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness import bench, probes, store
from harness.plan import Options
from harness.progress import Live
from harness.project import Project

PERF = """#!/bin/sh
# Knows one event, counts another as 0, and ends well, as perf stat does.
while [ "$1" != -- ]; do shift; done
shift; "$@"
cat >&2 <<'END'
1234567,,task-clock,1234567,100.00,,
<not supported>,,cycles,0,100.00,,
0,,instructions,0,100.00,,
7,,page-faults,1234567,100.00,,
END
"""


def test_events_that_do_not_count_are_named(tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    perf = tmp_path / "perf"
    perf.write_text(PERF)
    perf.chmod(0o755)
    monkeypatch.setattr(probes, "perf_path", lambda: str(perf))
    events = probes.perf_events()
    assert events.usable == ("task-clock", "page-faults")
    assert "not supported" in events.reasons["perf_cycles"]
    assert events.reasons["perf_instructions"]  # a program that ran has executed some
    assert events.reasons["perf_branches"]


def test_no_perf_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "perf_path", lambda: None)
    events = probes.perf_events()
    assert not events.usable and "apt-get install linux-perf" in events.reasons["perf_cycles"]


def test_container_without_proc_and_sys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_read", lambda path: None)
    monkeypatch.setattr(probes, "BUSY_LOOK_S", 0.0)
    machine = probes.machine()
    for key in ("cpu_model", "governor", "boost", "smt", "aslr", "thp", "features", "memory_b",
                "steal_ticks", "busy_cpus"):
        assert machine[key] is None and machine["reasons"][key], key


def test_one_processor(monkeypatch: pytest.MonkeyPatch, tiny_project: Project, quiet: Live,
                       options: Options) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    done = bench.run(tiny_project, options, quiet)
    assert done.failed_samples == 0
    assert store.run_line(store.read(done.path), done.path)["machine"]["cpu_set"] == [0]


def test_program_that_valgrind_cannot_read_is_a_reason_and_no_failure(
    tiny_project: Project, quiet: Live, options: Options, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path
) -> None:
    (tmp_path / "valgrind").write_text(
        "#!/bin/sh\necho '==1== Valgrind: debuginfo reader: ensure_valid failed:' >&2\nexit 1\n")
    (tmp_path / "valgrind").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = bench.run(tiny_project, replace(options, instructions=True), quiet)
    assert done.failed_samples == 0
    reasons = [x["reasons"] for x in store.read(done.path)
               if x["kind"] == "sample" and x["role"] == "instr"]
    assert reasons and all("valgrind cannot read" in r["instructions"] for r in reasons)


@pytest.mark.parametrize(("command", "metric", "changes"), [
    ("valgrind", "instructions", {"instructions": True}),
    ("hyperfine", "startup_s", {"extras": True}),
])
def test_missing_tool_is_a_reason_and_no_failure(
    tiny_project: Project, quiet: Live, options: Options, monkeypatch: pytest.MonkeyPatch,
    command: str, metric: str, changes: dict[str, bool]
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *rest, **more: None if name == command
                        else which(name, *rest, **more))
    done = bench.run(tiny_project, replace(options, **changes), quiet)
    assert done.failed_samples == 0
    reasons = [x["reasons"][metric] for x in store.read(done.path)
               if x["kind"] == "sample" and metric in x["reasons"]]
    assert reasons and all(f"apt-get install {command}" in reason for reason in reasons)
