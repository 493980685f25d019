"""The allocator's stress program in short runs: each collector, with all that makes errors likely.

A run's seed is in its arguments, which a failure prints as a line for the shell.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness import ctests, stress
from harness.fault import BuildFault
from harness.project import Project
from harness.stress import Configuration, Run, Session
from harness.tests.test_faults import number_of

TIMEOUT_S = 120
ROUNDS = {"native": 6000, "asan": 2000, "tsan": 500}
NATIVE = [Configuration(collector, setting) for collector in stress.COLLECTORS
          for setting in ("plain", "verify", "delay", "fork", "no-workers")]
ASAN = [Configuration("deletion", "plain", "asan"), Configuration("insertion", "delay", "asan"),
        Configuration("stw", "fork", "asan")]
TSAN = [Configuration("deletion", "plain", "tsan"), Configuration("insertion", "plain", "tsan"),
        Configuration("deletion", "verify", "tsan")]
ALONE = [Configuration("stw", "plain"), Configuration("deletion", "plain"),
         Configuration("insertion", "plain"), Configuration("deletion", "no-workers"),
         Configuration("insertion", "delay")]


def build(runner: ctests.Runner, mode: str = "native", *, compiler: str | None = None,
          level: str = ctests.LEVEL, fault: int = 0) -> Path:
    program = ctests.describe(runner.project.allocator / "tests" / stress.PROGRAM)
    return runner.build(program, mode, compiler=compiler, level=level, fault=fault)


def run(runner: ctests.Runner, program: Path, configuration: Configuration,
        *arguments: str) -> Run:
    rounds = ROUNDS[configuration.mode]
    return stress.run_program(
        runner.project, program, configuration.environment,
        [f"--rounds={rounds}", *arguments, *configuration.arguments], TIMEOUT_S)


def check(result: Run) -> None:
    if not result.good:
        pytest.fail(f"{result.ending}\n{result.repeat}\n{result.output[-4000:]}", pytrace=False)


def named(configuration: Configuration) -> str:
    return configuration.name.replace(" ", "-")


@pytest.mark.parametrize("configuration", [*NATIVE, *ASAN], ids=named)
def test_nothing_is_lost(c_runner: ctests.Runner, configuration: Configuration) -> None:
    program = build(c_runner, configuration.mode)
    check(run(c_runner, program, configuration, "--seed=11", "--every=30"))


@pytest.mark.parametrize("compiler, level", [("clang", "-O1"), ("gcc", "-O2")])
def test_nothing_is_lost_in_other_code(c_runner: ctests.Runner, compiler: str,
                                       level: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed: apt-get install {compiler}")
    program = build(c_runner, compiler=compiler, level=level)
    for collector in stress.COLLECTORS:
        check(run(c_runner, program, Configuration(collector, "plain"), "--seed=12", "--every=30"))


def test_same_seed_leaves_the_same_graph_in_every_mode(c_runner: ctests.Runner) -> None:
    program = build(c_runner)
    digests = {}
    for configuration in ALONE:
        result = run(c_runner, program, configuration, "--alone", "--seed=13", "--every=50")
        check(result)
        digests[configuration.name] = result.output.split("\n")[0]
    assert len(set(digests.values())) == 1, digests
    other = run(c_runner, program, ALONE[0], "--alone", "--seed=14", "--every=50")
    assert other.output.split("\n")[0] not in digests.values()


@pytest.mark.parametrize("configuration", TSAN, ids=named)
def test_there_is_no_data_race(c_runner: ctests.Runner, configuration: Configuration) -> None:
    try:
        program = build(c_runner, "tsan")
    except BuildFault as fault:
        if "tsan" in str(fault):
            pytest.skip("this compiler has no ThreadSanitizer: apt-get install gcc")
        raise
    result = run(c_runner, program, configuration, "--seed=15", "--every=5")
    if "unexpected memory mapping" in result.output:
        pytest.skip("ThreadSanitizer cannot run at these addresses: sysctl vm.mmap_rnd_bits=28")
    check(result)
    assert "WARNING: ThreadSanitizer" not in result.output, result.repeat


# ---- The verb ------------------------------------------------------------------------------------


def session(runner: ctests.Runner, out: Path, fault: int) -> tuple[Session, StringIO]:
    said = StringIO()
    project = Project(runner.project.root, out)
    made = Session(project, Console(file=said, width=100),
                   lambda mode: build(runner, mode, fault=fault),
                   (Configuration("deletion", "plain"), Configuration("insertion", "plain")))
    return made, said


def test_failing_run_says_how_to_repeat_it(c_runner: ctests.Runner, tmp_path: Path) -> None:
    made, said = session(c_runner, tmp_path, number_of("FAULT_CACHE_NOT_FLUSHED"))
    made.run(made.table[0], seed=16, every=5, seconds=30)
    made.show()
    assert made.failed
    kept = tmp_path / "stress" / "deletion-plain-native-16.txt"
    text = said.getvalue()
    assert "FAILED: exit status" in text and str(kept) in text
    assert re.search(r"deletion plain native.* 1 failed", text)
    assert re.search(r"insertion plain native.* not run", text)
    line = kept.read_text().splitlines()[0]
    assert line in text
    again = subprocess.run(line, shell=True, cwd=c_runner.project.root, capture_output=True)
    assert again.returncode != 0


def test_each_configuration_has_its_turn(c_runner: ctests.Runner, tmp_path: Path) -> None:
    made, said = session(c_runner, tmp_path, 0)
    made.go(0.02, seed=17)
    made.show()
    assert not made.failed
    assert [tally.result for tally in made.tallies.values()] == ["ok", "ok"], said.getvalue()
    assert len(set(re.findall(r"--seed=(\d+)", said.getvalue()))) >= 2
    assert not (tmp_path / "stress").exists()
