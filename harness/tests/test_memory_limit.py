"""A memory limit of a cgroup, as containers have: the heap below it, and what is said beyond it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from harness import ctests, oom, stress
from harness.project import here

MIB = 1 << 20
LIMIT_MIB = 96
TIMEOUT_S = 120
NOT_HERE = "no cgroup with a memory limit can be made here: that needs root, or a delegated cgroup"
V1, V2 = "memory.limit_in_bytes", "memory.max"


def make_cgroup(mount: Path, limits: Sequence[tuple[str, str, bool]]) -> Path | None:
    """A new cgroup with these limits (file, value, whether it must be there)."""
    folder = mount / f"pitmark-test-{uuid.uuid4().hex[:12]}"
    try:
        folder.mkdir()
    except OSError:
        return None
    try:
        for file, value, needed in limits:
            if (folder / file).exists():
                (folder / file).write_text(value)
            elif needed:
                raise OSError(file)
    except OSError:
        folder.rmdir()
        return None
    return folder


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup of either version with a limit of LIMIT_MIB and without swap."""
    limit = str(LIMIT_MIB * MIB)
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    made = None
    for _, mount, kind, options, *_ in mounts:
        if kind == "cgroup2":
            made = make_cgroup(Path(mount), [(V2, limit, True), ("memory.swap.max", "0", False)])
        elif kind == "cgroup" and "memory" in options.split(","):
            made = make_cgroup(Path(mount), [(V1, limit, True), ("memory.swappiness", "0", False)])
        if made is not None:
            break
    if made is None:
        pytest.skip(NOT_HERE)
    yield made
    for _ in range(100):
        try:
            made.rmdir()
            return
        except OSError:  # what was killed is still being taken down
            time.sleep(0.05)
    made.rmdir()


def run_inside(cgroup: Path, command: Sequence[str], **settings: str,
               ) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(cgroup), *command],
        cwd=here().root, env={**ctests.environment(), **settings}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=TIMEOUT_S)


@pytest.fixture(scope="module")
def program(c_runner: ctests.Runner) -> str:
    source = c_runner.project.allocator / "tests" / "memory_limit.c"
    return str(c_runner.build(ctests.describe(source), "native"))


# SH_GOGC=400 lets the heap grow to five times what lives: 120 MiB, which is beyond the limit.
LIVE, GARBAGE = "24", "500"


def test_heap_beyond_the_limit_is_killed(cgroup: Path, program: str) -> None:
    done = run_inside(cgroup, [program, LIVE, GARBAGE], SH_GOGC="400")
    assert done.returncode == -signal.SIGKILL and done.stderr == ""


def test_memory_limit_of_the_library_keeps_the_heap_inside(cgroup: Path, program: str) -> None:
    done = run_inside(cgroup, [program, LIVE, GARBAGE], SH_GOGC="400", SH_MEMLIMIT="64MiB")
    assert done.returncode == 0, done.stderr
    most = run_inside(cgroup, [program, "48", GARBAGE], SH_GOGC="off", SH_MEMLIMIT="80MiB")
    assert most.returncode == 0, most.stderr


def test_what_lives_does_not_fit_below_any_limit(cgroup: Path, program: str) -> None:
    done = run_inside(cgroup, [program, "120", "0"], SH_MEMLIMIT="64MiB")
    assert done.returncode == -signal.SIGKILL and done.stderr == ""


LAUNCH = """
import sys
from pathlib import Path
from harness.launch import Job, Launcher
from harness.project import here
run = Launcher(here()).run(Job(Path(sys.argv[1]), ("200", "0"), record=False))
print(run.signal, run.message)
"""


def test_harness_says_what_killed_a_program(cgroup: Path, program: str) -> None:
    done = run_inside(cgroup, [sys.executable, "-c", LAUNCH, program])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ("9 killed by SIGKILL: the kernel killed it for want of memory:"
                                   f" the limit of this cgroup (container) is {LIMIT_MIB} MiB")


STRESS = """
import sys
from harness import stress
from harness.project import here
print(stress.run_program(here(), sys.argv[1], {}, ["200", "0"], 60).ending)
"""


def test_stress_says_it_too(cgroup: Path, program: str) -> None:
    done = run_inside(cgroup, [sys.executable, "-c", STRESS, program])
    assert done.stdout.strip().startswith("the kernel killed it for want of memory"), done.stderr


def test_other_kills_are_not_blamed_on_memory(tmp_path: Path) -> None:
    run = stress.run_program(here(), Path("/bin/sh"), {}, ["-c", "kill -9 $$"], 60)
    assert run.ending == "exit status -9"


# ---- Where the limit is read ---------------------------------------------------------------------


def made_up(folder: Path, cgroup: str, mounts: str, limits: dict[str, str]) -> Path:
    proc = folder / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(cgroup)
    (proc / "self" / "mounts").write_text(mounts.replace("MOUNT", str(folder)))
    for path, text in limits.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text + "\n")
    return proc


def test_least_limit_of_version_2_counts(tmp_path: Path) -> None:
    proc = made_up(tmp_path, "0::/a/b\n", "cgroup2 MOUNT cgroup2 rw 0 0\n",
                   {"a/b/memory.max": "max", "a/memory.max": str(512 * MIB)})
    assert oom.limit_b(proc) == 512 * MIB and "is 512 MiB" in oom.in_words(proc)


def test_version_1_without_a_limit_is_the_machine(tmp_path: Path) -> None:
    proc = made_up(tmp_path, "4:memory:/x\n0::/\n",
                   "cgroup MOUNT/cpu cgroup rw,cpu 0 0\ncgroup MOUNT/m cgroup rw,memory 0 0\n",
                   {"m/memory.limit_in_bytes": str((1 << 63) - 4096)})
    assert oom.limit_b(proc) is None and "the machine is out of memory" in oom.in_words(proc)
    (tmp_path / "m" / "x").mkdir()
    (tmp_path / "m" / "x" / V1).write_text(f"{MIB}\n")
    assert oom.limit_b(proc) == MIB


def test_own_cgroup_counts_before_the_machine(tmp_path: Path) -> None:
    """What the kernel killed in another container is not blamed on memory here."""
    proc = made_up(tmp_path, "0::/a/b\n", "cgroup2 MOUNT cgroup2 rw 0 0\n",
                   {"a/b/memory.events": "max 7\noom 3\noom_kill 2\noom_group_kill 0",
                    "a/memory.events": "oom_kill 5"})
    (proc / "vmstat").write_text("nr_free_pages 1\noom_kill 100\n")
    assert oom.kills(proc) == 2
    (proc / "vmstat").write_text("nr_free_pages 1\noom_kill 101\n")
    assert oom.kills(proc) == 2 and oom.in_words(proc).startswith("the kernel killed it")
    (tmp_path / "a" / "b" / "memory.events").unlink()  # the parent keeps the books
    assert oom.kills(proc) == 5


def test_own_cgroup_of_version_1_counts(tmp_path: Path) -> None:
    proc = made_up(tmp_path, "4:memory:/x\n0::/\n",
                   "cgroup2 MOUNT/unified cgroup2 rw 0 0\ncgroup MOUNT/m cgroup rw,memory 0 0\n",
                   {"m/x/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4"})
    (proc / "vmstat").write_text("oom_kill 9\n")
    assert oom.kills(proc) == 4


def test_count_of_the_machine_makes_it_only_probable(tmp_path: Path) -> None:
    proc = made_up(tmp_path, "0::/a\n", "cgroup2 MOUNT cgroup2 rw 0 0\n", {"a/memory.max": "max"})
    (proc / "vmstat").write_text("oom_kill 9\n")
    assert oom.kills(proc) == 9
    assert oom.in_words(proc) == "probably the kernel killed it, for the machine is out of memory"


def test_nothing_is_known_without_files(tmp_path: Path) -> None:
    assert oom.limit_b(tmp_path) is None and oom.kills(tmp_path) == 0
