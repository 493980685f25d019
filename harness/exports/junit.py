"""JUnit XML (the xunit1 family of pytest), which CI servers show: a test case for each figure.

`worse` and a broken law fail, what could not be measured is an error, `unclear` is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as xml

from harness.exports.source import Source

NAME = "junit"
WHAT = "JUnit XML: a test case a figure"
FAILURES = ("worse", "broken", "missed", "different", "drift")
ERRORS = ("failed", "not measured")
SKIPPED = ("unclear", "not judged", "elided", "new", "changed source", "another place",
           "not compared")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def export(source: Source) -> str:
    """The whole document."""
    target = str(source.document["target"])
    suite = xml.Element("testsuite", name=f"pitmark.{target}")
    counts = {"failure": 0, "error": 0, "skipped": 0}
    rows = source.document["rows"]
    for row in rows:
        case = xml.SubElement(suite, "testcase", classname=_clean(f"pitmark.{target}.{row['id']}"),
                              name=_clean(row["metric"]), time="0")
        kind = _kind(row)
        if kind is not None:
            counts[kind] += 1
            element = xml.SubElement(case, kind, message=_clean(_message(row)))
            element.text = _clean(row["reason"] or "")
    suite.attrib |= {"tests": str(len(rows)), "failures": str(counts["failure"]),
                     "errors": str(counts["error"]), "skipped": str(counts["skipped"])}
    root = xml.Element("testsuites")
    root.append(suite)
    xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(root, "unicode") + "\n"


def _kind(row: Mapping[str, Any]) -> str | None:
    verdict = str(row["verdict"] or "").split(",")[0]
    for kind, words in (("failure", FAILURES), ("error", ERRORS), ("skipped", SKIPPED)):
        if verdict in words:
            return kind
    return None


def _message(row: Mapping[str, Any]) -> str:
    ratio = "" if row["ratio"] is None else f", ratio {row['ratio']:.4g}"
    return f"{row['verdict']}{ratio}" + (f" ({row['goal']})" if row["goal"] else "")


def _clean(text: str) -> str:
    """XML 1.0 has no place for control characters."""
    return _FORBIDDEN.sub("?", text)
