"""Programs by turns: what the launcher does with them, whose time is whose, which samples do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import compare_rows, plan, probes, rig, turns, verdicts
from harness.compare_rows import Found, Plan
from harness.fault import BuildFault
from harness.launch import STOPPED, Job, Launcher
from harness.plan import ProgramKey, Spec
from harness.project import here
from harness.sheet import Sheet
from harness.tests import lines
from harness.verdicts import SAME, UNCLEAR

# Keeps a processor busy for 60 ms of its own, and tells begin and end of it by the common clock.
BUSY = r"""
#include <stdio.h>
#include <time.h>
static long long now(clockid_t id)
{ struct timespec t; clock_gettime(id, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
int main(void) {
    long long begin = now(CLOCK_MONOTONIC);
    while (now(CLOCK_PROCESS_CPUTIME_ID) < 60000000) { }
    long long end = now(CLOCK_MONOTONIC);
    dprintf(3, "{\"v\":1,\"start_ns\":%lld,\"end_ns\":%lld,\"time_ns\":%lld,\"raw_ns\":%lld}\n",
            begin, end, end - begin, end - begin);
}
"""
TURNS = ((100, 200), (300, 400), (600, 650))


@pytest.fixture(scope="module")
def launcher() -> Launcher:
    return Launcher(here())


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("busy")
    (folder / "p.c").write_text(BUSY)
    subprocess.run(["gcc", "-O1", "-o", str(folder / "p"), str(folder / "p.c")], check=True)
    return folder / "p"


def shell(script: str, **more: Any) -> Job:
    return Job(Path("/bin/sh"), ("-c", script), record=False, **more)


# ---- The launcher --------------------------------------------------------------------------------


@pytest.mark.parametrize("cpu", [None, probes.cpus()[-1]])
def test_each_runs_only_in_its_turns(launcher: Launcher, busy: Path, cpu: int | None) -> None:
    runs = launcher.run_by_turns([Job(busy)] * 3, cpu)
    records = [run.record or {} for run in runs]
    assert all(run.ok and run.turns > 2 for run in runs)
    for run, record in zip(runs, records):
        assert 0 < record["time_ns"] < record["raw_ns"]  # what others had is not its own
        assert record["time_ns"] <= run.wall_s * 1e9
    alone = launcher.run(Job(busy))
    assert alone.turns == 0 and (alone.record or {})["time_ns"] == (alone.record or {})["raw_ns"]


def test_a_crash_or_an_early_end_leaves_the_others_running(launcher: Launcher, busy: Path) -> None:
    crashed, gone, good = launcher.run_by_turns(
        [shell("echo words >&2; kill -SEGV $$"), shell("exit 3"), Job(busy)])
    assert crashed.message == "killed by SIGSEGV: words"
    assert (gone.exit, gone.message) == (3, "exit status 3")
    assert good.ok and good.turns > 2


def test_a_hanging_program_is_killed_after_its_own_time(launcher: Launcher, busy: Path) -> None:
    hung, good = launcher.run_by_turns([shell("while :; do :; done", timeout_s=0.05), Job(busy)])
    assert hung.timeout and hung.message == "still running after 0.05 s: killed"
    assert 0.05 < hung.wall_s
    assert good.ok


def test_what_a_program_leaves_behind_is_stopped_and_killed_with_it(
        launcher: Launcher, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sh -c 'while :; do :; done' & echo $! > {pids}; while :; do :; done"
    hung, _ = launcher.run_by_turns([shell(script, timeout_s=0.05), shell("exit 0")])
    assert hung.timeout
    assert not Path(f"/proc/{pids.read_text().strip()}").exists()


def test_a_program_that_stops_itself_gets_its_turns(launcher: Launcher) -> None:
    stopper, other = launcher.run_by_turns([shell("kill -STOP $$; exit 0"), shell("exit 0")])
    assert stopper.ok and other.ok


@pytest.mark.parametrize("what", [
    "setpgid(0, getpgid(getppid())); while (clock() < 40000) { }",  # it leaves its group
    "if (vfork() == 0) { while (clock() < 40000) { } _exit(0); }",  # its child is stopped, it waits
])
def test_a_program_that_is_hard_to_stop(launcher: Launcher, tmp_path: Path, what: str) -> None:
    source = tmp_path / "p.c"
    source.write_text("#include <unistd.h>\n#include <time.h>\nint main(void) { %s }" % what)
    subprocess.run(["gcc", "-O1", "-o", str(tmp_path / "p"), str(source)], check=True)
    hard, other = launcher.run_by_turns([Job(tmp_path / "p", record=False), shell("exit 0")])
    assert hard.ok and hard.turns > 2 and other.ok


def test_an_interrupt_leaves_no_process(launcher: Launcher, tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    pids = tmp_path / "pids"
    given = turns.give

    def interrupted(processes: Sequence[subprocess.Popen[bytes]], cpu: int | None) -> None:
        while not pids.exists() or pids.read_text().count("\n") < 2:
            for process in processes:
                assert process.stdin is not None and process.stdout is not None
                os.write(process.stdin.fileno(), b"g")
                assert os.read(process.stdout.fileno(), 1) == b"s"
        raise KeyboardInterrupt

    monkeypatch.setattr(turns, "give", interrupted)
    job = shell(f"echo $$ >> {pids}; while :; do :; done")
    with pytest.raises(KeyboardInterrupt):
        launcher.run_by_turns([job, job])
    monkeypatch.setattr(turns, "give", given)
    for pid in pids.read_text().split():
        assert not Path(f"/proc/{pid}").exists()


def test_the_harness_may_run_everywhere_again(launcher: Launcher) -> None:
    before = os.sched_getaffinity(0)
    launcher.run_by_turns([shell("exit 0"), shell("exit 0")], probes.cpus()[0])
    assert os.sched_getaffinity(0) == before


def test_a_program_may_use_all_processors(launcher: Launcher, tmp_path: Path) -> None:
    out = tmp_path / "cpus"
    script = f"sleep 0.02; grep Cpus_allowed_list /proc/self/status > {out}"
    launcher.run_by_turns([shell(script), shell("exit 0")], probes.cpus()[0])
    mine = [x for x in Path("/proc/self/status").read_text().splitlines()
            if x.startswith("Cpus_allowed_list")]
    assert out.read_text().splitlines() == mine


def test_wrong_options_are_refused(launcher: Launcher) -> None:
    for options in (("--turns", "0"), ("--turns", "x"), ("--cpu", "-1"), ("--cpu", "x"),
                    ("--turns", "5", "--observe", "f")):
        done = subprocess.run([str(launcher.path), *options, "--result", "r", "--", "/bin/true"],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 2 and done.stderr.startswith("launcher: --"), options


# ---- Own time ------------------------------------------------------------------------------------


def test_time_passes_in_turns_alone() -> None:
    clock = turns.Clock(TURNS)
    assert [clock.at(t) for t in (0, 100, 150, 200, 250, 300, 399, 500, 600, 900)] == \
        [0, 0, 50, 100, 100, 100, 199, 200, 200, 250]
    assert clock.between(150, 200) == 100


def test_a_record_is_told_in_own_time() -> None:
    record = {"v": 1, "start_ns": 150, "end_ns": 620, "time_ns": 470, "ops": 7,
              "pause_at_ns": [160, 190, 350], "pause_ns": [10, 130, 10],
              "pause_signal_ns": [2, 115, 1], "pause_roots_ns": [3, 90, 2]}
    own = turns.own_time(record, TURNS)
    assert own["time_ns"] == 50 + 100 + 20
    assert (own["start_ns"], own["end_ns"], own["ops"]) == (50, 220, 7)
    assert own["pause_at_ns"] == [60, 90, 150]
    assert own["pause_ns"] == [10, 30, 10]  # the second lasted over the end of a turn
    assert own["pause_signal_ns"] == [2, 15, 1]
    assert own["pause_roots_ns"] == [3, 30, 2]  # never more than the pause
    assert turns.own_time(record, ()) == record


# ---- Which samples -------------------------------------------------------------------------------


def spec(variant: str, arm: str, number: int, role: str = "timed") -> Spec:
    return plan.make_spec(ProgramKey("p", variant, arm), role, number, 0, 1, 10)


def line(of: Spec, cpu_s: float = 1.0, wall_s: float = 1.0, rss_b: float = 1e6) -> dict[str, Any]:
    return {"kind": "sample", "pitfall": of.pitfall, "variant": of.variant, "role": of.role,
            "round": of.round, "wall_s": wall_s,
            "metrics": {"user_s": cpu_s, "sys_s": 0.0, "peak_rss_b": rss_b}}


def taught(known: Sequence[dict[str, Any]], **more: Any) -> rig.ByTurns:
    return rig.ByTurns(lines=known, **more)


A0, B0, A1, B1 = (spec("v", arm, n) for n in (0, 1) for arm in "AB")


def test_busy_programs_run_together_from_round_1_on() -> None:
    rule = taught([line(A0), line(B0)])
    assert rule.together(A0) is None
    assert rule.together(A1) is not None and rule.together(A1) == rule.together(B1)
    assert rule.together(spec("v", "A", 2)) != rule.together(A1)
    assert rule.together(spec("other", "A", 1)) is None  # nothing is known of it
    assert rule.together(spec("v", "A", 1, role="instr")) is None
    assert taught([line(A0), line(B0)], wanted=False).together(A1) is None


def test_a_program_that_waits_runs_alone_and_so_do_its_rivals() -> None:
    assert taught([line(A0), line(B0, cpu_s=0.5)]).together(A1) is None


def test_programs_that_fill_memory_together_run_alone() -> None:
    half = (probes.free_memory_mb() or 0) * 1e6 / 3
    assert taught([line(A0, rss_b=half), line(B0, rss_b=half)]).together(A1) is None


def test_the_doctor_pairs_variants() -> None:
    rule = taught([line(spec("bad", "A", 0)), line(spec("sham", "A", 0))], whole=("p",))
    assert rule.together(spec("bad", "A", 1)) == rule.together(spec("sham", "A", 1)) is not None


class Fake:
    """A rig that notes what it is asked for."""

    run_id = "run"

    def __init__(self, scratch: Path, broken: str = "", stopped: str = "") -> None:
        self.scratch = scratch
        self.broken = broken
        self.stopped = stopped
        self.taken: list[list[str]] = []

    def link(self, spec: Spec, path: Path) -> None:
        if spec.cell == self.broken:
            raise BuildFault("does not link")

    def take(self, spec: Spec, path: Path) -> dict[str, Any]:
        self.taken.append([spec.id])
        return self._line(spec)

    def together(self, spec: Spec) -> Hashable | None:
        return spec.round or None

    def take_together(self, programs: Sequence[tuple[Spec, Path]]) -> list[dict[str, Any]]:
        self.taken.append([spec.id for spec, _ in programs])
        return [self._line(spec) for spec, _ in programs]

    def _line(self, spec: Spec) -> dict[str, Any]:
        message = STOPPED if spec.cell == self.stopped else None
        return {"sample": spec.id, "status": {"timeout": spec.cell == "H", "message": message}}


def take_all(made: Fake, specs: Sequence[Spec]) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = []
    rig.run_all(made, specs, taken.append, lambda *_: None)
    return taken


def test_samples_of_a_group_are_taken_together_and_stored_in_order(tmp_path: Path) -> None:
    made = Fake(tmp_path)
    specs = [A0, B0, A1, B1, spec("v", "B", 2), spec("v", "A", 2), spec("v", "A", 3)]
    assert [x["sample"] for x in take_all(made, specs)] == [s.id for s in specs]
    assert [len(one) for one in made.taken] == [1, 1, 2, 2, 1]


def test_what_does_not_link_or_hung_before_is_left_out_of_its_group(tmp_path: Path) -> None:
    made = Fake(tmp_path, broken="B")
    hang = [spec("v", "H", n) for n in (1, 2)]
    taken = take_all(made, [A1, B1, hang[0], spec("v", "A", 2), hang[1], spec("v", "B", 2)])
    assert made.taken == [[A1.id, hang[0].id], [spec("v", "A", 2).id]]
    told = [x["status"]["message"] for x in taken]
    assert told[1] == told[5] == "does not link"
    assert told[4].startswith("not started: ")


def test_an_interrupted_group_is_not_stored(tmp_path: Path) -> None:
    made = Fake(tmp_path, stopped="B")
    taken: list[dict[str, Any]] = []
    with pytest.raises(KeyboardInterrupt):
        rig.run_all(made, [A0, A1, B1], taken.append, lambda *_: None)
    assert [x["sample"] for x in taken] == [A0.id]


def test_rounds_begin_on_each_processor_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "cpus", lambda: [2, 5])
    assert [rig.begin_on(replace(A1, round=n)) for n in range(4)] == [2, 5, 2, 5]
    monkeypatch.setattr(probes, "cpus", lambda: [2])
    assert rig.begin_on(A1) is None


def test_arms_of_a_round_have_one_layout() -> None:
    specs = plan.side_by_side([("p", "v")], "ABC", 7, (1, 2), {("p", "v"): 10})
    seeds = {(s.round, s.layout_seed, s.env_pad_b) for s in specs}
    assert len(specs) == 6 and len(seeds) == 2


def test_control_is_one_subject_with_both_its_names() -> None:
    names = [("control", "bad"), ("p", "v"), ("control", "sham"), ("p", "w")]
    specs = plan.side_by_side(names, "AB", 7, (1, 2, 3), dict.fromkeys(names, 10), ("control",))
    assert len({s.id for s in specs}) == len(specs) == 3 * 8
    for number in (1, 2, 3):
        mine = [s for s in specs if s.round == number]
        places = [i for i, s in enumerate(mine) if s.pitfall == "control"]
        assert places == list(range(places[0], places[0] + 4))
        assert len({s.layout_seed for s in mine}) == 3
    rule = taught([line(replace(s, round=0)) for s in specs[:8]], whole=("control",))
    groups = {rule.together(s) for s in specs if s.round == 1}
    assert groups == {("control", 1), ("p", "v", 1), ("p", "w", 1)}


# ---- What a person is told -----------------------------------------------------------------------


@pytest.mark.parametrize(("cpu_s", "had", "verdict", "told"), [
    (0.95, 0, UNCLEAR, True), (0.5, 0, UNCLEAR, False), (0.95, 12, UNCLEAR, False),
    (0.95, 0, SAME, False)])
def test_turns_are_offered_where_they_would_help(cpu_s: float, had: int, verdict: str,
                                                 told: bool) -> None:
    arms = ("A", "B")
    run = [lines.sample("", {"wall_s": 1.0, "cpu_s": cpu_s}, name=arm, round_=n, pitfall="p",
                        turns=had) for n in (1, 2, 3) for arm in arms]
    plan_ = Plan(arms=arms, titles=arms, subjects=(("p", ""),), metrics=("wall_s",), rounds=3,
                 looks=1, confirm=False, twin="A'", identical=True)
    row = replace(verdicts.compare("p", "wall_s", {1: 1.0}, {1: 1.0}), verdict=verdict)
    found = [Found("B", row)]
    said = compare_rows.closer(found, Sheet(run), plan_)
    assert bool(said) == told and all("TURNS=1" in one for one in said)
