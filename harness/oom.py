"""Was a process killed because memory ran out? The kernel ends it by SIGKILL, without a word.

It counts what it kills (oom_kill, since Linux 4.13): of each cgroup in its memory.events (version
2) or memory.oom_control (version 1), and of the whole machine in /proc/vmstat. What counts is the
harness's own cgroup, where its programs run, too; the machine's count, in which every container
is, only makes it probable. The limit is read beside; what is not there is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.metrics import show

PROC = Path("/proc")
_UNLIMITED_B = 1 << 60  # version 1 writes nearly 2^63 where there is no limit


def kills(proc: Path = PROC) -> int:
    """How many the kernel has killed so far, of this cgroup if that is known, else of the machine;
    0 where it does not say."""
    own = _own_kills(proc)
    return _counted(proc / "vmstat") or 0 if own is None else own


def in_words(proc: Path = PROC) -> str:
    """What to say of a process that was killed by SIGKILL while kills() grew, and had the harness's
    cgroup."""
    limit = limit_b(proc)
    sure = "" if _own_kills(proc) is not None else "probably "
    if limit is None:
        return f"{sure}the kernel killed it, for the machine is out of memory"
    return (f"{sure}the kernel killed it for want of memory: the limit of this cgroup (container)"
            f" is {show(limit, 'B')}")


def _own_kills(proc: Path) -> int | None:
    """Those of the nearest cgroup that counts them: the own one, unless its parent keeps the books
    of memory."""
    for folder, version in _folders(proc):
        count = _counted(folder / ("memory.events" if version == 2 else "memory.oom_control"))
        if count is not None:
            return count
    return None


def _counted(path: Path) -> int | None:
    found = re.search(r"^oom_kill (\d+)$", _read(path), re.MULTILINE)
    return int(found[1]) if found else None


def limit_b(proc: Path = PROC) -> int | None:
    """The least memory limit of this process's cgroup and those above it; None without one."""
    files = (folder / ("memory.max" if version == 2 else "memory.limit_in_bytes")
             for folder, version in _folders(proc))
    known = [int(text) for path in files if (text := _read(path).strip()).isdecimal()]
    return min((limit for limit in known if limit < _UNLIMITED_B), default=None)


def _folders(proc: Path) -> Iterator[tuple[Path, int]]:
    """The cgroup and all above it, the nearest first, with the version, of both versions."""
    places = {line.split(":", 2)[1]: line.split(":", 2)[2]
              for line in _read(proc / "self/cgroup").splitlines() if line.count(":") >= 2}
    for line in _read(proc / "self/mounts").splitlines():
        _, mount, kind, options = (*line.split(), "", "", "", "")[:4]
        if kind == "cgroup2":
            place, version = places.get(""), 2
        elif kind == "cgroup" and "memory" in options.split(","):
            place, version = places.get("memory"), 1
        else:
            continue
        if place is None:
            continue
        folder = Path(place.lstrip("/"))
        yield from ((Path(mount) / part, version) for part in (folder, *folder.parents))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
