"""`check`: the gate for continuous integration. Exact figures against results/baseline.jsonl; and,
with a base revision, time and memory of base against head, measured side by side in this job.
`baseline`: takes today's exact figures as the ones to compare with, and shows what moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import (
    baseline,
    bench,
    catalog,
    check_rows,
    compare,
    compare_rows,
    matrix,
    measure,
    plan,
    probes,
    rig,
    store,
)
from harness.bench import COMPLETE
from harness.build import Builder
from harness.check_rows import Checked
from harness.compare_table import Comparison
from harness.fault import FAILED, LAW_FAILED, OK, UNCLEAR, Fault
from harness.metrics import describe
from harness.plan import Spec
from harness.progress import Live
from harness.project import Project
from harness.sheet import Sheet
from harness.verdicts import BETTER, SAME, WORSE

TARGET = check_rows.TARGET
RUN_COPY, FIGURES, PAGE = "check.jsonl", "check.json", "check.md"
MOVED = "baseline"  # the target that renews the baseline, and tells what moved
SEED = 1  # of layouts, which do not change exact figures: the same in every run


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    profile: str = "default"
    pitfalls: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    base: str | None = None
    rounds: int = plan.COMPARED_ROUNDS
    seed: int = SEED


@dataclass(frozen=True)
class Result:
    """What the gate found."""

    run: dict[str, Any]
    path: Path
    rows: tuple[Checked, ...]
    comparison: Comparison | None

    @property
    def regressions(self) -> list[Checked]:
        """Exact figures that got worse."""
        return [one for one in self.rows if one.verdict == WORSE]

    @property
    def slower(self) -> list[compare_rows.Found]:
        """What got worse against the base: time and memory, confirmed, and exact figures. Nothing,
        if the run is not to be trusted."""
        if self.comparison is None or self.comparison.untrusted:
            return []
        return [one for one in self.comparison.found if one.row.verdict == WORSE and gates(one)]

    @property
    def broken(self) -> list[str]:
        """Programs that failed when base and head were measured."""
        return [] if self.comparison is None else list(self.comparison.failures)


def gates(one: compare_rows.Found) -> bool:
    """Whether a figure of base against head can be a regression."""
    return one.row.metric in compare_rows.TELLING or describe(one.row.metric).exact


def measure_exact(project: Project, options: Options, live: Live, *, resume: bool = False) -> Path:
    """Takes the exact figures of every program; the file of the run."""
    found = bench.going_on(project, TARGET, live) if resume else None
    if found is not None:
        options = bench.restored(Options, found[1])
    chosen = catalog.select(catalog.load(project), options.pitfalls)
    cells = matrix.load(project, options.profile, options.cells)
    if not cells.cells:
        raise Fault("nothing can be built: no compiler of the chosen cells is installed")
    path = store.new_run(project, TARGET, bench.fresh_seed()) if found is None else found[0]
    run_id = path.parent.name
    begun = bench.run_line(project, run_id, TARGET, options.seed, asdict(options))
    with bench.open_run(path, begun) as (kept, old), Builder(project) as builder:
        live.phase("building")
        built = builder.programs([(p, v, c) for c in cells.cells for p in chosen
                                  for v in p.variants], live.tick)
        place = bench.ready(project, builder, chosen, cells, built, kept, run_id, old, live)
        done = {line["sample"] for line in old if line["kind"] == "sample"}
        live.phase("counting")
        made = measure.Pitfalls(place, {(k.pitfall, k.variant): 0 for k in place.programs},
                                probes.Events((), {}))
        rig.run_all(made, [s for s in _specs(place, options.seed) if s.id not in done],
                    kept.append, live.tick)
    return path


def _specs(place: measure.Bench, seed: int) -> list[Spec]:
    return [plan.make_spec(key, "exact", 0, position, seed,
                           place.pitfalls[key.pitfall].parameter.default)
            for position, key in enumerate(place.programs)]


def run(project: Project, options: Options, live: Live, *, resume: bool = False) -> Result:
    """Measures and judges."""
    path = measure_exact(project, options, live, resume=resume)
    comparison = None
    if options.base is not None:
        begun = bench.unfinished(project, compare.TARGET) if resume else None
        going_on = begun is not None and begun[1].get("base") == options.base
        cells = matrix.load(project, options.profile, options.cells).cells
        compared = compare.run(project, compare.Options(
            rounds=options.rounds, seed=bench.fresh_seed(), base=options.base,
            cell=next((c.name for c in cells if c.name == plan.CALIBRATION_CELL), cells[0].name),
            pitfalls=options.pitfalls, instructions=False), live, resume=going_on)
        comparison, _ = compare.judge(project, compared)
    (path.parent / COMPLETE).touch()
    return judge(project, path, comparison)


def judge(project: Project, path: Path, comparison: Comparison | None = None) -> Result:
    """A stored run against the baseline as it stands now."""
    lines = store.read(path)
    sheet = Sheet(lines)
    new, failed = check_rows.head(sheet)
    old = baseline.read(baseline.path_of(project))
    return Result(store.run_line(lines, path), path,
                  (*failed, *check_rows.judged(old, new)), comparison)


def write(project: Project, result: Result, page: str) -> list[tuple[str, Path]]:
    """results/latest/: figures and page; where they are."""
    latest = project.latest
    compared: Sequence[dict[str, Any]] = ()
    if result.comparison is not None:
        one = result.comparison
        compared = compare_rows.document(result.run, [f for f in one.found if gates(f)], one.plan,
                                         one.controls, one.failed)["rows"]
    if result.path != latest / RUN_COPY:
        store.replace_copy(result.path, latest / RUN_COPY)
    store.replace_json(latest / FIGURES, check_rows.document(result.run, result.rows, compared))
    store.replace_file(latest / PAGE, page)
    return [("run", result.path), ("figures", latest / FIGURES), ("page", latest / PAGE)]


def renew(project: Project, path: Path) -> tuple[list[Checked], Path]:
    """Makes a run's figures the baseline, and writes baseline.json; what moved, and the file."""
    lines = store.read(path)
    new, failed = check_rows.head(Sheet(lines))
    if not new:
        words = failed[0].reason if failed else "nothing was measured"
        raise Fault(f"no baseline can be made: {words}")
    file = baseline.path_of(project)
    old = baseline.read(file)
    moved = [*failed, *check_rows.judged(old, new)]
    store.replace_file(file, baseline.text_of(baseline.renewed(old, new)))
    store.replace_json(project.latest / f"{MOVED}.json", check_rows.document(
        store.run_line(lines, path), moved, (), MOVED))
    return moved, file


def verdict_code(result: Result) -> int:
    """1 a regression; 4 a program that should have figures has none, or failed; 3 a program cannot
    be counted here, or nothing at all is in the baseline as it is here, or base against head is not
    to be trusted; else 0. What is new, of changed source or of another place is said, and is no
    reason for 3 where other figures were compared: a change that adds a program is not to fail."""
    if result.regressions or result.slower:
        return LAW_FAILED
    words = {one.verdict for one in result.rows}
    if check_rows.FAILED in words or not words or result.broken:
        return FAILED
    if result.comparison is not None and result.comparison.untrusted:
        return UNCLEAR
    unclear = check_rows.NOT_COMPARED in words or not words & {SAME, BETTER}
    return UNCLEAR if unclear else OK
