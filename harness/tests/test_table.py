"""The closing table: readable through a pipe, complete, and honest about what failed."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.table import show
from harness.tests import golden

PLACES = [("report", "results/latest/report.html"), ("charts", "results/latest/plots/")]


@pytest.fixture()
def summary() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((golden.DATA / "summary.json").read_text(encoding="utf-8"))
    return loaded


class Pipe(io.TextIOWrapper):
    """A text stream that is no terminal."""

    def __init__(self, encoding: str) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding)


def printed(summary: dict[str, Any], encoding: str = "utf-8") -> str:
    pipe = Pipe(encoding)
    show(summary, Console(file=pipe), PLACES)
    pipe.flush()
    lines = pipe.bytes.getvalue().decode(encoding).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def test_plain_table_is_the_golden_one(summary: dict[str, Any]) -> None:
    golden.check("table.txt", printed(summary))


def test_table_fits_100_columns_and_has_no_colour_codes(summary: dict[str, Any]) -> None:
    text = printed(summary)
    assert "\x1b" not in text
    table = text.split("time and RSS:")[0]
    assert max(len(line) for line in table.splitlines()) <= 100
    assert "…" not in table


def test_on_80_columns_names_are_cut_and_no_figure(summary: dict[str, Any]) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, no_color=True, width=80,
                      legacy_windows=False)
    show(summary, console)
    wide = printed(summary).split("time and RSS:")[0]
    narrow = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).split("time and RSS:")[0]
    figures = re.compile(r"[\d.,]+×|\d+/\d+|(?:gcc|clang)-O\w")
    assert figures.findall(narrow) == figures.findall(wide)
    assert max(len(line) for line in narrow.splitlines()) <= 80


def test_no_color_is_honoured_on_a_terminal(
    summary: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    show(summary, Console(file=stream, force_terminal=True, width=100, legacy_windows=False))
    assert "\x1b[3" not in stream.getvalue()


def test_ascii_stream_gets_ascii(summary: dict[str, Any]) -> None:
    text = printed(summary, "ascii")
    assert "bad -> fixed" in text and "21.2x" in text


def test_failed_laws_and_left_out_cells_are_said_in_words(summary: dict[str, Any]) -> None:
    text = printed(summary)
    assert "failed: slice-retention on clang-O2: peak RSS difference" in text
    assert "one parent was released early" in text
    assert "declared is manifest" in text
    assert "left out: clang-O0: clang is not installed: apt-get install clang" in text
    assert text.rstrip().endswith("results/latest/plots/")


def fail(summary: dict[str, Any]) -> str:
    """Makes a variant fail to build in one cell; returns the message."""
    message = "bad.c:3:1: error: expected ';'"
    summary["cells"][0] |= {"status": "failed", "message": f"In a function:\n{message}\n  here"}
    summary["failed"] = [{"pitfall": "escape", "variant": "bad", "cells": ["gcc-O0"],
                          "samples": {}, "message": message}]
    for law in summary["pitfalls"][0]["laws"]:
        if law["cell"] == "gcc-O0" and law["variant"] == "bad":
            law |= {"held": None, "reason": f"bad does not build: {message}"}
    return message


def test_each_fact_is_said_once(summary: dict[str, Any]) -> None:
    message = fail(summary)
    summary["left_out"].append({**summary["left_out"][0], "cell": "clang-O1"})
    text = printed(summary)
    assert f"failed: escape.bad does not build in gcc-O0 (2 not judged): {message}" in text
    assert text.count(message) == 1
    assert text.count("clang is not installed") == 1
    assert text.count("libgcc-12-dev") == 1


def test_every_law_is_counted_exactly_once(summary: dict[str, Any]) -> None:
    table = printed(summary).split("time and RSS:")[0]
    fields = [line.split()[-1] for line in table.splitlines() if line.split()]
    counted = sum(int(field.split("/")[1]) for field in fields if field[0].isdigit())
    assert counted == sum(len(pitfall["laws"]) for pitfall in summary["pitfalls"])


def test_null_metrics_print_a_dash(summary: dict[str, Any]) -> None:
    cell = summary["pitfalls"][0]["cells"]["gcc-O0"]
    cell["ratios"]["main/fixed"]["ns_per_op"] = None
    cell["variants"]["bad"]["metrics"]["allocs_per_op"] = {"median": None, "reason": "why"}
    line = next(line for line in printed(summary).splitlines() if "gcc-O0" in line)
    assert line.split()[-6:-1] == ["–", "2.76×", "–", "→", "0"]


def test_program_that_always_failed_says_so(summary: dict[str, Any]) -> None:
    summary["pitfalls"][0]["cells"]["gcc-O0"]["variants"]["bad"] |= {"n": 0, "failed": 20}
    line = next(line for line in printed(summary).splitlines() if "gcc-O0" in line)
    assert "failed" in line


def test_nothing_measured_is_said(summary: dict[str, Any]) -> None:
    text = printed({"pitfalls": [], "flags": [], "left_out": [], "events": [], "run": None})
    assert "Nothing was measured." in text


def test_markup_in_names_is_printed_not_interpreted(summary: dict[str, Any]) -> None:
    summary["pitfalls"][0]["id"] = "[red]x[/red]&<"
    assert "[red]x[/red]&<" in printed(summary)


def test_one_cell_run(summary: dict[str, Any]) -> None:
    for pitfall in summary["pitfalls"]:
        pitfall["cells"] = {"gcc-O2": pitfall["cells"]["gcc-O2"]}
    assert "gcc-O0 " not in printed(summary).split("time and RSS:")[0]


def test_law_over_two_variants_belongs_to_their_comparison(summary: dict[str, Any]) -> None:
    loop = next(p for p in summary["pitfalls"] if p["id"] == "loop-defer")
    law: dict[str, Any] = {"title": "x", "held": True, "observed": 2, "bound": ">= 2"}
    loop["laws"] = [{**law, "cell": "gcc-O0", "variant": "bad.fd/fixed.fd"},
                    {**law, "cell": "gcc-O0", "variant": None}]
    lines = printed(summary).splitlines()
    assert next(line for line in lines if "bad.fd → fixed.fd" in line).split()[-1] == "1/1"
    assert next(line for line in lines if line.startswith(" loop-defer")).split()[-1] == "1/1"
