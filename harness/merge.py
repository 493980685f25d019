"""Many machines, one result: `one` measures one pitfall into a file of its own, `merge` puts such
files together. Merging is concatenation; what two machines measured alike is pooled as ratios only.

Judging reads a merged file as any other: a pitfall's figures are those of the first run that has it
(sheet.Sheet), so no median mixes two machines.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness import bench, catalog, plan, probes, stats, store, target
from harness.bench import Done
from harness.catalog import Pitfall
from harness.fault import UsageFault
from harness.plan import Options
from harness.progress import Live
from harness.project import Project
from harness.sheet import Sheet
from harness.target import row

TARGET = "merge"
FIGURES = "merge.json"
SENTINEL = "control-same"
METRICS = ("ns_per_op", "peak_rss_b")


def one(project: Project, pitfall: str, file: Path, options: Options, live: Live) -> Done:
    """Measures one pitfall, and the control pair beside it, into a file; what is there stays."""
    everything = catalog.load(project)
    known = [p.id for p in everything]
    if pitfall not in known:
        raise UsageFault(f"no pitfall '{pitfall}'; there are: {' '.join(known)}")
    chosen = [p for p in everything if p.id in (pitfall, SENTINEL)]
    old = store.read(file) if file.exists() else []
    # The same seed may be given on many machines in the same second.
    mixed = plan.seed_of(options.seed, platform.node() + probes.machine_id())
    run_id = (store.run_line(old, file)["run"] if old else
              store.new_run_id(f"one-{pitfall}", datetime.now(), mixed))
    return bench.take(project, options, live, chosen, file, run_id, "bench")


def together(files: Sequence[Path]) -> list[dict[str, Any]]:
    """The lines of all files, each line once; the files' lines of kind run come first."""
    runs: dict[str, dict[str, Any]] = {}
    rest: dict[str, dict[str, Any]] = {}
    for file in files:
        lines = store.read(file)
        store.run_line(lines, file)  # Fault if it is not a run
        for line in lines:
            if line["kind"] == "run":
                runs.setdefault(line["run"], line)
            else:
                name = line["sample"] if line["kind"] == "sample" else "/".join(
                    str(line[key]) for key in ("pitfall", "variant", "cell", "status"))
                rest[f"{line['run']} {line['kind']} {name}"] = line
    return [*runs.values(), *rest.values()]


def write(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Stores merged lines; what was there is replaced when they are whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with store.Store(temporary) as kept:
            for line in lines:
                kept.append(line)
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def pooled(lines: Sequence[dict[str, Any]], everything: Sequence[Pitfall]) -> list[dict[str, Any]]:
    """merge.json's rows: of each pitfall that several runs have, the ratio of each pair in each of
    them and all together. Times are not pooled: those of two machines are of two kinds."""
    sheet = Sheet(lines)
    machines = {line["run"]: (line["machine"].get("cpu_model") or "unknown processor")
                for line in lines if line["kind"] == "run"}
    rows = []
    for pitfall in everything:
        if pitfall.id not in sheet.others or pitfall.id == SENTINEL:
            continue
        owned = [x for x in lines if x["kind"] != "run" and x["pitfall"] == pitfall.id]
        parts = {run: Sheet([x for x in owned if x["run"] == run])
                 for run in dict.fromkeys(x["run"] for x in owned)}
        for pair, bad, fixes in pitfall.pairs():
            for fix in fixes if bad else ():
                for cell in sheet.cell_names():
                    for metric in METRICS:
                        rows += _rows(f"{pitfall.id}/{pair}/{cell}", metric, cell, parts, machines,
                                      (pitfall.id, str(bad), fix))
    return rows


def _rows(id_: str, metric: str, cell: str, parts: dict[str, Sheet], machines: dict[str, str],
          pair: tuple[str, str, str]) -> list[dict[str, Any]]:
    pitfall, bad, fix = pair
    ratios: dict[str, list[float]] = {}
    for run, part in parts.items():
        top, bottom = (part.by_round(pitfall, v, cell, metric) for v in (bad, fix))
        both = [r for r in sorted(set(top) & set(bottom)) if top[r] > 0 and bottom[r] > 0]
        if both:
            ratios[run] = [top[r] / bottom[r] for r in both]
    if not ratios:
        return []
    rows = []
    for run, values in ratios.items():
        found = stats.paired_ratio(values, [1.0] * len(values))
        rows.append(row(f"{id_}/{run}", metric, ratio=found.value, low=found.low, high=found.high,
                        n=found.n, peer_name=fix, reason=machines.get(run)))
    together_ = stratified(list(ratios.values()))
    rows.append(row(id_, metric, ratio=together_.value, low=together_.low, high=together_.high,
                    n=together_.n, peer_name=fix,
                    reason=f"ratios of {len(ratios)} runs; their times are not pooled: those of two"
                           " machines are of two kinds"))
    return rows


def stratified(groups: Sequence[Sequence[float]]) -> stats.Estimate:
    """The geometric mean over machines of the median ratio of each, with a bootstrap over the
    rounds within each machine. Every machine counts alike, however many rounds it had."""
    medians = [stats.median(group) for group in groups]
    value = stats.geometric_mean(medians)
    n = sum(len(group) for group in groups)
    if value is None or min(len(group) for group in groups) < 2:
        return stats.Estimate(value, None, None, n, "one round has no interval")
    data = [np.asarray(group, dtype=float) for group in groups]
    digest = hashlib.sha256(b"".join(one.tobytes() for one in data)).digest()
    draw = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    logs = np.zeros(stats.RESAMPLES)
    for one in data:
        chosen = draw.integers(0, len(one), size=(stats.RESAMPLES, len(one)))
        logs += np.log(np.median(one[chosen], axis=1))
    low, high = np.quantile(np.exp(logs / len(data)), [0.025, 0.975])
    return stats.Estimate(value, float(low), float(high), n)


def document(lines: Sequence[dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """merge.json."""
    first = next(line for line in lines if line["kind"] == "run")
    return target.document(TARGET, first, rows)
