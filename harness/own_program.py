"""A user's own program as the subject of a comparison: compiled and linked anew for every arm, or a
command that is there already. What is measured is the whole process, seen from outside.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import elf, probes, samples
from harness.arms import Arm, optimised_at_link
from harness.build import digest, run_tool
from harness.fault import BuildFault, Fault, UsageFault
from harness.launch import Job, Launcher, Run
from harness.linker import WITH_LTO, WITHOUT_MOLD, Linker
from harness.plan import Spec
from harness.rig import NEVER, ByTurns, begin_on

VARIANT = ""
SECTION_FLAGS = ("-ffunction-sections", "-fdata-sections")
ENVIRONMENT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")  # and a TMPDIR for each run
FILE_LIMIT_B = 16 << 30  # of each file that it writes, its output among them
_NAMED = 5  # files that it has left behind
CALLGRIND_FACTOR = 60  # times as slow, at most, as a time-out is set


@dataclass(frozen=True)
class Source:
    """What the program is made of, and how it is run."""

    name: str
    sources: tuple[Path, ...]  # empty: the arms are commands
    args: tuple[str, ...]
    libs: tuple[str, ...]
    timeout_s: float


@dataclass
class OwnProgram:
    """The rig of such a program."""

    source: Source
    arms: Mapping[str, Arm]
    launcher: Launcher
    run_id: str
    scratch: Path
    mold: str | None = field(default_factory=lambda: shutil.which("ld.mold"))
    by_turns: ByTurns = NEVER

    def __post_init__(self) -> None:
        self.scratch.mkdir(parents=True, exist_ok=True)
        lto = optimised_at_link(self.arms.values())
        self._linker = Linker(lambda command: run_tool(command, Path.cwd(), linking=True),
                              self.source.libs, None if lto else self.mold)
        self._objects: dict[str, list[Path]] = {}
        self.messages: dict[str, str] = {}

    # ---- building ----

    def build(self) -> list[dict[str, Any]]:
        """Compiles for every arm; a line of kind cell each. What does not build is left out."""
        return [self._build(arm) for arm in self.arms.values()]

    def _build(self, arm: Arm) -> dict[str, Any]:
        line: dict[str, Any] = {
            "v": samples.VERSION, "kind": "cell", "run": self.run_id, "cell": arm.name,
            "compiler": arm.title, "version": None, "level": "", "flags": [], "sanitizer": None,
            "pitfall": self.source.name, "variant": VARIANT, "status": "ok", "message": None,
            "linking": False, "text_b": None, "data_b": None, "bss_b": None, "text_sha": None,
            "image_sha": None, "src_sha": None, "build_s": None,
        }
        try:
            if arm.cell is None:
                return line | _facts(Path(arm.command[0]), arm)
            line |= {"compiler": arm.cell.compiler, "version": arm.cell.version,
                     "level": arm.cell.level, "flags": [arm.cell.level, *arm.cell.extra]}
            self._objects[arm.name] = [self._compile(arm, source)
                                       for source in self.source.sources]
            path = self.scratch / f"canonical-{digest([arm.name])}"
            self._linker.link(arm.cell, self._objects[arm.name], 0, path)
            return line | _facts(path, arm) | {"src_sha": self._src_sha()}
        except BuildFault as fault:
            self.messages[arm.name] = str(fault)
            return line | {"status": "failed", "message": str(fault), "linking": fault.linking}

    def _compile(self, arm: Arm, source: Path) -> Path:
        assert arm.cell is not None
        path = self.scratch / f"{source.stem}-{digest([arm.name, str(source)])}.o"
        run_tool([arm.cell.command, *SECTION_FLAGS, arm.cell.level, *arm.cell.extra, "-c",
                  str(source), "-o", str(path)], Path.cwd())
        return path

    def _src_sha(self) -> str:
        return digest([path.read_bytes() for path in self.source.sources])[:16]

    @property
    def coarse(self) -> str | None:
        """Why layouts vary less than they could; None: they do not, or nothing is linked."""
        if all(arm.cell is None for arm in self.arms.values()):
            return None
        if optimised_at_link(self.arms.values()):
            return WITH_LTO
        return WITHOUT_MOLD if self.mold is None else None

    @property
    def built(self) -> list[str]:
        """The arms that can be run."""
        return [name for name in self.arms if name not in self.messages]

    # ---- running ----

    def link(self, spec: Spec, path: Path) -> None:
        """Links in the layout of a sample; a command is what it is."""
        cell = self.arms[spec.cell].cell
        if cell is not None:
            self._linker.link(cell, self._objects[spec.cell], spec.layout_seed, path)

    def take(self, spec: Spec, path: Path) -> dict[str, Any]:
        """Runs the program once."""
        job = self._job(spec, path)
        if spec.role == "instr":
            return self._instructions(spec, job)
        line = self._line(spec, job, self.launcher.run(job))
        self.by_turns.learn(line)
        return line

    def together(self, spec: Spec) -> Hashable | None:
        """The round, if the arms run by turns."""
        return self.by_turns.together(spec)

    def take_together(self, programs: Sequence[tuple[Spec, Path]]) -> list[dict[str, Any]]:
        """Runs the arms by turns."""
        jobs = [self._job(spec, path) for spec, path in programs]
        runs = self.launcher.run_by_turns(jobs, begin_on(programs[0][0]))
        return [self._line(spec, job, run) for (spec, _), job, run in zip(programs, jobs, runs)]

    def _job(self, spec: Spec, path: Path) -> Job:
        arm = self.arms[spec.cell]
        program = path if arm.cell is not None else Path(arm.command[0])
        return Job(program, (*arm.command[1:], *self.source.args), timeout_s=self.source.timeout_s,
                   env_pad_b=spec.env_pad_b, env=(*_environment(), *arm.env), record=False,
                   file_limit_b=FILE_LIMIT_B, own_tmpdir=True)

    def _line(self, spec: Spec, job: Job, run: Run) -> dict[str, Any]:
        return samples.sample_line(self.run_id, spec, job.args, run, _metrics(run))

    def _instructions(self, spec: Spec, job: Job) -> dict[str, Any]:
        valgrind = shutil.which("valgrind")
        nothing = Run(0, None, False, False, None, 0.0, 0.0, 0.0, None, None, "", "")
        if valgrind is None:
            reason = "valgrind is not installed: apt-get install valgrind"
            return samples.sample_line(self.run_id, spec, job.args, nothing,
                                       reasons={"instructions": reason})
        run = self.launcher.run(Job(
            job.program, job.args, timeout_s=CALLGRIND_FACTOR * job.timeout_s,
            env=job.env, record=False, no_aslr=True, file_limit_b=FILE_LIMIT_B, own_tmpdir=True,
            wrapper=(valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null")))
        found = re.search(r"Collected\s*:\s*(\d+)", run.stderr)
        refused = None if run.ok else probes.valgrind_refuses(run.stderr)
        if run.ok and (found is None or int(found[1]) == 0):
            refused = "callgrind counted nothing"
        if refused is not None:
            return samples.sample_line(self.run_id, spec, job.args, nothing,
                                       reasons={"instructions": refused})
        count = {} if found is None else {"instructions": int(found[1])}
        return samples.sample_line(self.run_id, spec, job.args, run, count)


def read(name: str, sources: Sequence[str], args: Sequence[str], libs: Sequence[str],
         timeout_s: float) -> Source:
    """Checks that the sources are there."""
    paths = []
    for text in sources:
        path = Path(text).expanduser()
        if path.is_dir():
            raise UsageFault(f"SRC: {text}: a folder; SRC names the C files: {text}/main.c")
        if not path.is_file():
            raise UsageFault(f"SRC: {text}: no such file")
        paths.append(path.resolve())
    return Source(name, tuple(paths), tuple(args), tuple(libs), timeout_s)


def files_here() -> set[str]:
    """What lies in the folder where the program runs, which is that of the harness."""
    try:
        return set(os.listdir())
    except OSError:
        return set()


def left_behind(name: str, before: set[str]) -> str | None:
    """What to say of files that a program has left in its folder; None: there are none."""
    new = sorted(files_here() - before)
    if not new:
        return None
    more = f" and {len(new) - _NAMED} more" if len(new) > _NAMED else ""
    return (f"since {name} was first run there are new files in {Path.cwd()}:"
            f" {', '.join(new[:_NAMED])}{more}. They stay; what it writes to $TMPDIR is removed"
            " after each run")


def _environment() -> tuple[tuple[str, str], ...]:
    """What most programs cannot do without; the rest is cleared, as it moves the stack."""
    return tuple((key, os.environ[key]) for key in ENVIRONMENT if key in os.environ)


def _metrics(run: Run) -> dict[str, float]:
    """wall_s, cpu_s, and what it printed, as a number: arms that print other things do other
    work."""
    output = int.from_bytes(hashlib.sha256(run.stdout.encode()).digest()[:6], "little")
    memory = {} if run.rss_b is None else {"launcher_rss_b": run.rss_b}
    return {"wall_s": run.wall_s, "cpu_s": run.user_s + run.sys_s, "user_s": run.user_s,
            "sys_s": run.sys_s, "output_id": output, **memory}


def _facts(path: Path, arm: Arm) -> dict[str, Any]:
    """Sizes and hashes of a program. The allocator under it is part of what it is, and of a command
    its place, too: it may load what lies beside it."""
    try:
        found = elf.sizes(path)
        image = elf.image_sha(path)
    except Fault:  # a script
        return {"image_sha": digest([path.read_bytes(), *arm.command, str(arm.env)])[:16]}
    except OSError as error:
        raise BuildFault(f"{path}: {error.strerror}") from error
    return {"text_b": found.text_b, "data_b": found.data_b, "bss_b": found.bss_b,
            "image_sha": digest([image, *arm.command, str(arm.env)])[:16]}
