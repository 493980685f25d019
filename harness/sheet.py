"""Stored lines, indexed the way judging and summarising ask for them. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from harness.stats import median

BUILD_METRICS = ("text_b", "data_b", "bss_b")
# Where a metric is looked for when the timed samples do not have it.
OTHER_ROLES = ("startup", "perf", "instr", "observe")
_SIGNAL_OUTCOME = "crash"


class Sheet:
    """One run's cells and samples by pitfall, variant, cell and role."""

    def __init__(self, lines: Iterable[dict[str, Any]]) -> None:
        self.run: dict[str, Any] | None = None
        self.runs: dict[str, dict[str, Any]] = {}  # by id: of a merged file, all
        # A merged file has several runs: a pitfall's figures are those of the first that has it,
        # never a mixture. The others are kept apart: pitfall -> the lines of each run.
        self.others: dict[str, dict[str, list[dict[str, Any]]]] = {}
        owner: dict[str, str] = {}
        self.cells: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.missing: dict[str, dict[str, Any]] = {}
        self.samples: dict[str, dict[str, Any]] = {}
        for line in lines:
            if line["kind"] == "run":
                self.run = self.run or line
                self.runs[line["run"]] = line
                continue
            pitfall = line["pitfall"]
            if pitfall is not None and owner.setdefault(pitfall, line["run"]) != line["run"]:
                self.others.setdefault(pitfall, {}).setdefault(line["run"], []).append(line)
            elif line["kind"] == "cell" and line["status"] == "missing":
                self.missing[line["cell"]] = line
            elif line["kind"] == "cell":
                self.cells[line["pitfall"], line["variant"], line["cell"]] = line
            else:
                self.samples[line["sample"]] = line
        self._by_key: dict[tuple[str, str, str, str], list[dict[str, Any]]] = defaultdict(list)
        for sample in self.samples.values():
            key = (sample["pitfall"], sample["variant"], sample["cell"], sample["role"])
            self._by_key[key].append(sample)
        for found in self._by_key.values():
            found.sort(key=lambda s: (s["round"], s["n"]))

    def role(self, pitfall: str, variant: str, cell: str, role: str) -> list[dict[str, Any]]:
        """The samples of one program in one role, by round and parameter."""
        return self._by_key.get((pitfall, variant, cell, role), [])

    def timed(self, pitfall: str, variant: str, cell: str) -> list[dict[str, Any]]:
        """The rounds. (Runs of an older form began with a round 0, which is not judged.)"""
        return [s for s in self.role(pitfall, variant, cell, "timed") if s["round"] > 0]

    def cell_names(self) -> list[str]:
        """The measured cells (without sanitizer), in the order in which they were built."""
        return list(dict.fromkeys(c for _, _, c in self.cells if "+" not in c))

    def pitfall_ids(self) -> list[str]:
        """The pitfalls of the run."""
        return list(dict.fromkeys(p for p, _, _ in self.cells))

    def values(self, pitfall: str, variant: str, cell: str, metric: str) -> list[float]:
        """A metric's values over the kept rounds; of another role or the build if it is theirs."""
        if metric in BUILD_METRICS:
            built = self.cells.get((pitfall, variant, cell))
            return [] if built is None or built[metric] is None else [built[metric]]
        found = [s["metrics"][metric] for s in self.timed(pitfall, variant, cell)
                 if metric in s["metrics"]]
        for role in () if found else OTHER_ROLES:
            found = [s["metrics"][metric] for s in self.role(pitfall, variant, cell, role)
                     if metric in s["metrics"]]
            if found:
                break
        return found

    def by_round(self, pitfall: str, variant: str, cell: str, metric: str) -> dict[int, float]:
        """round -> value, for pairing."""
        return {s["round"]: s["metrics"][metric] for s in self.timed(pitfall, variant, cell)
                if metric in s["metrics"]}

    def medians(self, pitfall: str, variant: str, cell: str) -> dict[str, float]:
        """Every metric's median over the kept rounds."""
        collected: dict[str, list[float]] = defaultdict(list)
        for sample in self.timed(pitfall, variant, cell):
            for name, value in sample["metrics"].items():
                collected[name].append(value)
        return {name: median(values) for name, values in collected.items()}

    def why_absent(self, pitfall: str, variant: str, cell: str, metric: str) -> str:
        """The reason why values() has nothing to give."""
        name = variant or pitfall  # a program of the user's own has no variants
        if cell in self.missing:
            return str(self.missing[cell]["message"])
        built = self.cells.get((pitfall, variant, cell))
        if built is None:
            return f"{program_name(pitfall, variant)} was not part of this run in {cell}"
        if built["status"] != "ok":
            return f"{name} does not build: {first_line(built['message'])}"
        samples = self.timed(pitfall, variant, cell)
        if not samples:
            return f"{name} has no sample of a kept round in {cell}"
        others = [s for role in OTHER_ROLES for s in self.role(pitfall, variant, cell, role)]
        for sample in (*samples, *others):
            for known in (metric, metric.removesuffix("_per_op")):
                if known in sample["reasons"]:
                    return str(sample["reasons"][known])
        for sample in samples:
            if sample["status"]["message"]:
                return f"{name} failed: {first_line(sample['status']['message'])}"
        return f"the record of {name} has no '{metric}'"

    def outcome(self, pitfall: str, variant: str, cell: str) -> str | None:
        """What the variant did in a cell; None if nothing tells, several words if they differ."""
        built = self.cells.get((pitfall, variant, cell))
        if built is not None and built["status"] == "failed":
            return "link-fail" if built.get("linking") else None
        samples = self.timed(pitfall, variant, cell)
        if not samples:
            return None
        seen = Counter(_outcome_of(s) for s in samples)
        if len(seen) == 1:
            return next(iter(seen))
        return ", ".join(f"{name or 'unknown'} {count}x" for name, count in sorted(
            seen.items(), key=lambda item: (-item[1], str(item[0]))))


def _outcome_of(sample: dict[str, Any]) -> str | None:
    if sample["status"]["signal"] is not None and not sample["status"]["timeout"]:
        return _SIGNAL_OUTCOME
    outcome = sample["outcome"]
    return None if outcome is None else str(outcome)


def program_name(pitfall: str, variant: str) -> str:
    """growth.bad; prog for a program of the user's own."""
    return ".".join(part for part in (pitfall, variant) if part)


def first_line(text: str | None) -> str:
    """The line of a message that names the error; compilers say much around it."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    for line in lines:
        if "error:" in line:
            return line
    return lines[0] if lines else "no message"
