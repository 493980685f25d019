"""`stress`: the allocator's stress program over a table of configurations, for some minutes.

Each configuration has an equal share of the time, in several runs: each has a seed of its own,
drawn from the seed of the session, and begins collections at another rate. Threads race, so a run
is not a function of its seed: a failure may need more than one repetition.
"""

from __future__ import annotations

import math
import random
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness import ctests, oom
from harness.progress import say_plain
from harness.project import Project

PROGRAM = "stress.c"
BROKEN = 1  # exit status: a run failed
MAX_RUN_S = 60  # longer shares are cut into more runs, for the sake of more seeds
GRACE_S = 120  # after its seconds a run only has to finish
EVERY = (5, 30, 200)  # allocations of a thread between two collections
COLLECTORS: Mapping[str, Mapping[str, str]] = {
    "deletion": {"SH_MODE": "concurrent", "SH_BARRIER": "deletion"},
    "insertion": {"SH_MODE": "concurrent", "SH_BARRIER": "insertion"},
    "stw": {"SH_MODE": "stw"},
}
_DONE = re.compile(r"^rounds (\d+) collections (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    """What is added to a collector's mode to make errors likelier, or other ones likely."""

    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


SETTINGS: Mapping[str, Setting] = {
    "plain": Setting(),
    "verify": Setting({"SH_VERIFY": "1"}),
    "delay": Setting({"SH_STRESS_DELAY": "100", "SH_STRESS_BUFFERS": "1",
                       "SH_STRESS_SHARDS": "7"}),
    "fork": Setting(arguments=("--fork",)),
    "no-workers": Setting({"SH_WORKERS": "0"}),
    "gogc-10": Setting({"SH_GOGC": "10"}),
}


@dataclass(frozen=True)
class Configuration:
    """One line of the table; mode is a mode of ctests."""

    collector: str
    setting: str
    mode: str = "native"

    @property
    def name(self) -> str:
        return f"{self.collector} {self.setting} {self.mode}"

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the library. Dead objects are always overwritten."""
        return {"SH_CLOBBER": "1", **COLLECTORS[self.collector],
                **SETTINGS[self.setting].environment}

    @property
    def arguments(self) -> tuple[str, ...]:
        return SETTINGS[self.setting].arguments


TABLE = (
    *(Configuration(collector, setting) for setting in SETTINGS for collector in COLLECTORS),
    Configuration("deletion", "plain", "asan"), Configuration("deletion", "verify", "asan"),
    Configuration("insertion", "delay", "asan"), Configuration("stw", "fork", "asan"),
)


@dataclass(frozen=True)
class Run:
    """What one process came to."""

    code: int | None  # None: it hung and was killed
    output: str
    repeat: str  # a line for the shell
    out_of_memory: bool = False  # the kernel killed it for want of memory

    @property
    def good(self) -> bool:
        return self.code == 0

    @property
    def ending(self) -> str:
        if self.out_of_memory:
            return oom.in_words()
        return "it hung and was killed" if self.code is None else f"exit status {self.code}"


def run_program(project: Project, program: Path, settings: Mapping[str, str],
                arguments: Iterable[str], timeout_s: float) -> Run:
    """Runs a program of allocator/tests/ in an environment without other settings."""
    command = [str(program), *arguments]
    shown = [f"{name}={value}" for name, value in {**ctests.ENVIRONMENT, **settings}.items()]
    repeat = shlex.join(["env", *shown, *command])
    killed = oom.kills()
    try:
        done = subprocess.run(
            command, cwd=project.root, env={**ctests.environment(), **settings},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        return Run(None, text, repeat)
    return Run(done.returncode, done.stdout, repeat,
               done.returncode == -signal.SIGKILL and oom.kills() > killed)


@dataclass
class Tally:
    """What a configuration came to so far."""

    runs: int = 0
    rounds: int = 0
    collections: int = 0
    failed: int = 0

    def add(self, run: Run) -> None:
        self.runs += 1
        self.failed += not run.good
        done = _DONE.search(run.output)
        if done is not None:
            self.rounds += int(done[1])
            self.collections += int(done[2])

    @property
    def result(self) -> str:
        if self.runs == 0:
            return "not run"
        return f"{self.failed} failed" if self.failed else "ok"


Build = Callable[[str], Path]  # a mode -> the program


class Session:
    """One call of the verb."""

    def __init__(self, project: Project, console: Console, build: Build,
                 table: Sequence[Configuration] = TABLE) -> None:
        self.project = project
        self.console = console
        self.table = table
        self.tallies = {configuration: Tally() for configuration in table}
        self.programs = {mode: build(mode) for mode in {c.mode for c in table}}
        self.kept = (project.out or project.build) / "stress"

    @property
    def failed(self) -> bool:
        return any(tally.failed for tally in self.tallies.values())

    def go(self, minutes: float, seed: int) -> None:
        """Runs all configurations in turn until the time is over, each once at least."""
        total_s = minutes * 60
        passes = len(EVERY) * math.ceil(total_s / (len(self.table) * len(EVERY) * MAX_RUN_S))
        share_s = total_s / (passes * len(self.table))
        seeds = random.Random(seed)
        start = time.monotonic()
        for number in range(passes * len(self.table)):
            elapsed_s = time.monotonic() - start
            turn, place = divmod(number, len(self.table))
            if turn > 0 and elapsed_s >= total_s:
                return
            every = EVERY[(turn + place) % len(EVERY)]
            # Whole seconds: a run makes up for what the ones before it took more or less.
            seconds = max(1, round(share_s * (number + 1) - elapsed_s))
            self.run(self.table[place], seeds.getrandbits(32), every, seconds)

    def run(self, configuration: Configuration, seed: int, every: int, seconds: int) -> None:
        """One run; says how to repeat it if it fails."""
        arguments = [f"--seed={seed}", f"--every={every}", f"--seconds={seconds}",
                     *configuration.arguments]
        self.say(f"{configuration.name:26} {' '.join(arguments)}")
        program = self.programs[configuration.mode]
        run = run_program(self.project, program.relative_to(self.project.root),
                          configuration.environment, arguments, seconds + GRACE_S)
        self.tallies[configuration].add(run)
        if run.good:
            return
        self.kept.mkdir(parents=True, exist_ok=True)
        path = self.kept / f"{configuration.name.replace(' ', '-')}-{seed}.txt"
        path.write_text(f"{run.repeat}\n{run.ending}\n\n{run.output}", encoding="utf-8")
        last = run.output.strip().splitlines()[-3:]
        self.say(f"FAILED: {run.ending}", *(f"    {line}" for line in last),
                 f"  repeat it, in {self.project.root}:", f"    {run.repeat}",
                 f"  its output: {path}")

    def say(self, *lines: str) -> None:
        """Plain lines, as long as they are."""
        say_plain(self.console, *lines)

    def show(self) -> None:
        """The table of all configurations."""
        shown = Table("configuration")
        for title in ("runs", "rounds", "collections"):
            shown.add_column(title, justify="right")
        shown.add_column("result")
        for configuration, tally in self.tallies.items():
            shown.add_row(configuration.name, str(tally.runs), f"{tally.rounds:,}",
                          f"{tally.collections:,}", tally.result)
        self.console.print(shown, highlight=False)


def run(project: Project, minutes: float, seed: int, console: Console) -> int:
    """All of TABLE; BROKEN if a run failed. An interrupt shows the table so far, and goes on up."""
    runner = ctests.Runner(project)
    program = ctests.describe(project.allocator / "tests" / PROGRAM)
    try:
        session = Session(project, console, lambda mode: runner.build(program, mode))
    finally:
        runner.close()
    session.say(f"seed {seed}, {minutes:g} minutes")
    try:
        session.go(minutes, seed)
    finally:
        session.show()
    return BROKEN if session.failed else 0
