"""Whole runs where something is missing or wrong: /proc and /sys, room on the disk, mold, valgrind,
all processors but one, a compiler's flag; and a clock that jumps."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness import (
    bench,
    check,
    check_rows,
    check_table,
    cli,
    compare,
    library,
    oom,
    own_program,
    probes,
    store,
    turns,
)
from harness import plan as plans
from harness.build import run_tool
from harness.fault import BuildFault, Fault
from harness.launch import FILLED, Launcher
from harness.linker import COARSE, WITH_LTO, WITHOUT_MOLD
from harness.progress import Live
from harness.project import Project, here
from harness.tests import tiny
from harness.tests.test_bench import schema_errors

QUICK = compare.Options(rounds=2, seed=1, quick=True, looks=1, confirm=False, instructions=False,
                        region_s=0.0001)
LEVELS = ("gcc -O0", "gcc -O2")
PROGRAM = """#include <stdio.h>
__attribute__((noinline)) int work(int n) { return n * 3 + 1; }
int main(int argc, char **argv) { printf("%d\\n", work(argc)); return argv == 0; }
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "prog.c"
    path.write_text(PROGRAM)
    return path


def samples(path: Path) -> list[dict[str, Any]]:
    assert not schema_errors(path)
    return [line for line in store.read(path) if line["kind"] == "sample"]


def judged(project: Project, path: Path) -> dict[tuple[str, str], Any]:
    """The rows of a comparison by metric and arm, after everything was written."""
    comparison, begun = compare.judge(project, path)
    compare.write(project, path, comparison, begun)
    assert not comparison.failures
    return {(one.row.metric, one.arm): one.row for one in comparison.found}


def without(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *rest, **more: None if name == command
                        else which(name, *rest, **more))


# ---- In a mount namespace of its own -------------------------------------------------------------


def mounted(places: Sequence[tuple[Path, str]], command: Sequence[str],
            **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command where small empty file systems lie over some folders."""
    prefix = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run(
            [*prefix, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode:
        pytest.skip("no mount namespace can be made here")
    mounts = "".join(f"mount -t tmpfs -o {options} none '{place}' && " for place, options in places)
    return subprocess.run([*prefix, "sh", "-c", f'{mounts}exec "$@"', "sh", *command], text=True,
                          capture_output=True, cwd=here().root, env=os.environ | environment)


def harness(project: Project, *arguments: str) -> list[str]:
    return [sys.executable, "-c", tiny.script(project), *arguments]


NO_PROC = ((Path("/sys"), "size=4k"), (Path("/proc"), "size=4k"))


# ---- No /proc and no /sys ------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["bench", "compare"])
def test_a_container_without_proc_and_sys(tiny_project: Project, verb: str) -> None:
    arguments = {"bench": ("--rounds", "1", "--cells", "gcc-O2"),
                 "compare": ("--rounds", "2", "--looks", "1", "--no-confirm", "--arm", "gcc -O0",
                             "--arm", "gcc -O2")}
    done = mounted(NO_PROC, harness(tiny_project, verb, *arguments[verb]))
    assert "Traceback" not in done.stderr, done.stderr
    [path] = tiny_project.results.glob("2*/run.jsonl")
    taken = samples(path)
    figures = [line["status"]["message"] for line in taken if line["role"] != "startup"]
    assert figures and not any(figures), figures
    machine = store.run_line(store.read(path), path)["machine"]
    assert machine["cpu_model"] is None and machine["reasons"]["cpu_model"]
    assert (path.parent / bench.COMPLETE).exists()
    if verb == "compare":
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("how much memory is free is not known here") == 1
        assert not any(line["turns"] for line in taken)
        counted = [line["reasons"] for line in taken if line["role"] == "instr"]
        assert counted == 4 * [{"instructions": "valgrind needs /proc, which is not here"}] or (
            shutil.which("valgrind") is None)
        page = (tiny_project.latest / compare.PAGE).read_text()
        assert shutil.which("valgrind") is None or "valgrind needs /proc" in page
    else:
        watched = [line for line in taken if line["role"] == "observe"]
        assert all(line["timeline"] is None and line["metrics"] for line in watched)
        assert {line["reasons"]["timeline"] for line in watched} == {
            "/proc/PID/statm cannot be read: No such file or directory"}


def test_what_is_left_behind_is_found_without_proc(tmp_path: Path) -> None:
    """An orphan in a session of its own is in no group that can be killed."""
    pid = tmp_path / "pid"
    command = [str(Launcher(here()).path), "--result", str(tmp_path / "result"), "--", "/bin/sh",
               "-c", f"setsid sleep 300 & echo $! > {pid}"]
    done = mounted(NO_PROC, command)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "result").read_text())["leftovers"] == 1
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


LIST_ON_THE_STACK = """#include <spanheap.h>
#include <stdio.h>
int main(void)
{
    void **list = NULL;
    for (long i = 0; i < 200000; i++) {
        void **node = sh_alloc(32);
        sh_store(&node[0], list), node[1] = (void *)i, list = node;
        if (i % 50000 == 0)
            sh_collect();
    }
    long found = 0;
    for (void **node = list; node != NULL; node = node[0])
        found += node[1] == (void *)(199999 - found);
    struct sh_stats s;
    sh_stats_read(&s);
    printf("%ld %d\\n", found, s.num_gc >= 4);
    return 0;
}
"""


def test_the_heap_finds_the_main_stack_without_proc(tmp_path: Path) -> None:
    """From which alone the list hangs."""
    cell = library.default_cell()
    built = library.build(here(), cell)
    (tmp_path / "p.c").write_text(LIST_ON_THE_STACK)
    subprocess.run([cell.command, "-O1", f"-I{here().allocator / 'include'}", "-o",
                    str(tmp_path / "p"), str(tmp_path / "p.c"), str(built.static), "-pthread"],
                   check=True)
    done = mounted(NO_PROC, [str(tmp_path / "p")])
    assert (done.returncode, done.stdout, done.stderr) == (0, "200000 1\n", "")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every probe of /proc and /sys fails."""
    monkeypatch.setattr(probes, "_read", lambda path: None)
    monkeypatch.setattr(oom, "_read", lambda path: "")
    monkeypatch.setattr(probes, "BUSY_LOOK_S", 0.0)
    monkeypatch.setattr(turns, "LEAST_BUSY", 0.0)


@pytest.mark.parametrize("options", [
    replace(QUICK, compilers=LEVELS), replace(QUICK, commands=("true", "true x"), turns=True)])
def test_every_probe_fails(bare: None, tiny_project: Project, quiet: Live,
                           said: Callable[[], str], options: compare.Options) -> None:
    path = compare.run(tiny_project, options, quiet)
    taken = samples(path)
    assert {line["round"] for line in taken} == {0, 1, 2}
    assert not any(line["turns"] or line["status"]["message"] for line in taken)
    assert said().count("not known here (/proc/meminfo cannot be read)") == 1
    judged(tiny_project, path)
    comparison, _ = compare.judge(tiny_project, path)
    assert not any("TURNS=1" in note for note in comparison.notes)


def test_nothing_is_said_of_turns_that_nobody_wants(bare: None, tiny_project: Project, quiet: Live,
                                                    said: Callable[[], str]) -> None:
    compare.run(tiny_project, replace(QUICK, commands=("true", "true x")), quiet)
    assert "memory" not in said()


def test_a_run_where_every_probe_fails(bare: None, tiny_project: Project, quiet: Live,
                                       options: plans.Options) -> None:
    done = bench.run(tiny_project, replace(options, extras=True), quiet)
    assert done.failed_samples == 0 and samples(done.path)


# ---- A full disk ---------------------------------------------------------------------------------


def test_a_program_that_fills_the_disk_is_started_once(tiny_project: Project,
                                                       tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    done = mounted(((small, "size=2m"),), harness(
        tiny_project, "compare", "--quick", "--command", "true", "--command",
        "sh -c 'cat /dev/zero > $TMPDIR/zeros'"), TMPDIR=str(small))
    assert done.returncode == 4 and "Traceback" not in done.stderr, done.stderr
    [path] = tiny_project.results.glob("2*/run.jsonl")
    messages: dict[str, list[str | None]] = {}
    for line in samples(path):
        messages.setdefault(line["cell"], []).append(line["status"]["message"])
    assert set(messages["A"]) == set(messages["A'"]) == {None}
    first, *others = messages["B"]
    assert first == f"{FILLED}: what it wrote to {small} is removed, and there is room again"
    assert len(others) == 6 and set(others) == {f"not started: of true/B/r00/timed, {first}"}
    assert "true failed in arm B: the disk was full" in done.stdout + done.stderr


def test_a_disk_that_is_full_ends_the_run_and_keeps_it(tiny_project: Project,
                                                       tmp_path: Path) -> None:
    """The program fills it in its second run, and what it writes stays: it is not in $TMPDIR."""
    small, mark = tmp_path / "small", tmp_path / "mark"
    small.mkdir()
    fills = f"sh -c 'test -e {mark} && cat /dev/zero > {small}/zeros; touch {mark}'"
    done = mounted(((small, "size=2m"),), harness(
        tiny_project, "compare", "--quick", "--command", fills, "--command", "true"),
        TMPDIR=str(small))
    assert done.returncode == 4 and "Traceback" not in done.stderr, done.stderr
    assert f"harness: {small}: no program can be run" in done.stderr
    assert "RESUME=1 goes on from there. Or set TMPDIR to another folder" in done.stderr
    [path] = tiny_project.results.glob("2*/run.jsonl")
    assert samples(path) and not any(line["status"]["message"] for line in samples(path))
    mark.unlink()
    quick = harness(tiny_project, "compare", "--resume")
    done = mounted(((small, "size=2m"),), quick, TMPDIR=str(tmp_path))
    assert done.returncode in (0, 3), done.stderr
    assert len(samples(path)) == 3 * 7


def test_a_compiler_on_a_full_disk_says_nothing_of_the_program(tmp_path: Path) -> None:
    fails = "echo 'cc1: error writing to /tmp/x.s: {}' >&2; exit 1"
    with pytest.raises(Fault, match="(?s)error writing.*kept: make room") as caught:
        run_tool(["sh", "-c", fails.format("No space left on device")], tmp_path)
    assert not isinstance(caught.value, BuildFault)
    with pytest.raises(BuildFault):
        run_tool(["sh", "-c", fails.format("Permission denied")], tmp_path)


def test_a_full_disk_anywhere_is_no_traceback(tiny_project: Project,
                                              monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    def full(args: object, project: object, console: object) -> int:
        raise OSError(28, "No space left on device", "/scratch/x")

    monkeypatch.setitem(cli.VERBS, "list", full)
    assert cli.main(["list"], tiny_project) == 4
    assert capsys.readouterr().err.startswith(
        "harness: /scratch/x: No space left on device. What was stored until now is kept")


def test_files_that_a_program_leaves_are_named(tiny_project: Project, quiet: Live, tmp_path: Path,
                                               said: Callable[[], str],
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    touch = "touch " + " ".join(f"left{number}" for number in range(7))
    path = compare.run(tiny_project, replace(QUICK, commands=(touch, "true")), quiet)
    assert not any(line["status"]["message"] for line in samples(path))
    assert (f"there are new files in {folder}: left0, left1, left2, left3, left4 and 2 more. They"
            " stay") in said()
    assert own_program.left_behind("x", own_program.files_here()) is None


# ---- No mold -------------------------------------------------------------------------------------


def test_a_run_without_mold(tiny_project: Project, quiet: Live, options: plans.Options,
                            said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "ld.mold")
    done = bench.run(tiny_project, replace(options, rounds=2), quiet)
    assert done.failed_builds == done.failed_samples == 0
    timed = [line for line in samples(done.path) if line["role"] == "timed"]
    assert len(timed) == 4 and all(line["metrics"] for line in timed)
    assert said().count(WITHOUT_MOLD) == said().count(COARSE) == 1


@pytest.mark.parametrize(("mold", "flags", "words"), [
    (False, "", WITHOUT_MOLD), (True, " -flto", WITH_LTO), (True, "", None)])
@pytest.mark.parametrize("own", [True, False])
def test_a_comparison_without_mold(tiny_project: Project, quiet: Live, source: Path, own: bool,
                                   said: Callable[[], str], monkeypatch: pytest.MonkeyPatch,
                                   mold: bool, flags: str, words: str | None) -> None:
    if not mold:
        without(monkeypatch, "ld.mold")
    path = compare.run(tiny_project, replace(
        QUICK, compilers=("gcc -O0", f"gcc -O2{flags}"), sources=(str(source),) if own else ()),
        quiet)
    rows = judged(tiny_project, path)
    assert rows["wall_s" if own else "ns_per_op", "B"].ratio.n == 2
    assert said().count(COARSE) == (words is not None) and (words or "") in said()


def test_nothing_is_said_of_links_where_nothing_is_linked(
        tiny_project: Project, quiet: Live, said: Callable[[], str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "ld.mold")
    compare.run(tiny_project, replace(QUICK, commands=("true", "true x")), quiet)
    assert COARSE not in said()


# ---- No valgrind ---------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    replace(QUICK, compilers=LEVELS), replace(QUICK, commands=("true", "sleep 0.01"))])
def test_a_comparison_without_valgrind(tiny_project: Project, quiet: Live,
                                       monkeypatch: pytest.MonkeyPatch,
                                       options: compare.Options) -> None:
    without(monkeypatch, "valgrind")
    path = compare.run(tiny_project, replace(options, instructions=True), quiet)
    rows = judged(tiny_project, path)
    count, time_ = (("instructions", "wall_s") if options.commands else
                    ("instructions_per_op", "ns_per_op"))
    assert rows[count, "B"].verdict == "unclear" and rows[count, "B"].ratio.n == 0
    assert rows[count, "B"].reason == "valgrind is not installed: apt-get install valgrind"
    assert rows[time_, "B"].ratio.n == 2 and rows["text_b", "B"].ratio.n == 1
    reasons = [line["reasons"] for line in samples(path) if line["role"] == "instr"]
    assert reasons and all(
        one["instructions"] == "valgrind is not installed: apt-get install valgrind"
        for one in reasons)
    assert cli.main(["compare", "--run", path.parent.name], tiny_project) == 0


def test_the_gate_without_valgrind(tiny_project: Project, quiet: Live,
                                   monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    without(monkeypatch, "valgrind")
    result = check.run(tiny_project, check.Options(cells=("gcc-O2",)), quiet)
    words = "valgrind is not installed: apt-get install valgrind"
    assert {(row.subject, row.verdict, row.reason) for row in result.rows} == {
        (f"tiny.{variant}/gcc-O2", check_rows.NOT_COMPARED, words) for variant in ("bad", "fixed")}
    assert check.verdict_code(result) == 3
    assert len(samples(result.path)) == 2
    assert all(words in line for line in check_table.workflow_commands(result.rows, []))
    with pytest.raises(Fault, match=f"no baseline can be made: {words}"):
        check.renew(tiny_project, result.path)
    assert cli.main(["check", "--cells", "gcc-O2"], tiny_project) == 3
    told = capsys.readouterr().out.replace("\n", " ")
    assert "apt-get install valgrind" in told and (tiny_project.latest / check.PAGE).is_file()


# ---- One processor -------------------------------------------------------------------------------


@pytest.fixture
def one_processor() -> Iterator[int]:
    every = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(every)})
        yield min(every)
    finally:
        os.sched_setaffinity(0, every)


@pytest.mark.parametrize("by_turns", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_a_comparison_on_one_processor(one_processor: int, tiny_project: Project, quiet: Live,
                                       source: Path, monkeypatch: pytest.MonkeyPatch, own: bool,
                                       by_turns: bool) -> None:
    monkeypatch.setattr(turns, "LEAST_BUSY", 0.0)
    path = compare.run(tiny_project, replace(
        QUICK, compilers=LEVELS, sources=(str(source),) if own else (), turns=by_turns), quiet)
    taken = [line for line in samples(path) if line["role"] == "timed"]
    assert not any(line["status"]["message"] for line in taken)
    assert {line["turns"] > 0 for line in taken if line["round"]} == {by_turns}
    assert store.run_line(store.read(path), path)["machine"]["cpu_set"] == [one_processor]
    assert judged(tiny_project, path)["wall_s" if own else "ns_per_op", "B"].ratio.n == 2
    assert os.sched_getaffinity(0) == {one_processor}
    assert cli.main(["compare", "--run", path.parent.name], tiny_project) in (0, 3)


# ---- A flag that a compiler does not know --------------------------------------------------------

WRONG = "-fno-such-flag-anywhere"


def test_a_pitfall_with_an_unknown_flag(tiny_project: Project, quiet: Live,
                                        said: Callable[[], str]) -> None:
    with pytest.raises(Fault, match=r"in every arm \(none at all in B\), so there is nothing"):
        compare.run(tiny_project, replace(QUICK, compilers=("gcc -O2", f"gcc -O2 {WRONG}")), quiet)
    assert said().count(WRONG) == 1 and "unrecognized command-line option" in said()


def test_a_program_with_an_unknown_flag_leaves_the_other_arms(
        tiny_project: Project, quiet: Live, said: Callable[[], str], source: Path) -> None:
    path = compare.run(tiny_project, replace(
        QUICK, compilers=("gcc -O0", f"gcc {WRONG}", "gcc -O2"), sources=(str(source),)), quiet)
    assert said().count(WRONG) == 1 and "unrecognized command-line option" in said()
    comparison, _ = compare.judge(tiny_project, path)
    assert len(comparison.failures) == 1 and WRONG in comparison.failures[0]
    assert next(one.row.ratio.n for one in comparison.found
                if one.arm == "C" and one.row.metric == "wall_s") == 2


def test_a_reference_with_an_unknown_flag_ends_the_run(
        tiny_project: Project, quiet: Live, said: Callable[[], str], source: Path) -> None:
    with pytest.raises(Fault, match="prog was not built in arm A, with which the others are"):
        compare.run(tiny_project, replace(
            QUICK, compilers=(f"gcc {WRONG}", "gcc -O2"), sources=(str(source),)), quiet)
    assert said().count(WRONG) == 1
    [path] = tiny_project.results.glob("2*/run.jsonl")
    assert not samples(path)


# ---- A clock that jumps --------------------------------------------------------------------------


class Jumping(datetime):
    """A wall clock that is set forward and back by months each time that it is asked."""

    asked = 0

    @classmethod
    def now(cls, *args: Any) -> Any:
        cls.asked += 1
        return datetime(2026, 6, 1) + timedelta(days=90 * (-1) ** cls.asked)


def test_no_duration_is_of_a_clock_that_can_be_set(tiny_project: Project, quiet: Live,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = iter(range(1, 10**9))
    monkeypatch.setattr(time, "time", lambda: 1.8e9 + 1e7 * (-1) ** next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9))
    monkeypatch.setattr(turns, "LEAST_BUSY", 0.0)
    for module in (store, bench):
        monkeypatch.setattr(module, "datetime", Jumping)
    options = replace(QUICK, commands=("sleep 0.02", "sleep 100"), timeout_s=2.0, turns=True)
    path = compare.run(tiny_project, options, quiet)
    taken = samples(path)
    good = [line for line in taken if line["cell"] != "B"]
    assert all(line["status"]["message"] is None and 0 < line["wall_s"] < 2 for line in good)
    assert {line["turns"] > 0 for line in good if line["round"]} == {True}
    hung = [line for line in taken if line["status"]["timeout"]]
    assert len(hung) == 1 and 2 <= hung[0]["wall_s"] < 60
    again = compare.run(tiny_project, options, quiet)
    assert [folder.name for folder in store.runs(tiny_project)][-1] == again.parent.name


WALL_CLOCK = re.compile(r"\btime\.time(_ns)?\(|\b(now|today|utcnow)\(|CLOCK_REALTIME"
                        r"|\bgettimeofday\(|(?<![\w.])time\((NULL|0|&)")
DATED = {"bench.py", "store.py", "merge.py", "fidelity.py"}  # a run's date and name


def test_only_dates_are_of_a_clock_that_can_be_set() -> None:
    root = here().root
    files = [*(root / "harness").rglob("*.py"), *(root / "harness" / "launcher").glob("*.[ch]"),
             *(root / "pitfalls").glob("*.[ch]")]
    found = {path.name for path in files if "tests" not in path.parts
             and WALL_CLOCK.search(path.read_text(encoding="utf-8"))}
    assert found <= DATED
