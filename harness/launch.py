"""Runs one program through the launcher and reads what it left: record, output, costs, timeline.

Nothing here raises for what a program does: a crash, a hang, a wrong record are data.
"""

from __future__ import annotations

import ctypes
import json
import math
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
from harness.fault import BuildFault, Fault
from harness.project import Project

LAUNCHER_FLAGS = ("-std=gnu17", "-O2", "-Wall", "-Wextra", "-static")
FILE_LIMIT_B = 16 << 20  # of each file a program may write
READ_LIMIT_B = 1 << 20  # of its output that is looked at
RECORD_LIMIT_B = 16 << 20
TIMELINE_POINTS = 4000
MESSAGE_CHARACTERS = 2000
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
STOPPED = "stopped by a signal to the harness"
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
        with tempfile.TemporaryDirectory(prefix="pitmark-") as name:
            folder = Path(name)
            killed = oom.kills()
            status, errors = _to_its_end(self._command(job, folder))
            if status != 0:
                raise _not_run(job, errors, status)
            return _collect(job, folder, out_of_memory=oom.kills() > killed)

    def run_by_turns(self, jobs: Sequence[Job], cpu: int | None = None) -> list[Run]:
        """Runs several jobs to their ends, each stopped while it is another's turn. cpu: where each
        turn begins."""
        with tempfile.TemporaryDirectory(prefix="pitmark-") as name:
            folders = [Path(name) / str(number) for number in range(len(jobs))]
            for folder in folders:
                folder.mkdir()
            killed = oom.kills()
            ends = _by_turns([self._command(job, folder, turns.TURN_MS, cpu)
                              for job, folder in zip(jobs, folders)], cpu)
            for job, (status, errors) in zip(jobs, ends):
                if status != 0:
                    raise _not_run(job, errors, status)
            gone = oom.kills() > killed
            return [_collect(job, folder, gone) for job, folder in zip(jobs, folders)]

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
        for key, value in job.env:
            command += ["--env", f"{key}={value}"]
        return [*command, "--", *job.wrapper, str(job.program), *job.args]


def _not_run(job: Job, errors: str, status: int) -> Fault:
    return Fault(f"the launcher could not run {job.program.name}: {errors.strip() or status}")


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
        record, message = parse_record(_read(folder / "record", RECORD_LIMIT_B))
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


def parse_record(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """(record, None) or (None, what is wrong with it)."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None, "it wrote no record on descriptor 3"
    if len(lines) > 1:
        return None, f"it wrote {len(lines)} lines on descriptor 3 instead of one record"
    try:
        record = json.loads(lines[0], parse_constant=_no_constant)
    except ValueError as error:
        return None, f"its record is not JSON: {error}: {lines[0][:120]!r}"
    if not isinstance(record, dict) or record.get("v") != 1:
        return None, f"its record is not a version 1 object: {lines[0][:120]!r}"
    for key, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            return None, f"its record has a number that is not finite: {key}"
    return record, None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


def _timeline(path: Path) -> list[tuple[int, int]]:
    points = []
    for line in _read(path, RECORD_LIMIT_B).splitlines():
        parts = line.split()
        if len(parts) == 2 and parts[0].isdigit() and parts[1].isdigit():
            points.append((int(parts[0]), int(parts[1])))
    step = -(-len(points) // TIMELINE_POINTS)
    return points[::step] if step > 1 else points

