"""Markdown for the summary of a CI job or a comment: the count of verdicts, then what moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.exports.source import Source
from harness.metrics import show

NAME = "markdown"
WHAT = "Markdown for a CI summary: what moved"
QUIET = ("same", "identical-code", "held", "met")
_SHOWN = 60


def export(source: Source) -> str:
    """The document in short."""
    rows = source.document["rows"]
    counts: dict[str, int] = {}
    for row in rows:
        if row["verdict"] is not None:
            counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    lines = [f"## pitmark {source.document['target']}", ""]
    lines.append(", ".join(f"{count} {verdict}" for verdict, count in sorted(
        counts.items(), key=lambda item: (-item[1], item[0]))) or "nothing was judged")
    loud = [row for row in rows if row["verdict"] is not None and row["verdict"] not in QUIET]
    if loud:
        lines += ["", "| figure | metric | before | now | ratio | verdict |",
                  "|---|---|---|---|---|---|"]
        lines += [_row(row) for row in loud[:_SHOWN]]
    if len(loud) > _SHOWN:
        lines += ["", f"and {len(loud) - _SHOWN} more"]
    return "\n".join(lines) + "\n"


def _row(row: Mapping[str, Any]) -> str:
    ratio = "–" if row["ratio"] is None else f"{row['ratio']:.4g}"
    if row["low"] is not None and row["high"] is not None:
        ratio += f" ({row['low']:.4g}–{row['high']:.4g})"
    cells = (row["id"], row["metric"], show(row["peer"], row["unit"]),
             show(row["value"], row["unit"]), ratio, row["verdict"])
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
