"""`doctor`: a few seconds of A/A on this machine: how small a change it can see with how many
rounds, how long that takes, and what about the machine stands in the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness import (
    bench,
    catalog,
    cautions,
    compare,
    matrix,
    measure,
    plan,
    power,
    probes,
    rig,
    store,
    target,
)
from harness.bench import COMPLETE
from harness.build import Builder
from harness.fault import OK, Fault
from harness.linker import WITHOUT_MOLD
from harness.metrics import describe
from harness.plan import ProgramKey
from harness.power import Promise
from harness.progress import Live
from harness.project import Project
from harness.sheet import Sheet
from harness.table import speaker
from harness.verdicts import LEAST_ROUNDS

TARGET = "doctor"
FIGURES = "doctor.json"
PITFALL, A, B = "control-same", "bad", "sham"
METRICS = ("ns_per_op", "peak_rss_b", "pause_p50_ns")
ROUNDS = (20, 40, 80, 160)
MEASURED_ROUNDS = 2 * plan.COMPARED_ROUNDS


@dataclass(frozen=True)
class Diagnosis:
    """What was found."""

    promises: tuple[Promise, ...]
    seconds_per_round: float  # of one program in two arms, all that belongs to it
    advice: tuple[str, ...]


def run(project: Project, live: Live, *, rounds: int, cell: str, seed: int) -> Path:
    """Measures; the file of the run."""
    chosen = catalog.select(catalog.load(project), (PITFALL,))
    chosen = [p for p in chosen if p.id == PITFALL]
    cells = matrix.Matrix((matrix.one(project, cell),), (), {})
    path = store.new_run(project, TARGET, seed)
    run_id = path.parent.name
    begun = bench.run_line(project, run_id, TARGET, seed, {"rounds": rounds, "cell": cell})
    with bench.open_run(path, begun) as (kept, _), Builder(project) as builder:
        if builder.linker.mold is None:
            live.say(WITHOUT_MOLD)
        live.phase("building")
        built = builder.programs([(p, v, c) for c in cells.cells for p in chosen
                                  for v in p.variants], live.tick)
        place = bench.ready(project, builder, chosen, cells, built, kept, run_id, [], live)
        live.phase("calibrating")
        counts, failures = measure.calibrate(place, plan.COMPARED_REGION_S, {}, live.tick)
        for why in failures.values():
            raise Fault(f"the control program does not run: {why}")
        live.phase("measuring this machine")
        default = chosen[0].parameter.default
        specs = [plan.make_spec(ProgramKey(PITFALL, variant, cells.cells[0].name), "timed", number,
                                position, seed, default, pair=PITFALL)
                 for number in range(rounds + 1) for position, variant in enumerate(
                     (A, B) if number % 2 else (B, A))]
        made = compare.WithStarts(place, counts, probes.Events((), {}),
                                  rig.ByTurns(whole=(PITFALL,)))
        rig.run_all(made, specs, kept.append, live.tick)
    (path.parent / COMPLETE).touch()
    return path


def diagnose(lines: Sequence[dict[str, Any]]) -> Diagnosis:
    """From the stored lines."""
    sheet = Sheet(lines)
    [cell] = sheet.cell_names()
    promises = [power.promise(metric, sheet.by_round(PITFALL, A, cell, metric),
                              sheet.by_round(PITFALL, B, cell, metric), rounds)
                for metric in METRICS for rounds in ROUNDS]
    took = [s["took_s"] for v in (A, B) for s in sheet.timed(PITFALL, v, cell)]
    seconds = 2 * sum(took) / len(took) if took else 0.0
    run_ = sheet.run or {}
    return Diagnosis(tuple(promises), seconds, tuple(
        [*cautions.of(sheet), *limits(run_.get("machine") or {})]))


def limits(machine: Mapping[str, Any]) -> list[str]:
    """What about the machine is noisy and cannot be changed from within."""
    said = []
    if machine.get("hypervisor"):
        said.append("this is a virtual machine: others on its host take time away that nothing here"
                    " shows but as noise")
    if machine.get("cpus") == 1:
        said.append("there is one processor: the collector and the program share it")
    return said


def document(run_: Mapping[str, Any], found: Diagnosis) -> dict[str, Any]:
    """doctor.json: the smallest change, as a share, for each metric and number of rounds; and how
    long so many take."""
    return target.document(TARGET, run_, [*(
        target.row(f"{one.rounds} rounds", one.metric, ratio=None if one.change is None
                   else 1 + one.change, n=one.rounds, low=1 - one.half_width,
                   high=1 + one.half_width, goal=f"margin {100 * one.margin:.3g} %",
                   reason="the smallest ratio that is found in 95 of 100 runs; low and high: the"
                          " interval of no change" if one.change is not None
                   else f"fewer than {LEAST_ROUNDS} rounds were measured")
        for one in found.promises), *(
        target.row(f"{rounds} rounds", "took_s", value=rounds * found.seconds_per_round, n=rounds,
                   reason="of a program in two arms: linking, starting, running, reading; without"
                          " building, the second look and the confirmation")
        for rounds in ROUNDS)])


def show(found: Diagnosis, console: Console) -> None:
    """The table, then advice."""
    say, _ = speaker(console)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("rounds", justify="right")
    for metric in METRICS:
        table.add_column(describe(metric).title, justify="right")
    table.add_column("a program takes", justify="right")
    for rounds in ROUNDS:
        row = {one.metric: one for one in found.promises if one.rounds == rounds}
        table.add_row(str(rounds), *(_percent(row[metric].change) for metric in METRICS),
                      f"{found.seconds_per_round * rounds:.0f} s")
    console.print("The smallest change that this machine sees (in 95 of 100 runs), two arms:")
    console.print(table)
    console.print("What is unclear gets as many rounds again, what differs is confirmed by twice as"
                  " many.", highlight=False, soft_wrap=True)
    for line in found.advice:
        say(f"note: {line}", "yellow")


def _percent(change: float | None) -> str:
    return "–" if change is None else f"{100 * change:.1f} %"


def finish(project: Project, path: Path, console: Console) -> int:
    """Judges, writes and prints a stored run."""
    lines = store.read(path)
    if not any(x["kind"] == "sample" and x["metrics"] for x in lines):
        raise Fault(f"{path}: the control program gave no figures")
    found = diagnose(lines)
    store.replace_json(project.latest / FIGURES, document(store.run_line(lines, path), found))
    show(found, console)
    return OK
