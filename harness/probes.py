"""What the machine is and what it can measure. Unknown = null, with the reason beside it."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVENTS = (
    "task-clock", "page-faults", "minor-faults", "major-faults", "context-switches",
    "cpu-migrations", "cycles", "instructions", "branches", "branch-misses", "cache-references",
    "cache-misses", "LLC-load-misses", "dTLB-load-misses",
)
BUSY_LOOK_S = 0.25
FEATURES = ("ssse3", "sse4_1", "sse4_2", "popcnt", "avx", "f16c", "fma", "avx2", "bmi1", "bmi2",
            "abm")
# These are never 0 for a program that ran; some guests print a plausible 0.
NEVER_ZERO = ("task-clock", "page-faults", "cycles", "instructions", "branches")
TOOLS: dict[str, tuple[str, ...]] = {
    "gcc": ("gcc", "--version"),
    "clang": ("clang", "--version"),
    "mold": ("ld.mold", "--version"),
    "ld": ("ld", "--version"),
    "hyperfine": ("hyperfine", "--version"),
    "perf": ("perf", "--version"),
    "valgrind": ("valgrind", "--version"),
    "gdb": ("gdb", "--version"),
    "gnuplot": ("gnuplot", "--version"),
    "make": ("make", "--version"),
    "python": ("/usr/bin/python3", "--version"),
    "go": ("go", "version"),
    "libc": ("ldd", "--version"),
}


@dataclass(frozen=True)
class Events:
    """The events of perf stat that count here, and why the others do not."""

    usable: tuple[str, ...]
    reasons: dict[str, str]


def metric_name(event: str) -> str:
    """perf_cache_misses for cache-misses."""
    return "perf_" + re.sub(r"[^a-z0-9]+", "_", event.lower()).strip("_")


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _first_line(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30,
                              errors="replace", stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if done.returncode == 0 and lines else None


def tools() -> dict[str, str | None]:
    """Version lines; null = not installed."""
    return {name: _first_line(command) for name, command in TOOLS.items()}


def machine() -> dict[str, Any]:
    """Facts that explain a figure. Every key is there; "reasons" says why one is null."""
    reasons: dict[str, str] = {}

    def fact(name: str, value: Any, reason: str) -> Any:
        if value is None:
            reasons[name] = reason
        return value

    cpu0 = "/sys/devices/system/cpu/cpu0"
    cpuinfo = _read("/proc/cpuinfo") or ""
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    boost = _read("/sys/devices/system/cpu/cpufreq/boost")
    if boost is None:
        no_turbo = _read("/sys/devices/system/cpu/intel_pstate/no_turbo")
        boost = None if no_turbo is None else ("0" if no_turbo == "1" else "1")
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo") or "", re.MULTILINE)
    facts: dict[str, Any] = {
        "arch": platform.machine(),
        "kernel": platform.release(),
        "system": _pretty_name(),
        "cpus": os.cpu_count(),
        "cpu_set": cpus(),
        "cpu_model": fact("cpu_model", model[1] if model else None, "not in /proc/cpuinfo"),
        "memory_b": fact("memory_b", int(memory[1]) * 1024 if memory else None,
                         "not in /proc/meminfo"),
        "governor": fact("governor", _read(f"{cpu0}/cpufreq/scaling_governor"),
                         "no cpufreq (a virtual machine?)"),
        "boost": fact("boost", boost, "neither cpufreq/boost nor intel_pstate is there"),
        "smt": fact("smt", _read("/sys/devices/system/cpu/smt/active"), "no smt/active"),
        "hypervisor": " hypervisor" in cpuinfo,
        "features": fact("features", _features(cpuinfo), "not in /proc/cpuinfo"),
        "aslr": fact("aslr", _read("/proc/sys/kernel/randomize_va_space"), "not readable"),
        "thp": fact("thp", _chosen(_read("/sys/kernel/mm/transparent_hugepage/enabled")),
                    "no transparent huge pages"),
        "page_b": os.sysconf("SC_PAGESIZE"),
        "glibc": fact("glibc", platform.libc_ver()[1] or None, "not glibc"),
        **condition(),
    }
    facts["reasons"] = {**reasons, **facts.pop("condition_reasons")}
    return facts


def _features(cpuinfo: str) -> list[str] | None:
    """Those processor features by which the C library chooses its code, in a fixed order."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return [name for name in FEATURES if name in found[1].split()] if found else None


def condition() -> dict[str, Any]:
    """What else the machine is doing: processors kept busy by others, load, stolen time, pressure.

    It looks on for BUSY_LOOK_S seconds, in which this process sleeps.
    """
    reasons: dict[str, str] = {}
    busy = _busy_cpus()
    if busy is None:
        reasons["busy_cpus"] = "not in /proc/stat"
    try:
        load: float | None = round(os.getloadavg()[0], 2)
    except OSError:
        load, reasons["load"] = None, "no load average"
    steal = steal_ticks()
    if steal is None:
        reasons["steal_ticks"] = "not in /proc/stat"
    pressure = {name: re.search(r"some avg10=([\d.]+)", _read(f"/proc/pressure/{name}") or "")
                for name in ("cpu", "memory")}
    for name, found in pressure.items():
        if found is None:
            reasons[f"{name}_pressure_percent"] = f"no /proc/pressure/{name}"
    return {
        "busy_cpus": busy,
        "load": load,
        "steal_ticks": steal,
        **{f"{name}_pressure_percent": float(found[1]) if found else None
           for name, found in pressure.items()},
        "condition_reasons": reasons,
    }


def steal_ticks() -> int | None:
    """Clock ticks that the host took away from all processors since the machine started."""
    ticks = _ticks()
    return ticks[7] if len(ticks) > 7 else None


def _ticks() -> list[int]:
    """Clock ticks of all processors: user, nice, system, idle, waiting for a device, irq, softirq,
    steal; fewer or none where the kernel does not say."""
    fields = (_read("/proc/stat") or "").split("\n", 1)[0].split()
    return [int(field) for field in fields[1:9]]  # guest time, behind them, is in user time already


def _busy_cpus() -> float | None:
    """How many processors were not idle over the next BUSY_LOOK_S; None if it is not known."""
    before = _ticks()
    time.sleep(BUSY_LOOK_S)
    busy = _busy_between(before, _ticks())
    return None if busy is None else round(busy, 2)


def _busy_between(before: Sequence[int], after: Sequence[int]) -> float | None:
    passed = sum(after) - sum(before)
    if len(after) < 5 or passed <= 0:
        return None
    idle = after[3] + after[4] - before[3] - before[4]
    return max(0.0, 1 - idle / passed) * (os.cpu_count() or 1)


class Others:
    """How many processors were busy with something else than this process and what it has run."""

    def __init__(self) -> None:
        self._ticks, self._own_s, self._begin_s = _ticks(), _own_cpu_s(), time.monotonic()

    def busy(self) -> float | None:
        """Since this was made; stolen time counts. None: it is not known."""
        busy = _busy_between(self._ticks, _ticks())
        passed_s = time.monotonic() - self._begin_s
        if busy is None or passed_s <= 0:
            return None
        return max(0.0, busy - (_own_cpu_s() - self._own_s) / passed_s)


def _own_cpu_s() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in (
        resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)))


def free_memory_mb() -> float | None:
    """Memory that programs can have without swapping, in 10^6 bytes; None if it is not known."""
    found = re.search(r"^MemAvailable:\s*(\d+) kB", _read("/proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None


def machine_id() -> str:
    """What tells this machine from others; empty if nothing does."""
    return _read("/etc/machine-id") or ""


def package_version(name: str) -> str | None:
    """Of an installed Debian package."""
    return _first_line(["dpkg-query", "-W", "-f", "${Version}", name])


def _pretty_name() -> str | None:
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', _read("/etc/os-release") or "", re.MULTILINE)
    return found[1] if found else None


def _chosen(text: str | None) -> str | None:
    found = re.search(r"\[(\w+)\]", text or "")
    return found[1] if found else None


def valgrind_refuses(stderr: str) -> str | None:
    """Why valgrind could not begin with a program, by what it said; None: it is not to blame."""
    if "Valgrind: debuginfo reader" in stderr:
        return "valgrind cannot read the debug information of this program"
    if "Valgrind: FATAL: can't open /proc/self/maps" in stderr:
        return "valgrind needs /proc, which is not here"
    return None


def perf_path() -> str | None:
    """The perf that runs here, if any."""
    return shutil.which("perf")


def perf_events() -> Events:
    """Tries every event once. perf exits 0 even where an event is not supported."""
    perf = perf_path()
    if perf is None:
        reason = "perf is not installed: apt-get install linux-perf"
        return Events((), {metric_name(event): reason for event in EVENTS})
    usable: list[str] = []
    reasons: dict[str, str] = {}
    values = perf_values(perf_stat(perf, EVENTS, ["/bin/true"]))
    for event in EVENTS:
        value, why = values.get(event, (None, "perf stat printed nothing for it"))
        if value is None:
            reasons[metric_name(event)] = why or "not counted"
        else:
            usable.append(event)
    return Events(tuple(usable), reasons)


def perf_stat(perf: str, events: Sequence[str], command: Sequence[str]) -> str:
    """The comma-separated output of one perf stat."""
    try:
        done = subprocess.run(
            [perf, "stat", "-x,", "-e", ",".join(events), "--", *command],
            capture_output=True, text=True, timeout=120, env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stderr


def perf_values(text: str) -> dict[str, tuple[float | None, str | None]]:
    """event -> (value, None) or (None, reason) from the lines of perf stat -x,."""
    result: dict[str, tuple[float | None, str | None]] = {}
    for line in text.splitlines():
        parts = line.split(",")
        if len(parts) < 3 or not parts[2]:
            continue
        event = parts[2].split(":")[0]
        if parts[0].startswith("<"):
            result[event] = (None, f"perf stat says {parts[0]}")
            continue
        try:
            value = float(parts[0])
        except ValueError:
            continue
        if value == 0 and event in NEVER_ZERO:
            result[event] = (None, "perf stat counts a constant 0")
        else:
            result[event] = (value, None)
    return result


def git_state(root: Path) -> tuple[str | None, bool]:
    """(commit, is anything changed since); (None, False) outside git."""
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True,
                                  text=True, timeout=30)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None, False
    return commit, bool(git("status", "--porcelain", "--untracked-files=no"))


def cpus() -> list[int]:
    """The processors this process, and all that it starts, may use."""
    return sorted(os.sched_getaffinity(0))
