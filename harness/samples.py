"""From a finished process to a stored line: the shape of `cell` and `sample` lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.build import Failed, Program
from harness.launch import Run
from harness.matrix import Cell, LeftOut
from harness.plan import Spec
from harness.record import PAUSES, is_number

VERSION = 1
# Numbers of the record that say how it was run, or that stand in a metric of their own.
_NOT_METRICS = {"v", "start_ns", "end_ns", "user_ns", "sys_ns"}


def cell_line(run: str, built: Program | Failed) -> dict[str, Any]:
    """A build, good or failed."""
    line = cell_facts(run, built.cell)
    line |= {"pitfall": built.pitfall, "variant": built.variant}
    if isinstance(built, Failed):
        return line | {"status": "failed", "message": built.message, "linking": built.linking}
    return line | {
        "status": "ok", "text_b": built.sizes.text_b, "data_b": built.sizes.data_b,
        "bss_b": built.sizes.bss_b, "text_sha": built.text_sha, "image_sha": built.image_sha,
        "workload_sha": built.workload_sha, "src_sha": built.src_sha, "build_s": built.build_s,
    }


def missing_line(run: str, left: LeftOut) -> dict[str, Any]:
    """A cell that cannot be built here at all."""
    cell = Cell(left.cell, left.compiler, "", "", left.level)
    return cell_facts(run, cell) | {"version": None, "status": "missing", "message": left.reason}


def cell_facts(run: str, cell: Cell) -> dict[str, Any]:
    """What every line of kind cell says: nothing built yet."""
    return {
        "v": VERSION, "kind": "cell", "run": run, "cell": cell.name, "compiler": cell.compiler,
        "version": cell.version, "level": cell.level, "flags": [cell.level, *cell.extra],
        "sanitizer": cell.sanitizer, "pitfall": None, "variant": None, "status": "ok",
        "message": None, "linking": False, "text_b": None, "data_b": None, "bss_b": None,
        "text_sha": None, "image_sha": None, "workload_sha": None, "src_sha": None, "build_s": None,
    }


def sample_line(run_id: str, spec: Spec, args: Sequence[str], run: Run,
                extra: Mapping[str, float] | None = None,
                reasons: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A process that has ended, however it did."""
    record = run.record or {}
    return {
        "v": VERSION, "kind": "sample", "run": run_id, "sample": spec.id,
        "pitfall": spec.pitfall, "variant": spec.variant, "cell": spec.cell, "role": spec.role,
        "round": spec.round, "position": spec.position, "seed": spec.seed,
        "layout_seed": spec.layout_seed, "env_pad_b": spec.env_pad_b, "args": list(args),
        "n": spec.n,
        "status": {"exit": run.exit, "signal": run.signal, "timeout": run.timeout,
                   "message": run.message},
        "wall_s": run.wall_s, "turns": run.turns,
        "metrics": {**(_metrics(run) if run.ok and run.record else {}),
                    **(extra if extra and run.ok else {})},
        "reasons": {**_reasons(record), **(reasons or {}),
                    **({"timeline": run.unobserved} if run.unobserved else {})},
        "outcome": record.get("outcome"),
        "pauses": _pauses(record),
        "timeline": _timeline(run, record),
        "report": None,
    }


def failed_line(run_id: str, spec: Spec, message: str) -> dict[str, Any]:
    """A sample that could not even be started (its link failed)."""
    run = Run(None, None, False, False, message, 0.0, 0.0, 0.0, None, None, "", "")
    return sample_line(run_id, spec, (), run)


def _metrics(run: Run) -> dict[str, float | int]:
    record = run.record or {}
    result = {k: v for k, v in record.items() if is_number(v) and k not in _NOT_METRICS}
    ops, time_ns = record.get("ops"), record.get("time_ns")
    if is_number(ops) and is_number(time_ns) and ops and time_ns:
        result["ns_per_op"] = time_ns / ops
        result["ops_per_s"] = ops / (time_ns / 1e9)
    for key in ("user", "sys"):
        if is_number(record.get(f"{key}_ns")):
            result[f"{key}_s"] = record[f"{key}_ns"] / 1e9
    if run.rss_b is not None:
        result["launcher_rss_b"] = run.rss_b
    lengths = sorted(record.get("pause_ns") or [])
    if lengths:
        result["pause_p50_ns"] = lengths[(len(lengths) - 1) // 2]
        result["pause_max_ns"] = lengths[-1]
        result["pause_total_ns"] = sum(lengths)
    return result


def _reasons(record: Mapping[str, Any]) -> dict[str, str]:
    result = {
        key: str(record.get(f"why_{key}") or "the program gave no reason")
        for key, value in record.items()
        if value is None and key not in ("outcome", "manifest")
    }
    if "pause_ns" in record and not record["pause_ns"]:
        none = "no pause in the timed region"
        result |= {"pause_p50_ns": none, "pause_max_ns": none}
    return result


def _pauses(record: Mapping[str, Any]) -> dict[str, list[int]]:
    start = record.get("start_ns") or 0
    result = {name: list(record.get(key) or []) for key, name in PAUSES.items()}
    result["at_ns"] = [at - start for at in result["at_ns"]]
    return result


def _timeline(run: Run, record: Mapping[str, Any]) -> dict[str, list[int]] | None:
    if not run.timeline:
        return None
    start = record.get("start_ns") or run.timeline[0][0]
    return {"t_ns": [t - start for t, _ in run.timeline],
            "rss_b": [rss for _, rss in run.timeline]}
