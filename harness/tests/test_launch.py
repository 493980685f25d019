"""The launcher: what it reports of programs that behave, crash, hang, or write nonsense."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import probes, record
from harness.fault import Fault
from harness.launch import FILLED, Job, Launcher
from harness.project import here

MIB = 1 << 20


@pytest.fixture(scope="module")
def launcher() -> Launcher:
    return Launcher(here())


@pytest.fixture(scope="module")
def shell() -> Path:
    return Path("/bin/sh")


def program(folder: Path, text: str, *flags: str) -> Path:
    """A compiled C program."""
    source, path = folder / "p.c", folder / "p"
    source.write_text(text)
    subprocess.run(["gcc", "-O1", *flags, "-o", str(path), str(source)], check=True)
    return path


def test_small_program_is_reported_small_beside_a_large_harness(
    launcher: Launcher, tmp_path: Path
) -> None:
    small = program(tmp_path, "static volatile char room[800 << 10];"
                    "int main(void) { for (int i = 0; i < (800 << 10); i += 512) room[i] = 1; }",
                    "-static")
    ballast = bytearray(400 * MIB)
    ballast[::4096] = b"x" * (len(ballast) // 4096)
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    assert resident > 400 * MIB
    run = launcher.run(Job(small, record=False))
    del ballast
    assert run.ok
    assert run.rss_b is not None
    assert 0.8 * MIB < run.rss_b < 2 * MIB


def test_record_output_and_status_are_read(launcher: Launcher, shell: Path) -> None:
    run = launcher.run(Job(shell, ("-c", "echo out; echo err >&2; echo '{\"v\":1,\"x\":2}' >&3")))
    assert run.ok
    assert run.record == {"v": 1, "x": 2}
    assert (run.stdout, run.stderr) == ("out\n", "err\n")


def test_crash_is_named_by_its_signal(launcher: Launcher, shell: Path) -> None:
    run = launcher.run(Job(shell, ("-c", "echo last words >&2; kill -SEGV $$")))
    assert (run.exit, run.signal, run.ok) == (None, 11, False)
    assert run.message == "killed by SIGSEGV: last words"


def test_exit_status_is_kept(launcher: Launcher, shell: Path) -> None:
    run = launcher.run(Job(shell, ("-c", "echo why >&2; exit 3")))
    assert (run.exit, run.message) == (3, "exit status 3: why")


def test_program_that_is_not_there_is_a_failed_run(launcher: Launcher) -> None:
    run = launcher.run(Job(Path("/nowhere/at/all")))
    assert run.exit == 127
    assert "cannot run /nowhere/at/all" in (run.message or "")


def test_hanging_program_is_killed_with_its_family(launcher: Launcher, tmp_path: Path) -> None:
    mark = tmp_path / "pids"
    script = f"setsid sleep 300 & echo $! >> {mark}; sleep 300 & echo $! >> {mark}; wait"
    run = launcher.run(Job(Path("/bin/sh"), ("-c", script), timeout_s=0.5))
    assert run.timeout
    assert run.message == "still running after 0.5 s: killed"
    pids = [int(text) for text in mark.read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()


def test_orphan_of_a_program_that_ended_is_killed(launcher: Launcher, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    script = f"setsid sleep 300 & echo $! > {mark}; echo '{{\"v\":1}}' >&3"
    run = launcher.run(Job(Path("/bin/sh"), ("-c", script)))
    assert run.message == "left 1 process(es) behind; they were killed"
    assert not Path(f"/proc/{mark.read_text().strip()}").exists()


def test_endless_output_is_stopped(launcher: Launcher, shell: Path) -> None:
    run = launcher.run(Job(shell, ("-c", "exec yes"), timeout_s=60, record=False))
    assert run.signal == 25
    assert "SIGXFSZ" in (run.message or "")


def test_environment_is_cleared_and_padded(launcher: Launcher) -> None:
    run = launcher.run(Job(Path("/usr/bin/env"), env_pad_b=100, env=(("SH_GOGC", "off"),),
                           record=False))
    lines = {line.partition("=")[0]: line.partition("=")[2] for line in run.stdout.splitlines()}
    assert lines == {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "SH_GOGC": "off", "PAD": "x" * 100}


def test_program_has_the_processors_of_the_harness(launcher: Launcher) -> None:
    text = "import os; print(*sorted(os.sched_getaffinity(0)))"
    every = os.sched_getaffinity(0)
    try:
        for allowed in (every, {max(every)}):
            os.sched_setaffinity(0, allowed)
            run = launcher.run(Job(Path("/usr/bin/python3"), ("-c", text), record=False))
            assert [int(cpu) for cpu in run.stdout.split()] == sorted(allowed) == probes.cpus()
    finally:
        os.sched_setaffinity(0, every)


def test_timeline_follows_resident_memory(launcher: Launcher, tmp_path: Path) -> None:
    grows = program(tmp_path, """
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int main(void) { memset(malloc(32 << 20), 1, 32 << 20); usleep(50000); }
    """, "-fno-builtin")
    run = launcher.run(Job(grows, observe=True, record=False))
    assert len(run.timeline) > 5
    assert max(rss for _, rss in run.timeline) > 32 * MIB
    assert [t for t, _ in run.timeline] == sorted(t for t, _ in run.timeline)


def test_launcher_explains_its_arguments(launcher: Launcher) -> None:
    wrong: list[list[str]] = [
        [], ["--result", "/dev/null"], ["--timeout", "x", "--result", "/dev/null"],
        ["--env-pad", "4096", "--result", "/dev/null", "--", "/bin/true"]]
    for arguments in wrong:
        command: list[str] = [str(launcher.path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert "usage: launcher" in done.stderr


def test_killed_launcher_takes_the_program_along(launcher: Launcher, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    process = subprocess.Popen([str(launcher.path), "--result", str(tmp_path / "r"), "--",
                                "/bin/sh", "-c", f"echo $$ > {mark}; exec sleep 300"])
    deadline = time.monotonic() + 20
    while not (mark.exists() and mark.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    path = Path(f"/proc/{mark.read_text().strip()}/stat")
    while path.exists() and time.monotonic() < deadline:
        if path.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            break  # dead; only its parent has not looked yet
        time.sleep(0.01)
    else:
        assert not path.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no record"),
        ("garbage\n", "not JSON"),
        ("\x00\xff\n", "not JSON"),
        ('{"v":1}\n{"v":1}\n', "2 lines"),
        ("[1]\n", "not a version 1 object"),
        ('{"v":2}\n', "not a version 1 object"),
        ('{"v":1,"x":NaN}\n', "NaN is not a number"),
        ('{"v":1,"x":1e999}\n', "x is a number that is not finite"),
        ('{"v":1', "not JSON"),
        ('{"v":1,"x":' + 100_000 * "[", "not JSON"),
        ('{"v":1,"pause_ns":5}\n', "pause_ns is 5, not a list of whole numbers"),
        ('{"v":1,"pause_ns":[1,-2]}\n', "pause_ns is [1, -2], not a list of whole numbers"),
        ('{"v":1,"pause_at_ns":[1.5]}\n', "pause_at_ns is [1.5], not a list"),
        ('{"v":1,"pause_cause":[true]}\n', "pause_cause is [true], not a list"),
        ('{"v":1,"pause_ns":[1],"pause_at_ns":[]}\n', "1 pause_ns, 0 pause_at_ns"),
        ('{"v":1,"time_ns":1' + 400 * "0" + "}\n", "time_ns has more than 64 bits: 1000"),
        ('{"v":1,"own":-1' + 400 * "0" + "}\n", "own has more than 64 bits"),
        ('{"v":1,"time_ns":-5}\n', "time_ns is -5, not a whole number"),
        ('{"v":1,"time_ns":1.5}\n', "time_ns is 1.5, not a whole number"),
        ('{"v":1,"count":true}\n', "count is true, not a whole number"),
        ('{"v":1,"ops":"7"}\n', 'ops is "7", not a whole number'),
        ('{"v":1,"user_ns":{}}\n', "user_ns is {}, not a whole number"),
        ('{"v":1,"start_ns":9,"end_ns":8}\n', "end_ns is 8, before start_ns, 9"),
        ('{"v":1,"allocs":-1}\n', "allocs is -1, not a number, 0 or more"),
        ('{"v":1,"peak_rss_b":"much"}\n', 'peak_rss_b is "much", not a number'),
        ('{"v":1,"outcome":"fine"}\n', 'outcome is "fine", not one of manifest latent'),
        ('{"v":1,"explanation":3}\n', "explanation is 3, not a text"),
    ],
)
def test_wrong_record_is_explained(text: str, words: str) -> None:
    found, message = record.parse(text)
    assert found is None
    assert words in (message or "") and len(message or "") < 400


def test_a_record_may_say_that_something_is_not_known() -> None:
    every = ("time_ns", "ops", "pause_ns", "pause_at_ns", "allocs", "outcome", "explanation")
    found, message = record.parse('{"v":1,"retained_b":-8,"value":1e-310,' + ",".join(
        f'"{key}":null,"why_{key}":"not asked"' for key in every) + "}")
    assert message is None and found is not None and found["retained_b"] == -8


# ---- A full disk ---------------------------------------------------------------------------------


def test_no_folder_for_what_programs_write_is_explained(
        launcher: Launcher, shell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(Fault, match="nowhere: no program can be run.*TMPDIR.*another folder"):
        launcher.run(Job(shell, ("-c", "exit 0"), record=False))
    with pytest.raises(Fault, match="RESUME=1 goes on from there"):
        launcher.run_by_turns([Job(shell)] * 2)


@pytest.fixture
def full(launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launcher:
    """A launcher that can write no result, on a disk that has room again afterwards."""
    fake = tmp_path / "launcher"
    fake.write_text("#!/bin/sh\necho 'launcher: /t/result: No space left on device' >&2\nexit 3\n")
    fake.chmod(0o755)
    made = copy.copy(launcher)
    made.path = fake
    return made


def test_a_program_that_fills_the_disk_is_a_failed_run(full: Launcher, shell: Path) -> None:
    runs = [full.run(Job(shell)), *full.run_by_turns([Job(shell)] * 2)]
    for run in runs:
        assert (run.message or "").startswith(FILLED) and not run.ok and run.record is None


def test_a_disk_that_stays_full_ends_the_run(full: Launcher, shell: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(Fault, match="No space left on device.*kept: make room"):
        full.run(Job(shell))


def test_what_a_program_leaves_in_its_tmpdir_goes(launcher: Launcher, shell: Path,
                                                  tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    script = "mkdir $TMPDIR/d && echo x > $TMPDIR/d/f && chmod 500 $TMPDIR/d && echo $TMPDIR"
    job = Job(shell, ("-c", script), record=False, own_tmpdir=True)
    runs = [launcher.run(job), *launcher.run_by_turns([job, job])]
    places = [run.stdout.strip() for run in runs]
    assert all(run.ok for run in runs) and len(set(places)) == 3
    assert all(place.startswith(str(tmp_path)) for place in places)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_while_the_launcher_starts_loses_no_process(
    launcher: Launcher, shell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def interrupted(*args: Any, **kwargs: Any) -> subprocess.Popen[str]:
        started.append(popen(*args, **kwargs))
        signal.raise_signal(number)  # as if it came before Popen could return
        return started[0]

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            launcher.run(Job(shell, ("-c", "sleep 60"), record=False))
    finally:
        signal.signal(number, before)
    assert started[0].returncode is not None
    assert not list(tmp_path.iterdir())
