"""Runs one program through the launcher and reads what it left: record, output, costs, timeline.

Nothing here raises for what a program does: a crash, a hang, a wrong record are data.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import oom, turns
from harness.build import digest
from harness.fault import FULL_DISK, MAKE_ROOM, BuildFault, Fault
from harness.project import Project
from harness.record import parse

LAUNCHER_FLAGS = ("-std=gnu17", "-O2", "-Wall", "-Wextra", "-static")
FILE_LIMIT_B = 16 << 20  # of each file a program may write
READ_LIMIT_B = 1 << 20  # of its output that is looked at
RECORD_LIMIT_B = 16 << 20
TIMELINE_POINTS = 4000
MESSAGE_CHARACTERS = 2000
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
STOPPED = "stopped by a signal to the harness"
FILLED = "the disk was full when it ended"  # how the message of such a program begins
TMP = "tmp"  # the folder of that kind, within that of a run
_ROOM_B = 1 << 20  # where so much is free a disk is not full
_OF_A_TOOL = re.compile(r"^==\d+==( .*)?\n?", re.MULTILINE)  # valgrind's lines, not the program's


@dataclass(frozen=True)
class Job:
    """How to run a program once."""

    program: Path
    args: tuple[str, ...] = ()
    timeout_s: float = 60.0
    env_pad_b: int = 0
    env: tuple[tuple[str, str], ...] = ()
    observe: bool = False
    no_aslr: bool = False
    record: bool = True
    file_limit_b: int = FILE_LIMIT_B
    wrapper: tuple[str, ...] = ()  # a tool in front of the program, by absolute path
    own_tmpdir: bool = False  # TMPDIR is a folder that is removed when it has ended


@dataclass(frozen=True)
class Run:
    """What came of it. Times in seconds, memory in bytes."""

    exit: int | None
    signal: int | None
    timeout: bool
    stopped: bool
    message: str | None
    wall_s: float
    user_s: float
    sys_s: float
    rss_b: int | None
    record: dict[str, Any] | None
    stdout: str
    stderr: str
    timeline: list[tuple[int, int]] = field(default_factory=list)
    turns: int = 0  # that it had; 0: it ran without a break
    unobserved: str | None = None  # why there is no timeline, though one was asked for

    @property
    def ok(self) -> bool:
        """True if it ended by itself, with status 0 and a usable record."""
        return self.exit == 0 and self.message is None


def build_launcher(project: Project) -> Path:
    """Compiles launcher/ once; kept by content."""
    folder = Path(__file__).parent / "launcher"
    sources = sorted(folder.glob("*.c"))
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        raise BuildFault("no C compiler is installed: apt-get install gcc")
    key = digest([*(path.read_bytes() for path in sorted(folder.glob("*.[ch]"))), compiler,
                  *LAUNCHER_FLAGS])
    path = project.build / "tools" / f"launcher-{key}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    done = subprocess.run([compiler, *LAUNCHER_FLAGS, "-o", str(temporary),
                           *map(str, sources)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise BuildFault(f"the launcher does not build:\n{done.stderr.strip()}")
    os.replace(temporary, path)
    return path


class Launcher:
    """Starts programs: one at a time, or several by turns."""

    def __init__(self, project: Project) -> None:
        self.path = build_launcher(project)

    def run(self, job: Job) -> Run:
        """Runs one job to its end."""
        with _folders(1) as (folder,):
            killed = oom.kills()
            status, errors = _to_its_end(self._command(job, folder))
            if status == 0 and _full(errors) is None:
                return _collect(job, folder, out_of_memory=oom.kills() > killed)
        return _without_result(job, errors, status)

    def run_by_turns(self, jobs: Sequence[Job], cpu: int | None = None) -> list[Run]:
        """Runs several jobs to their ends, each stopped while it is another's turn. cpu: where each
        turn begins."""
        runs: dict[int, Run] = {}
        with _folders(len(jobs)) as folders:
            killed = oom.kills()
            ends = _by_turns([self._command(job, folder, turns.TURN_MS, cpu)
                              for job, folder in zip(jobs, folders)], cpu)
            gone = oom.kills() > killed
            for number, (job, folder) in enumerate(zip(jobs, folders)):
                if ends[number][0] == 0 and _full(ends[number][1]) is None:
                    runs[number] = _collect(job, folder, gone)
        return [runs[number] if number in runs else _without_result(job, errors, status)
                for number, (job, (status, errors)) in enumerate(zip(jobs, ends))]

    def _command(self, job: Job, folder: Path, turn_ms: float | None = None,
                 cpu: int | None = None) -> list[str]:
        command = [str(self.path), "--timeout", f"{job.timeout_s:g}",
                   "--limit", str(job.file_limit_b), "--env-pad", str(job.env_pad_b),
                   "--result", str(folder / "result"), "--stdout", str(folder / "out"),
                   "--stderr", str(folder / "err")]
        if job.record:
            command += ["--record", str(folder / "record")]
        if job.observe:
            command += ["--observe", str(folder / "timeline")]
        if job.no_aslr:
            command.append("--no-aslr")
        if turn_ms is not None:
            command += ["--turns", f"{turn_ms:g}"]
        if cpu is not None:
            command += ["--cpu", str(cpu)]
        tmpdir = (("TMPDIR", str(folder / TMP)),) if job.own_tmpdir else ()
        for key, value in (*job.env, *tmpdir):
            command += ["--env", f"{key}={value}"]
        return [*command, "--", *job.wrapper, str(job.program), *job.args]


@contextmanager
def _folders(count: int) -> Iterator[list[Path]]:
    """Folders for what programs leave, which are removed afterwards. Fault if there is no room."""
    try:
        made = tempfile.TemporaryDirectory(prefix="pitmark-", ignore_cleanup_errors=True)
    except OSError as error:
        raise _no_room(error.strerror or str(error)) from error
    with made as name:
        folders = [Path(name) / str(number) for number in range(count)]
        try:
            for folder in folders:
                (folder / TMP).mkdir(parents=True)
        except OSError as error:
            raise _no_room(error.strerror or str(error)) from error
        yield folders


def _no_room(why: str) -> Fault:
    place = tempfile.tempdir or os.environ.get("TMPDIR") or "/tmp"
    return Fault(f"{place}: no program can be run, as what it writes goes there: {why}."
                 f" {MAKE_ROOM}. Or set TMPDIR to another folder")


def _full(errors: str) -> str | None:
    """What the launcher says of a full disk."""
    return next((words for words in map(os.strerror, FULL_DISK) if words in errors), None)


def _without_result(job: Job, errors: str, status: int) -> Run:
    """Of a program that the launcher could not tell about, after what it wrote was removed: it may
    have filled the disk. Raises Fault if it was something else."""
    full = _full(errors)
    if full is None:
        raise Fault(f"the launcher could not run {job.program.name}: {errors.strip() or status}")
    place = tempfile.gettempdir()
    if shutil.disk_usage(place).free < _ROOM_B:
        raise _no_room(full)
    return Run(None, None, False, False, f"{FILLED}: what it wrote to {place} is removed, and there"
               " is room again", 0.0, 0.0, 0.0, None, None, "", "")


@contextmanager
def interrupts_later() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP wait for the end of the block. In the middle of Popen they would
    leave a process that nobody waits for, and that writes on while its folder is removed."""
    came: list[int] = []
    old = {}
    if threading.current_thread() is threading.main_thread():  # no other thread is interrupted
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(signal.getsignal(number)):
                old[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def die_with(parent: int) -> None:
    """In a child before its exec: the kernel kills it when the thread that started it ends, however
    that ends. parent: the process."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it has ended already


def _to_its_end(command: Sequence[str]) -> tuple[int, str]:
    """Runs the launcher: (exit status, what it said). An interrupted one is told to end."""
    process = None
    try:
        with interrupts_later():
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                       text=True, errors="replace")
        _, errors = process.communicate()
        return process.returncode, errors
    except BaseException:
        if process is not None:
            with process:  # waits
                process.terminate()
        raise


def _by_turns(commands: Sequence[Sequence[str]], cpu: int | None) -> list[tuple[int, str]]:
    """Runs launchers to their ends, by turns: of each, what _to_its_end() tells."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            with interrupts_later():
                processes.append(subprocess.Popen(command, stdin=subprocess.PIPE,
                                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        turns.give(processes, cpu)
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        errors = [process.communicate()[1].decode(errors="replace") for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, errors)]


def _read(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _collect(job: Job, folder: Path, out_of_memory: bool) -> Run:
    result = json.loads((folder / "result").read_text(encoding="ascii"))
    stdout = _read(folder / "out", READ_LIMIT_B)
    stderr = _read(folder / "err", READ_LIMIT_B)
    words = _OF_A_TOOL.sub("", stderr) if job.wrapper else stderr
    ended = None if result["signal"] else int(result["exit"])
    message: str | None = None
    record: dict[str, Any] | None = None
    if result["stopped"]:
        message = STOPPED
    elif result["timeout"]:
        message = f"still running after {job.timeout_s:g} s: killed"
    elif result["signal"] == signal.SIGKILL and out_of_memory:
        message = f"killed by SIGKILL: {oom.in_words()}"
    elif result["signal"]:
        message = _with_words(f"killed by {signal_name(result['signal'])}", words)
    elif ended != 0:
        message = _with_words(f"exit status {ended}", words)
    elif job.record:
        record, message = parse(_read(folder / "record", RECORD_LIMIT_B))
        if record is not None:
            record = turns.own_time(record, result["turns"])
    if result["leftovers"] and message is None and not job.wrapper:
        message = f"left {result['leftovers']} process(es) behind; they were killed"
    return Run(
        exit=ended,
        signal=result["signal"] or None,
        timeout=result["timeout"],
        stopped=result["stopped"],
        message=message,
        wall_s=result["wall_ns"] / 1e9,
        user_s=result["user_us"] / 1e6,
        sys_s=result["sys_us"] / 1e6,
        rss_b=result["maxrss_kib"] * 1024 or None,
        record=record,
        stdout=stdout,
        stderr=stderr,
        timeline=_timeline(folder / "timeline"),
        turns=len(result["turns"]),
        unobserved=None if not result["unobserved"] else
        f"/proc/PID/statm cannot be read: {os.strerror(result['unobserved'])}",
    )


def signal_name(number: int) -> str:
    """SIGSEGV for 11."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _with_words(text: str, stderr: str) -> str:
    words = stderr.strip()
    return f"{text}: {words[:MESSAGE_CHARACTERS]}" if words else text


def _timeline(path: Path) -> list[tuple[int, int]]:
    points = []
    for line in _read(path, RECORD_LIMIT_B).splitlines():
        parts = line.split()
        if len(parts) == 2 and parts[0].isdigit() and parts[1].isdigit():
            points.append((int(parts[0]), int(parts[1])))
    step = -(-len(points) // TIMELINE_POINTS)
    return points[::step] if step > 1 else points

