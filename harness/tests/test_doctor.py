"""The promise of the doctor on made-up noise, and the verb from end to end."""

from __future__ import annotations

import random
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from harness import cli, doctor, power, store, target, verdicts
from harness.fault import Fault
from harness.progress import Live
from harness.project import Project
from harness.tests import lines, tiny


def arm(seed: int, spread: float, n: int = 40) -> dict[int, float]:
    chance = random.Random(seed)
    return {i: 100 * chance.gauss(1, spread) for i in range(1, n + 1)}


def test_more_rounds_see_smaller_changes() -> None:
    changes = [power.promise("ns_per_op", arm(1, 0.04), arm(2, 0.04), rounds).change
               for rounds in (10, 40)]
    assert changes[0] is not None and changes[1] is not None and changes[1] < changes[0]


def test_a_quiet_machine_promises_little_more_than_the_margin() -> None:
    found = power.promise("ns_per_op", arm(1, 0.001), arm(2, 0.001), 20)
    assert found.change is not None and 0.03 < found.change < 0.035


def verdict(seed: int, spread: float, change: float, rounds: int) -> str:
    """What rounds of a changed program come to at the level of two looks."""
    a, b = arm(seed, spread, rounds), arm(seed + 1, spread, rounds)
    b = {i: value * (1 + change) for i, value in b.items()}
    row = verdicts.compare("", "ns_per_op", a, b)
    return verdicts.judge([row], verdicts.Q_TWO_LOOKS)[0].verdict


def is_found(seed: int, spread: float, change: float) -> bool:
    """Whether a run of 20 rounds finds it in either look, and 40 others confirm it."""
    looks = (verdict(seed, spread, change, 20), verdict(seed, spread, change, 40))
    found = looks[0] == verdicts.WORSE or looks == (verdicts.UNCLEAR, verdicts.WORSE)
    return found and verdict(seed + 2, spread, change, 40) == verdicts.WORSE


@pytest.mark.parametrize("spread", [0.01, 0.03, 0.06])
def test_the_promised_change_is_found(spread: float) -> None:
    """In new runs with the same noise, confirmation included, nearly always."""
    found = power.promise("ns_per_op", arm(1, spread), arm(2, spread), 20)
    assert found.change is not None
    assert sum(is_found(10 + 4 * trial, spread, found.change) for trial in range(40)) >= 36


def test_luck_of_the_measurement_is_no_part_of_the_promise() -> None:
    a, b = arm(1, 0.03), arm(2, 0.03)
    lucky = {i: 1.02 * value for i, value in b.items()}
    one, other = (power.promise("ns_per_op", a, x, 20).change for x in (b, lucky))
    assert one is not None and other is not None and abs(one - other) < 0.005


def test_too_few_rounds_promise_nothing() -> None:
    assert power.promise("ns_per_op", arm(1, 0.01, 9), arm(2, 0.01, 9), 20).change is None


def test_limits_of_the_machine_are_named() -> None:
    assert len(doctor.limits({"hypervisor": True, "cpus": 1})) == 2
    assert doctor.limits({"governor": None, "busy_cpus": 0.1, "cpus": 8}) == []


def stored(took_s: float, wall_s: float = 0.03, **machine: object) -> list[dict[str, Any]]:
    """Twelve rounds of the control pair."""
    begun = lines.run()
    begun["machine"] |= machine
    return [begun, *(lines.cell(v, pitfall=doctor.PITFALL) for v in (doctor.A, doctor.B)), *(
        lines.sample(v, {"ns_per_op": 1.0 + 0.001 * i}, round_=i, pitfall=doctor.PITFALL,
                     wall_s=wall_s, took_s=took_s if i else 100.0, stolen_s=0.0)
        for v in (doctor.A, doctor.B) for i in range(13))]


def test_time_of_a_run_is_that_of_all_that_belongs_to_it() -> None:
    """Linking and starting, too; without the round that warms."""
    found = doctor.diagnose(stored(took_s=0.25))
    assert found.seconds_per_round == pytest.approx(0.5)
    document = doctor.document(lines.run(), found)
    jsonschema.Draft202012Validator(target.schema()).validate(document)
    assert {row["n"]: row["value"] for row in document["rows"] if row["metric"] == "took_s"} == {
        20: 10.0, 40: 20.0, 80: 40.0, 160: 80.0}
    out = StringIO()
    doctor.show(found, Console(file=out, width=120))
    assert "20 s" in out.getvalue() and "80 s" in out.getvalue()


def test_doctor_says_what_makes_the_machine_noisy() -> None:
    found = doctor.diagnose(stored(0.25, busy_cpus=1.2, thp="always"))
    assert [line.split(",")[0].split(":")[0] for line in found.advice] == [
        "other programs kept 1.2 of 2 processors busy when the run began",
        "transparent huge pages are always on"]


def test_verb_measures_and_says(tiny_project: Project, quiet: Live) -> None:
    tiny.add(tiny_project, "control-same", {"bad": tiny.BAD, "sham": tiny.BAD},
             tiny.TOML.replace('id = "fixed"\npair = "main"\nrole = "fixed"',
                               'id = "sham"\npair = "main"\nrole = "sham"'))
    path = doctor.run(tiny_project, quiet, rounds=10, cell="gcc-O2", seed=3)
    out = Console(file=StringIO(), width=120)
    assert doctor.finish(tiny_project, path, out) == 0
    text = out.file.getvalue() if isinstance(out.file, StringIO) else ""
    assert "smallest change" in text and "time per operation" in text
    document = target.read(tiny_project.latest, doctor.TARGET)
    jsonschema.Draft202012Validator(target.schema()).validate(document)
    assert len(document["rows"]) == (len(doctor.METRICS) + 1) * len(doctor.ROUNDS)
    samples = [x for x in store.read(path) if x["kind"] == "sample"]
    assert all("startup_s" in x["metrics"] for x in samples)  # as in a comparison
    per_round = sum(x["took_s"] for x in samples if x["round"]) / 10
    assert document["rows"][-1]["value"] == pytest.approx(160 * per_round)


def test_control_that_fails_is_a_failure(tiny_project: Project,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    tiny.add(tiny_project, "control-same", {v: "int main(void) { return 1; }"
                                            for v in ("bad", "fixed")})
    assert cli.main(["doctor", "--rounds", "2"], tiny_project) == 4
    assert "control program does not run" in capsys.readouterr().err


def test_a_stored_run_without_figures(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    store.replace_file(path, "")
    with store.Store(path) as kept:
        kept.append(lines.run())
    project = replace(Project(tmp_path), out=tmp_path)
    with pytest.raises(Fault, match="gave no figures"):
        doctor.finish(project, path, Console(file=StringIO()))
