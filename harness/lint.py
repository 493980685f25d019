"""`lint`: clang-format and clang-tidy on all C, gofmt on all Go, mypy --strict on all Python, and
the lengths of files and lines.

A tool that is missing is skipped with a line that says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness.build import Part, Settings, digest, headers_sha, read_settings
from harness.fault import FAILED, OK
from harness.project import Project

C_FOLDERS = ("allocator", "pitfalls", "harness")
TOO_LONG = {".py": 500, ".c": 600, ".h": 600, ".cc": 600, ".S": 600, ".go": 600}  # lines
WIDEST = {".py": 100}  # columns; clang-format keeps those of C
_SHOWN = 60


@dataclass(frozen=True)
class Result:
    """What a check came to: skipped says why, else ok tells."""

    name: str
    ok: bool
    output: str = ""
    skipped: str | None = None


def c_files(project: Project) -> list[Path]:
    """All C sources and headers of the project."""
    return sorted(
        path for folder in C_FOLDERS for path in (project.root / folder).rglob("*.[ch]")
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-3:])
    )


def _call(command: Sequence[str], root: Path) -> tuple[bool, str]:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace",
                          stdin=subprocess.DEVNULL)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def clang_format(project: Project) -> Result:
    """Every C file as .clang-format lays it out."""
    if shutil.which("clang-format") is None:
        return Result("clang-format", True, skipped="not installed: apt-get install clang-format")
    files = [str(path) for path in c_files(project)]
    ok, output = _call(["clang-format", "--dry-run", "-Werror", *files], project.root)
    return Result("clang-format", ok, output)


def clang_tidy(project: Project) -> Result:
    """The checks of .clang-tidy on every source; files that passed are remembered by content."""
    if shutil.which("clang-tidy") is None:
        return Result("clang-tidy", True, skipped="not installed: apt-get install clang-tidy")
    settings = read_settings(project)
    common: list[Part] = [(project.root / ".clang-tidy").read_bytes(),
              *(headers_sha(project.root / folder, project.root) for folder in C_FOLDERS)]
    passed = project.build / "tidy"
    passed.mkdir(parents=True, exist_ok=True)

    def check(path: Path) -> str:
        mark = passed / digest([*common, str(path), path.read_bytes()])
        if mark.exists():
            return ""
        ok, output = _call(tidy_command(project, settings, path), project.root)
        if ok:
            mark.touch()
            return ""
        return output

    sources = [path for path in c_files(project) if path.suffix == ".c"]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        problems = [text for text in pool.map(check, sources) if text]
    return Result("clang-tidy", not problems, "\n".join(problems))


def tidy_command(project: Project, settings: Settings, path: Path) -> list[str]:
    """clang-tidy with the flags that compile the file."""
    relative = path.relative_to(project.root)
    own = [f"-I{relative.parent}"] if relative.parts[0] == "pitfalls" else []
    return ["clang-tidy", "--quiet", str(relative), "--", *settings.cflags, *settings.includes,
            *own]


def gofmt(project: Project) -> Result:
    """Every Go file as gofmt lays it out."""
    if shutil.which("gofmt") is None:
        return Result("gofmt", True, skipped="not installed: apt-get install golang-go")
    files = sorted(
        str(path) for folder in C_FOLDERS for path in (project.root / folder).rglob("*.go")
        if path.is_file())
    if not files:
        return Result("gofmt", True)
    ok, output = _call(["gofmt", "-d", *files], project.root)
    return Result("gofmt", ok and not output, output)


def mypy(project: Project) -> Result:
    """mypy --strict, as pyproject.toml sets it up."""
    ok, output = _call([sys.executable, "-m", "mypy", "--version"], project.root)
    if not ok:
        return Result("mypy", True, skipped="not installed: apt-get install mypy")
    ok, output = _call([sys.executable, "-m", "mypy"], project.root)
    return Result("mypy", ok, output)


def lengths(project: Project) -> Result:
    """Files short enough to be read at one go, and lines that fit a screen."""
    wrong = []
    for path in sorted(p for folder in C_FOLDERS for p in (project.root / folder).rglob("*.*")):
        name = path.relative_to(project.root)
        if path.suffix not in TOO_LONG or "build" in name.parts or not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) >= TOO_LONG[path.suffix]:
            wrong.append(f"{name} has {len(lines)} lines: {TOO_LONG[path.suffix]} are too many")
        widest = WIDEST.get(path.suffix)
        wrong += [f"{name}:{number} is {len(line)} wide: at most {widest}"
                  for number, line in enumerate(lines, 1)
                  if widest is not None and len(line) > widest]
    return Result("lengths", not wrong, "\n".join(wrong))


CHECKS = (clang_format, clang_tidy, gofmt, mypy, lengths)


def run(project: Project, console: Console) -> int:
    """All of them; silent on success."""
    code = OK
    for check in CHECKS:
        result = check(project)
        if result.skipped:
            console.print(f"{result.name}: skipped: {result.skipped}", highlight=False)
        elif not result.ok:
            code = FAILED
            lines = result.output.splitlines()
            print("\n".join(lines[:_SHOWN]))
            if len(lines) > _SHOWN:
                print(f"… and {len(lines) - _SHOWN} lines more")
            print(f"{result.name}: failed")
    return code
