"""The drop-ins when something fails: the system's memory, or what else may happen to a program.
Limits of a cgroup are in test_memory_limit.py, those of addresses in shims/tests/little_space.c
and allocator/tests/test_malloc_threads.c."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from harness.tests import drop_ins
from harness.tests.drop_ins import TESTS, DropIn, compile_program, environment

LIMIT_S = 120
LOADED = "static void *data[1000]; void **slot(void) { return &data[999]; }\n"


@pytest.fixture(scope="module", params=drop_ins.NAMES)
def drop_in(request: pytest.FixtureRequest) -> DropIn:
    return drop_ins.drop_in(str(request.param))


def ended_as_documented(done: subprocess.CompletedProcess[str]) -> bool:
    """Well, with or without the memory; or by the library's own message."""
    fatal = re.search(r"^spanheap: fatal: .*(memory|address space)", done.stderr, re.MULTILINE)
    return done.returncode == 0 or (done.returncode == -signal.SIGABRT and fatal is not None)


def test_each_call_of_the_system_may_fail(drop_in: DropIn, tmp_path: Path) -> None:
    """mmap and mprotect, each of their calls in turn."""
    program = drop_in.program(TESTS / "each_call.c", tmp_path / "each_call")
    faults = compile_program(TESTS / "fail_calls.c", tmp_path / "fail_calls.so", "-shared", "-fPIC")

    def run(failing: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program], capture_output=True, text=True, timeout=LIMIT_S,
                              env=environment(None, **drop_in.settings(faults),
                                              FAIL_AT=str(failing)))

    sound = run(0)
    assert sound.returncode == 0 and "refused 0\n" in sound.stderr, sound.stderr
    found = re.search(r"^calls (\d+)$", sound.stderr, re.MULTILINE)
    assert found is not None and 5 <= int(found[1]) <= 500, sound.stderr
    noticed = 0
    for number in range(1, int(found[1]) + 1):
        done = run(number)
        assert ended_as_documented(done), f"call {number}: {done.returncode}: {done.stderr}"
        noticed += "refused 0\n" not in done.stderr
    assert noticed > 0, "the faults are there"


@pytest.mark.parametrize("checked", ["0", "1"])
def test_signals_libraries_and_deep_stacks(tmp_path: Path, checked: str) -> None:
    folder = drop_ins.gc_folder()
    program = compile_program(TESTS / "faults.c", tmp_path / "faults", *drop_ins.ours(folder))
    (tmp_path / "loaded.c").write_text(LOADED)
    loaded = compile_program(tmp_path / "loaded.c", tmp_path / "loaded.so", "-shared", "-fPIC")
    done = subprocess.run([program], capture_output=True, text=True, timeout=LIMIT_S,
                          env=environment(folder, LIBRARY=str(loaded), SH_VERIFY=checked,
                                          SH_CLOBBER=checked))
    assert done.returncode == 0, done.stderr
