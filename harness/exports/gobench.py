"""The format of Go's benchmarks, which benchstat compares:
https://go.dev/design/14313-benchmark-format. One line a sample, so that benchstat has its rounds.
"""

from __future__ import annotations

import re

from harness.exports.source import Line, Source

NAME = "go"
WHAT = "Go's benchmark format, for benchstat"
# metric -> unit, and the line that tells benchstat which way is better
UNITS = {
    "ns_per_op": ("ns/op", "better=lower"),
    "alloc_b_per_op": ("B/op", "better=lower"),
    "allocs_per_op": ("allocs/op", "better=lower assume=exact"),
    "peak_rss_b": ("peak-RSS-bytes", "better=lower"),
    "pause_max_ns": ("max-pause-ns", "better=lower"),
    "wall_s": ("wall-sec", "better=lower"),
    "cpu_s": ("cpu-sec", "better=lower"),
    "launcher_rss_b": ("max-RSS-bytes", "better=lower"),
}
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def export(source: Source) -> str:
    """The whole run."""
    machine = source.run.get("machine") or {}
    samples = list(source.timed())
    lines = ["goos: linux", f"goarch: {_ARCH.get(str(machine.get('arch')), machine.get('arch'))}",
             "pkg: pitmark", f"cpu: {machine.get('cpu_model')}", f"run: {source.run.get('run')}"]
    lines += [f"Unit {unit} {facts}" for metric, (unit, facts) in UNITS.items()
              if any(metric in s["metrics"] for s in samples)]
    lines += [text for text in map(_line, samples) if text is not None]
    return "\n".join(lines) + "\n"


def _line(sample: Line) -> str | None:
    figures = [f"{_number(sample['metrics'][metric])} {unit}"
               for metric, (unit, _) in UNITS.items() if metric in sample["metrics"]]
    if not figures:
        return None
    count = max(1, int(sample["metrics"].get("ops", 1)))
    return f"Benchmark{_name(sample)} {count} " + " ".join(figures)


def _name(sample: Line) -> str:
    """Growth/variant=bad/cell=gcc-O2. A last part of digits behind a dash would be read as the
    number of processors, and a space ends a name."""
    parts = [str(sample["pitfall"]).title().replace("-", "")]
    if sample["variant"]:
        parts.append(f"variant={sample['variant']}")
    parts.append(f"cell={sample['cell']}")
    text = re.sub(r"\s+", "_", "/".join(parts))
    return re.sub(r"-(\d+)$", r"_\1", text)


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.9g}"
