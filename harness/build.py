"""Builds programs for cells. Objects are kept by content, so nothing is compiled twice.

An object's name in compile-matrix/build/objects/ is the hash of everything that decides it: the
compiler's version, the flags, the source, and all headers it might include. It is written under
another name and renamed, so that a killed build leaves no half object. The flags are those of
compile-matrix/cell.mk, which builds the same programs by hand.

A program is linked straight from its objects, anew for every sample; see linker.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness import elf
from harness.catalog import Pitfall, Variant
from harness.fault import FULL_DISK, MAKE_ROOM, BuildFault, Fault
from harness.linker import Linker
from harness.matrix import Cell
from harness.project import Project

COMPILE_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Settings:
    """What cell.mk says."""

    cflags: tuple[str, ...]
    includes: tuple[str, ...]
    libs: tuple[str, ...]
    sources: tuple[str, ...]  # relative to allocator/
    driver: tuple[str, ...]  # relative to the root


@dataclass(frozen=True)
class Program:
    """One variant in one cell: its objects, and what its canonical link looks like."""

    pitfall: str
    variant: str
    cell: Cell
    objects: tuple[Path, ...]
    sizes: elf.Sizes
    text_sha: str  # of the code of its own object
    image_sha: str  # of all that it loads, allocator and driver too
    workload_sha: str  # of its sources without the allocator: what it asks for
    src_sha: str
    build_s: float


@dataclass(frozen=True)
class Failed:
    """A program that could not be built, with the tool's own words."""

    pitfall: str
    variant: str
    cell: Cell
    message: str
    linking: bool


def read_settings(project: Project) -> Settings:
    """Asks cell.mk for its flags and for the lists of sources."""
    command = ["make", "-s", "--no-print-directory", "-f", str(project.cell_mk),
               f"ROOT={project.root}", "settings"]
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    except FileNotFoundError as error:
        raise Fault("make is not installed: apt-get install make") from error
    if done.returncode != 0:
        raise Fault(f"{project.cell_mk}: {done.stderr.strip()}")
    lines = dict(
        (line.split(" ", 1) + [""])[:2] for line in done.stdout.splitlines() if line.strip()
    )
    try:
        return Settings(*(tuple(lines[key].split())
                          for key in ("cflags", "includes", "libs", "sources", "driver")))
    except KeyError as error:
        raise Fault(f"{project.cell_mk}: `make settings` prints no line '{error.args[0]}'") \
            from error


Part = str | bytes


def digest(parts: Iterable[Part]) -> str:
    """A short hash of parts, each with its length so that they cannot run together."""
    result = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        result.update(len(data).to_bytes(8, "little") + data)
    return result.hexdigest()[:24]


def headers_sha(folder: Path, root: Path, pattern: str = "**/*") -> str:
    """A hash over every header (and included table) below a folder."""
    files = sorted(
        p for p in folder.glob(pattern) if p.suffix in (".h", ".inc", ".def") and p.is_file()
    )
    parts: list[Part] = []
    for path in files:
        parts += [str(path.relative_to(root)), path.read_bytes()]
    return digest(parts)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` when all went well: nobody sees half of a file."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def run_tool(command: Sequence[str], folder: Path, *, linking: bool = False) -> str:
    """Runs a compiler or linker in a folder; what it printed. BuildFault with its own
    words; Fault if the disk is full, which says nothing of the program."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace",
            timeout=COMPILE_TIMEOUT_S, stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise BuildFault(f"{command[0]}: not found", linking=linking) from error
    except subprocess.TimeoutExpired as error:
        message = f"{command[0]} took longer than {COMPILE_TIMEOUT_S:.0f} s"
        raise BuildFault(message, linking=linking) from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        if any(os.strerror(number) in words for number in FULL_DISK):
            raise Fault(f"{words}\n{MAKE_ROOM}")
        raise BuildFault(words, linking=linking)
    return done.stdout + done.stderr


class Builder:
    """Compiles and links for one checkout. Safe to use from several threads."""

    def __init__(self, project: Project, jobs: int | None = None) -> None:
        self.project = project
        self.settings = read_settings(project)
        self.objects = project.build / "objects"
        self.objects.mkdir(parents=True, exist_ok=True)
        self.pool = ThreadPoolExecutor(max_workers=jobs or os.cpu_count() or 1)
        self._pending: dict[Path, Future[Path]] = {}
        self._headers: dict[Path, str] = {}
        self.linker = Linker(self._run_linker, self.settings.libs, shutil.which("ld.mold"))

    def close(self) -> None:
        """Lets running compilers finish and starts no more."""
        self.pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- objects -----------------------------------------------------------------------------

    def compile(self, source: Path, cell: Cell, flags: Sequence[str],
                header_folders: Sequence[tuple[Path, str]]) -> Future[Path]:
        """The object of one source; compiled in the pool unless it is there."""
        relative = str(source.relative_to(self.project.root))
        headers = [self._headers_of(folder, pattern) for folder, pattern in header_folders]
        key = digest([cell.version, cell.level, *cell.extra, *flags, relative, source.read_bytes(),
                      *headers])
        name = relative.replace("/", "_").rsplit(".", 1)[0]
        return self._submit(cell, flags, relative, self.objects / key[:2] / f"{name}-{key}.o")

    def compile_heap(self, cell: Cell) -> list[Future[Path]]:
        """The objects of the allocator. Its C files are compiled as one unit, which takes a quarter
        of the time; cell.mk does the same."""
        folder = self.project.allocator
        parts = [name for name in self.settings.sources if name.endswith(".c")]
        others = [name for name in self.settings.sources if not name.endswith(".c")]
        headers = self._headers_of(folder, "**/*")
        text = "".join(f'#include "{name}"\n' for name in parts)
        key = digest([cell.version, cell.level, *cell.extra, text, headers,
                      *((folder / name).read_bytes() for name in parts)])
        path = self.objects / key[:2] / f"spanheap-{key}.o"
        unit = self.project.build / "units" / f"{digest([text])}.c"
        if not unit.exists():
            with written_whole(unit) as temporary:
                temporary.write_text(text, encoding="ascii")
        return [self._submit(cell, [], str(unit.relative_to(self.project.root)), path),
                *(self.compile(folder / name, cell, [], [(folder, "**/*")]) for name in others)]

    def _submit(self, cell: Cell, flags: Sequence[str], relative: str,
                path: Path) -> Future[Path]:
        future = self._pending.get(path)
        if future is None:
            arguments = [cell.command, *self.settings.cflags, *self.settings.includes, *flags,
                         cell.level, *cell.extra]
            future = self.pool.submit(self._compile_now, arguments, relative, path)
            self._pending[path] = future
        return future

    def _headers_of(self, folder: Path, pattern: str) -> str:
        key = folder / pattern
        if key not in self._headers:
            self._headers[key] = headers_sha(folder, self.project.root, pattern)
        return self._headers[key]

    def _compile_now(self, arguments: list[str], relative: str, path: Path) -> Path:
        if path.exists():
            return path
        prefix = f"-ffile-prefix-map={self.project.root}=."
        with written_whole(path) as temporary:
            self._run([*arguments, prefix, "-c", relative, "-o", str(temporary)])
        return path

    def _to_link(self, cell: Cell, objects: Sequence[Path]) -> Sequence[Path]:
        """A program's objects as they are linked fastest: its own, and all others as one without
        debug information, made once, in which each section still stands by itself and can be moved.
        (Told to leave debug information out, mold 1.10 would drop the names of functions as well.)
        The objects themselves for a sanitizer, without mold, which moves whole objects, and where
        ld does not understand them."""
        own, others = objects[0], objects[1:]
        if self.linker.mold is None or cell.sanitizer is not None or not others:
            return objects
        name = digest(str(path) for path in others)
        path = self.objects / name[:2] / f"others-{name}.o"
        if not path.exists():
            try:
                with written_whole(path) as temporary:
                    self._run(["ld", "-r", "--unique", "--strip-debug", "-o", str(temporary),
                               *map(str, others)])
            except BuildFault:
                return objects
        return (own, path)

    def _run(self, command: Sequence[str], *, linking: bool = False) -> str:
        return run_tool(command, self.project.root, linking=linking)

    # ---- programs ----------------------------------------------------------------------------

    def _object_futures(self, pitfall: Pitfall, variant: Variant,
                        cell: Cell) -> tuple[Future[Path], list[Future[Path]]]:
        """The variant's own object, and those of the driver and the allocator."""
        project = self.project
        allocator = (project.allocator, "**/*")
        pitfalls = (project.pitfalls, "*")
        folder = str(pitfall.folder.relative_to(project.root))
        own = self.compile(
            variant.source, cell,
            [f"-I{folder}", f'-DPITFALL_VARIANT="{variant.id}"'],
            [allocator, pitfalls, (pitfall.folder, "**/*")],
        )
        # The sanitizers judge the program; what lies under it is what is measured.
        plain = cell if cell.sanitizer is None else Cell(
            cell.base, cell.compiler, cell.command, cell.version, cell.level)
        driver = [self.compile(project.root / path, plain, [], [allocator, pitfalls])
                  for path in self.settings.driver]
        return own, driver + self.compile_heap(plain)

    def program(self, pitfall: Pitfall, variant: Variant, cell: Cell) -> Program | Failed:
        """Builds one program and links it once, unshuffled."""
        started = time.monotonic()
        try:
            own, others = self._object_futures(pitfall, variant, cell)
            objects = (own.result(), *[future.result() for future in others])
            with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                path = Path(folder) / "program"
                self.linker.link(cell, self._to_link(cell, objects), 0, path)
                found, image = elf.sizes(path), elf.image_sha(path)
            return Program(
                pitfall=pitfall.id, variant=variant.id, cell=cell, objects=objects, sizes=found,
                text_sha=elf.code_sha(objects[0]), image_sha=image,
                workload_sha=self.workload_sha(pitfall, variant),
                src_sha=self.src_sha(pitfall, variant),
                build_s=round(time.monotonic() - started, 3),
            )
        except BuildFault as fault:
            return Failed(pitfall.id, variant.id, cell, str(fault), fault.linking)
        except FileNotFoundError as error:
            message = f"{error.filename}: no such file"
            return Failed(pitfall.id, variant.id, cell, message, False)

    def programs(self, wanted: Sequence[tuple[Pitfall, Variant, Cell]],
                 tick: Callable[[int, int, str], None] = lambda done, total, what: None,
                 ) -> list[Program | Failed]:
        """Builds many, each processor one. All compilations are queued first."""
        for index, (pitfall, variant, cell) in enumerate(wanted):
            try:
                self._object_futures(pitfall, variant, cell)
            except FileNotFoundError:
                pass  # program() reports it
        result: list[Program | Failed] = []
        links = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        try:
            futures = [links.submit(self.program, *what) for what in wanted]
            for (pitfall, variant, cell), future in zip(wanted, futures):
                tick(len(result), len(wanted), f"{pitfall.id}.{variant.id} {cell.name}")
                result.append(future.result())
        finally:
            links.shutdown(wait=True, cancel_futures=True)
        return result

    def src_sha(self, pitfall: Pitfall, variant: Variant) -> str:
        """A hash of every source of the program: variant, driver, allocator, headers."""
        root = self.project.root
        sources = [variant.source, *(root / path for path in self.settings.driver),
                   *(self.project.allocator / path for path in self.settings.sources)]
        return digest([
            *(path.read_bytes() for path in sources),
            self._headers_of(self.project.allocator, "**/*"),
            self._headers_of(self.project.pitfalls, "*"),
            self._headers_of(pitfall.folder, "**/*"),
        ])[:16]

    def workload_sha(self, pitfall: Pitfall, variant: Variant) -> str:
        """A hash of what the program does with an allocator, whichever it is."""
        root = self.project.root
        sources = [variant.source, *(root / path for path in self.settings.driver)]
        return digest([
            *(path.read_bytes() for path in sources),
            self._headers_of(self.project.pitfalls, "*"),
            self._headers_of(pitfall.folder, "**/*"),
        ])[:16]

    # ---- links -------------------------------------------------------------------------------

    @cached_property
    def scratch(self) -> Path:
        """A folder for programs that are run once."""
        path = self.project.build / "scratch"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def link(self, program: Program, layout_seed: int, path: Path, *, debug: bool = False) -> None:
        """Links a program in the layout of a seed (0: as the objects come)."""
        objects = program.objects if debug else self._to_link(program.cell, program.objects)
        self.linker.link(program.cell, objects, layout_seed, path)

    def _run_linker(self, command: Sequence[str]) -> str:
        return self._run(command, linking=True)
