"""hyperfine's JSON (--export-json), for the scripts that read it. A "command" is a program of the
run, and its times are those of the whole process, in seconds, as hyperfine's are.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from harness.exports.source import Line, Source

NAME = "hyperfine"
WHAT = "hyperfine's JSON: wall time of whole processes"


def export(source: Source) -> str:
    """The whole run."""
    results = [_result(" ".join(part for part in (".".join(p for p in key[:2] if p), key[2])),
                       samples) for key, samples in source.programs().items()]
    return json.dumps({"results": results}, indent=2, allow_nan=False) + "\n"


def _result(command: str, samples: list[Line]) -> dict[str, Any]:
    times = [float(s["wall_s"]) for s in samples]
    return {
        "command": command, "mean": statistics.fmean(times),
        "stddev": statistics.stdev(times) if len(times) > 1 else None,
        "median": statistics.median(times), "user": _mean(samples, "user_s"),
        "system": _mean(samples, "sys_s"), "min": min(times), "max": max(times), "times": times,
        "exit_codes": [s["status"]["exit"] for s in samples],
    }


def _mean(samples: list[Line], metric: str) -> float | None:
    """Of whole processes, as the times are: of pitfalls only the timed region's is known."""
    values = [float(s["metrics"][metric]) for s in samples
              if metric in s["metrics"] and "wall_s" in s["metrics"]]
    return statistics.fmean(values) if values else None
