"""The front door: verbs, knobs, exit codes, and what they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness import bench, cli, store, table
from harness.plan import Options
from harness.progress import Live
from harness.project import Project, here
from harness.tests import tiny

ROOT = here().root
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}


def run(project: Project, *arguments: str) -> int:
    return cli.main(list(arguments), project)


@pytest.mark.parametrize("verb", [*cli.VERBS, ""])
def test_help_shows_a_real_command(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"] if verb else ["--help"]) == 0
    assert "python3 -m harness" in capsys.readouterr().out.split("Example:")[1]


@pytest.mark.parametrize("arguments", [[], ["bensh"], ["bench", "--rouns", "3"],
                                       ["bench", "--rounds", "0"], ["bench", "--rounds", "x"],
                                       ["validate", "--trials", "0"],
                                       ["repro"], ["repro", "x", "--gdb", "--perf"]])
def test_wrong_command_line_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bench", "--pitfalls", "nothing"], "no pitfall 'nothing'; there are: tiny"),
        (["bench", "--cells", "gcc-O9"], "no cell 'gcc-O9'"),
        (["list", "--profile", "odd"], "no profile 'odd'; there are: default wide"),
        (["new-pitfall", "Wrong_Name"], "'Wrong_Name' cannot be an id"),
        (["new-pitfall", ""], "make new-pitfall ID=my-pitfall"),
        (["new-pitfall", "tiny"], "pitfalls/tiny is there already"),
        (["repro", ""], "make repro SAMPLE="),
        (["laws", "--run", "never"], "no run 'never'"),
    ],
)
def test_wrong_value_is_a_usage_error_that_says_what_is_right(
    tiny_project: Project, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_project, *arguments) == 2
    assert words in capsys.readouterr().err


def test_laws_without_a_run_say_what_to_do(
    tiny_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_project, "laws") == 4
    assert "make bench" in capsys.readouterr().err


def test_list_shows_pitfalls_variants_and_cells(
    tiny_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_project, "list", "--profile", "wide", "--cells", "gcc-*") == 0
    text = capsys.readouterr().out
    assert "tiny               A made-up pitfall" in text
    assert "main: bad -> fixed" in text
    assert "gcc-Og" in text and "clang" not in text


@pytest.mark.parametrize("arguments", [["--pitfalls", "nothing"], ["--cells", "gcc-O9"], []])
def test_list_prints_nothing_before_an_error(
    tiny_project: Project, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if not arguments:
        tiny.add(tiny_project, "tiny", {}, "not toml")
    assert run(tiny_project, "list", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("harness: ")


def measured(project: Project, live: Live, options: Options) -> str:
    done = bench.run(project, options, live)
    store.replace_copy(done.path, project.latest / store.RUN_FILE)
    return done.run_id


def test_laws_judge_again_without_measuring(
    tiny_project: Project, quiet: Live, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = measured(tiny_project, quiet, options)
    assert run(tiny_project, "laws") == 0
    assert "3 of 3 laws, outcomes and detectors hold" in capsys.readouterr().out
    tiny.add(tiny_project, "tiny", {}, tiny.TOML.replace("equals = 2", "equals = 3"))
    assert run(tiny_project, "laws", "--run", run_id) == 1
    text = capsys.readouterr().out
    assert "broken      tiny/allocations/gcc-O2/bad: allocs_per_op is 2, wanted = 3" in text
    assert "2 of 3" in text
    rows = json.loads((tiny_project.latest / "laws.json").read_text())["rows"]
    assert all(row["met"] for row in rows), "--run of an older run leaves results/latest alone"


def test_law_that_cannot_be_judged_is_unclear(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    measured(tiny_project, quiet, options)
    tiny.add(tiny_project, "tiny", {}, tiny.TOML.replace('"allocs_per_op"', '"instructions"'))
    assert run(tiny_project, "laws") == 3


def test_sample_is_reproduced(
    tiny_project: Project, quiet: Live, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(tiny_project, quiet, options)
    assert run(tiny_project, "repro", "tiny/bad/gcc-O2/r01/timed") == 0
    text = capsys.readouterr().out
    assert "allocs_per_op" in text and "stored" in text and "new" in text
    assert "changed" not in text
    source = tiny_project.pitfalls / "tiny" / "bad.c"
    source.write_text(source.read_text() + "/* edited */\n")
    assert run(tiny_project, "repro", "tiny/bad/gcc-O2/n100/sweep") == 0
    assert "the sources have changed" in capsys.readouterr().out
    assert run(tiny_project, "repro", "tiny/bad/gcc-O2/r77/timed") == 2
    assert "there are for example" in capsys.readouterr().err


OVERFLOW = """static volatile int big = 2147483647; static int thrice(void) { return big * 3; }
#define TINY_BEFORE n += thrice() & 1;
"""
DETECTOR = """[[detector]]
tool = "ubsan"
variant = "bad"
category = "overflow"
expect = true
"""


def test_detected_sample_is_reproduced_with_its_report(
    tiny_project: Project, quiet: Live, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.add(tiny_project, "tiny", {"bad": OVERFLOW + tiny.BAD}, tiny.TOML + DETECTOR)
    run_id = measured(tiny_project, quiet, options)
    stored = store.samples(store.read(tiny_project.results / run_id / store.RUN_FILE))
    name = next(s["sample"] for s in stored if s["role"] == "detect")
    assert run(tiny_project, "repro", name) == 0
    text = capsys.readouterr().out
    assert "runtime error: signed integer overflow" in text
    assert "stored: ubsan reports signed integer overflow" in text
    assert "new: ubsan reports signed integer overflow" in text and "at bad.c:1" in text
    tiny.add(tiny_project, "tiny", {"bad": tiny.BAD}, tiny.TOML + DETECTOR)
    assert run(tiny_project, "repro", name) == 4
    assert "new: ubsan reports nothing" in capsys.readouterr().out


@pytest.mark.parametrize(("script", "code"), [
    ("echo not permitted >&2; exit 255", 4), ("echo data > perf.data; exit 1", 0)])
def test_tool_that_records_nothing_is_a_failure(
    tiny_project: Project, quiet: Live, options: Options, tmp_path: Path, script: str, code: int,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:
    measured(tiny_project, quiet, options)
    fake = tmp_path / "bin" / "perf"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "perf.data").write_text("old")
    os.utime(tmp_path / "perf.data", (0, 0))
    assert run(tiny_project, "repro", "tiny/bad/gcc-O2/r01/timed", "--perf") == code
    text = capfd.readouterr()
    assert ("perf.data is here" in text.out) == (code == 0)
    assert ("perf ended with status 255 and recorded nothing" in text.err) == (code == 4)


def test_bench_writes_everything_and_prints_where_it_is(
    tiny_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny_project.root / "plots").mkdir()
    for path in here().plots.glob("*.gp"):
        (tiny_project.plots / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "elsewhere"
    assert run(tiny_project, "bench", "--quick", "--rounds", "1", "--cells", "gcc-O2",
               "--out", str(out)) == 0
    latest = out / "latest"
    assert {p.name for p in latest.iterdir()} == {
        "run.jsonl", "summary.json", "bench.json", "laws.json", "report.html", "plots"}
    captured = capsys.readouterr()
    assert "report.html" in captured.out and "run.jsonl" in captured.out
    assert not (tiny_project.root / "results").exists()
    assert "\x1b[" not in captured.out + captured.err


@pytest.mark.parametrize("target", ["compare", "soak", "check"])
@pytest.mark.parametrize("verb", ["report", "laws"])
def test_run_of_another_target_leaves_the_report_alone(
    tiny_project: Project, quiet: Live, options: Options, target: str, verb: str,
    capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = measured(tiny_project, quiet, options)
    before = (tiny_project.latest / store.RUN_FILE).read_bytes()
    path = tiny_project.results / run_id / store.RUN_FILE
    path.write_text(path.read_text().replace('"target":"bench"', f'"target":"{target}"')
                    .replace('"settings":{', '"settings":{"arms":[{"name":"A","title":"A"}],'))
    assert run(tiny_project, verb, "--run", run_id) == 2
    assert f"is a run of make {target}, not of make bench" in capsys.readouterr().err
    assert (tiny_project.latest / store.RUN_FILE).read_bytes() == before
    # Under a name that does not tell: what the file says counts.
    path.write_text("\n" + path.read_text())
    assert run(tiny_project, verb, "--run", run_id) == 2


@pytest.mark.parametrize("verb", ["fuzz", "stress", "soak", "fidelity"])
def test_place_of_results_is_looked_at_first(
    tiny_project: Project, tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", Path("/proc/no")):
        assert run(tiny_project, verb, "--out", str(out)) == 4
        error = capsys.readouterr().err
        assert "cannot be written" in error and "OUT=dir" in error


@pytest.mark.parametrize("verb", ["doctor", "validate", "baseline"])
def test_interrupt_says_what_is_kept(
    tiny_project: Project, verb: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.doctor.run", interrupted)
    monkeypatch.setattr("harness.validate.run", interrupted)
    monkeypatch.setattr("harness.check.measure_exact", interrupted)
    assert run(tiny_project, verb) == 130
    error = capsys.readouterr().err
    assert error.startswith("interrupted")
    assert ("RESUME=1" in error) if verb == "baseline" else (f"make {verb} begins anew" in
                                                             " ".join(error.split()))


def test_report_of_an_interrupted_run_says_so(
    tiny_project: Project, quiet: Live, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = measured(tiny_project, quiet, replace(options, rounds=2))
    cut = tiny_project.results / "20990101-000000-bench-cut"
    cut.mkdir()
    text = (tiny_project.results / whole / store.RUN_FILE).read_text()
    (cut / store.RUN_FILE).write_text(text[:-20])  # in the last line: a sample of round 2
    assert run(tiny_project, "report") == 0
    said = capsys.readouterr().out
    assert "note: interrupted" not in said and "20990101-000000-bench-cut is newer, and not" in said
    assert run(tiny_project, "report", "--run", cut.name) == 0
    assert "note: interrupted: 3 of 4 timed samples, 1 to 2 of 2 rounds" in capsys.readouterr().out
    page = (tiny_project.latest / "report.html").read_text()
    assert "interrupted: 3 of 4 timed samples" in page
    assert "1 to 2 of 2" in page and "a quick run: 1 to 2 short rounds give ratios" in page


def test_report_names_the_run_that_was_begun(
    tiny_project: Project, quiet: Live, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = bench.run(tiny_project, options, quiet).run_id
    assert run(tiny_project, "report") == 4
    assert f"{run_id} was begun: RUN={run_id} takes what there is" in capsys.readouterr().err


def test_table_is_printed_by_its_module() -> None:
    assert callable(table.show)


def test_broken_law_makes_bench_fail(
    tiny_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.add(tiny_project, "tiny", {}, tiny.TOML.replace("equals = 2", "equals = 3"))
    assert run(tiny_project, "bench", "--quick", "--rounds", "1", "--cells", "gcc-O2") == 1


def test_build_failure_is_code_4(
    tiny_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_project, "build", "--cells", "gcc-O2") == 0
    tiny.add(tiny_project, "tiny", {"bad": "#error made to fail\n"})
    assert run(tiny_project, "build", "--cells", "gcc-O2") == 4
    assert "made to fail" in capsys.readouterr().err


def test_clean_deletes_builds_and_keeps_results(
    tiny_project: Project, quiet: Live, options: Options
) -> None:
    measured(tiny_project, quiet, options)
    assert run(tiny_project, "clean") == 0
    assert not tiny_project.build.exists()
    assert (tiny_project.latest / "run.jsonl").exists()


# ---- make ----------------------------------------------------------------------------------------


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True,
                          env=CLEAN)


def test_make_help_has_a_line_for_every_target() -> None:
    text = make("help").stdout
    names = [line.split()[0] for line in text.splitlines() if line and not line[0].isspace()]
    for target in ("deps build test lint list bench peers laws report clean install new-pitfall"
                   " repro").split():
        assert target in names
    assert all(len(line) <= 100 for line in text.splitlines())


def test_make_passes_the_knobs_on() -> None:
    text = make("-n", "bench", "QUICK=1", "ROUNDS=3", "PITFALLS=growth escape",
                "CELLS=gcc-O2 clang-Os", "PROFILE=wide", "OUT=/tmp/x y", "RESUME=1", "INSTR=1",
                "SEED=5").stdout
    wanted = ("--out '/tmp/x y' --pitfalls 'growth escape' --cells 'gcc-O2 clang-Os'"
              " --profile 'wide' --quick --rounds '3' --resume --instr --seed '5'")
    assert wanted in " ".join(text.split())


def test_make_peers_passes_its_knobs_on() -> None:
    text = make("-n", "peers", "QUICK=1", "ROUNDS=3", "WORKS=binary-trees churn-100", "OUT=/tmp/x",
                "RESUME=1", "SEED=5").stdout
    wanted = ("harness peers --out '/tmp/x' --quick --rounds '3' --resume"
              " --works 'binary-trees churn-100' --seed '5'")
    assert wanted in " ".join(text.replace("\\", "").split())
    assert "bootstrap.sh /usr/bin/python3 peers" in text


def test_knob_that_is_0_is_off() -> None:
    for target in ("bench", "peers"):
        text = make("-n", target, "QUICK=0", "RESUME=0").stdout
        assert "--quick" not in text and "--resume" not in text


KNOBS = re.findall(r"\b[A-Z]+(?==)", (ROOT / "Makefile").read_text().split("# They")[0])
ARMS = [*"ABCDEFGH", *(f"CMD_{letter}" for letter in "ABCDEFGH")]


@pytest.mark.parametrize("target", re.findall(
    r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
def test_make_says_what_a_target_takes(target: str) -> None:
    """A variable of the environment is taken without a word, so that all can be given at once."""
    names = [*KNOBS, "PITFALLS", "CELLS", "BASE", "ALLOC", "SRC", "ARGS", *ARMS]
    marked = {name: f"of-{name}-" for name in names}
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True,
                          env=CLEAN | marked)
    text = done.stdout
    taken = {name for name in names if marked[name] in text or f'"${name}"' in text}
    taken |= {name for name in ("QUICK", "RESUME", "INSTR", "TURNS") if f"--{name.lower()}" in text}
    refused = make("-n", target, "NO_SUCH=1")
    assert refused.returncode == 2
    words = refused.stderr.split("; it takes ")[1].split(".")[0].split()
    # SEEN_LEVELS reaches the tests by the environment.
    assert set(words) - {"no", "variable", "SEEN_LEVELS"} == taken
    assert make("-n", target, *(f"{name}=x" for name in taken)).returncode == 0


@pytest.mark.parametrize(("arguments", "words"), [
    (["bench", "PITFALS=escape"], "make bench does not take PITFALS; it takes CELLS"),
    (["bench", "MINUTES=3"], "make bench does not take MINUTES"),
    (["clean", "CELLS=x"], "it takes no variable"),
    (["bensh", "QUICK=1"], "No rule to make target 'bensh'"),
])
def test_make_names_a_variable_that_does_nothing(arguments: list[str], words: str) -> None:
    done = make("-n", *arguments)
    assert done.returncode == 2 and words in done.stderr


def test_variables_of_a_make_above_are_its_own() -> None:
    done = subprocess.run(["make", "-n", "list", "THEIRS=1"], cwd=ROOT, capture_output=True,
                          text=True, env=CLEAN | {"MAKELEVEL": "1"})
    assert done.returncode == 0


def test_module_runs_as_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "harness", "list", "--cells", "gcc-O2"], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0
    assert "growth" in done.stdout


def test_another_python_hands_over_to_debians(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import __main__ as program

    started: list[list[str]] = []
    monkeypatch.setattr("sys.executable", "/opt/other/python3")
    monkeypatch.setattr("sys.argv", ["harness", "list"])
    monkeypatch.setattr("os.execv", lambda path, words: started.append(words))
    program.use_debians_python()
    assert started == [[str(program.DEBIAN_PYTHON), "-m", "harness", "list"]]
    monkeypatch.setattr("sys.executable", str(program.DEBIAN_PYTHON))
    program.use_debians_python()
    assert len(started) == 1


def test_tests_run_on_every_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda path, words: started.append(words[1:]))
    monkeypatch.chdir(ROOT)
    for cpus in ([0, 1, 2], [3]):
        monkeypatch.setattr("harness.probes.cpus", lambda: cpus)
        cli.main(["test", "--", "-k", "golden"])
    assert started == [["-m", "pytest", "-n", "3", "--dist", "loadfile", "-k", "golden"],
                       ["-m", "pytest", "-k", "golden"]]


def test_bench_ends_in_4_where_a_variant_does_not_build(
    tiny_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.add(tiny_project, "tiny", {"bad": "#error made to fail\n"})
    assert run(tiny_project, "bench", "--quick", "--rounds", "1", "--cells", "gcc-O2") == 4
    assert "made to fail" in capsys.readouterr().err


def test_figures_that_are_no_figures_are_named(
    tiny_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["bench", "--rounds", "x"], ["stress", "--minutes", "x"],
                      ["validate", "--trials", "x"]):
        assert run(tiny_project, *arguments) == 2
        assert "not x" in capsys.readouterr().err
