"""`peers`: the works of allocator/bench/ for spanheap and for other allocators, measured side by
side. Ends in a stored run and in results/latest/peers.json; printing it is peer_table's.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness import (
    bench,
    library,
    peer_catalog,
    peer_rows,
    peer_table,
    plan,
    probes,
    samples,
    store,
)
from harness.bench import COMPLETE, Done
from harness.fault import BuildFault, Fault
from harness.launch import STOPPED, Job, Launcher, Run
from harness.matrix import Cell
from harness.peer_catalog import Peer, Peers
from harness.plan import Spec
from harness.progress import Live
from harness.project import Project

TARGET = peer_rows.TARGET
CELL = "peers"  # what stands in a sample's name where bench has a cell of the matrix
DEFAULT_ROUNDS, QUICK_ROUNDS = 7, 3
RUN_COPY, FIGURES, PAGE = "peers.jsonl", "peers.json", "peers.md"


@dataclass(frozen=True)
class Options:
    """What the user asked for. Stored with the run, so that it can be gone on with."""

    rounds: int
    quick: bool
    works: tuple[str, ...]
    seed: int
    free_mb: float | None  # at the start: it decides how large the largest works are


def options(rounds: int | None, quick: bool, works: tuple[str, ...], seed: int | None) -> Options:
    """With what is usual in place of what was left out."""
    return Options(rounds or (QUICK_ROUNDS if quick else DEFAULT_ROUNDS), quick, works,
                   bench.fresh_seed() if seed is None else seed, probes.free_memory_mb())


def run(project: Project, wanted: Options, live: Live, *, resume: bool = False) -> Done:
    """Measures (or goes on measuring) one run."""
    found = bench.going_on(project, TARGET, live) if resume else None
    if found is None:
        path = store.new_run(project, TARGET, wanted.seed)
    else:
        path, stored = found[0], bench.restored(Options, found[1])
        wanted = stored if stored.quick else replace(
            stored, rounds=max(stored.rounds, wanted.rounds))
    peers = peer_catalog.load(project).select(wanted.works)
    begun = bench.run_line(project, path.parent.name, TARGET, wanted.seed, asdict(wanted))
    with bench.open_run(path, begun, commit=True) as (kept, old):
        return _Measuring(project, wanted, live, peers, kept).run(old)


class _Measuring:
    """One run on its way."""

    def __init__(self, project: Project, wanted: Options, live: Live, peers: Peers,
                 kept: store.Store) -> None:
        self.project = project
        self.wanted = wanted
        self.live = live
        self.peers = peers
        self.kept = kept
        self.run_id = kept.path.parent.name
        self.folder = project.build / "peers"

    def run(self, old: Sequence[dict[str, Any]]) -> Done:
        """Builds what can be built, takes every sample that is not there yet."""
        launcher = Launcher(self.project)
        self.live.phase("building")
        built, failed = self._build_all()
        if not built:
            raise Fault("nothing was built, so nothing is measured: see the messages above")
        self.live.phase("measuring")
        done = {line["sample"] for line in old if line["kind"] == "sample"}
        specs = plan.interleaved(
            {w.id: [p for p in w.peers_of(self.wanted.quick) if p in built]
             for w in self.peers.works}, CELL, self.wanted.seed, self.wanted.rounds)
        todo = [s for s in specs if s.id not in done]
        bad = 0
        for index, spec in enumerate(todo):
            self.live.tick(index, len(todo), f"{spec.pitfall} {spec.variant}, round {spec.round}")
            line = self._take(launcher, spec)
            self.kept.append(line)
            bad += line["status"]["message"] is not None
        (self.kept.path.parent / COMPLETE).touch()
        return Done(self.kept.path, self.run_id, len(todo) + len(done), failed, bad)

    # ---- building ----

    def _build_all(self) -> tuple[set[str], int]:
        """The peers that were built, and how many were not though they are installed."""
        built, failed = set(), 0
        used = {p for w in self.peers.works for p in w.peers_of(self.wanted.quick)}
        chosen = [p for p in self.peers.peers if p.id in used]
        compiler = library.default_cell()
        for index, peer in enumerate(chosen):
            self.live.tick(index, len(chosen), peer.title)
            missing = peer.missing()
            message = missing or self._build(peer, compiler)
            if message is None:
                built.add(peer.id)
            elif missing:
                self.live.say(f"{peer.id}: not measured: {missing}")
            else:
                failed += 1
                self.live.say(f"{peer.id} does not build:\n{message}")
            self.kept.append(self._cell_line(peer, compiler, message, missing is not None))
        return built, failed

    def _build(self, peer: Peer, compiler: Cell) -> str | None:
        """None, or the tool's own words."""
        try:
            library.make(self.project, f"bench-{peer.id}", f"BUILD={self.folder}",
                         f"CC={compiler.command}", f"CFLAGS=-g {compiler.level}")
        except BuildFault as fault:
            return str(fault)
        return None

    def _cell_line(self, peer: Peer, compiler: Cell, message: str | None,
                   missing: bool) -> dict[str, Any]:
        version = None if missing or peer.package is None else probes.package_version(peer.package)
        return samples.cell_facts(self.run_id, replace(compiler, name=CELL)) | {
            "variant": peer.id, "message": message,
            "version": f"{peer.package} {version}" if version else compiler.version,
            "status": "ok" if message is None else "missing" if missing else "failed",
        }

    # ---- measuring ----

    def _take(self, launcher: Launcher, spec: Spec) -> dict[str, Any]:
        peer = self.peers.peer(spec.variant)
        work = next(w for w in self.peers.works if w.id == spec.pitfall)
        args = work.args_of(self.wanted.quick, self.wanted.free_mb)
        before = probes.steal_ticks()
        run = launcher.run(Job(self.folder / "bench" / peer.id / work.program, args,
                               timeout_s=work.timeout_s, env_pad_b=spec.env_pad_b, env=peer.env))
        if run.message == STOPPED:
            raise KeyboardInterrupt
        after = probes.steal_ticks()
        stolen = {} if before is None or after is None else {peer_rows.STOLEN: after - before}
        return samples.sample_line(self.run_id, spec, args, _without_trace(run), stolen)


def _without_trace(run: Run) -> Run:
    """Takes Go's trace lines off what a failed program said."""
    if run.message is None or "gc 1 @" not in run.message:
        return run
    words = [line for line in run.stderr.splitlines() if not line.startswith("gc ")]
    head = run.message.split(": ", 1)[0]
    return replace(run, message="\n".join([head + ":", *words])[:2000] if words else head)


# ---- Results -------------------------------------------------------------------------------------


def judge(project: Project, path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(peers.json, the lines) of a stored run, judged by the goals as they stand now."""
    lines = store.read(path)
    settings = store.run_line(lines, path)["settings"]
    peers = peer_catalog.load(project).select(tuple(settings["works"]))
    return peer_rows.judge(lines, peers), lines


def write(project: Project, path: Path, document: Mapping[str, Any],
          lines: Sequence[dict[str, Any]]) -> None:
    """results/latest/: the run, its figures, and a page of them."""
    if path != project.latest / RUN_COPY:
        store.replace_copy(path, project.latest / RUN_COPY)
    store.replace_json(project.latest / FIGURES, document)
    store.replace_file(project.latest / PAGE, peer_table.markdown(document, lines))


def find(project: Project, run: str) -> Path:
    """The file of a stored run; the latest for an empty name."""
    if run:
        return store.find(project, run, TARGET)
    path = project.latest / RUN_COPY
    if not path.is_file():
        raise Fault(f"{path}: nothing has been measured; make peers does it")
    return path
