"""Programs of the distribution write the same on the malloc drop-in as on glibc."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import library
from harness.deps import load
from harness.project import here

SCRIPT = here().allocator / "shims" / "malloc_programs.py"
FAST = ("python3", "perl", "gcc", "git", "gawk", "sort", "sqlite3", "jq")
SLOW = ("nginx", "redis")


@pytest.fixture(scope="module")
def drop_in() -> Path:
    """The library."""
    return library.build(here(), library.default_cell(), "malloc").malloc


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True,
                          timeout=300)


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_program_writes_the_same(drop_in: Path, name: str) -> None:
    done = run(str(drop_in), name)
    if "not installed" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0 and "the same" in done.stdout, done.stdout + done.stderr


def test_a_program_that_differs_is_found(tmp_path: Path) -> None:
    """A library that changes what is written."""
    source = "#define _GNU_SOURCE\n#include <errno.h>\n#include <stdio.h>\n#include <string.h>\n" \
             "__attribute__((constructor)) static void f(void)" \
             '{ if (strcmp(program_invocation_short_name, "sort") == 0) puts("zzz"); }\n'
    (tmp_path / "wrong.c").write_text(source)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "wrong.so", "wrong.c"], cwd=tmp_path,
                   check=True)
    done = run(str(tmp_path / "wrong.so"), "sort")
    assert done.returncode == 1 and "differs from byte" in done.stdout, done.stdout


def put_in_front(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """A program of that name, found before the real one."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_program_that_fails_on_glibc_is_a_failure(
    drop_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_front(tmp_path, monkeypatch, "jq", "echo broken >&2; exit 3")
    done = run(str(drop_in), "jq")
    assert done.returncode == 1
    assert "FAILED: on the stock library: exit status 3: broken" in done.stdout, done.stdout


def test_programs_see_no_settings_of_the_caller(
    drop_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_front(tmp_path, monkeypatch, "jq",
                 "env | grep -E '^(SH|GC)_' >&2 && exit 3; echo nothing")
    monkeypatch.setenv("SH_SLICE_RULE", "none of them")
    monkeypatch.setenv("GC_PRINT_STATS", "1")
    done = run(str(drop_in), "jq")
    assert done.returncode == 0 and "the same" in done.stdout, done.stdout


def test_usage_is_said(tmp_path: Path, drop_in: Path) -> None:
    done = run(str(tmp_path / "none.so"))
    assert done.returncode == 2 and "make -C allocator malloc builds it" in done.stderr
    done = run(str(drop_in), "emacs")
    assert done.returncode == 2 and "no program 'emacs'; there are: python3" in done.stderr


def test_every_program_is_in_the_script_and_in_the_packages() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    named = re.findall(r'Program\("([\w-]+)", "([\w-]+)"', text)
    assert [name for name, _ in named] == [*FAST, *SLOW]
    known = {p.name for p in load() if "test" in p.targets} | {"coreutils"}
    assert {package for _, package in named} <= known
