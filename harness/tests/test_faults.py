"""Each fault of collector/fault.h is built in and must be caught by the program named here."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from harness import ctests, stress
from harness.project import here
from harness.stress import Run

LIMIT_S = 60  # a faulty build that goes on for so long has survived
HEALTHY_S = 1
STRESS = ("stress.c", "--seed=1")


@dataclass(frozen=True)
class Case:
    """Where a fault is caught. All but stress.c stop by themselves."""

    fault: str
    arguments: tuple[str, ...]  # the program of allocator/tests/ first
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def healthy(self) -> Case:
        return Case("FAULT_NONE", self.arguments, self.settings)

    def __str__(self) -> str:
        return "-".join([self.fault, *(value for _, value in self.settings)])


VERIFY = ("SH_VERIFY", "1")
INSERTION = ("SH_BARRIER", "insertion")
CASES = (
    Case("FAULT_BARRIER_OFF", (*STRESS, "--every=30")),
    Case("FAULT_BARRIER_OFF", (*STRESS, "--every=30"), (INSERTION, VERIFY)),
    Case("FAULT_BARRIER_LATE", (*STRESS, "--every=30")),
    Case("FAULT_BARRIER_LATE", (*STRESS, "--every=30"), (INSERTION, VERIFY)),
    Case("FAULT_NO_RESTART", ("test_store.c",)),
    # The more rarely a collection begins, the more tiny objects a block holds by then.
    Case("FAULT_TINY_BLOCK", (*STRESS, "--every=200")),
    Case("FAULT_CACHE_NOT_FLUSHED", (*STRESS, "--every=30")),
    Case("FAULT_TLS", ("test_roots.c",)),
    Case("FAULT_THREAD_MISSED", (*STRESS, "--every=5")),
    Case("FAULT_BORN_WHITE", (*STRESS, "--every=5")),
    Case("FAULT_BUFFER_KEPT", (*STRESS, "--every=30")),
    Case("FAULT_BUFFER_KEPT", (*STRESS, "--every=30"), (INSERTION, VERIFY)),
    Case("FAULT_WEAK_READ", ("test_finalizer.c",)),
)


def numbers() -> dict[str, int]:
    """The list of collector/fault.h."""
    text = (here().allocator / "collector" / "fault.h").read_text(encoding="utf-8")
    return {name: int(number)
            for name, number in re.findall(r"^#define (FAULT_\w+) (\d+)", text, re.MULTILINE)}


def number_of(fault: str) -> int:
    return numbers()[fault]


def run(runner: ctests.Runner, case: Case, seconds: int) -> Run:
    program = ctests.describe(runner.project.allocator / "tests" / case.arguments[0])
    built = runner.build(program, "native", fault=number_of(case.fault))
    limit = [f"--seconds={seconds}"] if case.arguments[0] == stress.PROGRAM else []
    return stress.run_program(runner.project, built, {"SH_CLOBBER": "1", **dict(case.settings)},
                              [*case.arguments[1:], *limit], LIMIT_S + 30)


def test_every_fault_has_its_case() -> None:
    assert set(numbers()) - {"FAULT_NONE"} == {case.fault for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault_is_caught(c_runner: ctests.Runner, case: Case) -> None:
    result = run(c_runner, case, LIMIT_S)
    if result.code is None or result.good:
        pytest.fail(f"{case.fault} survived ({result.ending})\n{result.repeat}\n"
                    f"{result.output[-2000:]}", pytrace=False)


@pytest.mark.parametrize("case", dict.fromkeys(case.healthy for case in CASES),
                         ids=lambda case: f"{'-'.join(case.arguments)}-{case}")
def test_sound_build_passes_where_a_fault_is_caught(c_runner: ctests.Runner, case: Case) -> None:
    result = run(c_runner, case, HEALTHY_S)
    if not result.good:
        pytest.fail(f"{result.ending}\n{result.repeat}\n{result.output[-4000:]}", pytrace=False)
