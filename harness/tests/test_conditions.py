"""A run is gone on with only where it can go on as it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from harness import bench, conditions, store
from harness.fault import Fault
from harness.plan import Options
from harness.progress import Live
from harness.project import Project
from harness.tests import tiny

BEGAN: Mapping[str, Any] = {
    "run": "20260101-000000-bench-0000", "git": "a",
    "machine": {"cpu_model": "X", "cpu_set": [0, 1], "load": 0.1}, "tools": {"gcc": "gcc 12"},
}


def test_same_machine_and_tools_are_gone_on_with() -> None:
    conditions.same_place(BEGAN, {**BEGAN, "run": "other", "git": "b", "machine": {
        **BEGAN["machine"], "load": 3.0}})


@pytest.mark.parametrize("now, words", [
    ({"machine": {"cpu_model": "X", "cpu_set": [0]}}, "machine: cpu_set: was [0, 1], is [0]"),
    ({"tools": {"gcc": "gcc 13"}}, "gcc: was gcc 12, is gcc 13"),
    ({"tools": {"gcc": "gcc 12", "mold": "mold 1"}}, "mold: was not there, is mold 1"),
    ({"git": "b"}, "the commit: was a, is b"),
])
def test_another_place_is_refused(now: Mapping[str, Any], words: str) -> None:
    with pytest.raises(Fault) as refused:
        conditions.same_place(BEGAN, {**BEGAN, **now}, commit=True)
    assert words in str(refused.value)
    assert "start a new run without RESUME" in str(refused.value)


def test_changed_program_is_refused_and_nothing_is_lost(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    done = bench.run(tiny_project, options, quiet)
    (done.path.parent / bench.COMPLETE).unlink()
    stored = store.read(done.path)
    tiny.add(tiny_project, "tiny", {"bad": tiny.BAD + "\n/* changed */\n"})
    with pytest.raises(Fault, match=r"tiny\.bad \(gcc-O2\): its sources"):
        bench.run(tiny_project, options, quiet, resume=True)
    assert store.read(done.path) == stored
    again = bench.run(tiny_project, replace(options, seed=3), quiet)
    assert again.path != done.path
