"""Takes samples of pitfalls: how each role runs its program, and how many rounds fill a region."""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import probes, samples
from harness.build import Builder, Program
from harness.catalog import Pitfall
from harness.fault import BuildFault
from harness.launch import Job, Launcher, Run
from harness.plan import SWEEP_COUNT, ProgramKey, Spec, calibration_cell
from harness.rig import NEVER, ByTurns, Tick, begin_on

STARTUP_RUNS, STARTUP_WARMUP = 12, 2
INSTRUCTION_COUNT = 3  # rounds under callgrind, about 50 times slower
# What makes every run of a program do the same: one thread, all of a collection in one stop, none
# by time, the heap as it is without valgrind (which it would tell what is freed, where it was built
# with valgrind's header), and the C library's code for plain x86-64 whatever the processor offers.
DETERMINISTIC = (
    ("SH_MODE", "stw"), ("SH_WORKERS", "0"), ("SH_GC_PERIOD", "0"), ("SH_POISON", "0"),
    ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM,-RTM"),
)
EXACT = ("instructions", "instructions_per_op", "allocs", "alloc_b", "frees", "collections",
         "peak_live_b")  # what such a run is asked for in role exact
TIMED_FUNCTION = "run_rounds*"  # of pitfall.c: what callgrind counts
MAX_COUNT = 1 << 40


@dataclass(frozen=True)
class Bench:
    """What is needed to take a sample."""

    builder: Builder
    launcher: Launcher
    pitfalls: Mapping[str, Pitfall]
    programs: Mapping[ProgramKey, Program]
    run_id: str

    def program(self, spec: Spec) -> Program:
        """The objects a sample is linked from."""
        return self.programs[ProgramKey(spec.pitfall, spec.variant, spec.cell)]


# ---- Calibration ---------------------------------------------------------------------------------


def calibrate(bench: Bench, region_s: float, known: Mapping[tuple[str, str], int],
              tick: Tick) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], str]]:
    """Rounds of each variant's timed region, found once and then the same in every cell.

    Returns the counts, and for variants that do not run anywhere the reason.
    """
    counts = dict(known)
    failures: dict[tuple[str, str], str] = {}
    by_variant: dict[tuple[str, str], list[ProgramKey]] = {}
    for key, program in bench.programs.items():
        if program.cell.sanitizer is None:
            by_variant.setdefault((key.pitfall, key.variant), []).append(key)
    copies = _copies(bench, by_variant)
    wanted = [name for name in by_variant if name not in counts and name not in copies]
    for index, name in enumerate(wanted):
        keys = {key.cell: key for key in by_variant[name]}
        first = calibration_cell(list(keys))
        tick(index, len(wanted), f"{name[0]}.{name[1]}: how many rounds fill the timed region")
        for cell in [first, *(c for c in keys if c != first)]:
            count = _calibrate_one(bench, keys[cell], region_s)
            if isinstance(count, int):
                counts[name] = count
                failures.pop(name, None)
                break
            failures[name] = count
            if count.startswith(("killed by", "still running")):
                counts[name] = 1  # it is what this variant does; let every cell show it
                break
    for name, original in copies.items():
        if name not in counts and original in counts:
            counts[name] = counts[original]
    return counts, failures


def _copies(bench: Bench, built: Collection[tuple[str, str]]) -> dict[tuple[str, str],
                                                                   tuple[str, str]]:
    """sham -> the bad variant of its pair, if that was built: they are compared count by count."""
    result = {}
    for pitfall, name in built:
        variant = bench.pitfalls[pitfall].variant(name)
        bad = next((bad for pair, bad, _ in bench.pitfalls[pitfall].pairs()
                    if pair == variant.pair), None)
        if variant.role == "sham" and bad is not None and (pitfall, bad) in built:
            result[pitfall, name] = (pitfall, bad)
    return result


def _calibrate_one(bench: Bench, key: ProgramKey, region_s: float) -> int | str:
    pitfall = bench.pitfalls[key.pitfall]
    with tempfile.TemporaryDirectory(dir=bench.builder.scratch) as folder:
        path = Path(folder) / "program"
        try:
            bench.builder.link(bench.programs[key], 1, path)
        except BuildFault as fault:
            return str(fault)
        args = (*arguments(pitfall, pitfall.parameter.default, None),
                "--seconds", f"{region_s:g}")
        run = bench.launcher.run(Job(path, args, timeout_s=pitfall.timeout_s))
    if not run.ok or run.record is None:
        return run.message or "it failed"
    count, time_ns = run.record.get("count"), run.record.get("time_ns")
    if not isinstance(count, int) or not isinstance(time_ns, int):
        return "its record has no count or time_ns"
    return min(MAX_COUNT, max(1, math.ceil(count * region_s * 1e9 / max(time_ns, 1))))


# ---- Samples -------------------------------------------------------------------------------------


def arguments(pitfall: Pitfall, n: int, count: int | None) -> tuple[str, ...]:
    """The program's command line."""
    args: tuple[str, ...] = ("--n", str(n))
    if pitfall.threads > 1:
        args += ("--threads", str(pitfall.threads))
    return args if count is None else (*args, "--count", str(count))


@dataclass(frozen=True)
class Pitfalls:
    """The rig of pitfalls: what rig.run_all asks of whoever makes and runs programs."""

    bench: Bench
    counts: Mapping[tuple[str, str], int]
    events: probes.Events
    by_turns: ByTurns = NEVER

    @property
    def run_id(self) -> str:
        return self.bench.run_id

    @property
    def scratch(self) -> Path:
        return self.bench.builder.scratch

    def link(self, spec: Spec, path: Path) -> None:
        """Links the program of a sample. BuildFault if it does not."""
        self.bench.builder.link(self.bench.program(spec), spec.layout_seed, path)

    def take(self, spec: Spec, path: Path) -> dict[str, Any]:
        """Runs it."""
        count = self.counts[spec.pitfall, spec.variant]
        line = take(self.bench, spec, path, count, self.events)
        self.by_turns.learn(line)
        return line

    def together(self, spec: Spec) -> Hashable | None:
        """The subject and round, if its samples run by turns."""
        return self.by_turns.together(spec)

    def take_together(self, programs: Sequence[tuple[Spec, Path]]) -> list[dict[str, Any]]:
        """Runs them by turns."""
        jobs = [timed_job(self.bench, spec, path, self.counts[spec.pitfall, spec.variant])
                for spec, path in programs]
        runs = self.bench.launcher.run_by_turns(jobs, begin_on(programs[0][0]))
        return [samples.sample_line(self.run_id, spec, job.args, run)
                for (spec, _), job, run in zip(programs, jobs, runs)]


def timed_job(bench: Bench, spec: Spec, path: Path, count: int) -> Job:
    """How the timed region is run."""
    pitfall = bench.pitfalls[spec.pitfall]
    return Job(path, arguments(pitfall, spec.n, count), timeout_s=pitfall.timeout_s,
               env_pad_b=spec.env_pad_b, env=bench.program(spec).cell.environment)


def take(bench: Bench, spec: Spec, path: Path, count: int,
         events: probes.Events) -> dict[str, Any]:
    """One sample of a linked program."""
    pitfall = bench.pitfalls[spec.pitfall]
    job = timed_job(bench, spec, path, count)
    args = job.args
    if spec.role == "sweep":
        job = replace(job, args=arguments(pitfall, spec.n, SWEEP_COUNT))
    elif spec.role == "observe":
        job = replace(job, args=(*args, "--events"), observe=True)
    elif spec.role == "detect":
        job = replace(job, args=arguments(pitfall, spec.n, 1), no_aslr=True)
    elif spec.role == "explain":
        job = replace(job, args=(*arguments(pitfall, spec.n, None), "--explain"))
    elif spec.role == "startup":
        return _startup(bench, spec, job)
    elif spec.role == "perf":
        return _perf(bench, spec, job, events)
    elif spec.role in ("instr", "exact"):
        return _instructions(bench, spec, job)
    run = bench.launcher.run(job)
    line = samples.sample_line(bench.run_id, spec, job.args, run)
    if spec.role == "explain" and run.ok:
        text = str((run.record or {}).get("explanation", ""))
        line["report"] = text.replace(path.name, f"{spec.pitfall}.{spec.variant}")
    if spec.role == "detect":
        line["report"] = symbolize(run.stderr, path)[:20000]
        line["marked"] = {d.line_marker: list(d.marked) for d in pitfall.detectors
                          if d.line_marker is not None}
    return line


def _startup(bench: Bench, spec: Spec, job: Job) -> dict[str, Any]:
    """hyperfine without a shell; its memory figure is never used."""
    args = ("--start-only",)
    hyperfine = shutil.which("hyperfine")
    if hyperfine is None:
        return _without(bench, spec, args, "startup_s",
                        "hyperfine is not installed: apt-get install hyperfine")
    with tempfile.NamedTemporaryFile(dir=bench.builder.scratch, suffix=".json") as out:
        run = bench.launcher.run(replace(
            job, wrapper=(), program=Path(hyperfine), record=False, timeout_s=60,
            args=("-N", "--style", "none", "--warmup", str(STARTUP_WARMUP), "--runs",
                  str(STARTUP_RUNS), "--export-json", out.name, f"{job.program} --start-only"),
        ))
        if not run.ok:
            return samples.sample_line(bench.run_id, spec, args, run)
        try:
            times = json.loads(Path(out.name).read_text())["results"][0]["times"]
            extra = {"startup_s": statistics.median(times)}
        except (ValueError, KeyError, IndexError, statistics.StatisticsError) as error:
            return _without(bench, spec, args, "startup_s", f"hyperfine's file: {error!r}")
    return samples.sample_line(bench.run_id, spec, args, replace(run, rss_b=None), extra)


def _perf(bench: Bench, spec: Spec, job: Job, events: probes.Events) -> dict[str, Any]:
    perf = probes.perf_path()
    if perf is None or not events.usable:
        run = Run(0, None, False, False, None, 0.0, 0.0, 0.0, None, None, "", "")
        return samples.sample_line(bench.run_id, spec, job.args, run, reasons=events.reasons)
    with tempfile.NamedTemporaryFile(dir=bench.builder.scratch, suffix=".perf") as out:
        run = bench.launcher.run(replace(
            job, wrapper=(perf, "stat", "-x,", "-o", out.name, "-e", ",".join(events.usable),
                          "--")))
        values = probes.perf_values(Path(out.name).read_text(errors="replace"))
    extra: dict[str, float] = {}
    reasons = dict(events.reasons)
    for event in events.usable:
        value, reason = values.get(event, (None, "perf stat printed nothing for it"))
        if value is None:
            reasons[probes.metric_name(event)] = reason or "not counted"
        else:
            extra[probes.metric_name(event)] = value
    line = samples.sample_line(bench.run_id, spec, job.args, run, None, reasons)
    line["metrics"] = extra if run.ok else {}
    return line


def _instructions(bench: Bench, spec: Spec, job: Job) -> dict[str, Any]:
    """Instructions of the timed region, and in role exact all that repeats exactly."""
    pitfall = bench.pitfalls[spec.pitfall]
    args = (*arguments(pitfall, spec.n, INSTRUCTION_COUNT), "--warmup", "0")
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return _without(bench, spec, args, "instructions",
                        "valgrind is not installed: apt-get install valgrind")
    run = bench.launcher.run(replace(job, args=args, timeout_s=10 * pitfall.timeout_s,
                                     env_pad_b=0, env=(*job.env, *DETERMINISTIC), no_aslr=True,
                                     wrapper=(valgrind, "--tool=callgrind",
                                              f"--toggle-collect={TIMED_FUNCTION}",
                                              "--callgrind-out-file=/dev/null")))
    found = re.search(r"Collected\s*:\s*(\d+)", run.stderr)
    ops = (run.record or {}).get("ops")
    refused = None if run.ok else probes.valgrind_refuses(run.stderr)
    if refused is not None:
        return _without(bench, spec, args, "instructions", refused)
    if not run.ok:
        return samples.sample_line(bench.run_id, spec, args, run)
    if found is None or int(found[1]) == 0 or not ops:
        return _without(bench, spec, args, "instructions", "callgrind saw no timed region")
    line = samples.sample_line(bench.run_id, spec, args, run)
    count = int(found[1])
    known = {**line["metrics"], "instructions": count, "instructions_per_op": count / ops}
    wanted = EXACT if spec.role == "exact" else EXACT[:2]
    line["metrics"] = {name: known[name] for name in wanted if name in known}
    return line


def _without(bench: Bench, spec: Spec, args: Sequence[str], metric: str,
             reason: str) -> dict[str, Any]:
    """A sample whose one metric cannot be had here: null with the reason, not a failure."""
    run = Run(0, None, False, False, None, 0.0, 0.0, 0.0, None, None, "", "")
    return samples.sample_line(bench.run_id, spec, args, run, reasons={metric: reason})


# ---- Reports of sanitizers -----------------------------------------------------------------------

_RAW_FRAME = re.compile(r"^(\s*#\d+ 0x[0-9a-f]+) .*\(([^()\s]+)\+0x([0-9a-f]+)\)\s*(?:\(.*\))?$")


def symbolize(text: str, program: Path) -> str:
    """Gives `file:line` to frames that clang's run-time could not name (no llvm-symbolizer)."""
    addr2line = shutil.which("addr2line")
    if addr2line is None or program.name not in text:
        return text
    lines = text.splitlines()
    for index, line in enumerate(lines):
        match = _RAW_FRAME.match(line)
        if match is None or Path(match[2]).name != program.name:
            continue
        done = subprocess.run([addr2line, "-f", "-i", "-e", str(program), f"0x{match[3]}"],
                              capture_output=True, text=True)
        found = done.stdout.splitlines()
        if len(found) >= 2 and not found[1].startswith("??"):
            lines[index] = f"{match[1]} in {found[0]} {found[1]}"
    return "\n".join(lines)
