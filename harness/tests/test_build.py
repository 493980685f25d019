"""Builds: flags from cell.mk, content addresses, compilers that fail, layouts, ELF facts."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness import catalog, elf, matrix
from harness.build import Builder, Failed, Program
from harness.fault import Fault, UsageFault
from harness.linker import parse_command
from harness.matrix import Cell
from harness.project import Project, here
from harness.tests import tiny


def gcc(level: str = "-O2") -> Cell:
    return matrix.load(here(), "wide", [f"gcc{level}"]).cells[0]


def build(project: Project, variant: str = "bad", cell: Cell | None = None) -> Program | Failed:
    pitfall = catalog.load(project)[0]
    with Builder(project) as builder:
        return builder.program(pitfall, pitfall.variant(variant), cell or gcc())


def fake_compiler(folder: Path, script: str) -> Cell:
    path = folder / "fake-gcc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Cell("fake-O2", "fake", str(path), "fake 1.0", "-O2")


def test_program_is_built_with_its_facts(tiny_project: Project) -> None:
    built = build(tiny_project)
    assert isinstance(built, Program)
    assert built.sizes.text_b > 500
    assert len(built.text_sha) == 16
    assert all(path.is_file() for path in built.objects)


def test_nothing_is_compiled_twice(tiny_project: Project) -> None:
    first = build(tiny_project)
    assert isinstance(first, Program)
    times = [path.stat().st_mtime_ns for path in first.objects]
    second = build(tiny_project)
    assert isinstance(second, Program)
    assert [path.stat().st_mtime_ns for path in second.objects] == times


@pytest.mark.parametrize("changed", ["pitfalls/tiny/bad.c", "pitfalls/tiny.h",
                                     "allocator/include/spanheap.h"])
def test_change_of_a_source_or_header_makes_a_new_object(
    tiny_project: Project, changed: str
) -> None:
    first = build(tiny_project)
    path = tiny_project.root / changed
    path.write_text(path.read_text() + "\n/* changed */\n")
    second = build(tiny_project)
    assert isinstance(first, Program) and isinstance(second, Program)
    assert first.objects != second.objects
    assert first.src_sha != second.src_sha


def test_no_half_object_is_left_by_a_failing_compiler(tiny_project: Project) -> None:
    fake = fake_compiler(tiny_project.root, """
        for last; do :; done
        echo half > "$last"
        echo 'bad.c:1:1: error: made to fail' >&2
        exit 1""")
    built = build(tiny_project, cell=fake)
    assert isinstance(built, Failed)
    assert built.message == "bad.c:1:1: error: made to fail"
    assert not built.linking
    assert not [p for p in (tiny_project.build / "objects").rglob("*") if p.is_file()]


def test_compiler_that_vanished_is_reported(tiny_project: Project) -> None:
    built = build(tiny_project, cell=Cell("x-O2", "x", "/nowhere/x", "x 1", "-O2"))
    assert isinstance(built, Failed)
    assert "/nowhere/x: not found" in built.message


def test_link_failure_is_told_from_a_compile_failure(tiny_project: Project) -> None:
    tiny.add(tiny_project, "tiny", {"bad": "extern int absent(void);\n#define TINY_BEFORE "
                                           "absent();\n" + tiny.BAD})
    built = build(tiny_project)
    assert isinstance(built, Failed)
    assert built.linking
    assert "absent" in built.message


def test_layout_follows_the_seed(tiny_project: Project, tmp_path: Path) -> None:
    pitfall = catalog.load(here())
    project = here()
    with Builder(project) as builder:
        growth = next(p for p in pitfall if p.id == "growth")
        program = builder.program(growth, growth.variant("bad"), gcc())
        assert isinstance(program, Program)
        texts = []
        for number, seed in enumerate((1, 2, 1)):
            path = tmp_path / f"p{number}"
            builder.link(program, seed, path)
            texts.append(elf.code_sha(path))
    assert texts[0] != texts[1]
    assert texts[0] == texts[2]


def test_layout_without_mold_is_shuffled_too(tiny_project: Project, tmp_path: Path) -> None:
    pitfall = catalog.load(tiny_project)[0]
    with Builder(tiny_project) as builder:
        builder.linker.mold = None
        program = builder.program(pitfall, pitfall.variant("bad"), gcc())
        assert isinstance(program, Program)
        hashes = []
        for number, seed in enumerate((1, 2, 1)):
            path = tmp_path / f"p{number}"
            builder.link(program, seed, path)
            hashes.append(elf.code_sha(path))
    assert hashes[0] != hashes[1]
    assert hashes[0] == hashes[2]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_program_that_is_optimised_when_it_is_linked(tiny_project: Project, tmp_path: Path,
                                                     compiler: str) -> None:
    pitfall = catalog.load(tiny_project)[0]
    cell = replace(matrix.load(here(), "default", [f"{compiler}-O2"]).cells[0], extra=("-flto",))
    with Builder(tiny_project) as builder:
        builder.linker.mold = None
        built = [builder.program(pitfall, variant, cell) for variant in pitfall.variants]
    if any(isinstance(one, Failed) and one.linking for one in built):
        pytest.skip(f"{compiler} -flto does not link here")
    bad, fixed = built
    assert isinstance(bad, Program) and isinstance(fixed, Program)
    assert bad.text_sha != fixed.text_sha and bad.image_sha != fixed.image_sha
    hashes = []
    for number, seed in enumerate((1, 2, 1)):
        builder.link(bad, seed, tmp_path / f"p{number}")
        hashes.append(elf.code_sha(tmp_path / f"p{number}"))
    assert hashes[0] != hashes[1] and hashes[0] == hashes[2]  # its layout varies all the same


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("flags", [("-flto",), ("-flto", "-g"), ("-O2", "-flto")])
def test_hash_of_an_object_for_the_linker_is_of_its_source(
    tmp_path: Path, compiler: str, flags: tuple[str, ...]
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    source = tmp_path / "a.c"
    hashes = []
    for number, factor in enumerate((3, 3, 4)):
        source.write_text("static int part(int x) { return x * FACTOR; }\n"
                          "int whole(int x) { return part(x) + part(2 * x); }\n"
                          .replace("FACTOR", str(factor)))
        path = tmp_path / f"{number}.o"
        subprocess.run([compiler, *flags, "-c", str(source), "-o", str(path)], check=True)
        hashes.append(elf.code_sha(path))
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_link_without_the_compiler_makes_the_compilers_program(
    tiny_project: Project, tmp_path: Path, compiler: str
) -> None:
    pitfall = catalog.load(tiny_project)[0]
    cell = matrix.load(here(), "default", [f"{compiler}-O2"]).cells[0]
    with Builder(tiny_project) as builder:
        if builder.linker.mold is None:
            pytest.skip("mold is not installed: every link goes through the compiler")
        program = builder.program(pitfall, pitfall.variant("bad"), cell)
        assert isinstance(program, Program)
        builder.link(program, 7, tmp_path / "direct")
        assert builder.linker.commands[cell] is not None
        builder.linker.commands[cell] = None
        builder.link(program, 7, tmp_path / "through")
    assert (tmp_path / "direct").read_bytes() == (tmp_path / "through").read_bytes()


@pytest.mark.parametrize("printed", [
    "", "clang: error: no", 'COMPILER_PATH=/usr\n /bin/as "a.o" -o out',
    " /usr/lib/collect2 -o out other.o", " /usr/lib/collect2 -o elsewhere a.o",
    " /usr/lib/collect2 -flto -o out a.o", " /usr/lib/collect2 a.o -o out",
    " /usr/lib/collect2 -o out 'a.o",
])
def test_link_command_that_is_not_understood_is_left_to_the_compiler(printed: str) -> None:
    assert parse_command(printed, "a.o", "out") is None


def test_link_command_has_no_plugin_and_a_gap_for_the_objects() -> None:
    printed = ('Using built-in specs.\nLIBRARY_PATH=/lib\n /usr/lib/collect2 -plugin /p.so '
               '-plugin-opt=-fresolution=/tmp/x.res -pie -fuse-ld=mold "-o" out crt1.o a.o -lm\n'
               "COLLECT_GCC_OPTIONS='-O2'\n")
    found = parse_command(printed, "a.o", "out")
    assert found is not None
    assert found.head == ("/usr/lib/collect2", "-pie", "-o", "out", "crt1.o")
    assert found.tail == ("-lm",)
    assert found.head[found.output] == "out"


def test_allocator_is_not_instrumented_in_sanitized_cells(tiny_project: Project) -> None:
    sanitized = matrix.load(here()).sanitized(gcc(), "ubsan")
    plain, checked = build(tiny_project), build(tiny_project, cell=sanitized)
    assert isinstance(plain, Program) and isinstance(checked, Program)
    assert plain.objects[-1] == checked.objects[-1]
    assert plain.objects[0] != checked.objects[0]


def test_cell_mk_builds_the_same_program_by_hand(tiny_project: Project) -> None:
    done = subprocess.run(
        ["make", "-s", "-f", str(tiny_project.cell_mk), "PITFALL=tiny", "VARIANT=bad", "CC=gcc",
         "LEVEL=-Os"], capture_output=True, text=True, cwd="/",
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
    assert done.returncode == 0, done.stderr
    program = tiny_project.build / "by-hand" / "gcc-Os" / "tiny.bad"
    ran = subprocess.run(["sh", "-c", f"{program} --count 3 3>&1"], capture_output=True, text=True)
    assert '"count":3' in ran.stdout


# ---- The matrix ----------------------------------------------------------------------------------


def test_profiles(tiny_project: Project) -> None:
    def names(profile: str) -> list[str]:
        found = matrix.load(tiny_project, profile)
        return [c.name for c in found.cells] + [c.cell for c in found.left_out]

    assert sorted(names("default")) == sorted(
        f"{c}-{level}" for c in ("gcc", "clang") for level in ("O0", "O2", "Os"))
    assert set(names("default")) < set(names("wide"))
    assert "clang-Oz" in names("wide") and "gcc-Oz" not in names("wide")
    with pytest.raises(UsageFault, match="no profile 'other'; there are: default wide"):
        matrix.load(tiny_project, "other")


def test_cells_are_chosen_by_name_or_glob(tiny_project: Project) -> None:
    assert [c.name for c in matrix.load(tiny_project, "default", ["gcc-*"]).cells] == [
        "gcc-O0", "gcc-O2", "gcc-Os"]
    with pytest.raises(UsageFault, match="no cell 'gcc-O9' in profile default; there are: gcc-O0"):
        matrix.load(tiny_project, "default", ["gcc-O9"])


def test_missing_compiler_leaves_its_cells_out_and_says_so(
    tiny_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = tmp_path / "bin"
    only.mkdir()
    gcc_path = shutil.which("gcc")
    assert gcc_path is not None
    (only / "gcc").symlink_to(gcc_path)
    monkeypatch.setenv("PATH", str(only))
    found = matrix.load(tiny_project)
    assert [c.name for c in found.cells] == ["gcc-O0", "gcc-O2", "gcc-Os"]
    assert {c.reason for c in found.left_out} == {
        "clang is not installed: apt-get install clang"}


# ---- ELF -----------------------------------------------------------------------------------------


def test_sizes_agree_with_binutils(tiny_project: Project, tmp_path: Path) -> None:
    built = build(tiny_project)
    assert isinstance(built, Program)
    with Builder(tiny_project) as builder:
        builder.link(built, 0, tmp_path / "p")
    found = elf.sizes(tmp_path / "p")
    line = subprocess.run(["size", str(tmp_path / "p")], capture_output=True, text=True,
                          check=True).stdout.splitlines()[1].split()
    assert [found.text_b, found.data_b, found.bss_b] == [int(x) for x in line[:3]]


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n",
                                  b"\x7fELF\x02\x01" + b"\xff" * 90],
                         ids=["empty", "short", "script", "damaged"])
def test_file_that_is_no_program_is_a_fault(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(Fault):
        elf.sizes(path)
