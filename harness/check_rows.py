"""The gate's judgement of exact figures against the baseline. Pure.

Four things are told apart: a figure that moved (`worse`, `better`), a baseline that does not speak
of this program (its own sources have changed, or it is new), a baseline of another place, and a
program that cannot be counted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import baseline, target
from harness.baseline import Known
from harness.metrics import describe, percent
from harness.sheet import Sheet, first_line
from harness.verdicts import BETTER, SAME, WORSE, compare, judge

TARGET = "check"
METRICS = ("instructions", "text_b", "allocs", "alloc_b", "collections", "peak_live_b")
NEW, CHANGED, ELSEWHERE, FAILED = "new", "changed source", "another place", "failed"
NOT_COMPARED = "not compared"  # it cannot be counted here: a reason and no failure


@dataclass(frozen=True)
class Checked:
    """One figure of one program in one cell."""

    subject: str  # growth.bad/gcc-O2
    metric: str
    old: float | None
    new: float | None
    verdict: str
    margin: float = 0.0
    reason: str | None = None

    @property
    def moved(self) -> float | None:
        """new / old; None where there is no such number."""
        return self.new / self.old if self.old and self.new is not None else None


def head(sheet: Sheet) -> tuple[list[Known], list[Checked]]:
    """What was measured now; and a row for each program that has no figures, with the reason."""
    run = sheet.run or {}
    known, failed = [], []
    for (pitfall, variant, cell), built in sheet.cells.items():
        subject = f"{pitfall}.{variant}/{cell}"
        if built["status"] != "ok":
            failed.append(Checked(subject, "instructions", None, None, FAILED,
                                  reason=f"does not build: {first_line(built['message'])}"))
            continue
        samples = sheet.role(pitfall, variant, cell, "exact")
        if not samples:
            continue
        sample = samples[-1]
        message, why = sample["status"]["message"], sample["reasons"].get("instructions")
        if message or "instructions" not in sample["metrics"]:
            word = NOT_COMPARED if why and not message else FAILED
            failed.append(Checked(subject, "instructions", None, None, word,
                                  reason=first_line(message or why or "no figure")))
            continue
        metrics = {**sample["metrics"], "text_b": built["text_b"]}
        place = baseline.place_of(run.get("machine") or {}, run.get("tools") or {},
                                  built["version"])
        known.append(Known(pitfall, variant, cell, place, built["workload_sha"],
                           {name: metrics[name] for name in METRICS if name in metrics}))
    return known, failed


def judged(old: Sequence[Known], new: Sequence[Known]) -> list[Checked]:
    """Every figure of the programs measured now."""
    result: list[Checked] = []
    for one in new:
        subject = f"{one.pitfall}.{one.variant}/{one.cell}"
        lines = [line for line in old if line.key == one.key]
        here = next((line for line in lines if line.place == one.place), None)
        if here is None and not lines:
            result.append(Checked(subject, "instructions", None, one.metrics["instructions"], NEW,
                                  reason="not in the baseline: make baseline adds it"))
        elif here is None:
            differs = "; ".join(baseline.differences(lines[-1], one))
            result.append(Checked(subject, "instructions", lines[-1].metrics.get("instructions"),
                                  one.metrics["instructions"], ELSEWHERE,
                                  reason=f"the baseline is of another place: {differs}"))
        elif here.workload_sha != one.workload_sha:
            result.append(Checked(subject, "instructions", here.metrics.get("instructions"),
                                  one.metrics["instructions"], CHANGED,
                                  reason="the program itself has changed since: make baseline"))
        else:
            result += _figures(subject, here.metrics, one.metrics)
    return result


def _figures(subject: str, old: Mapping[str, float], new: Mapping[str, float]) -> list[Checked]:
    rows = []
    for metric in METRICS:
        before, now = old.get(metric), new.get(metric)
        if before is None and now is None:
            continue
        if before is None or now is None:
            rows.append(Checked(subject, metric, before, now, WORSE if now is None else NEW,
                                reason="it is not measured any more" if now is None else
                                "the baseline does not have it: make baseline adds it"))
            continue
        found = judge([compare(subject, metric, {0: before}, {0: now}, exact=True)])[0]
        rows.append(Checked(subject, metric, before, now, found.verdict, found.margin))
    return rows


def counts(rows: Sequence[Checked]) -> dict[str, int]:
    """verdict -> rows."""
    result: dict[str, int] = {}
    for one in rows:
        result[one.verdict] = result.get(one.verdict, 0) + 1
    return result


def interesting(rows: Sequence[Checked]) -> list[Checked]:
    """Everything but what is the same, the worst first."""
    order = {verdict: place for place, verdict in enumerate(
        (FAILED, WORSE, NOT_COMPARED, ELSEWHERE, CHANGED, NEW, BETTER))}
    return sorted((one for one in rows if one.verdict != SAME),
                  key=lambda one: (order.get(one.verdict, 0), -abs((one.moved or 1) - 1)))


def document(run: Mapping[str, Any], rows: Sequence[Checked],
             compared: Sequence[Mapping[str, Any]], name: str = TARGET) -> dict[str, Any]:
    """check.json, or baseline.json; compared: the rows of base against head, if that was measured
    too."""
    found = [target.row(
        one.subject, one.metric, value=one.new, peer=one.old, peer_name="baseline",
        ratio=one.moved, n=1, verdict=one.verdict, reason=one.reason,
        goal=f"within {percent(one.margin, 3)} of the baseline",
        met=one.verdict in (SAME, BETTER) if one.verdict in (SAME, BETTER, WORSE) else None)
        for one in rows]
    return target.document(name, run, [*found, *(dict(row) for row in compared)])


def title(one: Checked) -> str:
    """growth.bad/gcc-O2: instructions of the timed region 2.1 % more."""
    name = describe(one.metric).title
    if one.verdict in (WORSE, BETTER) and one.moved is not None:
        change = one.moved - 1
        return (f"{one.subject}: {name} {percent(abs(change), 3)}"
                f" {'more' if change > 0 else 'less'}")
    if one.verdict in (WORSE, BETTER):
        return f"{one.subject}: {name} from {one.old} to {one.new}"
    return f"{one.subject}: {one.reason}"
