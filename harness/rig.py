"""Takes samples one after the other, each of a program in a layout of its own.

One program runs at a time, on all processors that the harness may use: the collector has threads
of its own. Nothing else runs meanwhile: the programs of the next few samples are linked together
before the first of them starts.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol

from harness import probes, samples
from harness.build import digest
from harness.fault import BuildFault
from harness.launch import STOPPED
from harness.plan import ProgramKey, Spec

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


Hung = dict[tuple[ProgramKey, int], str]  # program and parameter -> why it is not started again


def run_all(rig: Rig, specs: Sequence[Spec], sink: Sink, tick: Tick,
            hung: Hung | None = None) -> None:
    """Takes every sample, in order, and hands each line to the sink. A program that ran into its
    time-out is not started again with the same parameter: each of its samples would. `hung` takes
    that knowledge from one call to the next."""
    with tempfile.TemporaryDirectory(dir=rig.scratch) as folder:
        links = _Links(rig, specs, Path(folder))
        hung = {} if hung is None else hung
        try:
            for index, spec in enumerate(specs):
                tick(index, len(specs), f"{spec.pitfall}.{spec.variant} {spec.cell} {spec.role}")
                key = (ProgramKey(spec.pitfall, spec.variant, spec.cell), spec.n)
                try:
                    path = links.take(index)
                    if key in hung:
                        line = samples.failed_line(rig.run_id, spec, hung[key])
                    else:
                        line = rig.take(spec, path)
                except BuildFault as fault:
                    line = samples.failed_line(rig.run_id, spec, str(fault))
                if line["status"]["timeout"]:
                    hung[key] = f"not started: {spec.id} was {line['status']['message']}"
                links.done(index)
                if line["status"]["message"] == STOPPED:
                    raise KeyboardInterrupt
                sink(line)
        finally:
            links.close()


class _Links:
    """Links the programs of the next few samples while none runs, and deletes each when no sample
    needs it any more: those with the same program and layout share one link."""

    def __init__(self, rig: Rig, specs: Sequence[Spec], folder: Path) -> None:
        self._rig = rig
        self._specs = specs
        self._pool = ThreadPoolExecutor(max_workers=len(probes.cpus()))
        self._ready: dict[Path, Future[None]] = {}
        self._next = 0
        self._paths = [folder / digest([s.pitfall, s.variant, s.cell, str(s.layout_seed)])
                       for s in specs]
        self._needed = Counter(self._paths)

    def _prepare(self, until: int) -> None:
        while self._next < min(until, len(self._specs)):
            path, spec = self._paths[self._next], self._specs[self._next]
            if path not in self._ready:
                self._ready[path] = self._pool.submit(self._rig.link, spec, path)
            self._next += 1
        wait(self._ready.values())

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
