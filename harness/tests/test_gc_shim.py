"""The drop-in for Boehm's gc.h: small programs, on its header and its library, and on Boehm's.

Each program runs three times: built and run with Boehm's own header and library, which shows that
what it asks for is Boehm's meaning; that same binary on our library; and built with our header.
"""

from __future__ import annotations

import fnmatch
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

OURS_ALONE = ("stranger", "no_memory", "forgets", "exits", "wild")  # each says why
PROGRAMS = ("objects", "finalizers", "threads", "roots", "kinds", "steady", "interior", "segments",
            "thread_events", "limits", "figures", "links", "tables", "settings")
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


def arguments(program: Path) -> list[str]:
    """What a program of tests/ is called with."""
    if program.name != "segments":
        return []
    module = program.with_name("module.so")
    compile_program(TESTS / "module.c", module, "-shared", "-fPIC")
    return [str(module)]


def run(program: Path, *, at: Path | None, **more: str) -> str:
    """Runs a program, which must succeed, and returns what it prints."""
    done = subprocess.run([str(program), *arguments(program)], capture_output=True, text=True,
                          env=environment(at, **more), timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_built_for_boehm_runs_on_both(folder: Path, tmp_path: Path, name: str) -> None:
    """On Boehm's library, which shows that it asks for Boehm's meaning, and on ours."""
    need_debian()
    program = compile_program(TESTS / f"{name}.c", tmp_path / name, "-lgc")
    assert run(program, at=None) == run(program, at=folder)


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


def exported() -> set[str]:
    return {line.split()[1] for line in (TESTS / "symbols.txt").read_text().splitlines()}


def named(text: str) -> set[str]:
    """Names in backticks: whole, with a * at the end, or `_end` after one that begins alike; a
    getter goes with its setter."""
    found: set[str] = set()
    for line in text.splitlines():
        starts: set[str] = set()
        for span in re.findall(r"`(\w+\*?)`", line):
            if span.startswith("GC_"):
                found |= set(fnmatch.filter(exported(), span))
                starts |= {span[:m.start()] for m in re.finditer("_|$", span)}
            else:
                found |= exported() & {start + span for start in starts}
    return found | {name for name in exported() if name.replace("_get_", "_set_", 1) in found}


def test_readme_names_every_function_and_variable() -> None:
    tables = (SHIMS / "README.md").read_text().split("### What is offered")[1]
    assert sorted(exported() - named(tables)) == []


def test_readme_names_no_function_that_is_not_there() -> None:
    names = set(re.findall(r"`(GC_[a-z]\w*\w)(?:\([^`]*\))?`", (SHIMS / "README.md").read_text()))
    assert sorted(names - exported()) == []


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
    headers = {f"lib/spanheap/include/{p.relative_to(SHIMS / 'include')}"
               for p in (SHIMS / "include").rglob("*.h")}
    assert headers <= inside and "lib/spanheap/include/gc_cpp.h" in headers
    assert not [name for name in inside if name.startswith("lib/libgc")]


@pytest.mark.parametrize("language,headers", [("c", ("gc.h", "gc/gc.h")),
                                              ("c++", ("gc_cpp.h", "gc/gc_cpp.h", "gc.h"))])
def test_installed_headers_are_found_before_debians(tmp_path: Path, language: str,
                                                    headers: tuple[str, ...]) -> None:
    library.make(here(), "install-gc", *GC_BUILD, f"PREFIX={tmp_path}")
    compiler = "gcc" if language == "c" else "g++"
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    for header in headers:
        done = subprocess.run([compiler, "-x", language, "-M", "-",
                               f"-I{tmp_path}/lib/spanheap/include"], capture_output=True,
                              text=True, input=f"#include <{header}>\n", check=False)
        assert done.returncode == 0, done.stderr
        taken = {Path(p) for p in re.findall(r"\S*/gc\w*\.h", done.stdout)}
        assert tmp_path / "lib/spanheap/include" / header in taken
        assert not [p for p in taken if not p.is_relative_to(tmp_path)]


def test_readme_names_the_headers_that_are_absent() -> None:
    need_debian()
    debians = {p.name for p in DEBIAN_HEADER.parent.glob("*.h")}
    text = (SHIMS / "README.md").read_text()
    ours_too = {p.name for p in (SHIMS / "include" / "gc").glob("*.h")}
    assert [name for name in sorted(debians - ours_too) if f"`{name}`" not in text] == []
