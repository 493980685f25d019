"""results/RUNID/run.jsonl: append-only JSON lines, safe against a kill and a full disk.

Each line is written whole and synchronised before the next sample starts. A line cut in the middle
(the machine died) is taken off when the run is gone on with, and passed over when it is read.
results/latest/ is a plain directory; files there are replaced one by one, atomically.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import chain, count
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.fault import FULL_DISK, MAKE_ROOM, Fault, UsageFault
from harness.project import Project
from harness.shapes import Shapes

RUN_FILE = "run.jsonl"
JUDGED_AGAIN = ("compare", "peers")  # targets whose verb takes --run
STAMP = len("20260102-030405")  # what a run id begins with
SYNC_EVERY_S = 1.0


def new_run_id(target: str, now: datetime, seed: int) -> str:
    """20260102-030405-bench-1a2b: sorts by time."""
    return f"{now:%Y%m%d-%H%M%S}-{target}-{seed & 0xFFFF:04x}"


def new_run(project: Project, target: str, seed: int) -> Path:
    """The file of a run that is about to begin, in a folder that is not there yet. Its run id is
    the folder's name."""
    run_id = new_run_id(target, _after_all(project, datetime.now()), seed)
    for name in chain([run_id], (f"{run_id}-{number}" for number in count(2))):
        folder = project.results / name
        if not folder.exists():
            break
    return folder / RUN_FILE


def _after_all(project: Project, now: datetime) -> datetime:
    """Now, or a second after the newest run if the clock has been set back since: runs go by their
    names, and what RESUME goes on with is the newest. (Durations are of clocks that cannot be set.)
    """
    for folder in reversed(runs(project)):
        try:
            newest = datetime.strptime(folder.name[:STAMP], "%Y%m%d-%H%M%S")
        except ValueError:
            continue  # a folder of somebody's own
        return now if now >= newest else newest + timedelta(seconds=1)
    return now


class Store:
    """One run's file, open for appending."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            trim_partial_line(path)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise Fault(f"{path}: cannot be written: {error.strerror}. OUT=dir stores the results"
                        " elsewhere") from error
        self._synced = time.monotonic()

    def append(self, line: dict[str, Any]) -> None:
        """Stores one line, or takes back what there was of it and raises."""
        data = (json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n").encode()
        before = self._size()
        try:
            _write_all(self._file, data)
            now = time.monotonic()
            if now - self._synced >= SYNC_EVERY_S:
                os.fdatasync(self._file)
                self._synced = now
        except OSError as error:
            self._take_back(before)
            raise _explain(error, self.path) from error

    def _size(self) -> int:
        return os.fstat(self._file).st_size

    def _take_back(self, size: int) -> None:
        try:
            os.ftruncate(self._file, size)
        except OSError:
            pass  # a cut line is passed over by readers

    def close(self) -> None:
        """Synchronises and closes."""
        try:
            os.fdatasync(self._file)
        except OSError:
            pass  # not a file that can be synchronised
        os.close(self._file)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view):]


def _explain(error: OSError, path: Path) -> Fault:
    if error.errno in (*FULL_DISK, errno.EFBIG):
        return Fault(f"{path}: the disk is full. {MAKE_ROOM}")
    return Fault(f"{path}: cannot be written: {error.strerror}. What was stored is kept; RESUME=1"
                 " goes on from there")


def trim_partial_line(path: Path) -> None:
    """Takes off what follows the last newline."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(whole)


def read(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a run; a cut last line is passed over, any other is a Fault."""
    try:
        raw = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise Fault(f"{path}: no such run; make bench measures one") from error
    result: list[dict[str, Any]] = []
    shapes = Shapes()
    for number, text in enumerate(raw, 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            if number == len(raw):
                continue
            raise Fault(f"{path}:{number}: not JSON: {error}. Delete this line to use the rest") \
                from error
        problem = shapes.problem(line)
        if problem is not None:
            raise Fault(f"{path}:{number}: {problem}")
        result.append(line)
    return result


def runs(project: Project) -> list[Path]:
    """The stored runs, oldest first."""
    if not project.results.is_dir():
        return []
    return sorted(p.parent for p in project.results.glob(f"*/{RUN_FILE}")
                  if p.parent.name != "latest")


def target_of(path: Path) -> str | None:
    """Of which target a stored run is, by its first line; None if that does not tell."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            line = json.loads(file.readline())
        found = line["target"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def runs_of(project: Project, target: str) -> list[Path]:
    """The stored runs of a target, oldest first."""
    return [folder for folder in runs(project) if target_of(folder / RUN_FILE) == target]


def of_another(run: str, kind: str | None, target: str) -> UsageFault:
    """What to say of a run that is not one of `target`."""
    hint = f": python3 -m harness {kind} --run {run} judges it" if kind in JUDGED_AGAIN else ""
    return UsageFault(f"{run} is a run of make {kind}, not of make {target}{hint}")


def find(project: Project, run: str | None, target: str = "bench") -> Path:
    """The file of a target's run by its id or folder; of bench the latest if none is named. A run
    of another target is a UsageFault."""
    if run is None:
        path = project.latest / RUN_FILE
        if path.is_file():
            return path
        begun = runs_of(project, target)
        if begun:
            raise Fault(f"{path}: no finished run is here. {begun[-1].name} was begun:"
                        f" RUN={begun[-1].name} takes what there is of it, and make {target}"
                        " RESUME=1 goes on with it")
        raise Fault(f"{path}: nothing has been measured; make {target} does it")
    for found in (project.results / run / RUN_FILE, Path(run) / RUN_FILE, Path(run)):
        if found.is_file():
            kind = target_of(found)
            if kind not in (None, target):
                raise of_another(run, kind, target)
            return found
    known = ", ".join(p.name for p in runs_of(project, target)[-5:]) or "none"
    raise UsageFault(f"no run '{run}' of make {target} in {project.results} (there are: {known})")


def run_line(lines: Sequence[dict[str, Any]], path: Path) -> dict[str, Any]:
    """The line that says what the run is."""
    for line in lines:
        if line["kind"] == "run":
            return line
    raise Fault(f"{path}: has no line of kind run")


def samples(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sample lines, the latest of each name."""
    latest: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line["kind"] == "sample":
            latest[line["sample"]] = line
    return list(latest.values())


def replace_file(path: Path, data: str | bytes) -> None:
    """Writes a file under another name, then renames it."""
    raw = data.encode() if isinstance(data, str) else data
    _replace(path, lambda temporary: temporary.write_bytes(raw))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise Fault(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """A folder that is there and can be written to, before work begins whose results go there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise Fault(f"{path}: cannot be written: {error.strerror}. OUT=dir stores the results"
                    " elsewhere") from error


def replace_json(path: Path, value: object) -> None:
    """The same, for JSON that a person may look at."""
    replace_file(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def replace_copy(source: Path, path: Path) -> None:
    """Copies a file over another atomically."""
    _replace(path, lambda temporary: shutil.copyfile(source, temporary))
