"""The hand-written files of `make peers`, allocator/bench/works.toml and goals.toml, checked."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from harness.fault import UsageFault
from harness.project import Project

SCHEMA = Path(__file__).parent / "schema" / "peers.schema.json"
OURS = "spanheap"
DEFAULT_TIMEOUT_S = 300.0
# Peers of a goal that stand for the best of several.
BETTER: dict[str, tuple[str, ...]] = {"boehm-better": ("boehm", "boehm-parallel")}


@dataclass(frozen=True)
class Peer:
    """An allocator that the works are built for."""

    id: str
    title: str
    package: str | None
    file: str | None
    command: str | None
    env: tuple[tuple[str, str], ...]
    works: tuple[str, ...] | None = None  # that run it where they name no peers; None: all

    def missing(self) -> str | None:
        """Why it cannot be built here; None if it can."""
        if self.package is None:
            return None
        there = (self.file is not None and Path(self.file).exists()) or (
            self.command is not None and shutil.which(self.command) is not None)
        return None if there else f"{self.package} is not installed: apt-get install {self.package}"


@dataclass(frozen=True)
class Work:
    """One program with one set of arguments."""

    id: str
    title: str
    program: str
    metrics: tuple[str, ...]
    args: tuple[str, ...]
    quick: tuple[str, ...]
    peers: tuple[str, ...]
    quick_peers: tuple[str, ...]
    memory_mb: float
    small_args: tuple[str, ...]
    timeout_s: float

    def peers_of(self, quick: bool) -> tuple[str, ...]:
        """Those that run it."""
        return self.quick_peers if quick else self.peers

    def args_of(self, quick: bool, free_mb: float | None) -> tuple[str, ...]:
        """Its command line on a machine with that much free memory (None: not known)."""
        if free_mb is not None and free_mb < self.memory_mb:
            return self.small_args
        return self.quick if quick else self.args


@dataclass(frozen=True)
class Goal:
    """One figure that is wanted, of spanheap or of another peer that is ours."""

    work: str
    metric: str
    kind: str
    peer: str | None
    over: str | None
    at_most: float | None
    at_least: float | None
    subject: str = OURS

    @property
    def id(self) -> str:
        """binary-trees/work_s/go; lifetimes/ns_per_op/spanheap-malloc:glibc"""
        of = "" if self.subject == OURS else f"{self.subject}:"
        return "/".join([self.work, self.metric, of + (self.peer or "value")])

    @property
    def text(self) -> str:
        """≤ 0.4"""
        return f"≤ {self.at_most:g}" if self.at_least is None else f"≥ {self.at_least:g}"

    def met_by(self, value: float) -> bool:
        """True if a figure is on the right side of the bound."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


@dataclass(frozen=True)
class Peers:
    """Both files."""

    peers: tuple[Peer, ...]
    works: tuple[Work, ...]
    goals: tuple[Goal, ...]

    def peer(self, name: str) -> Peer:
        """The peer of that id."""
        return next(p for p in self.peers if p.id == name)

    def select(self, names: Sequence[str]) -> Peers:
        """Only some works, with their goals; all if none is named."""
        known = [w.id for w in self.works]
        for name in names:
            if name not in known:
                raise UsageFault(f"no work '{name}'; there are: {' '.join(known)}")
        works = tuple(w for w in self.works if not names or w.id in names)
        chosen = {w.id for w in works}
        return Peers(self.peers, works, tuple(g for g in self.goals if g.work in chosen))


def load(project: Project) -> Peers:
    """Both files; UsageFault on the first thing that is wrong in them."""
    folder = project.allocator / "bench"
    works_file, goals_file = folder / "works.toml", folder / "goals.toml"
    works = _read(works_file, "works")
    peers = tuple(_peer(entry) for entry in works["peer"])
    result = Peers(peers, tuple(_work(entry, peers) for entry in works["work"]),
                   tuple(_goal(entry) for entry in _read(goals_file, "goals")["goal"]))
    _check_works(result, works_file)
    _check_goals(result, goals_file)
    return result


def _read(path: Path, kind: str) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageFault(f"{path}: no such file; run from a complete checkout") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageFault(f"{path}: {error}") from error
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/{kind}"})
    for problem in validator.iter_errors(data):
        raise UsageFault(f"{path}: {problem.json_path}: {problem.message}")
    return data


def _peer(entry: Mapping[str, Any]) -> Peer:
    needs = entry.get("needs", {})
    return Peer(entry["id"], entry["title"], needs.get("package"), needs.get("file"),
                needs.get("command"), tuple(entry.get("env", {}).items()),
                tuple(entry["works"]) if "works" in entry else None)


def _work(entry: Mapping[str, Any], all_peers: Sequence[Peer]) -> Work:
    args = tuple(entry["args"])
    usual = [p.id for p in all_peers if p.works is None or entry["id"] in p.works]
    peers = tuple(entry.get("peers", usual))
    memory = entry.get("memory", {"mb": 0.0, "args": args})
    return Work(
        id=entry["id"], title=entry["title"], program=entry.get("program", entry["id"]),
        metrics=tuple(entry["metrics"]), args=args, quick=tuple(entry.get("quick", args)),
        peers=peers, quick_peers=tuple(entry.get("quick_peers", peers)),
        memory_mb=float(memory["mb"]), small_args=tuple(memory["args"]),
        timeout_s=float(entry.get("timeout_s", DEFAULT_TIMEOUT_S)),
    )


def _goal(entry: Mapping[str, Any]) -> Goal:
    return Goal(entry["work"], entry["metric"], entry["kind"], entry.get("peer"),
                entry.get("over"), entry.get("at_most"), entry.get("at_least"),
                entry.get("subject", OURS))


def _check_works(peers: Peers, path: Path) -> None:
    names = [p.id for p in peers.peers]
    for what, ids in (("peer", names), ("work", [w.id for w in peers.works])):
        twice = {name for name in ids if ids.count(name) > 1}
        if twice:
            raise UsageFault(f"{path}: {what} '{min(twice)}' is there twice")
    if OURS not in names:
        raise UsageFault(f"{path}: there is no peer '{OURS}', which all others are compared with")
    for peer in peers.peers:
        for name in peer.works or ():
            if name not in {w.id for w in peers.works}:
                raise UsageFault(f"{path}: peer '{peer.id}': no work '{name}'")
    for work in peers.works:
        for name in (*work.peers, *work.quick_peers):
            if name not in names:
                raise UsageFault(f"{path}: work '{work.id}': no peer '{name}'")


def _check_goals(peers: Peers, path: Path) -> None:
    works = {w.id: w for w in peers.works}
    seen: set[str] = set()
    for goal in peers.goals:
        work = works.get(goal.work)
        if work is None:
            raise UsageFault(f"{path}: {goal.id}: no work '{goal.work}' in works.toml")
        for metric in (goal.metric, goal.over):
            if metric is not None and metric not in work.metrics:
                raise UsageFault(f"{path}: {goal.id}: work '{work.id}' has no metric '{metric}'")
        beside = () if goal.peer is None else BETTER.get(goal.peer, (goal.peer,))
        for name in (goal.subject, *beside):
            if name not in work.peers or name not in work.quick_peers:
                raise UsageFault(f"{path}: {goal.id}: '{name}' does not run '{work.id}'")
        if goal.id in seen:
            raise UsageFault(f"{path}: {goal.id}: is there twice")
        seen.add(goal.id)
