"""The trace format of Chrome, which Perfetto (ui.perfetto.dev) opens: of each observed program its
pauses as complete events (X) and its resident memory as a counter (C). Times in microseconds.
"""

from __future__ import annotations

import json
from typing import Any

from harness.exports.source import Line, Source

NAME = "trace"
WHAT = "Chrome trace JSON, for Perfetto: pauses and memory over time"


def export(source: Source) -> str:
    """Every sample of role observe is a process of the trace."""
    events: list[dict[str, Any]] = []
    observed = [line for line in source.lines
                if line["kind"] == "sample" and line["role"] == "observe"]
    for pid, sample in enumerate(observed, 1):
        events += _events(pid, sample)
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": events,
                       "otherData": {"run": source.run.get("run")}}, allow_nan=False) + "\n"


def _events(pid: int, sample: Line) -> list[dict[str, Any]]:
    name = f"{sample['pitfall']}.{sample['variant']} {sample['cell']}"
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": name}}]
    pauses, timeline = sample["pauses"], sample["timeline"] or {"t_ns": [], "rss_b": []}
    # A trace begins at 0; the first look at memory is before the timed region.
    start = min([0, *timeline["t_ns"][:1], *pauses["at_ns"][:1]])
    for at, length, roots in zip(pauses["at_ns"], pauses["length_ns"], pauses["root_b"]):
        events.append({"ph": "X", "name": "pause", "cat": "gc", "pid": pid, "tid": 0,
                       "ts": (at - start) / 1e3, "dur": length / 1e3, "args": {"root_b": roots}})
    for at, rss in zip(timeline["t_ns"], timeline["rss_b"]):
        events.append({"ph": "C", "name": "resident memory", "pid": pid, "tid": 0,
                       "ts": (at - start) / 1e3, "args": {"bytes": rss}})
    return events
