"""Facts about Go and about spanheap, and whether they agree. Pure: values in, verdicts out.

A program's values are a mapping from keys to numbers or texts; a fact picks keys by a glob and says
how close the two sides have to be (allocator/fidelity/facts.toml).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

from harness.fault import UsageFault

Value = float | str
Values = Mapping[str, Value]
RULES = ("exact", "within", "at-most")
SAME, DRIFT, DIFFERS, UNKNOWN = "same", "drift", "differs as declared", "not compared"
TRACE_SHAPE, TRIGGER = "trace-shape", "trigger"  # facts that come from trace lines
MOST_OTHERS = 0.3  # processors
_ROUNDING = 1e-12  # of a bound itself
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_HEAPS = re.compile(r"cpu, (\d+)->(\d+)->(\d+) MB, (\d+) MB goal")


@dataclass(frozen=True)
class Fact:
    """One entry of facts.toml."""

    id: str
    title: str
    program: str
    keys: str
    rule: str
    tolerance: float
    runs: int
    wanted: float | None  # what a formula gives, or is known, in place of Go's value
    differs: str | None
    at_worst: float  # a share beyond which even that is a drift
    idle: bool = False  # it depends on processors that are free for the collector

    def bound(self) -> str:
        """The rule in words."""
        if self.rule == "exact":
            return "exact"
        percent = f"{100 * self.tolerance:g} %"
        if self.rule == "within":
            return f"within {percent}"
        return "at most Go's" + (f", or {percent} more" if self.tolerance else "")


@dataclass(frozen=True)
class Compared:
    """One key on both sides."""

    key: str
    go: Value | None
    here: Value | None
    same: bool

    def distance(self) -> float:
        """How far apart two numbers are, as |ratio - 1|; texts are 0 or infinity."""
        if isinstance(self.go, float) and isinstance(self.here, float):
            if self.go == self.here:
                return 0.0
            return abs(self.here / self.go - 1) if self.go else float("inf")
        return 0.0 if self.same else float("inf")


@dataclass(frozen=True)
class Verdict:
    """A fact, judged."""

    fact: Fact
    compared: tuple[Compared, ...]
    verdict: str
    reason: str | None

    def worst(self) -> Compared | None:
        """The key that is farthest off, a failing one first."""
        if not self.compared:
            return None
        return max(self.compared, key=lambda c: (not c.same, c.distance()))


def parse(document: Mapping[str, Any]) -> list[Fact]:
    """The facts of facts.toml; UsageFault names what is wrong."""
    facts = []
    allowed = {"id", "title", "program", "keys", "rule", "tolerance", "runs", "wanted", "differs",
               "at_worst", "idle"}
    for entry in document.get("fact", []):
        name = entry.get("id", "a fact without id")
        unknown = sorted(set(entry) - allowed)
        missing = sorted({"id", "title", "program", "rule"} - set(entry))
        if unknown or missing or entry["rule"] not in RULES:
            raise UsageFault(
                f"facts.toml: {name}: " + (f"there is no {', '.join(unknown)}" if unknown else
                                           f"{', '.join(missing)} is missing" if missing else
                                           f"rule is one of {', '.join(RULES)}"))
        if ("differs" in entry) != ("at_worst" in entry):
            raise UsageFault(f"facts.toml: {name}: differs and at_worst come together")
        facts.append(Fact(entry["id"], entry["title"], entry["program"], entry.get("keys", "*"),
                          entry["rule"], float(entry.get("tolerance", 0.0)),
                          int(entry.get("runs", 1)), entry.get("wanted"), entry.get("differs"),
                          float(entry.get("at_worst", 0.0)), bool(entry.get("idle", False))))
    if len({fact.id for fact in facts}) != len(facts):
        raise UsageFault("facts.toml: two facts have one id")
    return facts


def merged(runs: Sequence[Values]) -> dict[str, Value]:
    """Medians of the numbers of several runs; a text must be the same in all of them."""
    result: dict[str, Value] = {}
    for key in runs[0]:
        values = [run[key] for run in runs if key in run]
        numbers = [v for v in values if isinstance(v, float)]
        if len(numbers) == len(values):
            result[key] = float(median(numbers))
        else:
            result[key] = values[0] if len(set(values)) == 1 else " / ".join(map(str, values))
    return result


def judge(fact: Fact, go: Values, here: Values, others: float | None = None) -> Verdict:
    """Compares what both sides say, or what is here with what is wanted. others: the processors
    that other programs kept busy meanwhile."""
    if fact.wanted is not None:
        go = dict.fromkeys((key for key in here if fnmatchcase(key, fact.keys)), fact.wanted)
    keys = [key for key in go if fnmatchcase(key, fact.keys)]
    keys += [key for key in here if fnmatchcase(key, fact.keys) and key not in go]
    if not keys:
        return Verdict(fact, (), UNKNOWN, f"no key matches {fact.keys}")
    compared = tuple(_compare(fact, key, go.get(key), here.get(key)) for key in keys)
    if all(c.same for c in compared):
        return Verdict(fact, compared, SAME, None)
    bearable = fact.differs is not None and all(
        c.same or c.distance() <= fact.at_worst for c in compared)
    if not bearable and fact.idle and others is not None and others > MOST_OTHERS:
        return Verdict(fact, compared, UNKNOWN,
                       f"other programs kept {others:.1f} processors busy meanwhile, and a"
                       " collector that waits for one begins more often: run it without them")
    return Verdict(fact, compared, DIFFERS if bearable else DRIFT, fact.differs)


def _compare(fact: Fact, key: str, go: Value | None, here: Value | None) -> Compared:
    if isinstance(go, float) and isinstance(here, float) and fact.rule != "exact":
        most = go * (1 + fact.tolerance + _ROUNDING)
        least = go * (1 - fact.tolerance - _ROUNDING) if fact.rule == "within" else float("-inf")
        return Compared(key, go, here, least <= here <= most)
    return Compared(key, go, here, go is not None and go == here)


# ---- Trace lines ---------------------------------------------------------------------------------


def trace_lines(stderr: str) -> list[str]:
    """The lines that SH_GCTRACE=1 and GODEBUG=gctrace=1 print. One that the program's end has cut
    off is none."""
    return [line for line in stderr.splitlines()
            if re.fullmatch(r"gc \d+ @.* P( \(forced\))?", line)]


def shape(line: str) -> str:
    """A trace line with N for each number."""
    return _NUMBER.sub("N", line)


def shapes(lines: Sequence[str]) -> str:
    """The different shapes, in order."""
    return " | ".join(sorted({shape(line) for line in lines}))


def inside_clamp(lines: Sequence[str]) -> float | None:
    """The share of collections that the heap's size has started and that began inside the clamp of
    Go 1.19's trigger. The lines tell MiB, cut off, so either bound is off by up to one. None: no
    such collection is there."""
    inside = total = 0
    marked: int | None = None
    for line in lines:
        found = _HEAPS.search(line)
        if found is None:
            continue
        start, _, live, goal = (int(text) for text in found.groups())
        if marked is not None and not line.endswith("(forced)") and goal > marked:
            low = marked + (goal - marked) / 64 * 45 - 1
            high = max(marked + 1 + (goal + 1 - marked) / 64 * 61, goal + 1 - 4) + 1
            inside += low <= start <= high
            total += 1
        marked = live
    return inside / total if total else None
