"""The drop-in for Boehm's gc.h: small programs, on its header and its library, and on Boehm's.

Each program runs three times: built and run with Boehm's own header and library, which shows that
what it asks for is Boehm's meaning; that same binary on our library; and built with our header.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import library
from harness.project import here
from harness.tests.drop_ins import (
    GC_BUILD,
    SHIMS,
    TESTS,
    compile_program,
    environment,
    gc_folder,
    ours,
)

OURS_ALONE = ("stranger", "no_memory", "forgets")  # each says why
PROGRAMS = ("objects", "finalizers", "threads", "roots", "kinds", "steady", "little_space")
DISTRIBUTION = ("w3m", "guile", "ecl", "neko")
DEBIAN_HEADER = Path("/usr/include/gc/gc.h")
LIMIT_S = 60
OUTER_LIMIT_S = 600  # of a script: above the 120 s that it gives each command, of which it has four


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where libgc.so.1 is built."""
    return gc_folder()


def debian_library() -> Path | None:
    done = subprocess.run(["gcc", "-print-file-name=libgc.so.1"], capture_output=True, text=True,
                          check=True)
    path = Path(done.stdout.strip())
    return path if path.is_absolute() and path.exists() else None


def need_debian() -> None:
    if not DEBIAN_HEADER.exists():
        pytest.skip("libgc-dev is not installed: apt-get install libgc-dev")


def run(program: Path, *, at: Path | None, **more: str) -> None:
    done = subprocess.run([str(program)], capture_output=True, text=True,
                          env=environment(at, **more), timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_asks_for_boehms_meaning(tmp_path: Path, name: str) -> None:
    need_debian()
    run(compile_program(TESTS / f"{name}.c", tmp_path / name, "-lgc"), at=None)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_built_for_boehm_runs(folder: Path, tmp_path: Path, name: str) -> None:
    need_debian()
    run(compile_program(TESTS / f"{name}.c", tmp_path / name, "-lgc"), at=folder)


@pytest.mark.parametrize("checked", ["0", "1"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_runs_with_our_header(folder: Path, tmp_path: Path, name: str,
                                      checked: str) -> None:
    program = compile_program(TESTS / f"{name}.c", tmp_path / name, *ours(folder))
    run(program, at=folder, SH_VERIFY=checked, SH_CLOBBER=checked)


def test_sizes_are_without_the_guards_of_a_debug_heap(folder: Path, tmp_path: Path) -> None:
    program = compile_program(TESTS / "objects.c", tmp_path / "objects", *ours(folder))
    run(program, at=folder, SH_DEBUG_HEAP="1")


def test_heap_dump_is_refused(folder: Path, tmp_path: Path) -> None:
    program = compile_program(TESTS / "objects.c", tmp_path / "objects", *ours(folder))
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=LIMIT_S,
                          env={**os.environ, "LD_LIBRARY_PATH": str(folder),
                               "SH_HEAPDUMP": str(tmp_path / "dump")})
    assert done.returncode == 0 and "does not know the roots" in done.stderr


@pytest.mark.parametrize("name", OURS_ALONE)
def test_program_that_boehms_library_does_not_pass(folder: Path, tmp_path: Path, name: str) -> None:
    run(compile_program(TESTS / f"{name}.c", tmp_path / name, *ours(folder)), at=folder)


def test_headers_are_cxx(folder: Path, tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    run(compile_program(TESTS / "handles.cc", tmp_path / "handles", *ours(folder)), at=folder)


def symbols(path: Path) -> set[str]:
    done = subprocess.run(["nm", "-D", "--defined-only", str(path)], capture_output=True, text=True,
                          check=True)
    found = set()
    for line in done.stdout.splitlines():
        kind, name = line.split()[-2:]
        if not name.startswith("_"):
            found.add(f"{'function' if kind == 'T' else 'variable'} {name}")
    return found


def test_every_name_is_exported_and_no_other(folder: Path) -> None:
    wanted = set((TESTS / "symbols.txt").read_text().splitlines())
    assert symbols(folder / "libgc.so.1") == wanted


def test_the_list_of_names_is_debians() -> None:
    path = debian_library()
    if path is None:
        pytest.skip("libgc1 is not installed: apt-get install libgc1")
    assert symbols(path) == set((TESTS / "symbols.txt").read_text().splitlines())


def absent_names() -> list[str]:
    return re.findall(r"^ABSENT\((\w+)\)", (SHIMS / "gc_absent.c").read_text(), re.MULTILINE)


def test_what_is_not_offered_aborts_with_its_name(folder: Path, tmp_path: Path) -> None:
    for name in absent_names():
        program = compile_program(TESTS / "absent.c", tmp_path / name, f"-DNAME={name}",
                                  *ours(folder))
        done = subprocess.run([str(program)], capture_output=True, text=True, timeout=LIMIT_S,
                              env=environment(folder))
        assert done.returncode < 0 and f"{name} is not offered" in done.stderr


def test_readme_names_what_is_absent() -> None:
    text = (SHIMS / "README.md").read_text()
    assert [name for name in absent_names() if f"`{name}`" not in text] == []


def programs_script(folder: Path, name: str,
                    **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SHIMS / "gc_programs.py"),
                           str(folder / "libgc.so.1"), name], capture_output=True, text=True,
                          timeout=OUTER_LIMIT_S, env={**os.environ, **more})


@pytest.mark.parametrize("name", DISTRIBUTION)
def test_program_of_the_distribution(folder: Path, name: str) -> None:
    done = programs_script(folder, name)
    if "not installed" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0 and "the same" in done.stdout, done.stdout + done.stderr


def test_program_that_fails_on_boehms_library_is_a_failure(folder: Path, tmp_path: Path) -> None:
    if debian_library() is None:
        pytest.skip("libgc1 is not installed: apt-get install libgc1")
    (tmp_path / "w3m.c").write_text(
        "#include <gc.h>\nint main(void) { return GC_MALLOC(1) == 0 ? 1 : 3; }\n")
    compile_program(tmp_path / "w3m.c", tmp_path / "w3m", *ours(folder))
    done = programs_script(folder, "w3m", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "FAILED: on the stock library: exit status 3" in done.stdout, done.stdout


def test_install_keeps_it_out_of_the_way(tmp_path: Path) -> None:
    library.make(here(), "install-gc", *GC_BUILD, f"PREFIX={tmp_path}")
    inside = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert "lib/spanheap/libgc.so.1" in inside
    assert "lib/spanheap/include/gc/gc.h" in inside
    assert not [name for name in inside if name.startswith("lib/libgc")]
