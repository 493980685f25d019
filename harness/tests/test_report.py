"""The report: one file, offline, every number with its unit, every gap with its reason."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from harness import probes, report, target
from harness import report_tables as tables
from harness.charts import Chart, draw
from harness.metrics import exact
from harness.report_view import estimate, figure_text, interval_text, observed_text, ratio_text
from harness.tests import golden
from harness.tests.test_table import fail

ROOT = Path(__file__).resolve().parent.parent.parent
VOID = {"meta", "br", "link", "img", "input", "hr", "path", "circle", "use", "polygon"}


class Page(HTMLParser):
    """Collects ids, links, tags; and that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open[-1] == tag, (tag, self.open[-3:], self.getpos())
            self.open.pop()

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "action") and value:
                self.links.append(value)


@pytest.fixture()
def summary() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((golden.DATA / "summary.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> list[Chart]:
    """The charts of two pitfalls and of the whole run: enough to look at."""
    loaded = json.loads((golden.DATA / "summary.json").read_text(encoding="utf-8"))
    loaded["pitfalls"] = loaded["pitfalls"][1:3]
    out = tmp_path_factory.mktemp("plots")
    return draw(loaded, out, templates=ROOT / "plots")


def section(page: str, anchor: str) -> str:
    start = page.index(f'<section id="{anchor}">')
    return page[start : page.index("</section>", start)]


def test_page_is_whole_offline_and_without_scripts(
    summary: dict[str, Any], charts: list[Chart], tmp_path: Path
) -> None:
    path = report.write(summary, charts, tmp_path)
    assert path == tmp_path / "report.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags and "iframe" not in page.tags
    assert all(link.startswith("#") for link in page.links)
    assert not re.search(r"url\((?!['\"]?#)", text) and "@import" not in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_ids_are_unique_and_links_arrive(summary: dict[str, Any], charts: list[Chart]) -> None:
    page = Page(report.render(summary, charts))
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)


@pytest.mark.skipif(shutil.which("gnuplot") is None, reason="gnuplot is not installed")
def test_every_picture_has_caption_and_text(summary: dict[str, Any], charts: list[Chart]) -> None:
    text = report.render(summary, charts)
    drawn = [chart for chart in charts if chart.skipped is None]
    assert text.count("<figure>") == text.count("<figcaption>") == len(drawn) > 8
    assert text.count('<svg role="img" aria-label="') == len(drawn)


def test_explanations_are_shown_in_the_section_of_their_pitfall(summary: dict[str, Any]) -> None:
    summary["pitfalls"][1]["explanations"] = [
        {"variant": "bad", "role": "bad", "cell": "gcc-O2", "reason": None,
         "text": "0x1 is alive: struct <node>, 64 bytes\n  global variable kept\n"},
        {"variant": "fixed", "role": "fixed", "cell": "gcc-O2", "text": None,
         "reason": "killed by SIGSEGV"}]
    page = report.render(summary, [])
    assert Page(page).open == []
    assert page.count("Why is it alive?") == 1
    found = section(page, report.anchor(summary["pitfalls"][1]["id"]))
    assert ('<pre class="path">0x1 is alive: struct &lt;node&gt;, 64 bytes\n'
            "  global variable kept</pre>") in found
    assert "<code>fixed</code> on gcc-O2: not explained (killed by SIGSEGV)" in found


def test_facts_beside_go_are_shown_if_there_are_any(
    summary: dict[str, Any], charts: list[Chart]
) -> None:
    rows = [target.row("peak/64 MiB", "fact", value=98.25, peer=95.5, goal="at most Go's",
                       verdict="differs as declared", reason="it is faster"),
            target.row("channels/nil/send", "fact", goal="exact", verdict="same")]
    page = report.render(summary, charts, {
        "fidelity": {"git": "0123456789abcdef", "rows": rows}})
    assert "at commit <code>0123456789ab</code>" in page
    assert "<td>95.5</td><td>98.25</td><td>at most Go&#39;s</td>" in page
    assert "differs as declared: it is faster" in page
    assert 'href="#fidelity"' in page
    assert "fidelity" not in report.render(summary, charts)


def test_soak_is_shown_if_there_was_one(summary: dict[str, Any], tmp_path: Path) -> None:
    rows = [target.row("maps", "rss_b", value=3 << 20, ratio=1.002, low=0.999, high=1.25,
                       goal="grows by at most 1 % in an hour", verdict="grows"),
            target.row("queue", "rss_b", goal="grows by at most 1 % in an hour",
                       verdict="failed", reason="ended by SIGSEGV"),
            target.row("maps", "threads", value=4)]
    svg = tmp_path / "soak.svg"
    svg.write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>')
    picture = Chart("soak", "The soak", "Over hours.", svg, svg, None, None)
    page = report.render(summary, [picture], {"soak": {"git": "fedcba9876543210", "rows": rows}})
    found = section(page, "soak")
    assert "at commit <code>fedcba987654</code>" in found and 'href="#soak"' in page
    assert "<td>3 MiB</td><td>+0.2 % (-0.1 % to +25 %)</td>" in found
    assert "failed: ended by SIGSEGV" in found and found.count("<tr>") == 3
    assert page.count("Over hours.") == found.count("Over hours.") == 1
    Page(page)
    assert 'id="soak"' not in report.render(summary, [])


@pytest.mark.parametrize(("taken", "words"), [
    ({"samples": 8, "planned": 8, "rounds": [4, 4]}, "4"),
    ({"samples": 7, "planned": 24, "rounds": [1, 2]}, "1 to 2 of 6"),
    (None, "6"),
])
def test_rounds_are_those_that_are_there(summary: dict[str, Any], taken: dict[str, Any] | None,
                                         words: str) -> None:
    page = report.render(summary | ({"taken": taken} if taken else {}), [])
    assert f">rounds</th><td>{words}</td>" in page and f"each time, {words} rounds." in page


@pytest.mark.parametrize("value_only", [False, True])
def test_what_shows_a_value_alone_has_no_table_of_ratios(summary: dict[str, Any],
                                                         value_only: bool) -> None:
    pitfall = summary["pitfalls"][0]
    pitfall["value_only"] = value_only
    found = section(report.render(summary, []), report.anchor(pitfall["id"]))
    assert ("Bad against fixed" in found, "it was timed once" in found) == (not value_only,
                                                                          value_only)


def test_page_is_the_same_each_time(summary: dict[str, Any], charts: list[Chart]) -> None:
    assert report.render(summary, charts) == report.render(summary, charts)


@pytest.mark.parametrize("anchor", ["results", "p-unsafe-cast", "left-out", "facts"])
def test_parts_are_the_golden_ones(summary: dict[str, Any], anchor: str) -> None:
    text = section(report.render(summary, []), anchor) + "</section>\n"
    golden.check(f"report-{anchor}.html", text)


def test_null_metric_says_not_measured_and_why(summary: dict[str, Any]) -> None:
    bad = summary["pitfalls"][0]["cells"]["gcc-O2"]["variants"]["bad"]
    bad["metrics"]["peak_rss_b"] = None
    bad["reasons"] = {"peak_rss_b": "clear_refs is not writable"}
    text = section(report.render(summary, []), "p-escape")
    assert "not measured<small>clear_refs is not writable</small>" in text
    assert "instructions of the timed region: not measured (not asked for" in text


def test_missing_gnuplot_is_said_once_a_chart(summary: dict[str, Any], tmp_path: Path) -> None:
    charts = draw(summary, tmp_path, gnuplot="no-such-gnuplot", templates=ROOT / "plots")
    text = report.render(summary, charts)
    assert "<svg" not in text
    assert text.count("apt-get install gnuplot") == sum(
        1 for chart in charts if "gnuplot" in (chart.skipped or "")
    )


def test_run_table_has_every_fact_of_the_machine_and_nothing_internal(
    summary: dict[str, Any]
) -> None:
    assert {key for key, _, _ in tables.MACHINE} == set(probes.machine()) - {"reasons"}
    summary["run"]["machine"] = probes.machine()
    summary["run"]["settings"] |= {"pitfalls": ["growth"], "cells": ["gcc-O2"], "quick": True}
    text = section(report.render(summary, []), "facts")
    assert text.count(f"<td>{summary['run']['seed']}</td>") == 1
    assert not re.search(r"None|reasons|extras|region_s|[a-z]_[a-z]+</th>", text)


def test_names_are_escaped(summary: dict[str, Any]) -> None:
    odd = '<script>alert("1")</script>&_'
    one = summary["pitfalls"][0]
    one["id"] = one["title"] = one["summary"] = odd
    one["variants"][0]["label"] = odd
    one["laws"][0] |= {"title": odd, "held": False, "reason": odd}
    summary["left_out"] = [{"cell": odd, "reason": odd}]
    summary["events"] = [odd]
    summary["run"]["machine"]["cpu_model"] = odd
    summary["cells"][0] |= {"status": "failed", "message": f"error:\n{odd}"}
    summary["failed"] = [{"pitfall": "escape", "variant": odd, "cells": [odd], "samples": {},
                          "message": odd}]
    text = report.render(summary, [])
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    Page(text)


def test_picture_with_a_script_is_not_inlined(summary: dict[str, Any], tmp_path: Path) -> None:
    svg = tmp_path / "flags.svg"
    svg.write_text("<svg><script>1</script></svg>", encoding="utf-8")
    chart = Chart("flags", "t", "c", svg, svg, None, None)
    text = report.render(summary, [chart])
    assert "<script" not in text and "is not a plain SVG picture" in text


def test_failed_build_shows_the_compilers_message(summary: dict[str, Any]) -> None:
    message = escape(fail(summary))
    text = report.render(summary, [])
    shown = section(text, "results")
    assert ("escape.bad does not build in gcc-O0 (2 not judged):"
            f"<pre>In a function:\n{message}\n  here</pre>") in shown
    assert shown.count(message) == 1
    assert text.count("clang is not installed") == 1


def test_one_cell_and_empty_runs_render(summary: dict[str, Any]) -> None:
    for pitfall in summary["pitfalls"]:
        pitfall["cells"] = {"clang-O2": pitfall["cells"]["clang-O2"]}
    assert "Results on clang-O2" in report.render(summary, [])
    lists = ("cells", "pitfalls", "flags", "left_out", "events")
    empty: dict[str, Any] = {"v": 1, "run": None, **{name: [] for name in lists}}
    assert "Nothing was measured." in report.render(empty, [])


def test_repro_names_a_stored_sample(summary: dict[str, Any]) -> None:
    text = report.render(summary, [])
    assert "python3 -m harness repro growth/bad/gcc-O2/r01/timed" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.052, "0.052×"), (1.0, "1.00×"), (22.14, "22.1×"), (65536.0, "65,536×"),
     (0.0, "0×"), (1e-7, "0.0000001×")],
)
def test_ratios_read_without_exponents(value: float | None, text: str) -> None:
    assert ratio_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(48, "48"), (19.0, "19"), (0.5, "0.5"), (262144.0, "262,144"), (1.0000001, "1.0000001"),
     (1e-7, "0.0000001"), (12345678901.5, "12,345,678,901.5"), (-0.25, "-0.25"),
     (2.0**60, "1,152,921,504,606,846,976"), (0.0, "0"), (float("inf"), "inf")],
)
def test_exact_numbers_are_shown_exactly(value: float, text: str) -> None:
    assert exact(value) == text


def test_exact_metrics_are_not_rounded_and_others_are() -> None:
    assert figure_text("retained_b", 262144.0) == "262,144 B"
    assert figure_text("allocs_per_op", 1.0000001) == "1.0000001"
    assert figure_text("peak_rss_b", 262144.0) == "256 KiB"
    assert figure_text("retained_b", None) == "not measured"


@pytest.mark.parametrize(
    ("kind", "held", "observed", "text"),
    [("exact", True, 12345.5, "12,345.5"), ("bound", True, 1.00001, "1.00001"),
     ("ratio", True, 99.9999, "100"), ("ratio", False, 99.9999, "99.9999"),
     ("exponent", True, 1.16631, "1.166"), ("exact", True, None, "held"),
     ("exact", None, None, "not judged")],
)
def test_law_shows_what_it_observed(
    kind: str, held: bool | None, observed: float | None, text: str
) -> None:
    assert observed_text({"kind": kind, "held": held, "observed": observed}) == text


def test_interval_names_its_unit_once() -> None:
    assert interval_text("ns_per_op", 40.6, 41.2) == "40.6 to 41.2 ns"
    assert interval_text("peak_rss_b", 1000 * 1024, 1100 * 1024) == "1000 KiB to 1.07 MiB"


@pytest.mark.parametrize("value", [None, {}, {"median": None}, float("nan"), "x", True])
def test_no_value_is_never_zero(value: object) -> None:
    assert estimate(value).value is None and estimate(value).reason
