"""The README's commands and program do what it says, in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.project import Project, here

# Minutes long, or this very run: that they exist is checked, not what they do.
LONG = ("make bench", "make test")
# They need a full run, a program or a revision that is not here; tests of their own run them.
NEEDS_MORE = ("python3 -m harness repro", "make compare", "make baseline", "make check",
              "make export", "make bench HOSTS")


def _blocks(language: str) -> list[str]:
    text = (here().root / "README.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _commands() -> list[str]:
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout without what is built or measured, and a program.c beside it."""
    target = tmp_path_factory.mktemp("readme") / "pitmark"
    ignored = shutil.ignore_patterns(".git", "build", "__pycache__", "2*-bench-*", "latest")
    shutil.copytree(here().root, target, ignore=ignored)
    (target / "program.c").write_text(_blocks("c")[0])
    return target


def _run(copy: Path, command: str) -> str:
    environment = {**os.environ, "HOME": str(copy.parent), "NO_COLOR": "1"}
    environment.pop("MAKEFLAGS", None)
    environment.pop("MAKELEVEL", None)
    done = subprocess.run(["sh", "-c", command], cwd=copy, env=environment, text=True,
                          capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


NOT_RUN = [c for c in _commands() if c.startswith("make") and c.startswith(NEEDS_MORE)]


@pytest.mark.parametrize("command", [*LONG, *NOT_RUN])
def test_commands_that_are_not_run_here_are_targets(copy: Path, command: str) -> None:
    assert command in _commands()
    assert "harness" in _run(copy, command.replace("make", "make -n", 1))


@pytest.mark.slow
def test_the_other_commands_run_in_their_order(copy: Path) -> None:
    for command in _commands():
        if command in LONG or command.startswith(NEEDS_MORE):
            continue
        _run(copy, command + (" ROUNDS=1" if "QUICK=1" in command else ""))
    assert (copy / "results" / "latest" / "report.html").exists()
    assert (copy / "pitfalls" / "my-pitfall" / "pitfall.toml").exists()


@pytest.mark.slow
def test_the_program_works_with_the_installed_library(copy: Path) -> None:
    prefix = copy.parent / ".local"
    _run(copy, f"make install PREFIX={prefix}")
    command = next(c for c in _commands() if c.startswith("cc program.c"))
    out = _run(copy, command.replace("$HOME/.local", str(prefix)))
    assert re.match(r"1000000 objects, \d+ collections, \d+ KiB in use", out)
    lines = [line for line in _blocks("c")[0].splitlines() if line.strip()]
    assert len(lines) == 10


def test_every_environment_variable_is_documented() -> None:
    project: Project = here()
    table = (project.allocator / "collector" / "settings.c").read_text()
    documented = (project.allocator / "README.md").read_text()
    names = set(re.findall(r'\{"(SH_[A-Z_]+)"', table))
    assert names
    assert names == set(re.findall(r"^\| `(SH_[A-Z_]+)`", documented, re.MULTILINE))
