"""`soak`: long-lived programs side by side, whose live size is constant, for an hour. Their
resident memory, read four times a second, must be flat (flatness.py).

Ends in a stored run and in results/latest/soak.json, soak.jsonl and plots/soak.svg. A program that
dies is a failure; the others go on.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness import bench, charts, ctests, library, oom, record, samples, store, target
from harness.bench import COMPLETE
from harness.build import Builder, digest, written_whole
from harness.charts import soak as chart
from harness.fault import OK, UNCLEAR, BuildFault, Fault
from harness.flatness import FLAT, WARM_UP_LEAST_S
from harness.launch import STOPPED, die_with, interrupts_later
from harness.metrics import show as figure
from harness.progress import Live
from harness.project import Project, relative
from harness.soak_rows import FAILED, ROLE, TARGET, Soaked, duration, in_words, judge, rows
from harness.table import say_places, speaker, wide

BROKEN = 1  # exit status: a program grew or failed
INTERRUPTED = 130
RUN_COPY, FIGURES = "soak.jsonl", "soak.json"
EVERY_S = 0.25  # between two samples: of a small heap one is some 8 % off, its blocks 0.3 %
STORED_EVERY_S = 60.0
TABLE_WIDTH = 110  # in a pipe
SAID_EVERY_S = 60.0  # where there is no terminal
GRACE_S = 120.0  # after its seconds a program only has to finish
STOP_S = 5.0  # after SIGTERM
LEVEL = "-O2"
_COLLECTIONS = re.compile(r"\bcollections (\d+)")
_TAIL = 3  # lines of a failed program's output


@dataclass(frozen=True)
class Program:
    """What is soaked; --seconds=n is added to the command. loads: it is in vain without."""

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    loads: Path | None = None

    def repeat_line(self, seconds: int) -> str:
        """For the shell, at the root of the checkout."""
        shown = [f"{name}={value}" for name, value in self.environment.items()]
        return shlex.join(["env", *shown, *self.command, f"--seconds={seconds}"])


# ---- The programs --------------------------------------------------------------------------------


def build_all(project: Project) -> tuple[Program, ...]:
    """The stress program, with collections by the heap's size alone, and one on each drop-in."""
    runner = ctests.Runner(project)
    try:
        stress = runner.build(ctests.describe(project.allocator / "tests" / "stress.c"), "native",
                              level=LEVEL)
    finally:
        runner.close()
    cell = library.default_cell()
    malloc = library.build(project, cell, "malloc").malloc
    shims = library.build(project, cell, "gc").folder / "shims"
    return (
        Program("collector", "the collector beside threads that come and go (stress.c)",
                (_relative(project, stress), "--every=0"),
                {"SH_MODE": "concurrent", "SH_CLOBBER": "1"}),
        Program("malloc", "the malloc drop-in: random lifetimes, exchanged between threads",
                (_relative(project, _link(project, "soak_malloc.c")),),
                {"LD_PRELOAD": str(malloc)}, malloc),
        Program("gc", "the gc.h drop-in: trees, finalizers, links that disappear",
                (_relative(project, _link(
                    project, "soak_gc.c", (f"-I{project.allocator / 'shims' / 'include'}",),
                    (f"-L{shims}", "-lgc"))),),
                {"LD_LIBRARY_PATH": str(shims)}, shims / "libgc.so.1"),
    )


def _relative(project: Project, path: Path) -> str:
    return str(path.relative_to(project.root))


def _link(project: Project, source: str, flags: Sequence[str] = (), libraries: Sequence[str] = (),
          ) -> Path:
    """A program of allocator/tests/ that is not linked with the heap."""
    cell = library.default_cell()
    with Builder(project) as builder:
        made = builder.compile(project.allocator / "tests" / source, cell, flags,
                               [(project.allocator, "**/*.h")]).result()
    path = project.build / "soak" / f"{made.stem}-{digest([*libraries])}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        done = subprocess.run([cell.command, "-o", str(temporary), str(made), *libraries,
                               "-pthread"], capture_output=True, text=True)
        if done.returncode != 0:
            raise BuildFault(done.stderr.strip(), linking=True)
    return path


# ---- One process ---------------------------------------------------------------------------------


class Running:
    """A program that runs; its output goes to a file."""

    def __init__(self, project: Project, program: Program, seconds: int, kept: Path) -> None:
        self.program = program
        self.args = [f"--seconds={seconds}"]
        self.log = kept / f"{program.name}.txt"
        kept.mkdir(parents=True, exist_ok=True)
        # A session of its own: Ctrl-C is for the harness, which then ends the programs.
        harness = os.getpid()
        with self.log.open("wb") as log, interrupts_later():
            self.process = subprocess.Popen(
                [*program.command, *self.args], cwd=project.root, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=lambda: die_with(harness),
                env={**ctests.environment(), **program.environment})
        self.start_ns = time.monotonic_ns()
        self.timeline: list[tuple[int, int]] = []
        self.most: dict[str, float] = {}
        self.minute = 0
        self.checked = program.loads is None
        self.message: str | None = None
        self.hung = False
        self.killed_before = oom.kills()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def sample(self) -> None:
        """Reads its memory, if it still has any."""
        folder = Path("/proc", str(self.process.pid))
        try:
            memory = _fields((folder / "smaps_rollup").read_text())
            status = _fields((folder / "status").read_text())
            if "Rss" not in memory or "VmHWM" not in status:
                return  # it has ended, and nobody has asked for its status yet
            if not self.checked and (self.timeline or _now_s(self) > EVERY_S):
                self._check_library((folder / "maps").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return
        self.timeline.append((time.monotonic_ns() - self.start_ns, memory["Rss"] << 10))
        for metric, value in (("pss_b", memory["Pss"] << 10), ("threads", status["Threads"]),
                              ("peak_rss_b", status["VmHWM"] << 10)):
            self.most[metric] = max(self.most.get(metric, 0), value)

    def _check_library(self, maps: str) -> None:
        self.checked = True
        if self.program.loads is not None and str(self.program.loads.resolve()) not in maps:
            raise Fault(f"{self.program.name}: runs without {self.program.loads}, so nothing is"
                        f" tested; see {self.log}")

    def line(self, run_id: str, status: Mapping[str, Any], metrics: Mapping[str, float],
             reasons: Mapping[str, str]) -> dict[str, Any]:
        """What was sampled since the line before."""
        self.minute += 1
        name = f"{TARGET}/{self.program.name}/m{self.minute:04d}"
        line = {
            "v": samples.VERSION, "kind": "sample", "run": run_id, "sample": name,
            "pitfall": TARGET, "variant": self.program.name, "cell": TARGET, "role": ROLE,
            "round": self.minute, "position": 0, "seed": 0, "layout_seed": 0, "env_pad_b": 0,
            "args": self.args, "n": 0,
            "status": {"exit": None, "signal": None, "timeout": False, "message": None, **status},
            "wall_s": _now_s(self), "metrics": {**self.most, **metrics}, "reasons": dict(reasons),
            "outcome": None, "pauses": {name: [] for name in record.PAUSES.values()},
            "timeline": {"t_ns": [t for t, _ in self.timeline],
                         "rss_b": [b for _, b in self.timeline]},
            "report": None,
        }
        self.timeline, self.most = [], {}
        return line

    def last_line(self, run_id: str, stopped: bool) -> dict[str, Any]:
        """How it ended."""
        code = self.process.returncode
        known = _COLLECTIONS.search(self.output)
        if not stopped and self.message is None and code != 0:
            self.message = f"exit status {code}"
            if code < 0:
                self.message = f"ended by {signal.Signals(-code).name}"
            if code == -signal.SIGKILL and oom.kills() > self.killed_before:
                self.message += f": {oom.in_words()}"
        status = {"exit": code if code >= 0 else None, "signal": -code if code < 0 else None,
                  "timeout": self.hung,
                  "message": STOPPED if stopped else self.message}
        return self.line(run_id, status, {"collections": int(known[1])} if known else {},
                         {} if known else {"collections": "the program did not print them"})

    def end(self) -> None:
        """Stops it if it still runs."""
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def _now_s(running: Running) -> float:
    return (time.monotonic_ns() - running.start_ns) / 1e9


def _fields(text: str) -> dict[str, int]:
    """Name -> number, of lines such as 'VmHWM:  1234 kB'."""
    pairs = (re.match(r"(\w+):\s+(\d+)", line) for line in text.splitlines())
    return {pair[1]: int(pair[2]) for pair in pairs if pair is not None}


# ---- The session ---------------------------------------------------------------------------------


class Session:
    """One call of the verb."""

    def __init__(self, project: Project, live: Live, programs: Sequence[Program], seconds: int,
                 every_s: float = EVERY_S) -> None:
        self.project = project
        self.live = live
        self.programs = programs
        self.seconds = seconds
        self.every_s = every_s
        self.interrupted = False
        self.kept = (project.out or project.build) / TARGET

    def go(self) -> Path:
        """Runs all programs to their end, or until the user stops them. The file of the run."""
        path = store.new_run(self.project, TARGET, bench.fresh_seed())  # only for its name
        begun = bench.run_line(self.project, path.parent.name, TARGET, 0, {
            "seconds": self.seconds, "every_s": self.every_s,
            "programs": {one.name: one.repeat_line(self.seconds) for one in self.programs}})
        with bench.open_run(path, begun) as (kept, _):
            with self._started() as running:
                self._watch(running, path.parent.name, kept.append)
        if not self.interrupted:
            (path.parent / COMPLETE).touch()
        return path

    @contextmanager
    def _started(self) -> Iterator[list[Running]]:
        running: list[Running] = []
        try:
            for program in self.programs:
                running.append(Running(self.project, program, self.seconds, self.kept))
            yield running
        finally:
            for one in running:
                one.end()

    def _watch(self, running: Sequence[Running], run_id: str,
               keep: Callable[[dict[str, Any]], None]) -> None:
        start_s = next_s = time.monotonic()
        stored_s = start_s
        self.live.phase("soaking", "s", SAID_EVERY_S)
        waiting = list(running)
        try:
            while waiting:
                now_s = time.monotonic()
                for one in list(waiting):
                    one.sample()
                    if one.alive and now_s - start_s < self.seconds + GRACE_S:
                        continue
                    self._finish(one, run_id, keep)
                    waiting.remove(one)
                if now_s - stored_s >= STORED_EVERY_S:
                    stored_s = now_s
                    for one in waiting:
                        keep(one.line(run_id, {}, {}, {}))
                if waiting:
                    self._tick(now_s - start_s, waiting)
                next_s = max(next_s + self.every_s, time.monotonic())
                time.sleep(max(0.0, next_s - time.monotonic()) if waiting else 0.0)
        except KeyboardInterrupt:
            self.interrupted = True
            for one in waiting:
                one.end()
                keep(one.last_line(run_id, stopped=True))
            self.live.say("interrupted. What was measured is kept and judged")

    def _finish(self, one: Running, run_id: str, keep: Callable[[dict[str, Any]], None]) -> None:
        """Stores the end of a program; says so at once if it is a failure."""
        if one.alive:
            one.hung = True
            one.message = f"it hung and was killed, {GRACE_S:g} s after its time"
            one.process.kill()
        one.process.wait()
        keep(one.last_line(run_id, stopped=False))
        if one.message is None:
            return
        last = one.output.strip().splitlines()[-_TAIL:]
        self.live.say("\n".join([
            f"FAILED: {one.program.name}: {one.message}", *(f"    {line}" for line in last),
            f"  repeat it, in {self.project.root}:",
            f"    {one.program.repeat_line(self.seconds)}", f"  its output: {one.log}"]))

    def _tick(self, elapsed_s: float, waiting: Sequence[Running]) -> None:
        said = ", ".join(f"{one.program.name} {figure(one.timeline[-1][1], 'B')}"
                         for one in waiting if one.timeline)
        self.live.tick(min(int(elapsed_s), self.seconds), self.seconds, said)


# ---- What is written and shown -------------------------------------------------------------------


def write(project: Project, path: Path, soaked: Sequence[Soaked], titles: Mapping[str, str],
          live: Live) -> list[tuple[str, Path]]:
    """Figures, a copy of the run, and the chart, into results/latest/."""
    latest = project.latest
    begun = store.run_line(store.read(path), path)
    store.replace_json(latest / FIGURES, target.document(TARGET, begun, rows(soaked)))
    store.replace_copy(path, latest / RUN_COPY)
    drawn = charts.draw_plan(chart.plan(soaked, dict(titles)), latest / "plots",
                             templates=project.plots)
    places = [("run", path), ("figures", latest / FIGURES)]
    if drawn.skipped is None:
        return [*places, ("chart", drawn.png)]
    live.say(f"no chart: {drawn.skipped}")
    return places


def show(soaked: Sequence[Soaked], places: Sequence[tuple[str, Path]], console: Console) -> None:
    """The table of all programs, then what is not flat in words."""
    say, signs = speaker(console)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("program", "verdict"):  # at the left, where a narrow terminal cuts nothing
        table.add_column(title, no_wrap=True)
    for title in ("ran", "median RSS", "growth (95 %)", "peak RSS", "threads", "collections"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in soaked:
        counts = [one.most.get(metric) for metric in ("threads", "collections")]
        cells = [one.name, one.verdict, duration(one.t_s[-1]) if one.t_s else "–",
                 figure(one.trend.level_b, "B"), in_words(one),
                 figure(one.most.get("peak_rss_b"), "B"),
                 *("–" if count is None else f"{count:,.0f}" for count in counts)]
        table.add_row(*(cell.translate(signs) for cell in cells))
    with wide(console, TABLE_WIDTH):
        console.print(table, highlight=False)
    for one in soaked:
        if one.verdict != FLAT:
            say(f"{one.name}: {one.verdict}: {one.message or one.trend.reason or in_words(one)}",
                "red" if one.broken else "yellow")
    say_places(say, [(what, relative(path)) for what, path in places])


def exit_code(soaked: Sequence[Soaked], interrupted: bool) -> int:
    """BROKEN before INTERRUPTED before UNCLEAR."""
    if any(one.broken for one in soaked):
        return BROKEN
    if interrupted:
        return INTERRUPTED
    return OK if all(one.verdict == FLAT for one in soaked) else UNCLEAR


def run(project: Project, minutes: float, live: Live, console: Console) -> int:
    """All programs; exit_code()."""
    live.phase("building")
    session = Session(project, live, build_all(project), max(1, round(minutes * 60)))
    if session.seconds < 4 * WARM_UP_LEAST_S:
        live.say(f"{minutes:g} min: a leak that is large will be found, but flat is only"
                 " what hardly moves; MINUTES=60 tells more")
    path = session.go()
    soaked = judge(store.read(path))
    places = write(project, path, soaked, {one.name: one.title for one in session.programs}, live)
    show(soaked, places, console)
    return exit_code(soaked, session.interrupted)
