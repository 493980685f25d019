"""The soak: what is called flat, and the verb on programs that leak, die, hang and are stopped."""

from __future__ import annotations

import json
import math
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from harness import bench, charts, cli, flatness, soak, soak_rows, store, target
from harness.charts import soak as chart
from harness.fault import Fault
from harness.flatness import FLAT, GROWS, UNCLEAR
from harness.launch import Job, Launcher
from harness.progress import Live
from harness.project import Project, here
from harness.soak import Program, Session

MIB = 1 << 20
HOUR = 3600


def judged(shape: Callable[[float], float], seconds: int = HOUR, noise: float = 0.005,
           ) -> flatness.Trend:
    """A series of one value a second around 100 MiB."""
    chance = random.Random(1)
    times = list(range(seconds))
    return flatness.trend(times, [100 * MIB * shape(t) * chance.gauss(1, noise) for t in times])


def sawtooth(t: float) -> float:
    """Up by a third, and back with each collection."""
    return 1 + 0.3 * (t % 17.3) / 17.3


def grown(t: float) -> float:
    """What a program's first ten minutes look like."""
    return 1 - 0.5 * math.exp(-t / 100)


# ---- What is flat --------------------------------------------------------------------------------


def test_sawtooth_is_flat() -> None:
    found = judged(sawtooth)
    assert found.verdict == FLAT and found.level_b is not None
    assert 1.1 < found.level_b / (100 * MIB) < 1.2


def test_warm_up_is_no_growth() -> None:
    assert judged(grown).verdict == FLAT
    assert judged(lambda t: 0.4 if t < HOUR / 5 else 1.0).verdict == FLAT


@pytest.mark.parametrize("shape", [lambda t: 1.0, sawtooth, grown])
def test_slow_leak_grows(shape: Callable[[float], float]) -> None:
    found = judged(lambda t: shape(t) + 0.05 * shape(HOUR) * t / HOUR)
    assert found.verdict == GROWS
    assert found.growth is not None and 0.03 < found.growth < 0.06


def test_memory_that_falls_is_flat() -> None:
    assert judged(lambda t: 1 - 0.1 * t / HOUR).verdict == FLAT


@pytest.mark.parametrize("at", [0.45, 0.6, 0.75, 0.85])
def test_step_after_the_warm_up_is_not_flat(at: float) -> None:
    assert judged(lambda t: 1.0 if t < at * HOUR else 1.2).verdict != FLAT


def test_one_peak_says_nothing() -> None:
    assert judged(lambda t: 3.0 if 2000 < t < 2020 else 1.0).verdict == FLAT


def test_short_run_finds_a_large_leak_and_calls_nothing_flat() -> None:
    assert judged(lambda t: 1 + t / 100, seconds=90).verdict == GROWS
    assert judged(lambda t: 1.0, seconds=90).verdict == UNCLEAR
    few = judged(lambda t: 1.0, seconds=20)
    assert few.verdict == UNCLEAR and few.reason is not None and "too short" in few.reason


def test_fall_that_is_not_known_well_is_not_flat() -> None:
    found = judged(lambda t: 1 - 0.1 * t / 60, seconds=60)
    assert found.high is not None and found.high < 0, "it fell for certain"
    assert found.verdict == UNCLEAR and found.reason is not None and "±10 %" in found.reason


def test_growth_of_a_short_run_is_told_as_it_was() -> None:
    short = soak_rows.Soaked("x", trend=judged(lambda t: 1 + t / 100, seconds=90))
    assert soak_rows.in_words(short).endswith(") in 59 s")
    assert short.trend.growth is not None and short.trend.growth > 10
    grown_by = float(soak_rows.in_words(short).split(" %")[0])
    assert 30 < grown_by < 50, "of the level in the middle, in the time that is judged"
    long = soak_rows.Soaked("x", trend=judged(lambda t: 1.0))
    assert soak_rows.in_words(long).endswith(") an hour")


def test_hole_is_named_and_not_called_too_short() -> None:
    times = [t / 4 for t in range(4 * HOUR) if t < 4 * 1000 or t >= 4 * 3500]
    found = flatness.trend(times, [MIB] * len(times))
    assert found.verdict == UNCLEAR and found.reason is not None
    assert "from 1000 s to 3500 s" in found.reason and "short" not in found.reason
    assert flatness.gaps(times) == [(999.75, 3500.0)]
    assert flatness.gaps([0.0, 1.0, 2.0, 8.0]) == [] and flatness.gaps([]) == []


def test_line_is_broken_at_a_hole() -> None:
    times = [float(t) for t in range(HOUR) if not 2000 <= t < 2600]
    one = soak_rows.Soaked("hole", t_s=times, rss_b=[float(MIB)] * len(times))
    one.trend = flatness.trend(one.t_s, one.rss_b)
    text = chart.plan([one], {}).content()
    series = text.split("$series << END_OF_DATA\n")[1].split("END_OF_DATA")[0].rstrip().splitlines()
    assert series.count("") == 1 and 0 < series.index("") < len(series) - 1


# ---- How often it is wrong -----------------------------------------------------------------------


def waves(chance: random.Random, seconds: int, correlated_s: float, spread: float) -> list[float]:
    """Wanders around 100 MiB without a trend, once a second: a stationary AR(1)."""
    kept = math.exp(-1 / correlated_s)
    fresh, at, values = math.sqrt(1 - kept * kept), chance.gauss(0, 1), []
    for _ in range(seconds):
        at = kept * at + fresh * chance.gauss(0, 1)
        values.append(100 * MIB * (1 + spread * at))
    return values


@pytest.mark.parametrize(("seconds", "correlated_s", "spread"), [
    (120, 15, 0.04), (600, 30, 0.04), (HOUR, 300, 0.04), (HOUR, 600, 0.02)])
def test_waves_without_a_trend_seldom_grow(seconds: int, correlated_s: float, spread: float,
                                           ) -> None:
    chance = random.Random(1)
    times = range(seconds)
    found = [flatness.trend(times, waves(chance, seconds, correlated_s, spread)).verdict
             for _ in range(600)]
    assert found.count(GROWS) <= 18, "3 % of 600"


@pytest.mark.parametrize(("correlated_s", "spread", "leak"), [
    (1, 0.01, 0.03), (60, 0.01, 0.08), (60, 0.04, 0.4), (600, 0.02, 0.8)])
def test_leak_in_waves_is_found_in_an_hour(correlated_s: float, spread: float, leak: float,
                                           ) -> None:
    chance = random.Random(4)
    times = range(HOUR)
    found = [flatness.trend(times, [b * (1 + leak * t / HOUR) for t, b in zip(
        times, waves(chance, HOUR, correlated_s, spread))]).verdict for _ in range(40)]
    assert found.count(GROWS) >= 36


def test_no_samples_are_unclear() -> None:
    assert flatness.trend([], []).verdict == UNCLEAR
    assert flatness.trend([100.0], [1.0]).verdict == UNCLEAR


def test_slope_and_interval_are_those_of_scipy() -> None:
    chance = random.Random(2)
    length_s = 10
    middles = [1e8 * chance.gauss(1, 0.02) for _ in range(flatness.BLOCKS)]
    values = [middles[t // length_s] for t in range(flatness.BLOCKS * length_s)] + middles[-1:]
    mine = flatness.trend(range(len(values)), values, warm_up_s=0.0)
    times = [(i + 0.5) * length_s for i in range(flatness.BLOCKS)]
    theirs = pytest.importorskip("scipy.stats").theilslopes(middles, times, alpha=0.95)
    slope, low, high = (theirs[i] for i in (0, 2, 3))
    assert flatness.theil_sen(list(zip(times, middles))) == pytest.approx((slope, low, high))
    assert mine.level_b is not None and mine.low is not None and mine.high is not None
    assert mine.growth == pytest.approx(slope * HOUR / mine.level_b)
    assert mine.low <= low * HOUR / mine.level_b and high * HOUR / mine.level_b <= mine.high


# ---- The verb, on made-up programs ---------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(here().root, tmp_path / "out")


def script(name: str, text: str) -> Program:
    """A program of Python; it ignores --seconds."""
    return Program(name, f"made up: {name}", (sys.executable, "-c", text))


STEADY = script("steady", "import time; time.sleep(3); print('collections 7')")
DYING = script("dying", "import sys, time; time.sleep(0.5); print('lost'); sys.exit(5)")


def soaked(project: Project, *programs: Program, warm_up_s: float = 0.5,
           ) -> tuple[list[soak_rows.Soaked], str, Session, Path]:
    """Soaks for three seconds, ten samples a second."""
    said = StringIO()
    live = Live(Console(file=said, width=200))
    session = Session(project, live, programs, 3, every_s=0.1)
    path = session.go()
    found = soak_rows.judge(store.read(path), warm_up_s)
    places = soak.write(project, path, found, {}, live)
    soak.show(found, places, Console(file=said, width=200))
    return found, said.getvalue(), session, path


def test_program_that_dies_is_named_and_the_others_go_on(project: Project) -> None:
    found, said, session, path = soaked(project, DYING, STEADY)
    dying, steady = sorted(found, key=lambda one: one.name)
    assert dying.verdict == soak_rows.FAILED and soak.exit_code(found, False) == soak.BROKEN
    assert "FAILED: dying: exit status 5\n    lost\n" in said
    line = DYING.repeat_line(3)
    assert line in said and str(session.kept / "dying.txt") in said
    assert subprocess.run(shlex.split(line), capture_output=True).returncode == 5
    assert steady.message is None and len(steady.t_s) > 2 and steady.most["collections"] == 7
    assert (path.parent / "complete").exists()


def test_figures_are_stored_in_the_common_schemas(project: Project) -> None:
    found, said, _, path = soaked(project, STEADY)
    lines = store.read(path)
    schema = json.loads((here().root / "harness/schema/run.schema.json").read_text())
    for line in lines:
        jsonschema.validate(line, schema)
    document = target.read(project.latest, "soak")
    jsonschema.validate(document, target.schema())
    rows = {row["metric"]: row for row in document["rows"]}
    assert set(rows) == {"rss_b", "peak_rss_b", "pss_b", "threads", "collections"}
    assert rows["rss_b"]["value"] > MIB and rows["rss_b"]["verdict"] == found[0].verdict
    assert rows["collections"]["value"] == 7
    assert "steady" in said and str(project.latest / "soak.json") in said


def test_program_without_its_library_is_a_fault(project: Project) -> None:
    alone = Program("alone", "", STEADY.command, {}, Path("/lib/libnone.so"))
    with pytest.raises(Fault, match="runs without /lib/libnone.so"):
        soaked(project, alone)


def test_program_that_leaks_grows_and_one_beside_it_does_not(project: Project) -> None:
    leaking = script("leaks", """import time
kept = []
for _ in range(300):
    kept.append(b"x" * (1 << 20))
    time.sleep(0.01)
""")
    found, said, _, _ = soaked(project, leaking, STEADY)
    assert [one.name for one in found if one.verdict == GROWS] == ["leaks"], said
    assert soak.exit_code(found, False) == soak.BROKEN


def test_program_that_hangs_is_killed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "GRACE_S", -2.0)
    found, said, _, _ = soaked(project, script("hangs", "import time; time.sleep(600)"))
    assert "hung" in (found[0].message or "") and "FAILED: hangs: it hung" in said


def test_interrupted_soak_is_judged(project: Project) -> None:
    press = "import os, signal, time; time.sleep(1); os.kill(os.getppid(), signal.SIGINT);"
    found, said, session, path = soaked(project, script("long", f"{press} time.sleep(600)"))
    assert session.interrupted and found[0].stopped and found[0].message is None
    assert found[0].t_s and "interrupted" in said
    assert soak.exit_code(found, session.interrupted) == soak.INTERRUPTED
    assert not (path.parent / "complete").exists()


ALONE = """
import sys
from io import StringIO
from pathlib import Path
from rich.console import Console
from harness.progress import Live
from harness.project import Project, here
from harness.soak import Program, Session

said = StringIO()
text = f"import os, time; print(os.getpid(), flush=True); time.sleep(600)"
long = Program("long", "", (sys.executable, "-c", text))
made = Session(Project(here().root, Path(sys.argv[1])), Live(Console(file=said)), [long], 600, 0.1)
made.go()
sys.exit(made.interrupted)
"""


def waited_for(come: Callable[[], object]) -> None:
    end_s = time.monotonic() + 60
    while not come():
        assert time.monotonic() < end_s, "it does not come"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path("/proc", str(pid), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_no_program_outlives_the_soak(number: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "soak/long.txt"
    with subprocess.Popen([sys.executable, "-c", ALONE, str(tmp_path)], cwd=here().root) as alone:
        waited_for(lambda: log.exists() and log.read_text().endswith("\n"))
        pid = int(log.read_text())
        assert is_running(pid)
        alone.send_signal(number)
        code = alone.wait()
    waited_for(lambda: not is_running(pid))
    if number == signal.SIGKILL:
        return
    lines = store.read(next(tmp_path.glob("*/run.jsonl")))
    assert code == 1 and soak_rows.judge(lines)[0].stopped, "what was measured is kept"


def test_hangup_that_is_ignored_stays_so() -> None:
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with bench.interruptible():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert callable(signal.getsignal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGHUP, old)


def test_what_is_said_has_units_and_short_paths(
        project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    said = StringIO()
    live = Live(Console(file=said, width=200))
    live.phase("soaking", "s", 0.0)
    live.tick(10, 120, "malloc 1 MiB")
    assert "soaking: 10/120 s, " in said.getvalue()
    found, _, _, path = soaked(project, STEADY)
    assert not path.parent.name.endswith("-0000")
    monkeypatch.chdir(project.latest.parent)
    said = StringIO()
    soak.show(found, [("figures", project.latest / "soak.json")], Console(file=said, width=200))
    assert "figures  latest/soak.json" in said.getvalue()
    assert "program  verdict" in said.getvalue()
    assert "ran  median RSS" in said.getvalue() and "3 s" in said.getvalue()


def test_exit_codes() -> None:
    def one(verdict: str) -> soak_rows.Soaked:
        return soak_rows.Soaked("x", trend=flatness.Trend(verdict, 0.0))

    assert soak.exit_code([one(FLAT)], False) == 0
    assert soak.exit_code([one(FLAT), one(UNCLEAR)], False) == 3
    assert soak.exit_code([one(FLAT), one(UNCLEAR)], True) == soak.INTERRUPTED
    assert soak.exit_code([one(GROWS), one(UNCLEAR)], True) == soak.BROKEN


# ---- The real programs ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def programs() -> tuple[Program, ...]:
    return soak.build_all(here())


def test_programs_run(project: Project, programs: tuple[Program, ...]) -> None:
    found, said, _, _ = soaked(project, *programs)
    assert {one.name for one in found} == {"collector", "malloc", "gc"}
    assert all(one.message is None and one.t_s for one in found), said
    assert all(one.most["collections"] > 0 for one in found if one.name != "malloc")


WORK = {"collector": ("--rounds=20000", 2), "malloc": ("--turns=6", 10), "gc": ("--turns=6", 3)}


@pytest.mark.parametrize("name", WORK)
def test_planted_leak_is_memory(name: str, programs: tuple[Program, ...]) -> None:
    work, one_in = WORK[name]
    program = next(one for one in programs if one.name == name)

    def peak_b(*more: str) -> int:
        done = Launcher(here()).run(Job(
            here().root / program.command[0], (*program.command[1:], work, *more),
            env=tuple(program.environment.items()), record=False))
        assert done.ok and done.rss_b is not None, done.message
        return done.rss_b

    sound_b = peak_b()
    assert peak_b(f"--leak={one_in}") > sound_b + 30 * MIB


def test_chart_is_drawn(project: Project) -> None:
    if shutil.which("gnuplot") is None:
        pytest.skip("gnuplot is not installed: apt-get install gnuplot-nox")
    times = [float(t) for t in range(HOUR)]
    made = [soak_rows.Soaked(name, t_s=times, rss_b=[MIB * shape(t) for t in times])
            for name, shape in (("saw", sawtooth), ("`odd`", lambda t: 1 + t / HOUR))]
    for one in made:
        one.trend = flatness.trend(one.t_s, one.rss_b)
    plan = chart.plan(made, {"saw": "a 'sawtooth'"})
    assert "saw: 1.15 MiB" in plan.alt and "grows" in plan.alt
    assert chart.plan([], {}).skipped == "no program ran long enough"
    drawn = charts.draw_plan(plan, project.latest, templates=project.plots)
    assert drawn.skipped is None and drawn.svg.exists()
    lines = plan.content().splitlines()
    assert len(lines) < 2 * 2 * HOUR, "a long series is thinned"


def test_minutes_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["soak", "--minutes", "0"]) == 2
    assert "minutes are more than 0" in capsys.readouterr().err


def test_make_passes_the_minutes_on() -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(["make", "-n", "soak", "MINUTES=90"], cwd=here().root, env=clean,
                          capture_output=True, text=True)
    assert "harness soak  --minutes '90'" in done.stdout
