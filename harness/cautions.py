"""What about the machine makes figures noisy, and what can be done: one list for every target that
times something. Only what is out of the ordinary is said. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.metrics import percent
from harness.sheet import Sheet

BUSY_CPUS = 0.3  # of other programs, before a run
WAITED_PERCENT = 1.0  # for memory, of the 10 s before a run
STOLEN = 0.03  # of a processor, while samples were taken: as much as the margin of time


def of(sheet: Sheet) -> list[str]:
    """Of the machine, or of all machines, that a run was measured on."""
    said: dict[str, None] = {}
    for run in sheet.runs.values():
        took = [line for line in sheet.samples.values()
                if line["run"] == run["run"] and "stolen_s" in line]
        passed_s = sum(line["took_s"] for line in took)
        share = sum(line["stolen_s"] for line in took) / passed_s if passed_s else None
        said |= dict.fromkeys(cautions(run.get("machine") or {}, share))
    return list(said)


def cautions(machine: Mapping[str, Any], stolen: float | None = None) -> list[str]:
    """machine: as a line of kind run has it, from before the run; stolen: what the host took away
    during it, as a share of a processor's time."""
    return [text for text in (_busy(machine), _clock(machine), _memory(machine), _pages(machine),
                              _addresses(machine), _stolen(stolen)) if text is not None]


def _busy(machine: Mapping[str, Any]) -> str | None:
    busy, load = machine.get("busy_cpus"), machine.get("load")
    if isinstance(busy, int | float):
        return (f"other programs kept {busy:.1f} of {machine.get('cpus')} processors busy when the"
                " run began: times may be noisy; stop them" if busy >= BUSY_CPUS else None)
    if isinstance(load, int | float) and load >= 1:
        return f"the load was {load:.1f} in the minute before the run: times may be noisy"
    return None


def _clock(machine: Mapping[str, Any]) -> str | None:
    """One sentence, as most desktops have all three."""
    found = []
    if machine.get("governor") not in (None, "performance"):
        found.append((f"governor {machine['governor']}", "cpupower frequency-set -g performance"))
    if machine.get("boost") == "1":
        found.append(("boost", "write 0 to /sys/devices/system/cpu/cpufreq/boost"))
    if machine.get("smt") == "1":
        found.append(("shared cores, SMT", "measure on one processor of each core with taskset"))
    if not found:
        return None
    return (f"the speed of the processors varies ({', '.join(what for what, _ in found)}):"
            f" {'; '.join(remedy for _, remedy in found)}")


def _memory(machine: Mapping[str, Any]) -> str | None:
    waited = machine.get("memory_pressure_percent")
    if not isinstance(waited, int | float) or waited < WAITED_PERCENT:
        return None
    return (f"programs waited for memory in {percent(waited / 100)} of the time when the run began:"
            " end what takes much of it")


def _pages(machine: Mapping[str, Any]) -> str | None:
    if machine.get("thp") != "always":
        return None
    return ("transparent huge pages are always on, so peak memory may jump by 2 MiB: write madvise"
            " to /sys/kernel/mm/transparent_hugepage/enabled")


def _addresses(machine: Mapping[str, Any]) -> str | None:
    if str(machine.get("aslr")) != "0":
        return None
    return ("addresses are not random (ASLR is off), so one lucky or unlucky place of stack and"
            " heap is every sample's: write 2 to /proc/sys/kernel/randomize_va_space")


def _stolen(share: float | None) -> str | None:
    if share is None or share < STOLEN:
        return None
    return (f"the host of this virtual machine took {percent(share)} of a processor away during the"
            " run: measure again when it is quieter")
