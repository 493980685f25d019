"""Was a process killed because memory ran out? The kernel ends it by SIGKILL, without a word.

It counts what it kills, for a limit of a cgroup or for the whole machine, in /proc/vmstat
(oom_kill, since Linux 4.13). The limit itself is read where the cgroup's files are (version 1 or
2); what is not there is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.metrics import show

PROC = Path("/proc")
_UNLIMITED_B = 1 << 60  # version 1 writes nearly 2^63 where there is no limit


def kills(proc: Path = PROC) -> int:
    """How many the kernel has killed so far; 0 where it does not say."""
    found = re.search(r"^oom_kill (\d+)$", _read(proc / "vmstat"), re.MULTILINE)
    return int(found[1]) if found else 0


def in_words(proc: Path = PROC) -> str:
    """What to say of a process that was killed so, and had the harness's cgroup."""
    limit = limit_b(proc)
    if limit is None:
        return "the kernel killed it, for the machine is out of memory"
    return ("the kernel killed it for want of memory: the limit of this cgroup (container) is"
            f" {show(limit, 'B')}")


def limit_b(proc: Path = PROC) -> int | None:
    """The least memory limit of this process's cgroup and those above it; None without one."""
    known = [int(text) for path in _limit_files(proc) if (text := _read(path).strip()).isdecimal()]
    return min((limit for limit in known if limit < _UNLIMITED_B), default=None)


def _limit_files(proc: Path) -> Iterator[Path]:
    """Of the cgroup and all above it, in both versions."""
    places = {line.split(":", 2)[1]: line.split(":", 2)[2]
              for line in _read(proc / "self/cgroup").splitlines() if line.count(":") >= 2}
    for line in _read(proc / "self/mounts").splitlines():
        _, mount, kind, options = (*line.split(), "", "", "", "")[:4]
        if kind == "cgroup2":
            place, file = places.get(""), "memory.max"
        elif kind == "cgroup" and "memory" in options.split(","):
            place, file = places.get("memory"), "memory.limit_in_bytes"
        else:
            continue
        if place is None:
            continue
        folder = Path(place.lstrip("/"))
        yield from (Path(mount) / part / file for part in (folder, *folder.parents))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
