"""Every metric, declared once: unit, which way is better, exact or noisy, margin, how to print.

Names carry their SI unit (`_b` bytes, `_ns`, `_s`). METRICS are those that every pitfall may have,
PEER_METRICS what the works of `make peers` have besides. A pitfall's own exact metrics need no
entry here: describe() derives theirs from the name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """What is known about one measured quantity."""

    name: str
    title: str
    unit: str
    better: str | None  # "less", "more", or None where neither is better
    exact: bool
    margin: float  # relative change below which two values count as the same


def _declare(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS = _declare(
    Metric("ns_per_op", "time per operation", "ns", "less", False, 0.03),
    Metric("ops_per_s", "throughput", "1/s", "more", False, 0.03),
    Metric("user_s", "user time of the timed region", "s", "less", False, 0.03),
    Metric("sys_s", "system time of the timed region", "s", "less", False, 0.10),
    Metric("peak_rss_b", "peak resident memory", "B", "less", False, 0.02),
    Metric("launcher_rss_b", "peak resident memory seen from outside", "B", "less", False, 0.02),
    Metric("allocs_per_op", "allocations per operation", "1", "less", True, 0.0),
    Metric("alloc_b_per_op", "bytes allocated per operation", "B", "less", True, 0.0),
    Metric("collections", "collections in the timed region", "1", "less", False, 0.0),
    Metric("peak_live_b", "bytes live at most, of any collection", "B", "less", False, 0.03),
    Metric("retained_b", "bytes still held afterwards", "B", "less", True, 0.0),
    Metric("startup_s", "start-up time", "s", "less", False, 0.03),
    Metric("instructions", "instructions of the timed region", "1", "less", True, 0.005),
    Metric("instructions_per_op", "instructions per operation", "1", "less", True, 0.005),
    Metric("pause_p50_ns", "median pause", "ns", "less", False, 0.10),
    Metric("pause_max_ns", "longest pause", "ns", "less", False, 0.10),
    Metric("pause_total_ns", "all pauses together", "ns", "less", False, 0.10),
    Metric("wall_s", "time of the whole process", "s", "less", False, 0.03),
    Metric("text_b", "code and constants", "B", "less", True, 0.01),
    Metric("data_b", "initialised data", "B", "less", True, 0.01),
    Metric("bss_b", "zeroed data", "B", "less", True, 0.01),
    Metric("work", "work really done", "1", None, True, 0.0),
    Metric("allocs", "allocations in the timed region", "1", "less", True, 0.0),
    Metric("frees", "objects freed in the timed region", "1", None, True, 0.0),
    Metric("alloc_b", "bytes allocated in the timed region", "B", "less", True, 0.0),
    Metric("stops", "times the world was stopped", "1", "less", False, 0.0),
)

PEER_METRICS = _declare(
    Metric("work_s", "time of the work", "s", "less", False, 0.03),
    Metric("cpu_s", "processor time of the work, all threads", "s", "less", False, 0.03),
    Metric("stop_max_ns", "longest stop", "ns", "less", False, 0.10),
    Metric("stop_p99_ns", "stop, 99th percentile", "ns", "less", False, 0.10),
    Metric("stop_64m_ns", "longest stop at 64 MB live", "ns", "less", False, 0.10),
    Metric("stop_256m_ns", "longest stop at 256 MB live", "ns", "less", False, 0.10),
    Metric("stop_1024m_ns", "longest stop at 1 GB live", "ns", "less", False, 0.10),
    Metric("stop_4096m_ns", "longest stop at 4 GB live", "ns", "less", False, 0.10),
    Metric("stop_top_ns", "longest stop at the largest heap", "ns", "less", False, 0.10),
    Metric("batch_p50_ns", "batch of 500 operations, median", "ns", "less", False, 0.03),
    Metric("batch_p999_ns", "batch of 500 operations, 99.9th percentile", "ns", "less", False, 0.1),
    Metric("batch_max_ns", "batch of 500 operations, worst", "ns", "less", False, 0.10),
    Metric("ns_per_op_2", "time per object, two threads", "ns", "less", False, 0.03),
    Metric("scaling", "throughput of two threads to that of one", "1", "more", False, 0.03),
    Metric("mark_cpu_ns", "processor time of a collection per live object", "ns", "less", False,
           0.03),
    Metric("mark_wall_ns", "time of a collection per live object", "ns", "less", False, 0.03),
    Metric("stolen_ticks", "time that the host took away", "1", "less", False, 0.0),
)

PERF = "perf_"  # the events of perf stat are whatever the machine has

_SUFFIXES = (("_b_per_op", "B"), ("_b", "B"), ("_ns", "ns"), ("_ms", "ms"), ("_s", "s"))


def describe(name: str) -> Metric:
    """The declared metric, or one derived from the unit in its name."""
    declared = METRICS.get(name) or PEER_METRICS.get(name)
    if declared is not None:
        return declared
    if name.startswith(PERF):
        event = name.removeprefix(PERF).replace("_", "-")
        return Metric(name, f"perf stat: {event}", "1", None, False, 0.05)
    unit = next((unit for suffix, unit in _SUFFIXES if name.endswith(suffix)), "1")
    return Metric(name, name.replace("_", " "), unit, None, True, 0.0)


def show(value: float | int | None, unit: str) -> str:
    """A number with its unit, short enough for a table: 3.2 MiB, 51 ms, 19."""
    if value is None or not math.isfinite(value):
        return "–" if value is None or math.isnan(value) else "∞"
    if unit == "B":
        return _scaled(float(value), 1024.0, ("B", "KiB", "MiB", "GiB", "TiB"))
    if unit in ("ns", "s", "ms"):
        seconds = float(value) * {"ns": 1e-9, "ms": 1e-3, "s": 1.0}[unit]
        for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
            if abs(seconds) >= factor:
                return f"{seconds / factor:.3g} {name}"
        return f"{seconds * 1e9:.3g} ns"
    if unit == "1/s":
        return _scaled(float(value), 1000.0, ("/s", "k/s", "M/s", "G/s"))
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def exact(value: float) -> str:
    """Whole numbers in full, others with ten digits, which is closer than laws compare."""
    if not math.isfinite(value):
        return f"{value:g}"
    if value == int(value):
        return f"{int(value):,}"
    decimals = max(1, 9 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}".rstrip("0").rstrip(".")


def percent(share: float, digits: int = 2) -> str:
    """4.1 %, 120 %: a share of 1 with so many digits, never with an exponent."""
    value = 100 * share
    if not math.isfinite(value):
        return f"{value} %"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:,.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"


def _scaled(value: float, step: float, names: tuple[str, ...]) -> str:
    index = 0
    while abs(value) >= step and index < len(names) - 1:
        value /= step
        index += 1
    text = f"{value:.0f}" if index == 0 and value == int(value) else f"{value:.3g}"
    if "e" in text:
        text = f"{value:.0f}"
    return f"{text} {names[index]}"
