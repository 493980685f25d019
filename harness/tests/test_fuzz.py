"""The fuzz targets over the inputs that are kept, and proof that a difference is found."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness import fuzz
from harness.cli import main
from harness.fault import USAGE, Fault
from harness.fuzz import Session, Tally
from harness.project import Project, here

WRONG = {"FUZZ_WRONG": "1"}  # the model is wrong in one thing
FILES_MAX = 150
BYTES_MAX = 200_000


@pytest.fixture(scope="module")
def programs() -> Mapping[str, Path]:
    try:
        return fuzz.build_all(here(), fuzz.TARGETS)
    except Fault as fault:
        if str(fault) == fuzz.NEEDED:
            pytest.skip(fuzz.NEEDED)
        raise


def run_seeds(program: Path, target: str, extra: Mapping[str, str],
              artifacts: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, "-runs=0", f"-artifact_prefix={artifacts}/", fuzz.seeds(here(), target)],
        env=fuzz.environment(target, extra), capture_output=True, text=True, errors="replace",
        stdin=subprocess.DEVNULL, timeout=120)


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_type_does_what_its_model_does_on_every_seed(
        programs: Mapping[str, Path], target: str, tmp_path: Path) -> None:
    done = run_seeds(programs[target], target, {}, tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    count = len(list(fuzz.seeds(here(), target).iterdir()))
    found = re.search(r"seed corpus: files: (\d+)", done.stderr)
    assert found is not None and int(found[1]) == count > 0


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_model_that_is_wrong_is_found_by_the_seeds(
        programs: Mapping[str, Path], target: str, tmp_path: Path) -> None:
    done = run_seeds(programs[target], target, WRONG, tmp_path)
    assert done.returncode != 0
    assert "not so: " in done.stderr


def test_seeds_are_few_and_small() -> None:
    for target in fuzz.TARGETS:
        assert len(list(fuzz.seeds(here(), target).iterdir())) <= FILES_MAX
    files = [path for path in (fuzz.folder(here()) / "corpus").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < BYTES_MAX


# ---- The verb ------------------------------------------------------------------------------------


def session(programs: Mapping[str, Path], out: Path, targets: tuple[str, ...],
            extra: Mapping[str, str]) -> tuple[Session, StringIO]:
    said = StringIO()
    made = Session(Project(here().root, out), Console(file=said, width=100),
                   {target: programs[target] for target in targets}, extra)
    return made, said


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_difference_is_kept_with_the_line_that_repeats_it(
        programs: Mapping[str, Path], target: str, tmp_path: Path) -> None:
    made, said = session(programs, tmp_path, (target,), WRONG)
    made.run(target, ["-seed=1", "-runs=200000"])
    text = said.getvalue()
    assert made.failed and made.tallies[target].cells[-1] == "1", text
    kept = list((tmp_path / "fuzz" / target).glob("crash-*"))
    assert len(kept) == 1
    line = next(line.strip() for line in text.splitlines() if line.startswith("    env "))
    assert str(kept[0]) in line
    again = subprocess.run(line, shell=True, cwd=here().root, capture_output=True, text=True,
                           errors="replace")
    assert again.returncode != 0 and "not so: " in again.stderr
    sound = subprocess.run(line.replace(" FUZZ_WRONG=1", ""), shell=True, cwd=here().root,
                           capture_output=True, text=True, errors="replace")
    assert sound.returncode == 0, sound.stderr[-4000:]


def test_same_seed_on_the_same_inputs_takes_the_same_course(
        programs: Mapping[str, Path], tmp_path: Path) -> None:
    if not fuzz.at_fixed_addresses():
        pytest.skip("addresses cannot be fixed here")
    found = []
    for name in ("one", "other"):
        made, said = session(programs, tmp_path / name, ("alloc",), {})
        made.run("alloc", ["-seed=5", "-runs=500"])
        assert not made.failed, said.getvalue()
        found.append({path.name for path in (made.kept / "alloc" / fuzz.NEW).iterdir()})
    assert len(found[0]) > 20 and found[0] == found[1]


def test_course_is_repeated_up_to_the_failure(
        programs: Mapping[str, Path], tmp_path: Path) -> None:
    if not fuzz.at_fixed_addresses():
        pytest.skip("addresses cannot be fixed here")
    made, said = session(programs, tmp_path, ("map",), {})
    made.run("map", ["-seed=5", "-runs=300"])
    before = {path.name for path in (made.kept / "map" / fuzz.NEW).iterdir()}
    made.extra = WRONG
    made.run("map", ["-seed=6", "-runs=200000", "-max_total_time=100"])
    text = said.getvalue()
    assert {path.name for path in (made.kept / "map" / "corpus").iterdir()} == before
    line = [line.strip() for line in text.splitlines() if line.startswith("    env ")][1]
    assert "-seed=6" in line and "-max_total_time" not in line and "-runs" not in line
    again = subprocess.run(line, shell=True, cwd=here().root, capture_output=True, text=True,
                           errors="replace")
    assert again.returncode != 0
    first, second = (next(folder.glob("crash-*")).name
                     for folder in (tmp_path / "fuzz/map", tmp_path / "fuzz/map" / fuzz.AGAIN))
    assert first == second


def test_each_target_has_its_turn(programs: Mapping[str, Path], tmp_path: Path) -> None:
    made, said = session(programs, tmp_path, tuple(fuzz.TARGETS), {})
    made.go(0.05, seed=3)
    assert not made.failed, said.getvalue()
    for tally in made.tallies.values():
        assert tally.executions > 0 and tally.edges > 0 and tally.cells[-1] == "0"
    assert len(set(re.findall(r"-seed=(\d+)", said.getvalue()))) == len(fuzz.TARGETS)


def test_program_that_says_nothing_of_an_input_has_failed_too(tmp_path: Path) -> None:
    said = StringIO()
    made = Session(Project(here().root, tmp_path), Console(file=said, width=100),
                   {"map": here().root / "README.md"})
    made.note_failure("map", "program", 3, "ERROR: libFuzzer: out-of-memory", tmp_path / "log")
    assert made.failed
    assert "FAILED: map, exit status 3" in said.getvalue()
    assert "ERROR: libFuzzer: out-of-memory" in said.getvalue()


def test_lines_of_the_fuzzer_are_read() -> None:
    tally = Tally(seconds=2.0)
    tally.read("INFO: Seed: 1")
    tally.read("#8590\tREDUCE cov: 1023 ft: 6732 corp: 1213/38Kb lim: 266 exec/s: 549 rss: 69Mb")
    assert tally.cells == ["8,590", "4,295", "1,023", "6,732", "1,213", "not run"]


def test_unknown_target_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--targets", "tree"]) == USAGE
    assert "no target 'tree'; there are: map slice channel alloc" in capsys.readouterr().err
