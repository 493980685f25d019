"""`bench`: build the matrix, measure, store. Ends in a stored run; showing it is show.py's."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from harness import catalog, conditions, matrix, measure, plan, probes, rig, samples, store
from harness.build import Builder, Failed, Program
from harness.fault import Fault, UsageFault
from harness.launch import Launcher
from harness.linker import WITHOUT_MOLD
from harness.measure import Bench
from harness.plan import Options, ProgramKey, Spec
from harness.progress import Live
from harness.project import Project

Asked = TypeVar("Asked")  # a dataclass of options
COMPLETE = "complete"  # an empty file beside run.jsonl: every sample of the plan was taken


@dataclass(frozen=True)
class Done:
    """What a run came to."""

    path: Path
    run_id: str
    stored: int
    failed_builds: int
    failed_samples: int


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM, and SIGHUP when a terminal goes away, stop like Ctrl-C does. What is ignored (SIGHUP
    under nohup) stays so."""
    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    old: dict[int, Any] = {}
    try:
        for ending in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(ending) != signal.SIG_IGN:
                old[ending] = signal.signal(ending, stop)
    except ValueError:  # not the main thread: the caller's business
        yield
        return
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def unfinished(project: Project, target: str) -> tuple[Path, Mapping[str, Any]] | None:
    """The newest run of a target that is not complete, and what it was started with."""
    for folder in reversed(store.runs(project)):
        path = folder / store.RUN_FILE
        run = store.run_line(store.read(path), path)
        if run["target"] != target or (folder / COMPLETE).exists():
            continue
        settings: Mapping[str, Any] = run["settings"]
        return path, settings
    return None


def going_on(project: Project, target: str, live: Live, *, hosts: bool = False,
             ) -> tuple[Path, Mapping[str, Any]] | None:
    """The unfinished run that RESUME means (of several machines or of this one), and what it was
    started with. Says which it is, or that there is none."""
    found = unfinished(project, target)
    if found is None or bool(found[1].get("hosts")) != hosts:
        live.say("RESUME: no unfinished run is stored; a new one begins")
        return None
    live.say(f"RESUME: going on with {found[0].parent.name}, with the settings it began with")
    return found


def restored(kind: type[Asked], settings: Mapping[str, Any]) -> Asked:
    """The options, a dataclass, that a run was started with. JSON has made lists of its tuples."""
    names = {field.name for field in fields(kind)}
    lacking = [field.name for field in fields(kind) if field.name not in settings
               and field.default is MISSING and field.default_factory is MISSING]
    if lacking:
        raise Fault(f"the stored settings of this run have no '{lacking[0]}': was the file edited?"
                    " Measure again")
    return kind(**{key: tuple(value) if isinstance(value, list) else value
                   for key, value in settings.items() if key in names})


@contextmanager
def open_run(path: Path, begun: Mapping[str, Any], *, commit: bool = False,
             ) -> Iterator[tuple[store.Store, list[dict[str, Any]]]]:
    """A run's file for appending, and what it has already. A new one begins with the line `begun`;
    of one that is gone on with, Fault if it was begun under other conditions (commit: of git, too).
    SIGTERM and SIGHUP stop like Ctrl-C does."""
    old = store.read(path) if path.exists() else []
    if old:
        conditions.same_place(store.run_line(old, path), begun, commit=commit)
    with interruptible(), store.Store(path) as kept:
        if not old:
            kept.append(dict(begun))
        yield kept, old


def run(project: Project, options: Options, live: Live, *, target: str = "bench",
        resume: bool = False) -> Done:
    """Measures (or goes on measuring) one run."""
    found = going_on(project, target, live) if resume else None
    if found is None:
        path = store.new_run(project, target, options.seed)
    else:
        path, stored = found[0], restored(Options, found[1])
        options = stored if stored.quick else replace(
            stored, rounds=max(stored.rounds, options.rounds))
    chosen = catalog.select(catalog.load(project), options.pitfalls)
    done = take(project, options, live, chosen, path, path.parent.name, target)
    (path.parent / COMPLETE).touch()
    return done


def take(project: Project, options: Options, live: Live, chosen: Sequence[catalog.Pitfall],
         path: Path, run_id: str, target: str) -> Done:
    """Takes the samples of some pitfalls that a file does not have yet."""
    cells = matrix.load(project, options.profile, options.cells)
    for left in cells.left_out:
        live.say(f"left out: {left.cell}: {left.reason}")
    if not chosen:
        raise UsageFault(f"{project.pitfalls}: holds no pitfall; make new-pitfall ID=… makes one")
    if not cells.cells:
        raise Fault("nothing can be built: no compiler of the chosen cells is installed")
    begun = run_line(project, run_id, target, options.seed, asdict(options))
    with open_run(path, begun) as (kept, old), Builder(project) as builder:
        return _measure(project, options, live, chosen, cells, kept, builder, run_id, old)


def run_line(project: Project, run_id: str, target: str, seed: int,
             settings: Mapping[str, Any]) -> dict[str, Any]:
    """The first line of a run: what was asked for, of which commit, on which machine."""
    commit, dirty = probes.git_state(project.root)
    return {
        "v": samples.VERSION, "kind": "run", "run": run_id, "target": target,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"), "git": commit,
        "git_dirty": dirty, "seed": seed,
        "settings": json.loads(json.dumps(settings)), "machine": probes.machine(),
        "tools": probes.tools(),
    }


def _measure(project: Project, options: Options, live: Live, chosen: Sequence[catalog.Pitfall],
             cells: matrix.Matrix, kept: store.Store, builder: Builder, run_id: str,
             old: Sequence[dict[str, Any]]) -> Done:
    if builder.linker.mold is None:
        live.say(WITHOUT_MOLD)
    live.phase("building")
    wanted = [(p, v, c) for c in cells.cells for p in chosen for v in p.variants]
    detect = [(p, p.variant(v), c) for p, v, c in plan.detections(chosen, cells)]
    built = builder.programs([*wanted, *detect], live.tick)
    bench = ready(project, builder, chosen, cells, built, kept, run_id, old, live)
    done = {line["sample"] for line in old if line["kind"] == "sample"}
    live.phase("calibrating")
    counts, failures = measure.calibrate(bench, options.region_s, known_counts(old),
                                         live.tick)
    for (pitfall, variant), why in failures.items():
        live.say(f"{pitfall}.{variant} does not run: {why}")
        counts.setdefault((pitfall, variant), 1)
    events = probes.perf_events() if options.extras else probes.Events((), {})
    live.phase("measuring")
    specs = [s for s in specs_of(options, chosen, cells, list(bench.programs))
             if s.id not in done and (s.pitfall, s.variant) in counts]
    taken: list[dict[str, Any]] = []

    def sink(line: dict[str, Any]) -> None:
        kept.append(line)
        taken.append({"role": line["role"], "message": line["status"]["message"]})

    rig.run_all(measure.Pitfalls(bench, counts, events), specs, sink, live.tick)
    failed = sum(1 for t in taken if t["message"] and t["role"] != "detect")
    return Done(kept.path, run_id, len(taken) + len(done),
                sum(isinstance(b, Failed) for b in built), failed)


def ready(project: Project, builder: Builder, chosen: Sequence[catalog.Pitfall],
          cells: matrix.Matrix, built: Sequence[Program | Failed], kept: store.Store, run_id: str,
          old: Sequence[dict[str, Any]], live: Live) -> Bench:
    """Stores what was built, and gives what is needed to measure it. Fault if nothing was."""
    conditions.same_programs(run_id, [line for line in old if line["kind"] == "cell"],
                             [b for b in built if isinstance(b, Program)])
    store_builds(kept, run_id, built, cells, old, live)
    programs = {ProgramKey(b.pitfall, b.variant, b.cell.name): b
                for b in built if isinstance(b, Program)}
    if not any(key.cell.count("+") == 0 for key in programs):
        raise Fault("nothing was built, so nothing is measured: see the compiler's messages above")
    return Bench(builder, Launcher(project), {p.id: p for p in chosen}, programs, run_id)


def specs_of(options: Options, chosen: Sequence[catalog.Pitfall], cells: matrix.Matrix,
             built: Sequence[ProgramKey]) -> list[Spec]:
    """Every sample of the run, in the order in which they are taken."""
    defaults = {p.id: p.parameter.default for p in chosen}
    sweep = {p.id: p.parameter.sweep for p in chosen}
    available = set(built)
    keys = [k for k in plan.program_keys(chosen, cells.cells) if k in available]
    once = {p.id for p in chosen if p.value_only}
    detect = [ProgramKey(p.id, v, c.name) for p, v, c in plan.detections(chosen, cells)]
    roles = ["sweep"]
    if options.extras:
        roles += ["observe", "startup", *([] if options.quick else ["perf"])]
    if options.instructions:
        roles.append("instr")
    detectable = [k for k in detect if k in available]
    explain = plan.explained(chosen, keys) if options.extras else []
    return [*plan.singles(detectable, ["detect"], options, defaults, sweep),
            *plan.singles(explain, ["explain"], options, defaults, sweep),
            *plan.singles([k for k in keys if k.pitfall in once], ["sweep"], options, defaults,
                          sweep),
            *plan.singles([k for k in keys if k.pitfall not in once], roles, options, defaults,
                          sweep),
            *plan.rounds(keys, options, defaults, once)]


def store_builds(kept: store.Store, run_id: str, built: Sequence[Program | Failed],
                  cells: matrix.Matrix, old: Sequence[dict[str, Any]], live: Live) -> None:
    there = {(line["pitfall"], line["variant"], line["cell"], line["status"])
             for line in old if line["kind"] == "cell"}
    lines = [samples.missing_line(run_id, left) for left in cells.left_out]
    lines += [samples.cell_line(run_id, program) for program in built]
    said: set[str] = set()
    for line in lines:
        if (line["pitfall"], line["variant"], line["cell"], line["status"]) not in there:
            kept.append(line)
        if line["status"] == "failed" and line["message"] not in said:
            said.add(line["message"])
            live.say(f"{line['pitfall']}.{line['variant']} does not build in {line['cell']}:\n"
                     f"{line['message']}")


def known_counts(old: Sequence[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """The counts that a resumed run was calibrated to: they are in its timed samples."""
    result: dict[tuple[str, str], int] = {}
    for line in old:
        if line["kind"] == "sample" and line["role"] == "timed" and "--count" in line["args"]:
            count = line["args"][line["args"].index("--count") + 1]
            result[line["pitfall"], line["variant"]] = int(count)
    return result


def fresh_seed() -> int:
    """A seed that fits a JSON reader's integers."""
    return secrets.randbits(48)

