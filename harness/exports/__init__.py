"""Hand-offs: a stored run in the formats of other tools, one file each. Pure: text from lines.

Each module has NAME, what it is called on the command line; WHAT, one line; and export(source).
"""

from __future__ import annotations

from types import ModuleType

from harness.exports import csv, gobench, hyperfine, junit, markdown, openmetrics, trace
from harness.exports.source import Source

__all__ = ["FORMATS", "Source", "names"]

FORMATS: dict[str, ModuleType] = {
    module.NAME: module for module in (gobench, hyperfine, csv, junit, markdown, trace, openmetrics)
}


def names() -> str:
    """The formats, for a message."""
    return " ".join(FORMATS)
