"""Judges outcomes (what a variant does in a cell) and detectors (which tool sees it). Pure.

A detector must report a marked line: one that was marked when the sample was taken, as the sample
says. (Samples of an older form do not say it: for them it is the lines that are marked now.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.catalog import Detector, Pitfall, cell_matches
from harness.laws import elided
from harness.sheet import Sheet, first_line

_FRAME = re.compile(r"#\d+ 0x[0-9a-f]+ in .*?([^\s:()]+\.[ch]):(\d+)")
_UBSAN = re.compile(r"^([^\s:]+\.[ch]):(\d+):\d+: runtime error: (.+)$", re.MULTILINE)
_ASAN = re.compile(r"AddressSanitizer:? ?(.+)")


@dataclass(frozen=True)
class OutcomeJudgement:
    """One expected outcome in one cell."""

    pitfall: str
    variant: str
    cell: str
    expected: str
    observed: str | None
    held: bool | None
    reason: str


@dataclass(frozen=True)
class DetectorJudgement:
    """One detector in one cell."""

    pitfall: str
    tool: str
    cell: str
    variant: str
    expected: bool
    found: bool | None
    category: str
    line: int | None
    held: bool | None
    reason: str


@dataclass(frozen=True)
class Finding:
    """What a sanitizer reported: its headline and the first line of the pitfall's own code."""

    headline: str
    file: str | None
    line: int | None

    @property
    def place(self) -> str:
        """file:line of the pitfall's own code."""
        return f"{self.file}:{self.line}" if self.file else "no line of the pitfall"


def judge_outcomes(sheet: Sheet, catalog: Sequence[Pitfall],
                   cells: Sequence[str]) -> list[OutcomeJudgement]:
    """Every declared outcome in every cell that it names; a drift is not held."""
    result = []
    for pitfall in catalog:
        gone = elided(sheet, pitfall, cells)
        for outcome in pitfall.outcomes:
            for cell in cells:
                if not cell_matches(cell, outcome.cells):
                    continue
                observed = sheet.outcome(pitfall.id, outcome.variant, cell)
                if (outcome.variant, cell) in gone:
                    observed = "elided"
                held = None if observed is None else observed == outcome.expect
                reason = f"{outcome.variant} is {observed}, declared {outcome.expect}"
                if observed is None:
                    reason = sheet.why_absent(pitfall.id, outcome.variant, cell, "outcome")
                result.append(OutcomeJudgement(pitfall.id, outcome.variant, cell, outcome.expect,
                                               observed, held, reason))
    return result


def findings(tool: str, report: str, pitfall: str) -> list[Finding]:
    """The reports in a sanitizer's output, each with its first frame in the pitfall's own files."""
    if tool == "ubsan":
        return [Finding(text, file, int(line)) for path, line, text in _UBSAN.findall(report)
                if (file := _own(path, pitfall)) is not None]
    headline = next((m[1] for m in map(_ASAN.search, report.splitlines())
                     if m is not None and "ERROR" in m.string), None)
    if headline is None:
        return []
    for path, line in _FRAME.findall(report):
        file = _own(path, pitfall)
        if file is not None:
            return [Finding(headline, file, int(line))]
    return [Finding(headline, None, None)]


def _own(path: str, pitfall: str) -> str | None:
    """The name of a file that lies in the pitfall's folder."""
    folder, _, name = path.rpartition("/")
    return name if folder.rpartition("/")[2] == pitfall else None


def judge_detectors(sheet: Sheet, catalog: Sequence[Pitfall],
                    cells: Sequence[str]) -> list[DetectorJudgement]:
    """Every detector in every cell that it names."""
    return [
        _judge_detector(sheet, pitfall, detector, cell)
        for pitfall in catalog
        for detector in pitfall.detectors
        for cell in cells
        if cell_matches(cell, detector.cells)
    ]


def _judge_detector(sheet: Sheet, pitfall: Pitfall, detector: Detector,
                    cell: str) -> DetectorJudgement:
    where = f"{cell}+{detector.tool}"

    def say(found: bool | None, line: int | None, reason: str) -> DetectorJudgement:
        held = None if found is None else found == detector.expect
        return DetectorJudgement(pitfall.id, detector.tool, cell, detector.variant,
                                 detector.expect, found, detector.category, line, held, reason)

    samples = sheet.role(pitfall.id, detector.variant, where, "detect")
    if not samples:
        built = sheet.cells.get((pitfall.id, detector.variant, where))
        if built is not None and built["status"] == "failed":
            return say(None, None, f"does not build: {first_line(built['message'])}")
        return say(None, None, f"{detector.tool} was not run in {cell}")
    report = samples[-1].get("report") or ""
    seen = findings(detector.tool, report, pitfall.id)
    if not seen:
        message = samples[-1]["status"]["message"]
        if message:
            return say(None, None, f"no report, and it failed: {first_line(message)}")
        return say(False, None, "no report")
    if not detector.expect:
        return say(True, seen[0].line, f"reports {seen[0].headline} at {seen[0].place}")
    marker = detector.line_marker
    marked = samples[-1].get("marked", {}).get(marker, detector.marked)
    for finding in seen:
        right_line = marker is None or finding.place in marked
        if detector.category.lower() in finding.headline.lower() and right_line:
            return say(True, finding.line, f"reports {finding.headline} at {finding.place}")
    first = seen[0]
    wanted = detector.category + (f" at a line marked {marker}" if marker else "")
    return say(False, first.line,
               f"reports {first.headline} at {first.place}, wanted {wanted}")
