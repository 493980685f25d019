"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.plan import Options
from harness.progress import Live
from harness.project import Project
from harness.tests import tiny


@pytest.fixture
def tiny_project(tmp_path: Path) -> Project:
    """A checkout in miniature with a results folder of its own."""
    return tiny.make(tmp_path / "checkout")


@pytest.fixture
def quiet() -> Live:
    """Progress that goes nowhere; live.console.file keeps what was said."""
    return Live(Console(file=StringIO(), width=200))


@pytest.fixture
def said(quiet: Live) -> Callable[[], str]:
    """What `quiet` was told so far."""
    def text() -> str:
        assert isinstance(quiet.console.file, StringIO)
        return quiet.console.file.getvalue()

    return text


@pytest.fixture
def options() -> Options:
    """The smallest run: one round, one cell, fixed seed."""
    return Options(rounds=1, region_s=0.0001, quick=True, instructions=False, profile="default",
                   pitfalls=(), cells=("gcc-O2",), seed=1, extras=False)
