"""What compilers say of wrong uses of the allocation functions, by their declarations alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.project import here

SOURCE = Path("allocator", "tests", "declarations.c")
FLAGS = ("-Wall", "-O2", "-Iallocator/include", "-fno-diagnostics-color", "-c", "-o", "/dev/null")
_WARNING = re.compile(r"^[^:\n]+:(\d+):\d+: warning: .*\[-W([\w+=-]+)\]$", re.MULTILINE)
_EXPECTED = re.compile(r"/\* expect: ([\w=\- ]+?) \*/")


def compiled(*command: str) -> str:
    """What the compiler said; the test fails if it refused the file."""
    done = subprocess.run([*command, *FLAGS, str(SOURCE)], cwd=here().root, capture_output=True,
                          text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def expected() -> dict[int, set[str]]:
    """By line: the warnings of which one must be given."""
    lines = (here().root / SOURCE).read_text(encoding="utf-8").splitlines()
    return {number: set(match[1].split()) for number, line in enumerate(lines, 1)
            if (match := _EXPECTED.search(line))}


def gcc_version() -> int:
    done = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=True)
    return int(done.stdout.split(".")[0])


def test_gcc_warns_at_each_wrong_use_and_nowhere_else() -> None:
    if gcc_version() < 12:
        pytest.skip("these warnings came with gcc 12")
    wanted = expected()
    given: dict[int, set[str]] = {}
    for line, name in _WARNING.findall(compiled("gcc", "-std=gnu17")):
        given.setdefault(int(line), set()).add(name)
    assert set(given) == set(wanted)
    assert not [line for line, names in wanted.items() if not names & given[line]]


def test_clang_takes_the_declarations_without_a_warning_of_them() -> None:
    clang = shutil.which("clang") or shutil.which("clang-14")
    if clang is None:
        pytest.skip("no clang: apt-get install clang")
    assert "attribute" not in compiled(clang, "-std=gnu17")


@pytest.mark.parametrize("command", ["gcc", "clang"])
def test_what_is_never_null_is_not_compared_with_null(tmp_path: Path, command: str) -> None:
    compiler = shutil.which(command)
    if compiler is None:
        pytest.skip(f"no {command}: apt-get install {command}")
    wanted = {"null_is_seen"}
    for extra in ((), ("-DSH_NO_ATTRIBUTES",)):
        out = tmp_path / "declarations.o"
        subprocess.run([compiler, "-std=gnu17", "-w", "-O2", "-Iallocator/include", *extra, "-c",
                        "-o", str(out), str(SOURCE)], cwd=here().root, check=True)
        undefined = subprocess.run(["nm", "-u", str(out)], capture_output=True, text=True,
                                   check=True).stdout
        assert set(re.findall(r"null_is_\w+", undefined)) == wanted
        wanted = {"null_is_seen", "null_is_gone"}


def test_cplusplus_takes_the_header() -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++: apt-get install g++")
    done = subprocess.run([compiler, "-std=c++17", "-Wall", "-Wextra", "-Iallocator/include", "-x",
                           "c++", "-fsyntax-only", "allocator/include/spanheap.h"],
                          cwd=here().root, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "attribute" not in done.stderr, done.stderr


def called_in(*names: str) -> set[str]:
    """The library's functions that these test programs call."""
    tests = here().allocator / "tests"
    return set(re.findall(r"\b(sh_\w+)\(", "".join(
        (tests / f"test_{name}.c").read_text(encoding="utf-8") for name in names)))


def declared_in(*headers: Path) -> set[str]:
    """The functions that take a pointer, or a struct."""
    declared: set[str] = set()
    for header in headers:
        text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
        functions = re.findall(r"SH_API\b[^;]*?\b(sh_\w+)\(([^;]*?)\)[^()]*?(?:\([^;]*)?;", text)
        declared |= {name for name, arguments in functions
                     if "*" in arguments or "struct" in arguments}
    return declared


def test_every_function_that_takes_a_pointer_is_tested_with_a_wild_one() -> None:
    include = here().allocator / "include"
    declared = declared_in(include / "spanheap.h", *(include / "spanheap").glob("*.h"))
    assert len(declared) > 80
    called = called_in("bad_calls", "wild_pointers")
    assert declared <= called, sorted(declared - called)


def test_every_function_of_the_types_that_takes_a_pointer_is_tested_with_null() -> None:
    headers = (here().allocator / "include" / "spanheap").glob("*.h")
    declared = declared_in(*(header for header in headers if header.name != "explain.h"))
    assert len(declared) > 60
    called = called_in("nil_arguments")
    elsewhere = {"sh_panic_value", "sh_task_start"}  # any value is one; fatal, as in Go
    assert declared <= called | elsewhere, sorted(declared - called - elsewhere)
