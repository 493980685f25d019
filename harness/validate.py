"""`validate`: does the method keep what it promises, here and now? False alarms on identical
programs, changes of known size, and what other tools would have said of the same rounds.

Slow (about a quarter of an hour); not part of the tests. Writes validate.json and validate.md.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import bench, compare, compare_rows, doctor, rivals, spent, store, target
from harness.compare import Options
from harness.compare_rows import TELLING
from harness.compare_table import Comparison
from harness.metrics import percent
from harness.plan import CALIBRATION_CELL, COMPARED_ROUNDS
from harness.progress import Live
from harness.project import Project
from harness.sheet import Sheet
from harness.verdicts import BETTER, SAME, UNCLEAR, WORSE

TARGET = "validate"
FIGURES, PAGE = "validate.json", "validate.md"
CUT = "This validation was interrupted: the properties that it had come to are told."
SUBJECT = ("known-change", "bad")
REFERENCE = "gcc -O2"
TRIALS = 20
FEW = 5
EFFICIENT = 0.6  # of the wall time of comparisons, in measured programs
ROOTS_KIB = 4096


@dataclass(frozen=True)
class Line:
    """One property."""

    name: str
    value: float | None
    goal: str
    met: bool | None
    n: int
    said: str


@dataclass
class Tally:
    """What each way to decide said over the trials with and without a change."""

    trials: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    alarms: dict[str, dict[bool, int]] = field(default_factory=dict)

    def note(self, way: str, changed: bool, alarm: bool) -> None:
        """One trial."""
        self.alarms.setdefault(way, {True: 0, False: 0})[changed] += alarm


@dataclass
class Validation:
    """One validation on its way."""

    project: Project
    live: Live
    trials: int = TRIALS
    pitfalls: tuple[str, ...] = ()
    lines: list[Line] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    usual: int = 0  # comparisons as they are by default,
    seconds: dict[str, float] = field(default_factory=dict)  # and where their time went

    def run(self) -> None:
        """Everything, in turn."""
        self._false_alarms()
        self._efficiency()
        promise = self._promise()
        changes = checkout(self.project)
        if promise is not None:
            self._sensitivity(changes, promise)
        self._specificity(changes)
        self._small_changes(changes)

    def _compare(self, project: Project, options: Options) -> tuple[Comparison, Path]:
        path = compare.run(project, options, self.live)
        return compare.judge(project, path)[0], path

    def _compare_and_clock(self, project: Project, options: Options) -> tuple[Comparison, Path]:
        self.live.phase(spent.BEGINNING)
        before, begun = self.live.spent(), time.monotonic()
        path = compare.run(project, options, self.live)
        self.live.phase(spent.JUDGING)
        comparison, _ = compare.judge(project, path)
        whole_s = time.monotonic() - begun
        phases = {name: after - before.get(name, 0.0) for name, after in self.live.spent().items()}
        self.usual += 1
        for what, seconds in spent.where(store.read(path), phases, whole_s).items():
            self.seconds[what] = self.seconds.get(what, 0.0) + seconds
        return comparison, path

    def _add(self, name: str, value: float | None, goal: str, met: bool | None, n: int,
             said: str) -> None:
        self.lines.append(Line(name, value, goal, met, n, said))
        self.live.say(f"{name}: {said} (goal: {goal}{'' if met else ', missed'})")

    # ---- The properties ----

    def _false_alarms(self) -> None:
        rows, alarms, times, same = 0, [], 0, 0
        project = afresh(self.project)
        while rows < 10 * self.trials:
            # But for `identical` a comparison as it is by default: it counts instructions, too.
            comparison, path = self._compare_and_clock(project, Options(
                rounds=COMPARED_ROUNDS, seed=bench.fresh_seed(),
                compilers=(REFERENCE, REFERENCE), pitfalls=self.pitfalls, identical=False))
            for one in comparison.found:
                if one.row.p is None:
                    continue  # an exact figure, which raises no false alarm
                rows += 1
                if one.row.verdict in (BETTER, WORSE):
                    alarms.append(f"{one.row.subject} {one.row.metric}")
                if one.row.metric in TELLING[:2]:
                    times += 1
                    same += one.row.verdict == SAME
            self._others(path, comparison, changed=False)
        self._add("false alarms", len(alarms), "at most 2 of 200", len(alarms) <= rows / 100, rows,
                  f"{len(alarms)} of {rows} rows" + (f": {', '.join(alarms)}" if alarms else ""))
        self._add("time rows that are the same", same / times if times else None, "at least 80 %",
                  bool(times) and same >= 0.8 * times, times, f"{same} of {times}")

    def _others(self, path: Path, comparison: Comparison, *, changed: bool) -> None:
        """What each way to decide says of the same rounds of each subject's time; and pitmark once
        more, with the second look and the confirmation that it would take."""
        plan = comparison.plan
        lines = [x for x in store.read(path)
                 if x["kind"] != "sample" or x["round"] <= plan.rounds]
        sheet = Sheet(lines)
        first = {one.row.subject: one.row.verdict for one in compare_rows.judge(
            sheet, replace(plan, looks=1, confirm=False)) if one.row.metric == "ns_per_op"}
        for one in comparison.found:
            if one.row.metric != "ns_per_op" or not one.row.ratio.n:
                continue
            subject = next(s for s in plan.subjects
                           if compare_rows.subject_name(s) == one.row.subject)
            a, b = (list(sheet.by_round(*subject, arm, "ns_per_op").values()) for arm in plan.arms)
            self.tally.trials[changed] += 1
            self.tally.note("pitmark, these rounds", changed, first[one.row.subject] == WORSE)
            self.tally.note("pitmark, to its end", changed, one.row.verdict == WORSE)
            for name, slower in rivals.RIVALS.items():
                self.tally.note(name, changed, slower(a, b))

    def _promise(self) -> float | None:
        path = doctor.run(self.project, self.live, rounds=doctor.MEASURED_ROUNDS,
                          cell=CALIBRATION_CELL, seed=bench.fresh_seed())
        found = {one.rounds: one.change for one in doctor.diagnose(store.read(path)).promises
                 if one.metric == "ns_per_op"}
        for rounds, most in ((COMPARED_ROUNDS, 0.10), (2 * COMPARED_ROUNDS, 0.05)):
            change = found.get(rounds)
            said = "unknown" if change is None else f"{100 * change:.1f} %"
            self._add(f"the promise at {rounds} rounds", change, f"at most {100 * most:g} %",
                      change is not None and change <= most, rounds, said)
        return found.get(COMPARED_ROUNDS)

    def _trial(self, changes: Project, flags: tuple[str, str], count: int,
               metric: str) -> list[str]:
        """The verdicts on a metric over some comparisons of the program with its changed self."""
        said = []
        for _ in range(count):
            comparison, path = self._compare(changes, Options(
                rounds=COMPARED_ROUNDS, seed=bench.fresh_seed(),
                instructions=metric.startswith("instructions"),
                compilers=tuple(f"{REFERENCE} {flag}" for flag in flags)))
            said += [one.row.verdict for one in comparison.found if one.row.metric == metric]
            if metric == "ns_per_op":
                self._others(path, comparison, changed=True)
        return said

    def _sensitivity(self, changes: Project, promise: float) -> None:
        thousandths = max(1, round(1000 * promise + 0.5))
        said = self._trial(changes, ("", f"-DCHANGE_TIME={thousandths}"), self.trials,
                           "ns_per_op")
        found = said.count(WORSE)
        self._add("the promised change of time is found", found, "18 of 20",
                  found >= 0.9 * self.trials, len(said),
                  f"{found} of {len(said)} at {thousandths / 10:g} %")

    def _specificity(self, changes: Project) -> None:
        tally, self.tally = self.tally, Tally()  # half a margin is no change to be found
        said = self._trial(changes, ("", "-DCHANGE_TIME=15"), self.trials, "ns_per_op")
        self.tally = tally
        self._add("half the margin is never worse", said.count(WORSE), "0", WORSE not in said,
                  len(said), ", ".join(f"{said.count(word)} {word}" for word in
                                       (SAME, UNCLEAR, BETTER, WORSE) if word in said))

    def _small_changes(self, changes: Project) -> None:
        for name, before, after, metric in (
                ("1 % more instructions", "", "-DCHANGE_TIME=10", "instructions_per_op"),
                ("one more allocation", "", "-DCHANGE_ALLOCS=1", "allocs_per_op"),
                ("1 MiB more resident", "", "-DCHANGE_RSS_KIB=1024", "peak_rss_b"),
                ("a pause twice as long", f"-DROOTS_KIB={ROOTS_KIB}",
                 f"-DROOTS_KIB={2 * ROOTS_KIB}", "pause_max_ns")):
            said = self._trial(changes, (before, after), FEW, metric)
            found = said.count(WORSE)
            self._add(f"{name} is found", found, f"{FEW} of {FEW}", found == FEW, len(said),
                      f"{found} of {len(said)}")

    def _efficiency(self) -> None:
        whole_s = sum(self.seconds.values())
        share = self.seconds[spent.PROGRAMS] / whole_s if whole_s else None
        self._add("time spent in measured programs", share, f"at least {100 * EFFICIENT:g} %",
                  share is not None and share >= EFFICIENT, self.usual,
                  "unknown" if share is None else f"{100 * share:.0f} %")


def checkout(project: Project) -> Project:
    """The program with the known change as if it were the only pitfall: links beside copies."""
    root = project.build / "validation"
    shutil.rmtree(root, ignore_errors=True)
    (root / "pitfalls").mkdir(parents=True)
    for name in ("allocator", "compile-matrix", "plots"):
        os.symlink(project.root / name, root / name)
    for path in project.pitfalls.glob("*.[ch]"):
        shutil.copy(path, root / "pitfalls")
    shutil.copytree(Path(__file__).parent / "validation" / "known-change",
                    root / "pitfalls" / "known-change")
    return Project(root, project.results)


def afresh(project: Project) -> Project:
    """The checkout with nothing built yet, so that building is part of what a comparison takes."""
    root = project.build / "afresh"
    shutil.rmtree(root, ignore_errors=True)
    (root / "compile-matrix").mkdir(parents=True)
    for path in (project.allocator, project.pitfalls, project.plots,
                 *(p for p in project.matrix_dir.iterdir() if p.is_file())):
        os.symlink(path, root / path.relative_to(project.root))
    return Project(root, project.results)


def document(run: dict[str, Any], made: Validation) -> dict[str, Any]:
    """validate.json."""
    rows = [target.row(one.name, "share", value=one.value, goal=one.goal, met=one.met, n=one.n,
                       verdict="met" if one.met else "missed", reason=one.said)
            for one in made.lines]
    whole_s = sum(made.seconds.values())
    rows += [target.row(f"wall time: {what}", "share", value=seconds / whole_s, n=made.usual,
                        reason=f"{seconds:.1f} s of {whole_s:.1f} s")
             for what, seconds in made.seconds.items()]
    tally = made.tally
    for way, alarms in tally.alarms.items():
        for changed, name in ((False, "false alarms"), (True, "found")):
            rows.append(target.row(f"{way}: {name}", "trials", value=alarms[changed],
                                   n=tally.trials[changed]))
    return target.document(TARGET, run, rows)


def page(run: dict[str, Any], made: Validation, complete: bool) -> str:
    """validate.md."""
    tally = made.tally
    text = ["# Validation", "", *([] if complete else [CUT, ""]),
            target.measured_on(run), "",
            "| property | measured | goal | met |", "|---|---|---|---|"]
    text += [f"| {one.name} | {one.said} | {one.goal} | {'yes' if one.met else 'no'} |"
             for one in made.lines]
    text += spent_table(made.seconds, made.usual)
    text += ["", "What each way to decide says of the same rounds:", "",
             f"| | slower, of {tally.trials[False]} without a change | "
             f"missed, of {tally.trials[True]} with one |", "|---|---|---|"]
    text += [f"| {way} | {alarms[False]} | {tally.trials[True] - alarms[True]} |"
             for way, alarms in tally.alarms.items()]
    return "\n".join([*text, ""])


def spent_table(seconds: Mapping[str, float], count: int) -> list[str]:
    """Where the time of some comparisons went, the most first."""
    whole_s = sum(seconds.values())
    if not whole_s:
        return []
    rows = sorted(seconds.items(), key=lambda item: -item[1])
    return ["", f"Where the wall time of {count} comparison(s) at their defaults went, from the"
            f" beginning of the command to the verdicts ({whole_s:.0f} s; nothing was built before"
            " the first). Measured programs: of the rounds that are judged.", "",
            "| | s | share |", "|---|---|---|",
            *(f"| {what} | {one:.1f} | {percent(one / whole_s)} |" for what, one in rows)]


def run(project: Project, live: Live, trials: int, pitfalls: tuple[str, ...]) -> Validation:
    """Validates, and writes what was found."""
    made = Validation(project, live, trials, pitfalls)
    begun = bench.run_line(project, "", TARGET, 0, {"trials": trials})
    complete = False
    try:
        made.run()
        complete = True
    finally:
        if made.lines:
            store.replace_json(project.latest / FIGURES, document(begun, made))
            store.replace_file(project.latest / PAGE, page(begun, made, complete))
    return made
