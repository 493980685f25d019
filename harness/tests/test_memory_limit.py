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
from harness.tests import drop_ins

MIB = 1 << 20
LIMIT_MIB = 96
TIMEOUT_S = 120
NOT_HERE = "no cgroup with a memory limit can be made here: that needs root, or a delegated cgroup"
V1, V2 = "memory.limit_in_bytes", "memory.max"
Limits = Sequence[tuple[str, str, bool]]  # file, value, whether it must be there


def places(proc: Path = Path("/proc")) -> list[tuple[Path, Limits]]:
    """Where a cgroup may be made, and the files of its limit of LIMIT_MIB without swap: at the root
    of a hierarchy, of version 2 also beside the cgroups that this process is in."""
    limit = str(LIMIT_MIB * MIB)
    own = [line[len("0::/"):] for line in (proc / "self" / "cgroup").read_text().splitlines()
           if line.startswith("0::/")]
    found: list[tuple[Path, Limits]] = []
    for line in (proc / "self" / "mounts").read_text().splitlines():
        _, mount, kind, options, *_ = line.split()
        if kind == "cgroup2":
            inside = [Path(mount, path) for path in own if path]
            beside = [p for path in inside for p in path.parents if Path(mount) in p.parents]
            found += [(p, [(V2, limit, True), ("memory.swap.max", "0", False)])
                      for p in (Path(mount), *beside)]
        elif kind == "cgroup" and "memory" in options.split(","):
            found.append((Path(mount), [(V1, limit, True), ("memory.swappiness", "0", False)]))
    return found


def make_cgroup(parent: Path, limits: Limits) -> Path:
    """A new one that a process can be moved to; OSError says why not."""
    folder = parent / f"pitmark-test-{uuid.uuid4().hex[:12]}"
    folder.mkdir()
    try:
        for file, value, needed in limits:
            if (folder / file).exists():
                (folder / file).write_text(value)
            elif needed:
                raise OSError(f"{parent}: a cgroup in it has no {file}: no memory controller")
        moved = subprocess.run(["/bin/sh", "-c", 'echo $$ > "$0"/cgroup.procs', str(folder)],
                               capture_output=True, text=True)
        if moved.returncode != 0:
            raise OSError(f"{parent}: no process can be moved there: {moved.stderr.strip()}")
    except OSError:
        folder.rmdir()
        raise
    return folder


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup of either version with a limit of LIMIT_MIB and without swap."""
    made, refused = None, []
    for parent, limits in places():
        try:
            made = make_cgroup(parent, limits)
            break
        except OSError as error:
            refused.append(str(error))
    if made is None:
        pytest.skip(f"{NOT_HERE} ({'; '.join(refused) or 'no cgroups are mounted'})")
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


@pytest.mark.parametrize("name", drop_ins.NAMES)
def test_drop_in_stays_inside_while_what_lives_fits(cgroup: Path, tmp_path: Path,
                                                    name: str) -> None:
    drop_in = drop_ins.drop_in(name)
    built = drop_in.program(here().allocator / "tests" / "memory_limit.c", tmp_path / "program")
    inside = run_inside(cgroup, [str(built), LIVE, GARBAGE], **drop_in.settings())
    assert inside.returncode == 0, inside.stderr
    beyond = run_inside(cgroup, [str(built), "120", "0"], **drop_in.settings())
    assert beyond.returncode == -signal.SIGKILL and beyond.stderr == ""


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


# ---- Where a cgroup can be made ----


def test_delegated_cgroup_of_version_2_is_a_place(tmp_path: Path) -> None:
    proc = made_up(tmp_path, "0::/user/me/app/x\n",
                   "cgroup2 MOUNT cgroup2 rw 0 0\nproc /proc proc rw 0 0\n", {})
    assert [parent for parent, _ in places(proc)] == [
        tmp_path, tmp_path / "user" / "me" / "app", tmp_path / "user" / "me", tmp_path / "user"]
    assert all(limits[0] == (V2, str(LIMIT_MIB * MIB), True) for _, limits in places(proc))


def test_why_no_cgroup_can_be_made_is_said(tmp_path: Path) -> None:
    for parent, words in ((tmp_path / "none", "No such file"), (tmp_path, "no memory controller")):
        with pytest.raises(OSError, match=words):
            make_cgroup(parent, [(V2, "1", True)])
    assert list(tmp_path.iterdir()) == []


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
