"""From the stored lines of `make peers` to the rows of peers.json: what was reached of the goals,
and how spanheap stands beside each peer; a goal may speak of another peer than spanheap. Pure.

A figure that was not measured is a row too, with its reason; a goal for it is not met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness import stats
from harness.peer_catalog import BETTER, OURS, Goal, Peers, Work
from harness.stats import Estimate
from harness.store import samples
from harness.target import document, row

TARGET = "peers"
STOLEN = "stolen_ticks"
MET, MISSED, UNMEASURED = "met", "missed", "not measured"
_CROSSES = ", but the interval crosses the bound"

Line = dict[str, Any]
Rounds = dict[int, Line]  # the good samples of one program, by round


class Measured:
    """The lines of one run, by work and peer."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.run: Line = next((line for line in lines if line["kind"] == "run"), {})
        self.quick = bool((self.run.get("settings") or {}).get("quick"))
        self._good: dict[tuple[str, str], Rounds] = {}
        self.failed: dict[tuple[str, str], list[str]] = {}
        self.unbuilt: dict[str, Line] = {}
        for line in lines:
            if line["kind"] == "cell":
                self._build(line)
        for line in samples(lines):
            key = line["pitfall"], line["variant"]
            if line["status"]["message"] is None:
                self._good.setdefault(key, {})[line["round"]] = line
            else:
                self.failed.setdefault(key, []).append(line["status"]["message"])

    def _build(self, line: Line) -> None:
        if line["status"] == "ok":
            self.unbuilt.pop(line["variant"], None)
        else:
            self.unbuilt[line["variant"]] = line

    def good(self, work: str, peer: str) -> Rounds:
        """The samples that ended well."""
        return self._good.get((work, peer), {})

    def values(self, work: str, peer: str, metric: str) -> dict[int, float]:
        """A metric by round."""
        return {number: float(line["metrics"][metric])
                for number, line in sorted(self.good(work, peer).items())
                if metric in line["metrics"]}

    def median(self, work: str, peer: str, metric: str) -> float | None:
        """Over the rounds."""
        values = list(self.values(work, peer, metric).values())
        return stats.median(values) if values else None

    def why_not(self, work: Work, peer: str, metric: str) -> str:
        """Why a metric was not measured."""
        if peer in self.unbuilt:
            line = self.unbuilt[peer]
            said = str(line["message"]).splitlines() or [""]
            return said[0] if line["status"] == "missing" else f"does not build: {said[-1]}"
        if peer not in work.peers_of(self.quick):
            return "not part of a quick run" if peer in work.peers else "does not run this work"
        good = self.good(work.id, peer)
        if good:
            line = next(iter(good.values()))
            reason = line["reasons"].get(metric, "not in the program's record")
            return str(reason)
        failures = self.failed.get((work.id, peer))
        return failures[0].splitlines()[0] if failures else "no sample of it was taken"


def judge(lines: Sequence[Line], peers: Peers) -> dict[str, Any]:
    """peers.json: first a row for every goal, then one for everything else that was compared."""
    measured = Measured(lines)
    works = {w.id: w for w in peers.works}
    place = {(w.id, metric): (number, w.metrics.index(metric))
             for number, w in enumerate(peers.works) for metric in w.metrics}
    goals = sorted(peers.goals, key=lambda goal: place[goal.work, goal.metric])
    rows = [_goal_row(measured, works[goal.work], goal) for goal in goals]
    there = {(r["id"].split("/")[0], r["metric"], r["peer_name"]) for r in rows
             if subject_of(r) == OURS}
    for work in peers.works:
        for metric in work.metrics:
            for peer in work.peers_of(measured.quick):
                if peer != OURS and (work.id, metric, peer) not in there:
                    rows.append(_plain_row(measured, work, metric, peer))
            if (work.id, metric) not in {(r["id"].split("/")[0], r["metric"]) for r in rows
                                         if subject_of(r) == OURS}:
                rows.append(_own_row(measured, work, metric))
    return document(TARGET, measured.run, rows)


def subject_of(one: Mapping[str, Any]) -> str:
    """Whose figure a row is, by its id."""
    before, colon, _ = one["id"].rsplit("/", 1)[-1].partition(":")
    return str(before) if colon else OURS


def _goal_row(measured: Measured, work: Work, goal: Goal) -> dict[str, Any]:
    if goal.kind == "value":
        values = list(measured.values(work.id, goal.subject, goal.metric).values())
        found = stats.median_interval(values)
        return _judged(measured, work, goal, goal.subject, found, row(
            goal.id, goal.metric, value=found.value, low=found.low, high=found.high, n=found.n))
    assert goal.peer is not None
    peer = _best(measured, work.id, goal)
    bottom = goal.over or goal.metric
    found = _ratio(measured, work.id, (goal.metric, bottom), (goal.subject, peer), goal.kind)
    return _judged(measured, work, goal, peer, found, row(
        goal.id, goal.metric, value=measured.median(work.id, goal.subject, goal.metric),
        peer=measured.median(work.id, peer, bottom), peer_name=peer, ratio=found.value,
        low=found.low, high=found.high, n=found.n))


def _best(measured: Measured, work: str, goal: Goal) -> str:
    """The peer itself, or which of several has the better median."""
    assert goal.peer is not None
    names = BETTER.get(goal.peer, (goal.peer,))
    found = {name: median for name in names
             if (median := measured.median(work, name, goal.metric)) is not None}
    if not found:
        return names[0]
    choose = max if goal.at_least is not None else min
    return choose(found, key=lambda name: found[name])


def _ratio(measured: Measured, work: str, metrics: tuple[str, str], peers: tuple[str, str],
           kind: str) -> Estimate:
    top, bottom = (measured.values(work, p, m) for p, m in zip(peers, metrics))
    both = sorted(top.keys() & bottom.keys())
    different = _different(measured, work, peers, both)
    if different:
        return Estimate(None, None, None, len(both), different)
    estimate = stats.ratio_of_medians if kind == "medians" else stats.paired_ratio
    return estimate([top[r] for r in both], [bottom[r] for r in both])


def _different(measured: Measured, work: str, peers: tuple[str, str],
               rounds: Sequence[int]) -> str | None:
    """Why two programs cannot be compared: they did not do the same."""
    names = " and ".join(peers)
    for number in rounds:
        ours, theirs = (measured.good(work, p)[number] for p in peers)
        if ours["args"] != theirs["args"]:
            return f"{names} ran with different arguments"
        sums = ours["metrics"].get("checksum"), theirs["metrics"].get("checksum")
        if sums[0] != sums[1]:
            return f"{names} did not compute the same: checksums {sums[0]}, {sums[1]}"
    return None


def _judged(measured: Measured, work: Work, goal: Goal, peer: str, found: Estimate,
            result: dict[str, Any]) -> dict[str, Any]:
    result["goal"] = goal.text
    if found.value is None:
        return result | {"met": False, "verdict": UNMEASURED,
                         "reason": _missing(measured, work, (goal.subject, peer),
                                            (goal.metric, goal.over or goal.metric), found)}
    met = goal.met_by(found.value)
    verdict = MET if met else MISSED
    if found.low is not None and found.high is not None and (
            goal.met_by(found.low) != goal.met_by(found.high)):
        verdict += _CROSSES
    notes = [found.reason, _stolen(measured, work.id, dict.fromkeys((goal.subject, peer)))]
    return result | {"met": met, "verdict": verdict,
                     "reason": "; ".join(n for n in notes if n) or None}


def _missing(measured: Measured, work: Work, peers: tuple[str, str], metrics: tuple[str, str],
             found: Estimate) -> str:
    """Which side is missing and why; or why two that are there give no ratio."""
    for name, needed in zip(peers, metrics):
        if measured.median(work.id, name, needed) is None:
            return f"{name}: {measured.why_not(work, name, needed)}"
    return found.reason or "no figure"


def _plain_row(measured: Measured, work: Work, metric: str, peer: str) -> dict[str, Any]:
    kind = "medians" if metric.startswith("stop_") else "ratio"
    found = _ratio(measured, work.id, (metric, metric), (OURS, peer), kind)
    result = row(
        f"{work.id}/{metric}/{peer}", metric, value=measured.median(work.id, OURS, metric),
        peer=measured.median(work.id, peer, metric), peer_name=peer, ratio=found.value,
        low=found.low, high=found.high, n=found.n)
    if found.value is None:
        return result | {"met": False, "verdict": UNMEASURED,
                         "reason": _missing(measured, work, (OURS, peer), (metric, metric),
                                            found)}
    notes = [found.reason, _stolen(measured, work.id, dict.fromkeys((OURS, peer)))]
    return result | {"reason": "; ".join(n for n in notes if n) or None}


def _own_row(measured: Measured, work: Work, metric: str) -> dict[str, Any]:
    """A figure with nothing beside it."""
    found = stats.median_interval(list(measured.values(work.id, OURS, metric).values()))
    result = row(f"{work.id}/{metric}/value", metric, value=found.value, low=found.low,
                 high=found.high, n=found.n)
    if found.value is None:
        return result | {"met": False, "verdict": UNMEASURED,
                         "reason": f"{OURS}: {measured.why_not(work, OURS, metric)}"}
    return result | {"reason": _stolen(measured, work.id, {OURS: None})}


def _stolen(measured: Measured, work: str, peers: Mapping[str, None]) -> str | None:
    """Which samples the host took time away from. They are flagged, not dropped."""
    parts = []
    for peer in peers:
        lines = measured.good(work, peer).values()
        hit = sum(line["metrics"].get(STOLEN, 0) > 0 for line in lines)
        if hit:
            parts.append(f"{hit} of {len(lines)} samples of {peer}")
    return f"stolen time in {', '.join(parts)}" if parts else None


def events(lines: Sequence[Line]) -> list[str]:
    """What went wrong in a run, each once, in words."""
    measured = Measured(lines)
    said = []
    for peer, line in measured.unbuilt.items():
        if line["status"] == "missing":
            said.append(f"{peer}: not measured: {line['message']}")
        else:
            said.append(f"{peer} does not build: {line['message']}")
    for (work, peer), failures in measured.failed.items():
        head = failures[0].splitlines()[0]
        said.append(f"{work} of {peer}: {len(failures)} sample(s) failed: {head}")
    return said


def went_wrong(lines: Sequence[Line]) -> bool:
    """True if a peer that is installed did not build, a program failed, or nothing was measured."""
    measured = Measured(lines)
    broken = any(line["status"] == "failed" for line in measured.unbuilt.values())
    nothing = not any(line["kind"] == "sample" for line in lines)
    return broken or nothing or bool(measured.failed)
