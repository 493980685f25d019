"""Hand-offs: each format letter by letter, and read by a tool that knows it."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from harness import cli, exports, store, target
from harness.exports import Source
from harness.project import Project
from harness.tests import golden, lines


def stored() -> list[dict[str, Any]]:
    """Two programs in two rounds, one of them failing once, and an observed one."""
    ns = {"ns_per_op": 1234.5, "allocs_per_op": 2, "ops": 100, "peak_rss_b": 2**20, "user_s": 0.05}
    return [
        lines.run(),
        lines.cell("bad"), lines.cell("fixed"),
        *(lines.sample(variant, {**ns, "ns_per_op": 1000.0 + number}, round_=number)
          for variant in ("bad", "fixed") for number in (0, 1, 2)),
        lines.failed("fixed", "killed by SIGSEGV", round_=3, signal=11),
        lines.sample("bad", {}, name="gcc-2", round_=1) | {"metrics": ns},
        lines.sample("bad", {}, role="observe", timeline={"t_ns": [-10, 5, 9],
                                                          "rss_b": [4096, 8192, 4096]}),
    ]


def document() -> dict[str, Any]:
    return target.document("bench", lines.run(), [
        target.row("tiny/main/gcc-O2", "ns_per_op", value=1000.0, peer=500.0, peer_name="fixed",
                   ratio=2.0, low=1.9, high=2.1, n=20, verdict="worse", goal="within 3 % of 1"),
        target.row("tiny/main/gcc-O2", "peak_rss_b", value=1 << 20, peer=1 << 20,
                   peer_name="fixed", ratio=1.0, low=0.99, high=1.01, n=20, verdict="same"),
        target.row("tiny/a \"b\", c|d", "allocs_per_op", value=2, verdict="unclear",
                   reason="3 rounds\nare too few"),
    ])


@pytest.fixture
def source() -> Source:
    return Source(stored(), document())


@pytest.mark.parametrize("name", list(exports.FORMATS))
def test_golden(name: str, source: Source) -> None:
    golden.check(f"export-{name}.txt", exports.FORMATS[name].export(source))


@pytest.mark.parametrize("name", list(exports.FORMATS))
def test_a_run_without_samples(name: str) -> None:
    empty = Source([], {"v": 1, "target": "bench", "git": None, "machine": {}, "rows": []})
    assert exports.FORMATS[name].export(empty).endswith("\n")


def test_go_benchmark_lines_have_the_format(source: Source) -> None:
    """Name, count, then pairs of value and unit; no name ends in a dash and digits."""
    found = [line for line in exports.FORMATS["go"].export(source).splitlines()
             if line.startswith("Benchmark")]
    assert found
    for line in found:
        name, count, *pairs = line.split()
        assert count.isdigit() and len(pairs) % 2 == 0
        assert not re.search(r"-\d+$", name)
        assert all(float(value) >= 0 for value in pairs[::2])


def test_csv_is_read_back(source: Source) -> None:
    rows = list(csv.DictReader(io.StringIO(exports.FORMATS["csv"].export(source))))
    assert len(rows) == len(source.document["rows"])
    assert rows[0]["id"] == source.document["rows"][0]["id"]


def test_hyperfine_json_has_its_keys(source: Source) -> None:
    found = json.loads(exports.FORMATS["hyperfine"].export(source))["results"]
    assert set(found[0]) == {"command", "mean", "stddev", "median", "user", "system", "min", "max",
                             "times", "exit_codes"}


def test_junit_is_read_by_its_tool(source: Source) -> None:
    parser = pytest.importorskip("junitparser")
    suites = parser.JUnitXml.fromstring(exports.FORMATS["junit"].export(source).encode())
    [suite] = list(suites)
    cases = list(suite)
    assert len(cases) == suite.tests == len(source.document["rows"])
    assert suite.failures == 1


def test_junit_has_no_forbidden_character(source: Source) -> None:
    row = {**source.document["rows"][0], "verdict": "worse", "reason": "bell \x07 & <tag>"}
    text = exports.FORMATS["junit"].export(Source([], {**source.document, "rows": [row]}))
    failure = ElementTree.fromstring(text).find(".//failure")
    assert failure is not None and failure.text == "bell ? & <tag>"


@pytest.mark.parametrize(("verdict", "kind"), [
    ("drift", "failure"), ("not compared", "skipped"), ("same", None),
    ("differs as declared", None)])
def test_junit_fails_where_a_fact_has_drifted(verdict: str, kind: str | None) -> None:
    row = target.row("sizes/a", "fact", value=1.0, peer=2.0, goal="exact", verdict=verdict)
    text = exports.FORMATS["junit"].export(Source([], target.document("fidelity", {}, [row])))
    case = ElementTree.fromstring(text).find(".//testcase")
    assert case is not None and [element.tag for element in case] == ([kind] if kind else [])


def test_openmetrics_is_read_by_its_tool(source: Source) -> None:
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    families = list(parser.text_string_to_metric_families(
        exports.FORMATS["openmetrics"].export(source)))
    assert [f.name for f in families] == ["pitmark_value", "pitmark_ratio", "pitmark_ratio_low",
                                          "pitmark_ratio_high"]


def test_trace_events_have_what_a_viewer_needs(source: Source) -> None:
    events = json.loads(exports.FORMATS["trace"].export(source))["traceEvents"]
    kinds = {event["ph"] for event in events}
    assert kinds == {"M", "X", "C"}
    assert all(event["ts"] >= 0 for event in events if event["ph"] != "M")
    assert all(event["dur"] > 0 for event in events if event["ph"] == "X")


def test_verb_writes_the_latest_run(tiny_project: Project, source: Source,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "--format", "csv"], tiny_project) == 4
    assert "make bench does it" in capsys.readouterr().err
    latest = tiny_project.latest
    store.replace_file(latest / "run.jsonl", "".join(json.dumps(x) + "\n" for x in source.lines))
    assert cli.main(["export", "--format", "csv"], tiny_project) == 4
    assert "bench.json: is not there" in capsys.readouterr().err
    store.replace_json(latest / "bench.json", source.document)
    assert cli.main(["export", "--format", "csv"], tiny_project) == 0
    assert capsys.readouterr().out == exports.FORMATS["csv"].export(source)
    out = tiny_project.root / "out.txt"
    assert cli.main(["export", "--format", "go", "--to", str(out)], tiny_project) == 0
    assert out.read_text() == exports.FORMATS["go"].export(source)


def given(project: Project, name: str, source: Source) -> None:
    """As if a target had left this."""
    store.replace_file(project.latest / ("run.jsonl" if name == "bench" else f"{name}.jsonl"),
                       "".join(json.dumps(x) + "\n" for x in source.lines))
    store.replace_json(project.latest / f"{name}.json", source.document)


def test_nothing_measured_is_a_failure(tiny_project: Project, source: Source,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    given(tiny_project, "bench", Source([lines.run(), lines.cell("bad"),
                                         lines.failed("bad", "killed by SIGSEGV")], document()))
    assert cli.main(["export", "--format", "csv"], tiny_project) == 4
    assert "nothing was measured in this run" in capsys.readouterr().err
    given(tiny_project, "bench", Source(source.lines, {**document(), "rows": []}))
    assert cli.main(["export", "--format", "csv"], tiny_project) == 2
    assert "csv has nothing to hand on of make bench" in capsys.readouterr().err


@pytest.mark.parametrize("format_", list(exports.FORMATS))
def test_soak_and_fidelity_hand_on_their_figures(
    tiny_project: Project, format_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = format_ in ("csv", "junit", "markdown", "openmetrics")
    row = target.row("maps", "rss_b", value=1 << 20, ratio=1.01, verdict="flat")
    soaked = lines.sample("maps", {"pss_b": 5.0}, role="soak", name="soak-0", pitfall="soak")
    given(tiny_project, "soak", Source([lines.run() | {"target": "soak"}, soaked],
                                       target.document("soak", lines.run(), [row])))
    store.replace_json(tiny_project.latest / "fidelity.json",
                       target.document("fidelity", lines.run(), [row]))
    for name in ("soak", "fidelity"):
        code = cli.main(["export", "--format", format_, "--target", name], tiny_project)
        assert code == (0 if figures else 2)
        said = capsys.readouterr()
        assert ("maps" in said.out) if figures else ("has nothing to hand on" in said.err)


def test_place_that_cannot_be_written_is_named(tiny_project: Project, source: Source,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    given(tiny_project, "bench", source)
    assert cli.main(["export", "--format", "go", "--to", "/proc/no/x"], tiny_project) == 4
    assert "/proc/no/x: cannot be written" in capsys.readouterr().err


def test_unknown_format_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "--format", "xls"]) == 2
    assert "hyperfine" in capsys.readouterr().err


def test_documents_of_every_target_can_be_exported(source: Source) -> None:
    row: dict[str, Any] = target.row("x/y", "ns_per_op")
    for name in exports.FORMATS:
        assert exports.FORMATS[name].export(Source([], target.document("peers", {}, [row])))
