"""Lint is part of the tests; a tool that is missing is a skip with its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from harness import lint
from harness.project import Project, here


@pytest.mark.parametrize("check", lint.CHECKS, ids=[check.__name__ for check in lint.CHECKS])
def test_project_is_clean(check: Callable[[Project], lint.Result]) -> None:
    result = check(here())
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.ok, result.output[-8000:]


def test_layout_that_differs_is_found(tiny_project: Project) -> None:
    (tiny_project.root / ".clang-format").write_bytes(
        (here().root / ".clang-format").read_bytes())
    (tiny_project.allocator / "ugly.c").write_text("int   f ( void ){return 1 ;}\n")
    result = lint.clang_format(tiny_project)
    if result.skipped:
        pytest.skip(result.skipped)
    assert not result.ok
    assert "ugly.c" in result.output


@pytest.mark.parametrize("name, text, word", [
    ("wide.py", f"# {'x' * 99}\n", "harness/wide.py:1 is 101 wide"),
    ("long.py", "\n" * 500, "harness/long.py has 500 lines"),
    ("long.h", "\n" * 600, "harness/long.h has 600 lines"),
])
def test_what_is_too_long_is_found(tiny_project: Project, name: str, text: str, word: str) -> None:
    (tiny_project.root / "harness").mkdir(exist_ok=True)
    (tiny_project.root / "harness" / name).write_text(text)
    result = lint.lengths(tiny_project)
    assert not result.ok and word in result.output


def test_missing_tools_are_said_and_pass(
    tiny_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert lint.run(tiny_project, Console()) == 0
    text = capsys.readouterr().out
    for tool in ("clang-format", "clang-tidy", "mypy"):
        assert f"{tool}: skipped: not installed: apt-get install {tool}" in text
