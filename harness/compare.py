"""`compare`: two or more arms on the same subjects, interleaved, and what may be said of them.

The subjects are pitfalls (arms: compilers with flags, or another revision of the sources), or one
program of the user's own (arms: compilers with flags, allocators to preload, or finished commands).
Ends in a stored run; compare_rows judges it, compare_table and the charts show it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from harness import (
    arms,
    bench,
    catalog,
    cautions,
    charts,
    compare_rows,
    compare_table,
    conditions,
    library,
    matrix,
    measure,
    own_program,
    plan,
    probes,
    rig,
    store,
)
from harness.arms import Arm
from harness.bench import COMPLETE
from harness.build import Builder, Failed, Program
from harness.catalog import Pitfall
from harness.compare_rows import CONFIRM, Plan, Subject
from harness.compare_table import Comparison
from harness.fault import Fault, UsageFault
from harness.launch import Job, Launcher
from harness.linker import WITH_LTO, WITHOUT_MOLD
from harness.matrix import Cell, Matrix
from harness.plan import ProgramKey, Spec
from harness.progress import Live
from harness.project import Project
from harness.sheet import Sheet
from harness.verdicts import LEAST_ROUNDS

TARGET = compare_rows.TARGET
RUN_COPY, FIGURES, PAGE = "compare.jsonl", "compare.json", "compare.md"
START_TIMEOUT_S = 20.0
PROGRAM_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Options:
    """What the user asked for. Stored with the run, so that it can be gone on with."""

    rounds: int
    seed: int
    quick: bool = False
    looks: int = 2
    confirm: bool = True
    instructions: bool = True
    identical: bool = True  # the same image is `identical-code`; False: it is measured like others
    region_s: float = plan.COMPARED_REGION_S
    compilers: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    allocators: tuple[str, ...] = ()
    base: str | None = None
    cell: str = plan.CALIBRATION_CELL
    pitfalls: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    libs: tuple[str, ...] = ()
    timeout_s: float = PROGRAM_TIMEOUT_S
    turns: bool | None = None  # by turns; None: pitfalls yes, a program of the user's no


def check(options: Options) -> None:
    """UsageFault if what was asked for does not go together."""
    kinds = {"A and B": options.compilers if not options.allocators else (),
             "BASE": (options.base,) if options.base else (),
             "CMD_A and CMD_B": options.commands if not options.allocators else (),
             "ALLOC": options.allocators}
    given = [name for name, value in kinds.items() if value]
    if not given:
        raise UsageFault('nothing to compare: give A="gcc -O2" B="gcc -Os", or CMD_A=… CMD_B=…, or'
                         ' BASE=revision, or ALLOC="glibc jemalloc" with SRC=… or CMD_A=…')
    if len(given) > 1:
        raise UsageFault(f"{' and '.join(given)} do not go together: a comparison has one kind of"
                         " arms")
    own = bool(options.sources or options.commands)
    if options.commands and options.sources:
        raise UsageFault("CMD_A is a program that is there already, SRC one to be built: give one"
                         " of them")
    if options.allocators and not own:
        raise UsageFault("ALLOC compares allocators under a program that uses malloc: give SRC=… or"
                         " CMD_A=…. The pitfalls allocate from spanheap")
    if options.base and own:
        raise UsageFault("BASE compares revisions of this project's own sources; for your program"
                         " build both and give CMD_A=… CMD_B=…")
    if own and options.pitfalls:
        raise UsageFault("PITFALLS and a program of your own do not go together")
    if options.allocators and max(len(options.compilers), len(options.commands)) > 1:
        raise UsageFault("ALLOC wants one program: give only A=… or CMD_A=…")


def run(project: Project, options: Options, live: Live, *, resume: bool = False) -> Path:
    """Measures (or goes on measuring) one comparison; the file of the run."""
    found = bench.going_on(project, TARGET, live) if resume else None
    if found is not None:
        options = bench.restored(Options, found[1])
    check(options)
    sides = _arms(project, options)
    path = store.new_run(project, TARGET, options.seed) if found is None else found[0]
    settings = asdict(options) | {"arms": [{"name": a.name, "title": a.title} for a in sides]}
    begun = bench.run_line(project, path.parent.name, TARGET, options.seed, settings)
    with bench.open_run(path, begun) as (kept, old):
        if options.sources or options.commands:
            _own(project, options, sides, kept, old, live)
        else:
            _pitfalls(project, options, sides, kept, old, live)
    (path.parent / COMPLETE).touch()
    return path


def plan_of(lines: Sequence[dict[str, Any]], run_line: Mapping[str, Any]) -> Plan:
    """What a stored comparison is made of."""
    settings = run_line["settings"]
    options = bench.restored(Options, settings)
    own = bool(options.sources or options.commands)
    sheet = Sheet(lines)
    named = dict.fromkeys((p, v) for p, v, _ in sheet.cells)
    subjects = [s for s in named if own or not s[0].startswith("control-")]
    return Plan(
        arms=tuple(a["name"] for a in settings["arms"]),
        titles=tuple(a["title"] for a in settings["arms"]), subjects=tuple(subjects),
        metrics=tuple(m for m in (compare_rows.PROGRAM_METRICS if own else
                                  compare_rows.PITFALL_METRICS)
                      if options.instructions or not m.startswith("instructions")),
        rounds=options.rounds, looks=options.looks, confirm=options.confirm,
        twin=arms.TWIN if own else None, identical=options.identical)


def _arms(project: Project, options: Options) -> list[Arm]:
    if options.base:
        cells = _cell(project, options.cell)
        return [Arm("A", options.base, replace(cells, name="A")),
                Arm("B", "the working tree", replace(cells, name="B"))]
    if options.allocators:
        under = (arms.command(options.commands[0]) if options.commands else
                 arms.compiler(project, "A", (options.compilers or ("gcc -O2",))[0]))
        return arms.allocators(options.allocators, under, lambda: library.build(
            project, library.default_cell(), "malloc").malloc)
    if options.commands:
        return arms.commands(options.commands)
    return arms.compilers(project, options.compilers)


def _cell(project: Project, name: str) -> Cell:
    return matrix.one(project, name)


# ---- The rounds ----------------------------------------------------------------------------------


def _stages(kept: store.Store, plan_: Plan, options: Options, counts: Mapping[Subject, int],
            sides: Sequence[str], live: Live,
            whole: Collection[str] = ()) -> Iterator[list[Spec]]:
    """The samples of one stage after another, each decided by what is stored by then."""
    def specs(subjects: Sequence[Subject], first: int, count: int) -> list[Spec]:
        return plan.side_by_side(subjects, sides, options.seed, range(first, first + count), counts,
                                 whole)

    def chosen(names: set[str]) -> list[Subject]:
        return [s for s in plan_.subjects if compare_rows.subject_name(s) in names]

    def stored(last: int) -> Sheet:
        """The rounds up to `last`: a run that is gone on with has more already, and must decide as
        it did before."""
        return Sheet(line for line in store.read(kept.path)
                     if line["kind"] != "sample" or line["round"] <= last)

    everyone = list(counts)
    yield specs(everyone, 1, options.rounds)
    found = compare_rows.judge(stored(options.rounds), plan_)
    again = chosen(compare_rows.second_look(found, plan_))
    if again:
        live.phase(f"second look at {len(again)}")
        yield specs(again, options.rounds + 1, options.rounds)
    if options.confirm:
        found = compare_rows.judge(stored(CONFIRM), replace(plan_, confirm=False))
        differing = chosen(compare_rows.confirmation(found))
        if differing:
            live.phase(f"confirming {len(differing)}")
            # As many as two looks have: what they found is not to be lost by the luck of fewer.
            yield specs(differing, CONFIRM + 1, 2 * max(options.rounds, LEAST_ROUNDS))


def _take_all(rig_: rig.Rig, kept: store.Store, old: Sequence[dict[str, Any]],
              singles: Sequence[Spec], stages: Iterator[list[Spec]], live: Live) -> None:
    done = {line["sample"] for line in old if line["kind"] == "sample"}
    hung: rig.Hung = {}
    live.phase("measuring")
    for specs in chain([singles], stages):
        rig.run_all(rig_, [s for s in specs if s.id not in done], kept.append, live.tick, hung)


def _say_of_turns(by_turns: rig.ByTurns, live: Live) -> None:
    if by_turns.wanted and probes.free_memory_mb() is None:
        live.say("how much memory is free is not known here (/proc/meminfo cannot be read), so the"
                 " arms run one after the other and not by turns")


# ---- A program of one's own ----------------------------------------------------------------------


def _own(project: Project, options: Options, sides: Sequence[Arm], kept: store.Store,
         old: Sequence[dict[str, Any]], live: Live) -> None:
    name = Path((options.sources or sides[0].command)[0]).stem
    source = own_program.read(name, options.sources, options.args, options.libs,
                              options.timeout_s)
    everyone = {arm.name: arm for arm in [*sides, arms.twin(sides[0])]}
    scratch = project.build / "compare" / kept.path.parent.name
    try:
        made = own_program.OwnProgram(source, everyone, Launcher(project), kept.path.parent.name,
                                      scratch, by_turns=rig.ByTurns(bool(options.turns), lines=old))
        live.phase("building")
        lines = made.build()
        before = {line["cell"]: line for line in old if line["kind"] == "cell"}
        conditions.same_images(kept.path.parent.name, before, lines)
        for line in lines:
            if line["cell"] not in before:
                kept.append(line)
        for message in dict.fromkeys(made.messages.values()):
            live.say(f"{name} does not build:\n{message}")
        if not made.built:
            raise Fault(f"{name} was built in no arm, so nothing is measured: see the messages"
                        " above")
        if sides[0].name not in made.built:
            raise Fault(f"{name} was not built in arm {sides[0].name}, with which the others are"
                        " compared, so nothing is measured: see the message above")
        if made.coarse is not None:
            live.say(made.coarse)
        _say_of_turns(made.by_turns, live)
        subject = (name, own_program.VARIANT)
        counts = {subject: 0}
        warm = plan.side_by_side([subject], made.built, options.seed, (0,), counts)
        keys = [ProgramKey(*subject, name) for name in made.built]  # the twin, too
        counted = [plan.make_spec(key, "instr", 0, i, options.seed, 0)
                   for i, key in enumerate(keys)] if options.instructions else []
        plan_ = plan_of(lines, store.run_line(store.read(kept.path), kept.path))
        here = own_program.files_here()
        try:
            _take_all(made, kept, old, [*warm, *counted],
                      _stages(kept, plan_, options, counts, made.built, live), live)
        finally:
            left = own_program.left_behind(name, here)
            if left is not None:
                live.say(left)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


# ---- Pitfalls ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WithStarts(measure.Pitfalls):
    """Pitfalls whose timed samples know their start-up time, too: so it is paired like all else."""

    def take(self, spec: Spec, path: Path) -> dict[str, Any]:
        line = super().take(spec, path)
        if spec.role == "timed":
            self._start(spec, path, line)
        return line

    def take_together(self, programs: Sequence[tuple[Spec, Path]]) -> list[dict[str, Any]]:
        lines = super().take_together(programs)
        for (spec, path), line in zip(programs, lines):
            self._start(spec, path, line)
        return lines

    def _start(self, spec: Spec, path: Path, line: dict[str, Any]) -> None:
        if not line["metrics"]:
            return
        job = Job(path, ("--start-only",), timeout_s=START_TIMEOUT_S, record=False,
                  env_pad_b=spec.env_pad_b)
        started = self.bench.launcher.run(job)
        if started.ok:
            line["metrics"]["startup_s"] = started.wall_s


def _pitfalls(project: Project, options: Options, sides: Sequence[Arm], kept: store.Store,
              old: Sequence[dict[str, Any]], live: Live) -> None:
    chosen = [p for p in catalog.select(catalog.load(project), options.pitfalls)
              if options.pitfalls or not p.value_only]  # unless it was asked for
    cells = [arm.cell for arm in sides if arm.cell is not None]
    run_id = kept.path.parent.name
    with Builder(project) as builder:
        if builder.linker.mold is None:
            live.say(WITHOUT_MOLD)
        elif arms.optimised_at_link(sides):
            builder.linker.mold = None
            live.say(WITH_LTO)
        live.phase("building")
        built: list[Program | Failed] = []
        for cell in cells:
            if options.base and cell.name == "A":
                built += _of_revision(project, options.base, chosen, cell, live)
            else:
                built += builder.programs([(p, v, cell) for p in chosen for v in p.variants],
                                          live.tick)
        place = bench.ready(project, builder, chosen, Matrix(tuple(cells), (), {}), built, kept,
                            run_id, old, live)
        live.phase("calibrating")
        counts, failures = measure.calibrate(place, options.region_s, bench.known_counts(old),
                                             live.tick)
        for (pitfall, variant), why in failures.items():
            live.say(f"{pitfall}.{variant} does not run: {why}")
        made = WithStarts(place, counts, probes.Events((), {}),
                          rig.ByTurns(options.turns is not False, catalog.controls(chosen), old))
        _say_of_turns(made.by_turns, live)
        _measure_pitfalls(options, made, chosen, kept, old, live)


def _measure_pitfalls(options: Options, made: WithStarts, chosen: Sequence[Pitfall],
                      kept: store.Store, old: Sequence[dict[str, Any]], live: Live) -> None:
    stored = store.read(kept.path)
    plan_ = plan_of(stored, store.run_line(stored, kept.path))
    there = set(made.bench.programs)
    complete = [(p.id, v.id) for p in chosen for v in p.variants
                if all(ProgramKey(p.id, v.id, arm) in there for arm in plan_.arms)
                and (p.id, v.id) in made.counts]
    if not complete:
        empty = [arm for arm in plan_.arms if all(key.cell != arm for key in there)]
        raise Fault("no program was built in every arm"
                    + (f" (none at all in {' and '.join(empty)})" if empty else "")
                    + ", so there is nothing to compare: see the messages above")
    defaults = {p.id: p.parameter.default for p in chosen}
    numbers = {subject: defaults[subject[0]] for subject in complete}
    keys = [ProgramKey(*subject, arm) for subject in complete if subject in plan_.subjects
            for arm in plan_.arms]
    singles = [plan.make_spec(key, "instr", 0, i, options.seed, defaults[key.pitfall])
               for i, key in enumerate(keys)] if options.instructions else []
    whole = catalog.controls(chosen)
    warm = plan.side_by_side(complete, plan_.arms, options.seed, (0,), numbers, whole)
    _take_all(made, kept, old, [*warm, *singles],
              _stages(kept, plan_, options, numbers, plan_.arms, live, whole), live)


def _of_revision(project: Project, revision: str, chosen: Sequence[Pitfall], cell: Cell,
                 live: Live) -> list[Program | Failed]:
    """The programs of another revision's sources, built as that revision's cell.mk says."""
    old = Project(checkout(project, revision))
    theirs = {p.id: p for p in catalog.load(old)}
    wanted, failed = [], []
    for pitfall in chosen:
        for variant in pitfall.variants:
            there = theirs.get(pitfall.id)
            if there is not None and any(v.id == variant.id for v in there.variants):
                wanted.append((there, there.variant(variant.id), cell))
            else:
                failed.append(Failed(pitfall.id, variant.id, cell, f"is not in {revision}", False))
    with Builder(old) as builder:
        return [*builder.programs(wanted, live.tick), *failed]


def checkout(project: Project, revision: str) -> Path:
    """The files of a revision, unpacked below compile-matrix/build/ (kept for the next time)."""
    try:
        named = _git(project, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except Fault as error:
        raise UsageFault(f"BASE: git knows no revision '{revision}'") from error
    commit = named.decode().strip()
    folder = project.build / "revisions" / commit[:16]
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        files = _git(project, "archive", commit)
        subprocess.run(["tar", "-x", "-C", str(folder)], input=files, check=True)
        (folder / ".complete").touch()
    return folder


def _git(project: Project, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(project.root), *arguments], capture_output=True,
                              check=True).stdout
    except FileNotFoundError as error:
        raise Fault("git is not installed: apt-get install git") from error
    except subprocess.CalledProcessError as error:
        raise Fault(f"git {arguments[0]}: {error.stderr.decode(errors='replace').strip()}") \
            from error


# ---- Results -------------------------------------------------------------------------------------


def judge(project: Project, path: Path) -> tuple[Comparison, dict[str, Any]]:
    """A stored comparison, judged; and its line of kind run."""
    lines = store.read(path)
    begun = store.run_line(lines, path)
    if begun["target"] != TARGET:
        raise UsageFault(f"{path.parent.name} is a run of {begun['target']}, not a comparison")
    sheet, plan_ = Sheet(lines), plan_of(lines, begun)
    checked = compare_rows.controls(sheet, plan_, catalog.load(project))
    found = compare_rows.judge(sheet, plan_)
    said = [*cautions.of(sheet), *compare_rows.notes(sheet, plan_)]
    if not begun["settings"].get("turns"):  # where it was asked for, something else was in the way
        said += compare_rows.closer(found, sheet, plan_)
    return Comparison(plan_, found, checked, compare_rows.failures(sheet), said,
                      compare_rows.failed_in(sheet, plan_)), begun


def write(project: Project, path: Path, comparison: Comparison,
          begun: Mapping[str, Any]) -> list[tuple[str, Path]]:
    """results/latest/: the run, its figures, a page and a picture; where they are."""
    latest = project.latest
    if path != latest / RUN_COPY:
        store.replace_copy(path, latest / RUN_COPY)
    store.replace_json(latest / FIGURES, compare_rows.document(
        begun, comparison.found, comparison.plan, comparison.controls, comparison.failed))
    picture = charts.draw_plan(charts.arms.plan(comparison.found, comparison.plan),
                               latest / "plots", templates=project.plots)
    drawn = picture.skipped is None
    store.replace_file(latest / PAGE, compare_table.markdown(
        comparison, begun, f"plots/{picture.svg.name}" if drawn else None))
    places = [("run", path), ("figures", latest / FIGURES), ("page", latest / PAGE)]
    return [*places, ("chart", picture.svg)] if drawn else places
