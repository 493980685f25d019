"""The one view of a run that table, charts and report read. Pure: stored lines in, JSON out.

Every key is there; what is unknown is null with a reason. `make laws` and the report can be made
again from a stored run at any time, because nothing here looks anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness import cautions, laws, outcomes, stats, trust
from harness.catalog import Pitfall, cell_matches
from harness.metrics import METRICS, describe
from harness.sheet import BUILD_METRICS, OTHER_ROLES, Sheet, first_line

VERSION = 1
FLAG_COLUMNS = {"peak_rss_b": "peak_rss_b", "startup_s": "startup_s", "speed": "ops_per_s"}
PAUSES_KEPT = 5000  # per program; a summary stays readable


def summarise(lines: Iterable[dict[str, Any]], catalog: Sequence[Pitfall]) -> dict[str, Any]:
    """Everything that is known about a run, in the shape of the contract of summary.json."""
    sheet = Sheet(lines)
    cells = sheet.cell_names()
    known = set(sheet.pitfall_ids())
    chosen = [pitfall for pitfall in catalog if pitfall.id in known]
    judged = laws.judge(sheet, chosen, cells)
    outcome_rows = outcomes.judge_outcomes(sheet, chosen, cells)
    detector_rows = outcomes.judge_detectors(sheet, chosen, cells)
    controls = [*trust.controls(sheet, chosen, cells), *_other_controls(sheet, chosen, cells)]
    return {
        "v": VERSION,
        "run": sheet.run,
        "taken": taken(sheet, chosen),
        "cells": list(sheet.cells.values()),
        "pitfalls": [
            _pitfall(sheet, pitfall, cells)
            | {
                "laws": [_without_pitfall(j) for j in judged if j.pitfall == pitfall.id],
                "outcomes": [_without_pitfall(j) for j in outcome_rows if j.pitfall == pitfall.id],
                "detectors": [_without_pitfall(j) for j in detector_rows
                              if j.pitfall == pitfall.id],
            }
            for pitfall in chosen
        ],
        "flags": [_flags(sheet, chosen, cells, cell) for cell in cells],
        "left_out": [{"cell": line["cell"], "reason": line["message"]}
                     for line in sheet.missing.values()],
        "controls": trust.as_rows(controls),
        "failed": failed(sheet, chosen, cells),
        "events": [*trust.sentences(controls), *events(sheet, chosen, known)],
    }


def taken(sheet: Sheet, catalog: Sequence[Pitfall]) -> dict[str, Any]:
    """How many timed samples are stored and were planned, and the rounds that programs have, the
    least and the most, of those that have more than one: a run may have been interrupted, or its
    file cut."""
    once = {pitfall.id for pitfall in catalog if pitfall.value_only}
    samples = planned = 0
    rounds: list[int] = []
    for (pitfall, variant, cell), line in sheet.cells.items():
        run = sheet.runs.get(line["run"]) or sheet.run or {}
        asked = run.get("settings", {}).get("rounds")
        if line["status"] == "ok" and "+" not in cell and isinstance(asked, int):
            found = len({s["round"] for s in sheet.timed(pitfall, variant, cell)})
            wanted = 1 if pitfall in once else asked
            if pitfall not in once:
                rounds.append(found)
            planned += wanted
            samples += min(found, wanted)
    return {"samples": samples, "planned": planned,
            "rounds": [min(rounds), max(rounds)] if rounds else None}


def _other_controls(sheet: Sheet, chosen: Sequence[Pitfall],
                    cells: Sequence[str]) -> list[trust.Control]:
    """In a merged file each run has a control pair of its own."""
    return [control for runs in sheet.others.values() for lines in runs.values()
            for control in trust.controls(Sheet(lines), chosen, cells) if control.n]


def _without_pitfall(judgement: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(judgement).items() if key != "pitfall"}


def _pitfall(sheet: Sheet, pitfall: Pitfall, cells: Sequence[str]) -> dict[str, Any]:
    gone = laws.elided(sheet, pitfall, cells)
    return {
        "id": pitfall.id, "title": pitfall.title, "summary": pitfall.summary,
        "documented": pitfall.documented, "always": pitfall.always,
        "value_only": pitfall.value_only,
        "parameter": {**asdict(pitfall.parameter), "sweep": list(pitfall.parameter.sweep)},
        "variants": [{"id": v.id, "pair": v.pair, "role": v.role, "label": v.label}
                     for v in pitfall.variants],
        "explanations": _explanations(sheet, pitfall, cells),
        "pairs": [{"pair": pair, "bad": bad, "fixes": list(fixes)}
                  for pair, bad, fixes in pitfall.pairs()],
        "cells": {
            cell: {
                "variants": {v.id: _variant(sheet, pitfall.id, v.id, cell, gone)
                             for v in pitfall.variants},
                "ratios": _ratios(sheet, pitfall, cell),
            }
            for cell in cells
        },
        "sweep": {
            cell: {v.id: [{"n": s["n"], "metrics": s["metrics"]}
                          for s in sheet.role(pitfall.id, v.id, cell, "sweep") if s["metrics"]]
                   for v in pitfall.variants}
            for cell in cells
        },
    }


def _explanations(sheet: Sheet, pitfall: Pitfall, cells: Sequence[str]) -> list[dict[str, Any]]:
    """Why the object that a variant marks is alive, in the words of sh_explain_print()."""
    return [{"variant": v.id, "role": v.role, "cell": cell, "text": sample.get("report"),
             "reason": sample["status"]["message"]}
            for v in pitfall.variants for cell in cells
            for sample in sheet.role(pitfall.id, v.id, cell, "explain")]


def _variant(sheet: Sheet, pitfall: str, variant: str, cell: str,
             gone: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    samples = sheet.timed(pitfall, variant, cell)
    good = [s for s in samples if not s["status"]["message"]]
    observed = sheet.role(pitfall, variant, cell, "observe")
    watched = observed[-1] if observed else None
    pauses = [p for s in samples for p in s["pauses"]["length_ns"]]
    step = -(-len(pauses) // PAUSES_KEPT) or 1
    return {
        "n": len(good),
        "failed": len(samples) - len(good),
        "outcome": "elided" if (variant, cell) in gone else sheet.outcome(pitfall, variant, cell),
        "metrics": {name: _metric(sheet, pitfall, variant, cell, name)
                    for name in metric_names(sheet, pitfall, variant, cell)},
        "pauses_ns": pauses[::step],
        "timeline": watched["timeline"] if watched else None,
        "collections_at_ns": watched["pauses"]["at_ns"] if watched else [],
    }


def metric_names(sheet: Sheet, pitfall: str, variant: str, cell: str) -> list[str]:
    """The declared metrics, and whatever else the program reported."""
    names = dict.fromkeys(METRICS)
    for sample in sheet.timed(pitfall, variant, cell):
        names.update(dict.fromkeys(sample["metrics"]))
    for role in OTHER_ROLES[:-1]:
        for sample in sheet.role(pitfall, variant, cell, role):
            names.update(dict.fromkeys((*sample["metrics"], *sample["reasons"])))
    return [name for name in names if name != "wall_s"]


def _metric(sheet: Sheet, pitfall: str, variant: str, cell: str, name: str) -> dict[str, Any]:
    values = sheet.values(pitfall, variant, cell, name)
    if values:
        estimate = stats.median_interval(values)
        return {"median": estimate.value, "low": estimate.low, "high": estimate.high,
                "values": values, "reason": estimate.reason}
    reason = None
    for role in OTHER_ROLES:
        for sample in sheet.role(pitfall, variant, cell, role):
            reason = reason or sample["reasons"].get(name)
            if sample["status"]["message"] and name in _OF_ROLE.get(role, ()):
                reason = reason or f"failed: {first_line(sample['status']['message'])}"
    if reason is None and name.startswith("instructions"):
        reason = "not asked for: INSTR=1 counts them with callgrind"
    if reason is None and name == "startup_s":
        reason = "start-up was not measured in this run"
    reason = reason or sheet.why_absent(pitfall, variant, cell, name)
    return {"median": None, "low": None, "high": None, "values": [], "reason": reason}


_OF_ROLE = {"startup": ("startup_s",), "instr": ("instructions", "instructions_per_op")}


def _ratios(sheet: Sheet, pitfall: Pitfall, cell: str) -> dict[str, Any]:
    """bad / fix for every pair, the median over rounds of the ratio within the round."""
    result: dict[str, Any] = {}
    for pair, bad, fixes in pitfall.pairs():
        if bad is None:
            continue
        for fix in fixes:
            names = metric_names(sheet, pitfall.id, bad, cell)
            result[f"{pair}/{fix}"] = {
                name: _ratio(sheet, pitfall.id, bad, fix, cell, name)
                if describe(name).exact or not pitfall.value_only else _NOT_COMPARED
                for name in names
            }
    return result


_NOT_COMPARED = {"ratio": None, "low": None, "high": None, "n": 0,
                 "reason": "timed once: its claim is a value"}


def _ratio(sheet: Sheet, pitfall: str, bad: str, fix: str, cell: str,
           name: str) -> dict[str, Any]:
    top = sheet.by_round(pitfall, bad, cell, name)
    bottom = sheet.by_round(pitfall, fix, cell, name)
    rounds = sorted(set(top) & set(bottom))
    if rounds:
        estimate = stats.paired_ratio([top[r] for r in rounds], [bottom[r] for r in rounds])
        return {"ratio": estimate.value, "low": estimate.low, "high": estimate.high,
                "n": estimate.n, "reason": estimate.reason}
    a = sheet.values(pitfall, bad, cell, name)
    b = sheet.values(pitfall, fix, cell, name)
    if a and b and stats.median(b) != 0:
        return {"ratio": stats.median(a) / stats.median(b), "low": None, "high": None,
                "n": min(len(a), len(b)), "reason": "measured once, so without an interval"}
    reason = "divided by 0" if a and b else sheet.why_absent(
        pitfall, bad if not a else fix, cell, name)
    return {"ratio": None, "low": None, "high": None, "n": 0, "reason": reason}


def _flags(sheet: Sheet, catalog: Sequence[Pitfall], cells: Sequence[str],
           cell: str) -> dict[str, Any]:
    """One row of the compile-flag table: means over the programs that ran well in every cell."""
    programs = [(p.id, v.id) for p in catalog for v in p.variants if not p.value_only
                if all(sheet.values(p.id, v.id, c, "ns_per_op") for c in cells)]
    line = next(found for (_, _, c), found in sheet.cells.items() if c == cell)
    row: dict[str, Any] = {
        "cell": cell, "compiler": line["compiler"], "level": line["level"], "text_b": None,
        "low": {}, "high": {}, "reasons": {}, "programs": len(programs),
    }
    texts = [sheet.values(p, v, cell, BUILD_METRICS[0]) for p, v in programs]
    if programs and all(texts):
        row["text_b"] = stats.geometric_mean([t[0] for t in texts])
    else:
        row["reasons"]["text_b"] = "no program was built in every cell"
    for column, metric in FLAG_COLUMNS.items():
        per_round = _mean_by_round(sheet, programs, cell, metric)
        row[column] = None
        if isinstance(per_round, str):
            row["reasons"][column] = per_round
            continue
        estimate = stats.median_interval(per_round)
        row[column] = estimate.value
        if estimate.low is not None:
            row["low"][column], row["high"][column] = estimate.low, estimate.high
    return row


def _mean_by_round(sheet: Sheet, programs: Sequence[tuple[str, str]], cell: str,
                   metric: str) -> list[float] | str:
    """The geometric mean over programs, one value a round (one in all for start-up)."""
    if not programs:
        return "no program ran in every cell"
    rounds = [sheet.by_round(p, v, cell, metric) for p, v in programs]
    shared = sorted(set.intersection(*(set(r) for r in rounds)))
    if shared:
        means = [stats.geometric_mean([r[number] for r in rounds]) for number in shared]
        return [m for m in means if m is not None] or f"{metric} has a value that is not positive"
    values = [sheet.values(p, v, cell, metric) for p, v in programs]
    for (p, v), found in zip(programs, values):
        if not found:
            return sheet.why_absent(p, v, cell, metric)
    mean = stats.geometric_mean([stats.median(found) for found in values])
    return f"{metric} has a value that is not positive" if mean is None else [mean]


def span(rounds: Sequence[int]) -> str:
    """4; 4 to 5."""
    return " to ".join(str(count) for count in dict.fromkeys(rounds))


def events(sheet: Sheet, catalog: Sequence[Pitfall], known: set[str]) -> list[str]:
    """What a reader should know before believing a figure, in words."""
    result: list[str] = []
    settings = (sheet.run or {}).get("settings", {})
    have = taken(sheet, catalog)
    if have["samples"] < have["planned"]:
        result.append(f"interrupted: {have['samples']} of {have['planned']} timed samples,"
                      f" {span(have['rounds'])} of {settings.get('rounds')} rounds")
    if settings.get("quick"):
        rounds = span(have["rounds"] or [settings.get("rounds")])
        result.append(f"a quick run: {rounds} short rounds give ratios, not verdicts")
    result += cautions.of(sheet)
    for pitfall_id in sorted(known - {p.id for p in catalog}):
        result.append(f"{pitfall_id} was measured, but its folder is gone: it is not judged")
    return result


def failed(sheet: Sheet, catalog: Sequence[Pitfall],
           cells: Sequence[str]) -> list[dict[str, Any]]:
    """What did not build (no samples) or run and was not declared to do so: each program and
    message once, with all the cells and how many samples failed in each role."""
    result: dict[tuple[str, str, str, bool], dict[str, Any]] = {}
    declared = {(p.id, o.variant, cell) for p in catalog for o in p.outcomes
                if o.expect in ("link-fail", "crash") for cell in cells
                if cell_matches(cell, o.cells)}

    def note(pitfall: str, variant: str, cell: str, message: str, role: str | None,
             count: int) -> None:
        row = result.setdefault((pitfall, variant, message, role is None), {
            "pitfall": pitfall, "variant": variant, "cells": [], "samples": {},
            "message": message})
        if cell not in row["cells"]:
            row["cells"].append(cell)
        if role is not None:
            row["samples"][role] = row["samples"].get(role, 0) + count

    for (pitfall, variant, cell), line in sheet.cells.items():
        if line["status"] == "failed" and (pitfall, variant, cell) not in declared:
            note(pitfall, variant, cell, first_line(line["message"]), None, 0)
    samples: dict[tuple[str, str, str, str], list[str]] = {}
    for sample in sheet.samples.values():
        key = (sample["pitfall"], sample["variant"], sample["cell"])
        if sample["status"]["message"] and sample["role"] != "detect" and key not in declared:
            samples.setdefault((*key, sample["role"]), []).append(sample["status"]["message"])
    for (pitfall, variant, cell, role), messages in samples.items():
        note(pitfall, variant, cell, first_line(messages[0]), role, len(messages))
    return list(result.values())
