"""Takes samples one after the other, each of a program in a layout of its own; those that are to be
compared closely, together, by turns (turns.py).

One program runs at a time, on all processors that the harness may use: the collector has threads
of its own. Nothing else runs meanwhile: the programs of the next few samples are linked together
before the first of them starts.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol

from harness import probes, samples, turns
from harness.build import digest
from harness.fault import BuildFault
from harness.launch import FILLED, STOPPED
from harness.plan import ProgramKey, Spec, subject_of

LINKS_AT_ONCE = 16

Sink = Callable[[dict[str, Any]], None]
Tick = Callable[[int, int, str], None]


class Rig(Protocol):
    """Makes and runs the programs of samples."""

    @property
    def run_id(self) -> str:
        """Of the run that the samples belong to."""

    @property
    def scratch(self) -> Path:
        """A folder for programs that are run once."""

    def link(self, spec: Spec, path: Path) -> None:
        """Makes the program of a sample, in its layout; BuildFault if that fails."""

    def take(self, spec: Spec, path: Path) -> dict[str, Any]:
        """Runs it; the line to be stored."""

    def together(self, spec: Spec) -> Hashable | None:
        """What the samples that run by turns have in common; None: it runs alone."""

    def take_together(self, programs: Sequence[tuple[Spec, Path]]) -> list[dict[str, Any]]:
        """Runs them by turns; a line each."""


Hung = dict[tuple[ProgramKey, int], str]  # program and parameter -> why it is not started again


def run_all(rig: Rig, specs: Sequence[Spec], sink: Sink, tick: Tick,
            hung: Hung | None = None) -> None:
    """Takes every sample, in order, and hands each line to the sink. A program that ran into its
    time-out, or filled the disk, is not started again with the same parameter: each of its samples
    would. `hung` takes that knowledge from one call to the next."""
    with tempfile.TemporaryDirectory(dir=rig.scratch) as folder:
        links = _Links(rig, specs, Path(folder))
        hung = {} if hung is None else hung
        spent = _Spent(links)
        index = 0
        try:
            while index < len(specs):
                spec = specs[index]
                tick(index, len(specs), f"{spec.pitfall}.{spec.variant} {spec.cell} {spec.role}")
                end = _end_of_group(rig, specs, index)
                lines = _take(rig, links, range(index, end), specs, hung)
                for number in range(index, end):
                    links.done(number)
                for line in lines:
                    if line["status"]["message"] == STOPPED:
                        raise KeyboardInterrupt
                spent.note(lines)
                for line in lines:
                    sink(line)
                index = end
        finally:
            links.close()


def _end_of_group(rig: Rig, specs: Sequence[Spec], first: int) -> int:
    key = rig.together(specs[first])
    end = first + 1
    while key is not None and end < len(specs) and rig.together(specs[end]) == key:
        end += 1
    return end


def _take(rig: Rig, links: _Links, numbers: range, specs: Sequence[Spec],
          hung: Hung) -> list[dict[str, Any]]:
    lines: dict[int, dict[str, Any]] = {}
    programs: dict[int, tuple[Spec, Path]] = {}
    for number in numbers:
        spec = specs[number]
        try:
            path = links.take(number)
        except BuildFault as fault:
            lines[number] = samples.failed_line(rig.run_id, spec, str(fault))
            continue
        why = hung.get(_hung_key(spec))
        if why is None:
            programs[number] = spec, path
        else:
            lines[number] = samples.failed_line(rig.run_id, spec, why)
    try:
        taken = (rig.take_together(list(programs.values())) if len(programs) > 1 else
                 [rig.take(*one) for one in programs.values()])
        lines |= zip(programs, taken)
    except BuildFault as fault:
        lines |= {number: samples.failed_line(rig.run_id, spec, str(fault))
                  for number, (spec, _) in programs.items()}
    for number, line in lines.items():
        message = line["status"]["message"]
        if line["status"]["timeout"] or (message or "").startswith(FILLED):
            spec = specs[number]
            hung[_hung_key(spec)] = f"not started: {name_of(spec)} was {message}" \
                if line["status"]["timeout"] else f"not started: of {name_of(spec)}, {message}"
    return [lines[number] for number in numbers]


def name_of(spec: Spec) -> str:
    """A sample's name for a person: that of a program of the user's own has no variant."""
    return spec.id.replace("//", "/")


def _hung_key(spec: Spec) -> tuple[ProgramKey, int]:
    return ProgramKey(spec.pitfall, spec.variant, spec.cell), spec.n


class ByTurns:
    """Which samples run by turns: those of one subject (plan.subject_of) in one round, if in
    round 0, where each ran alone, all of them kept a processor busy and had room in memory beside
    each other."""

    def __init__(self, wanted: bool = True, whole: Collection[str] = (),
                 lines: Iterable[dict[str, Any]] = ()) -> None:
        self.wanted = wanted
        self._whole = whole
        self._busy: dict[Hashable, float] = {}
        self._bytes: Counter[Hashable] = Counter()
        for line in lines:
            if line["kind"] == "sample":
                self.learn(line)

    def learn(self, line: dict[str, Any]) -> None:
        """A sample was taken."""
        if line["role"] != "timed" or line["round"] != 0:
            return
        found = line["metrics"]
        key = subject_of(line["pitfall"], line["variant"], self._whole)
        seconds = found["time_ns"] / 1e9 if "time_ns" in found else line["wall_s"]
        cpu_s = found.get("user_s", 0.0) + found.get("sys_s", 0.0)
        self._busy[key] = min(self._busy.get(key, 1.0), cpu_s / seconds if seconds else 0.0)
        self._bytes[key] += found.get("peak_rss_b", found.get("launcher_rss_b", 0))

    def together(self, spec: Spec) -> Hashable | None:
        """As a rig is asked."""
        key = subject_of(spec.pitfall, spec.variant, self._whole)
        able = (self.wanted and spec.role == "timed" and spec.round > 0
                and self._busy.get(key, 0.0) >= turns.LEAST_BUSY
                and self._fit(key))
        return (*key, spec.round) if able else None

    def _fit(self, key: Hashable) -> bool:
        """Whether the arms have room in memory beside each other. Unknown: they may not have."""
        free_mb = probes.free_memory_mb()
        return free_mb is not None and self._bytes[key] <= free_mb * 1e6 / 2


NEVER = ByTurns(wanted=False)


def begin_on(spec: Spec) -> int | None:
    """The processor where the programs of a round begin: each in turn. None: there is but one."""
    cpus = probes.cpus()
    return cpus[spec.round % len(cpus)] if len(cpus) > 1 else None


class _Links:
    """Links the programs of the next few samples while none runs, and deletes each when no sample
    needs it any more: those with the same program and layout share one link."""

    def __init__(self, rig: Rig, specs: Sequence[Spec], folder: Path) -> None:
        self._rig = rig
        self._specs = specs
        self._pool = ThreadPoolExecutor(max_workers=len(probes.cpus()))
        self._ready: dict[Path, Future[None]] = {}
        self._next = 0
        self.waited_s = 0.0
        self._paths = [folder / digest([s.pitfall, s.variant, s.cell, str(s.layout_seed)])
                       for s in specs]
        self._needed = Counter(self._paths)

    def _prepare(self, until: int) -> None:
        begun = time.monotonic()
        while self._next < min(until, len(self._specs)):
            path, spec = self._paths[self._next], self._specs[self._next]
            if path not in self._ready:
                self._ready[path] = self._pool.submit(self._rig.link, spec, path)
            self._next += 1
        wait(self._ready.values())
        self.waited_s += time.monotonic() - begun

    def take(self, index: int) -> Path:
        """The linked program of a sample; BuildFault if it does not link."""
        if index >= self._next:
            self._prepare(index + LINKS_AT_ONCE)
        path = self._paths[index]
        self._ready[path].result()
        return path

    def done(self, index: int) -> None:
        """The sample was taken: its program goes, unless a later sample needs it."""
        path = self._paths[index]
        self._needed[path] -= 1
        if not self._needed[path]:
            del self._ready[path]
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """No more links."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class _Spent:
    """What passes from one sample to the next: time, linking in it, and what the host took away
    from all processors meanwhile."""

    def __init__(self, links: _Links) -> None:
        self._links = links
        self._mark = self._now()

    def _now(self) -> tuple[float, float, int | None]:
        return time.monotonic(), self._links.waited_s, probes.steal_ticks()

    def note(self, lines: Sequence[dict[str, Any]]) -> None:
        """These samples were taken; those that ran by turns get a share each."""
        before, self._mark = self._mark, self._now()
        for line in lines:
            line["took_s"] = (self._mark[0] - before[0]) / len(lines)
            line["link_s"] = (self._mark[1] - before[1]) / len(lines)
            if before[2] is not None and self._mark[2] is not None:
                ticks = max(0, self._mark[2] - before[2])
                line["stolen_s"] = ticks / os.sysconf("SC_CLK_TCK") / len(lines)
