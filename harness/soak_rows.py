"""What a soak came to, from its stored lines: series, trends, rows of soak.json. Pure.

A program has a line of kind sample for each minute, with the resident sets of that minute, and a
last one that says how it ended. `pitfall` is "soak" and `variant` the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness import target
from harness.flatness import FLAT, GROWS, HOUR_S, SHARE, Trend, trend
from harness.launch import STOPPED

TARGET = "soak"
ROLE = "soak"
SHORT_S = 1800.0  # of a shorter series growth is told as it was, and not as what an hour would have
FAILED = "failed"


@dataclass
class Soaked:
    """One program."""

    name: str
    args: tuple[str, ...] = ()
    t_s: list[float] = field(default_factory=list)  # from its start
    rss_b: list[float] = field(default_factory=list)
    most: dict[str, float] = field(default_factory=dict)  # metric -> the most of any minute
    reasons: dict[str, str] = field(default_factory=dict)
    message: str | None = None  # how it failed
    stopped: bool = False  # before its time, by the user
    trend: Trend = Trend("", 0.0)

    @property
    def verdict(self) -> str:
        return FAILED if self.message is not None else self.trend.verdict

    @property
    def broken(self) -> bool:
        return self.verdict in (FAILED, GROWS)


def judge(lines: Sequence[Mapping[str, Any]], warm_up_s: float | None = None) -> list[Soaked]:
    """Every program, in the order in which they began."""
    found: dict[str, Soaked] = {}
    for line in lines:
        if line["kind"] != "sample":
            continue
        one = found.setdefault(line["variant"], Soaked(line["variant"], tuple(line["args"])))
        timeline = line["timeline"] or {"t_ns": [], "rss_b": []}
        one.t_s += [t / 1e9 for t in timeline["t_ns"]]
        one.rss_b += timeline["rss_b"]
        for metric, value in line["metrics"].items():
            one.most[metric] = max(one.most.get(metric, value), value)
        one.reasons |= line["reasons"]
        one.stopped |= line["status"]["message"] == STOPPED
        if line["status"]["message"] not in (None, STOPPED):
            one.message = line["status"]["message"]
    for one in found.values():
        one.trend = trend(one.t_s, one.rss_b, warm_up_s)
    return list(found.values())


def rows(soaked: Sequence[Soaked]) -> list[dict[str, Any]]:
    """The level with its growth in an hour as a ratio, and what else is known."""
    made = []
    for one in soaked:
        found = one.trend
        made.append(target.row(
            one.name, "rss_b", value=found.level_b, ratio=_ratio(found.growth),
            low=_ratio(found.low), high=_ratio(found.high), n=found.blocks,
            goal=f"grows by at most {100 * SHARE:g} % in an hour", met=one.verdict == FLAT,
            verdict=one.verdict, reason=one.message or found.reason))
        made += [target.row(one.name, metric, value=one.most.get(metric),
                            reason=None if metric in one.most else one.reasons.get(metric))
                 for metric in sorted({*one.most, *one.reasons})]
    return made


def _ratio(growth: float | None) -> float | None:
    return None if growth is None else 1 + growth


def in_words(one: Soaked) -> str:
    """+0.3 % (-0.1 to +0.6) an hour, of the level."""
    found = one.trend
    if found.growth is None or found.low is None or found.high is None:
        return "–"
    short = found.judged_s < SHORT_S
    times = found.judged_s / HOUR_S if short else 1.0
    places = 1 if max(-found.low, found.high) * times < 1 else 0
    low, value, high = (f"{100 * share * times:+,.{places}f}" for share in
                        (found.low, found.growth, found.high))
    return f"{value} % ({low} to {high}) {f'in {duration(found.judged_s)}' if short else 'an hour'}"


def duration(seconds: float) -> str:
    """90 s, 60.0 min."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
