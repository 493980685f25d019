"""Set-up: what is missing is found, named and installed, or printed as the line to run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness import deps
from harness.project import here

ROOT = here().root


def absent(name: str, **changes: object) -> deps.Package:
    values = {"why": "a test", "targets": ("test",), "required": True,
              "commands": (f"no-{name}",), "module": None, "file": None} | changes
    return deps.Package(name=name, **values)  # type: ignore[arg-type]


def nothing(names: Sequence[str]) -> set[str]:
    return set()


def test_list_is_complete_and_explained() -> None:
    packages = {p.name: p for p in deps.load()}
    for name in ("gcc clang mold binutils make python3 python3-numpy python3-scipy python3-rich"
                 " python3-jinja2 python3-jsonschema python3-pytest mypy libcmocka-dev valgrind"
                 " gdb hyperfine gnuplot-nox linux-perf clang-format clang-tidy spin").split():
        assert packages[name].why
        assert set(packages[name].targets) <= set(deps.TARGETS)
    assert packages["python3-numpy"].required and not packages["clang"].required


def test_what_is_there_under_another_package_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    there = [absent("a", commands=("no-a", "sh")), absent("b", module="json"),
             absent("c", file=str(tmp_path / "file"))]
    assert deps.missing(there, "test", nothing) == []


def test_what_is_missing_is_found_for_its_target_only() -> None:
    packages = [absent("a"), absent("b", targets=("bench",)), absent("c")]
    assert [p.name for p in deps.missing(packages, "test", nothing)] == ["a", "c"]
    assert [p.name for p in deps.missing(packages, "all", nothing)] == ["a", "b", "c"]
    assert [p.name for p in deps.missing(packages, "test", lambda names: {"a"})] == ["c"]


def test_nothing_missing_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deps, "load", lambda: [absent("a", commands=("sh",))])
    assert deps.main(["test"]) == 0
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_without_root_the_exact_line_is_printed_and_the_target_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deps, "load", lambda: [absent("pkg-a"), absent("pkg-b", required=False)])
    monkeypatch.setattr(deps, "installed", nothing)
    monkeypatch.setattr(deps, "_privilege", lambda: None)
    assert deps.main(["test"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "pkg-a                    required: a test" in captured.err
    assert "as root: apt-get install -y --no-install-recommends pkg-a pkg-b" in captured.err
    assert "optional" in captured.err and "going on with what is there" in captured.err


def put_apt_get(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is found before the real one."""
    apt = folder / "apt-get"
    apt.write_text(f"#!/bin/sh\n{text}\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_what_would_start_a_service_is_unpacked_and_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: served\nVersion: 1\nArchitecture: all\nMaintainer: a test\nDescription: none\n")
    (tree / "usr" / "sbin").mkdir(parents=True)
    (tree / "usr" / "sbin" / "served").write_text("")
    subprocess.run(["dpkg-deb", "-b", tree, tmp_path / "served.deb"], check=True,
                   capture_output=True)
    put_apt_get(tmp_path, f'echo "$@" >> {tmp_path}/log; case "$*" in *"download served")'
                f" cp {tmp_path}/served.deb . ;; *) exit 100 ;; esac", monkeypatch)
    package = absent("served", unpack="usr/sbin/served")
    monkeypatch.setattr(deps, "UNPACKED", tmp_path / "unpacked")
    monkeypatch.setattr(deps, "load", lambda: [package])
    assert deps.main(["test"]) == 0
    assert package.unpacked is not None and package.unpacked.exists()
    assert "install" not in (tmp_path / "log").read_text()
    assert capsys.readouterr().err == ""
    assert deps.main(["test"]) == 0
    assert capsys.readouterr().out == "", "it is there now"


def test_what_cannot_be_unpacked_is_not_in_the_line_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_apt_get(tmp_path, "echo no network; exit 100", monkeypatch)
    monkeypatch.setattr(deps, "UNPACKED", tmp_path / "unpacked")
    monkeypatch.setattr(deps, "load", lambda: [absent("served", unpack="usr/sbin/served")])
    monkeypatch.setattr(deps, "_privilege", lambda: None)
    assert deps.main(["test"]) == 0
    said = capsys.readouterr().err
    assert "no network" in said and "as root" not in said and "apt-get download served" in said


@pytest.mark.parametrize("words", ["no network", "no such package"])
def test_failing_apt_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    words: str
) -> None:
    put_apt_get(tmp_path, f"echo '{words}'; exit 100", monkeypatch)
    monkeypatch.setattr(deps, "load", lambda: [absent("pkg-a")])
    monkeypatch.setattr(deps, "_privilege", lambda: ["env"])
    assert deps.main(["test"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("installing 1 package(s) with sudo:\n  pkg-a ")
    assert words in captured.err


def test_wrong_target_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert deps.main(["bensh"]) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("target", deps.TARGETS)
def test_bootstrap_without_python_prints_what_to_install(tmp_path: Path, target: str) -> None:
    """All that the target needs, but for what dpkg knows."""
    for name, text in (("apt-get", "exit 100"), ("sudo", "exit 1"), ("dpkg", '[ "$2" = make ]')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "harness/bootstrap.sh", str(tmp_path / "no-python"), target], cwd=ROOT,
        capture_output=True, text=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert done.returncode == 0
    wanted = [p for p in deps.load() if target in ("all", *p.targets) and p.name != "make"
              and p.unpack is None]
    assert f"as root: {deps.apt_line(wanted)}\n" in done.stderr


def test_bootstrap_uses_only_the_standard_library() -> None:
    done = subprocess.run(
        ["/usr/bin/python3", "-S", "-m", "harness", "deps", "--help"], cwd=ROOT,
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
