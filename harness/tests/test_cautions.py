"""What is said of a machine that is out of the ordinary, once."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness import cautions, probes, rig, summary
from harness.project import Project
from harness.sheet import Sheet
from harness.tests import lines

QUIET = {"cpus": 8, "busy_cpus": 0.1, "load": 5.0, "governor": "performance", "boost": "0",
         "smt": "0", "memory_pressure_percent": 0.0, "thp": "madvise", "aslr": "2",
         "hypervisor": True}


@pytest.mark.parametrize(("machine", "words"), [
    ({"busy_cpus": 1.2}, "other programs kept 1.2 of 8 processors busy"),
    ({"busy_cpus": None}, "the load was 5.0 in the minute before"),
    ({"governor": "powersave"}, "varies (governor powersave): cpupower"),
    ({"boost": "1", "smt": "1"}, "varies (boost, shared cores, SMT): write 0"),
    ({"memory_pressure_percent": 12.0}, "waited for memory in 12 % of the time"),
    ({"thp": "always"}, "huge pages are always on"),
    ({"aslr": "0"}, "ASLR is off"),
])
def test_each_fact_has_a_sentence(machine: dict[str, Any], words: str) -> None:
    [said] = cautions.cautions({**QUIET, **machine}, 0.0)
    assert words in said


def test_nothing_is_said_of_what_is_quiet_or_not_known() -> None:
    assert cautions.cautions(QUIET, 0.02) == []
    assert cautions.cautions({"cpus": 2, **dict.fromkeys(QUIET)}) == []
    assert cautions.cautions({}) == []


def run(stolen: tuple[float | None, ...], **machine: object) -> list[dict[str, Any]]:
    begun = lines.run()
    begun["machine"] |= machine
    return [begun, lines.cell("bad"), *(
        lines.sample("bad", {"ns_per_op": 1.0}, round_=i, took_s=2.0)
        | ({} if one is None else {"stolen_s": one})
        for i, one in enumerate(stolen, 1))]


def test_what_the_host_took_is_that_of_the_run_alone() -> None:
    """However much since the machine started."""
    assert cautions.of(Sheet(run((0.0, 0.1), steal_ticks=10**9))) == []
    [said] = cautions.of(Sheet(run((0.2, 0.0, 0.4))))
    assert "took 10 % of a processor away during the run" in said
    assert cautions.of(Sheet(run((None, None)))) == []  # not known


def test_bench_says_it_once(tiny_project: Project) -> None:
    stored = run((0.5,), busy_cpus=1.5, thp="always")
    said = summary.summarise(stored, [])["events"]
    assert [word for word in ("1.5 of 2 processors", "huge pages", "25 % of a processor")
            if sum(word in one for one in said) == 1] == [
        "1.5 of 2 processors", "huge pages", "25 % of a processor"]


@pytest.mark.parametrize("counts", [(100, 100), (100, 104), None])
def test_steal_is_read_before_and_after(monkeypatch: pytest.MonkeyPatch,
                                        counts: tuple[int, int] | None) -> None:
    """Ticks become seconds, and those that ran by turns share them."""
    ticks = iter(counts or ())
    monkeypatch.setattr(probes, "steal_ticks", lambda: next(ticks) if counts else None)
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    links = SimpleNamespace(waited_s=0.0)
    spent = rig._Spent(cast(Any, links))
    taken: list[dict[str, Any]] = [{}, {}]
    links.waited_s = 3.0
    spent.note(taken)
    share = None if counts is None else (counts[1] - counts[0]) / 200
    assert [one.get("stolen_s") for one in taken] == [share, share]
    assert [one["link_s"] for one in taken] == [1.5, 1.5]
