"""Hand-offs: a stored run in the formats of other tools, one file each. Pure: text from lines.

Each module has NAME, what it is called on the command line; WHAT, one line; and export(source).
"""

from __future__ import annotations

from types import ModuleType

from harness.exports import csv, gobench, hyperfine, junit, markdown, openmetrics, trace
from harness.exports.source import Source

__all__ = ["FORMATS", "Source", "names", "without_figures"]

FORMATS: dict[str, ModuleType] = {
    module.NAME: module for module in (gobench, hyperfine, csv, junit, markdown, trace, openmetrics)
}


def without_figures(source: Source) -> Source:
    """The same run as if nothing had been measured in it."""
    return Source([line for line in source.lines if line["kind"] == "run"],
                  {**source.document, "rows": []})


def names() -> str:
    """The formats, for a message."""
    return " ".join(FORMATS)
