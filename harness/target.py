"""results/latest/TARGET.json: every figure a target prints, in one schema. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.fault import Fault
from harness.metrics import describe, percent

SCHEMA = Path(__file__).parent / "schema" / "target.schema.json"
_BENCH_METRICS = ("ns_per_op", "peak_rss_b", "launcher_rss_b", "allocs_per_op", "alloc_b_per_op",
                  "collections", "retained_b", "user_s", "sys_s", "startup_s", "text_b",
                  "pause_p50_ns", "pause_max_ns", "instructions")


def schema() -> dict[str, Any]:
    """The schema of such a file."""
    result: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return result


def row(id_: str, metric: str, **values: Any) -> dict[str, Any]:
    """One figure; what is not given is null."""
    keys = ("value", "peer", "peer_name", "ratio", "low", "high", "n", "goal", "met", "verdict",
            "reason")
    return {"id": id_, "metric": metric, "unit": describe(metric).unit,
            **{key: values.get(key) for key in keys}}


def measured_on(run: Mapping[str, Any]) -> str:
    """When, of which sources and where, in a line of a page. run: as a line of that kind."""
    machine = run["machine"]
    return (f"{run['started']}, commit `{str(run['git'])[:12]}`: {machine.get('cpu_model')},"
            f" {machine.get('cpus')} processors.")


def read(folder: Path, target: str) -> dict[str, Any]:
    """A stored one. Fault if it is not there or not whole."""
    path = folder / f"{target}.json"
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(result.get("rows"), list):
            raise ValueError("it has no rows")
        return result
    except FileNotFoundError as error:
        raise Fault(f"{path}: is not there; make {target} writes it") from error
    except (OSError, ValueError, AttributeError) as error:
        raise Fault(f"{path}: {error}; make {target} writes it anew") from error


def document(target: str, run: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole file; run is the line of that kind, or what a summary keeps of it."""
    return {"v": 1, "target": target, "git": run.get("git"), "machine": run.get("machine") or {},
            "rows": rows}


def bench(summary: Mapping[str, Any]) -> dict[str, Any]:
    """One row a metric for every bad variant against each of its fixes, in every cell."""
    rows = []
    for pitfall in summary["pitfalls"]:
        for cell, found in pitfall["cells"].items():
            for pair in pitfall["pairs"]:
                for fix in pair["fixes"] if pair["bad"] else ():
                    rows += _pair_rows(pitfall["id"], cell, pair["pair"], pair["bad"], fix, found)
    rows += [
        row(f"{one['pitfall']}/all cells", one["metric"], ratio=one["ratio"], low=one["low"],
            high=one["high"], n=one["n"], goal=f"within {percent(one['margin'], 3)} of 1",
            met=one["verdict"] == "same", verdict=one["verdict"], reason=one["reason"])
        for one in summary["controls"]
    ]
    rows += [
        row(f"{left['cell']}", "ns_per_op", met=False, reason=left["reason"])
        for left in summary["left_out"]
    ]
    return document("bench", summary.get("run") or {}, rows)


def _pair_rows(pitfall: str, cell: str, pair: str, bad: str, fix: str,
               found: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for metric in _BENCH_METRICS:
        top = found["variants"][bad]["metrics"].get(metric)
        bottom = found["variants"][fix]["metrics"].get(metric)
        if top is None or bottom is None:
            continue
        ratio = found["ratios"][f"{pair}/{fix}"].get(metric) or {}
        missing = top["median"] is None or bottom["median"] is None
        rows.append(row(
            f"{pitfall}/{pair}/{cell}", metric, value=top["median"], peer=bottom["median"],
            peer_name=fix, ratio=ratio.get("ratio"), low=ratio.get("low"), high=ratio.get("high"),
            n=ratio.get("n"), met=False if missing else None,
            reason=(top["reason"] if top["median"] is None else bottom["reason"]) if missing
            else ratio.get("reason"),
        ))
    return rows


def judged(summary: Mapping[str, Any]) -> dict[str, Any]:
    """One row for every law, outcome and detector."""
    rows = []
    for pitfall in summary["pitfalls"]:
        name = pitfall["id"]
        for law in pitfall["laws"]:
            rows.append(row(
                f"{name}/{law['id']}/{law['cell']}" + (f"/{law['variant']}" if law["variant"]
                                                       else ""),
                law["kind"], value=law["observed"], goal=law["bound"], met=bool(law["held"]),
                verdict=verdict(law["held"]), reason=law["reason"]))
        for outcome in pitfall["outcomes"]:
            rows.append(row(
                f"{name}/outcome/{outcome['cell']}/{outcome['variant']}", "outcome",
                goal=outcome["expected"], met=bool(outcome["held"]),
                verdict=verdict(outcome["held"]), reason=outcome["reason"]))
        for found in pitfall["detectors"]:
            goal = f"{found['tool']} reports {found['category']}"
            rows.append(row(
                f"{name}/{found['tool']}/{found['cell']}/{found['variant']}", "detector",
                goal=goal if found["expected"] else f"{found['tool']} is silent",
                met=bool(found["held"]), verdict=verdict(found["held"]), reason=found["reason"]))
    return document("laws", summary.get("run") or {}, rows)


def verdict(held: bool | None) -> str:
    """In a word."""
    return "not judged" if held is None else "held" if held else "broken"
