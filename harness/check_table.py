"""What the gate says: on a terminal, as Markdown, and as the annotations of a CI server."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from harness import check_rows, compare_table
from harness.check_rows import FAILED, Checked
from harness.compare_rows import Found
from harness.compare_table import Comparison
from harness.metrics import describe, exact, percent
from harness.table import Places, say_places, speaker
from harness.verdicts import BETTER, SAME, WORSE

SHOWN = 40
_STYLE = {WORSE: "red", FAILED: "red", BETTER: "green"}


def figures(one: Checked) -> str:
    """1,000 -> 1,021 (+2.1 %)"""
    if one.old is None or one.new is None:
        return "–" if one.new is None else exact(one.new)
    text = f"{exact(one.old)} → {exact(one.new)}"
    if one.moved is None:
        return text
    change = one.moved - 1
    return f"{text} ({'-' if change < 0 else '+'}{percent(abs(change), 3)})"


def print_rows(rows: Sequence[Checked], console: Console) -> None:
    """What moved, the worst first, then the count."""
    say, _ = speaker(console)
    loud = check_rows.interesting(rows)
    grouped = _grouped(loud)
    for one, count in grouped[:SHOWN]:
        more = f" (and {count - 1} more)" if count > 1 else ""
        say(f"{one.verdict:14}  {one.subject}  {describe(one.metric).title}: "
            f"{one.reason or figures(one)}{more}", _STYLE.get(one.verdict, "yellow"))
    if len(grouped) > SHOWN:
        say(f"… and {len(grouped) - SHOWN} more in check.md")
    counts = check_rows.counts(rows)
    say(", ".join(f"{counts[v]} {v}" for v in sorted(counts, key=lambda v: -counts[v]))
        + f" of {len(rows)} exact figures" if rows else "no exact figure was taken")


def _grouped(rows: Sequence[Checked]) -> list[tuple[Checked, int]]:
    """Rows that say the same of many programs are said once."""
    result: dict[tuple[str, str], tuple[Checked, int]] = {}
    for one in rows:
        key = (one.verdict, one.reason) if one.reason else (one.subject, one.metric)
        before = result.get(key)
        result[key] = (one, 1) if before is None else (before[0], before[1] + 1)
    return list(result.values())


def print_all(rows: Sequence[Checked], comparison: Comparison | None, console: Console,
              places: Places) -> None:
    """The exact figures; then base against head, if it was measured."""
    print_rows(rows, console)
    if comparison is not None:
        console.print()
        compare_table.print_all(comparison, console)
    say_places(speaker(console)[0], places)


def markdown(rows: Sequence[Checked], comparison: Comparison | None,
             slower: Sequence[Found]) -> str:
    """The page."""
    counts = check_rows.counts(rows)
    lines = ["# Check", "", ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
             + f" of {len(rows)} exact figures."]
    loud = check_rows.interesting(rows)
    if loud:
        lines += ["", "| program | figure | baseline → now | verdict | note |",
                  "|---|---|---|---|---|"]
        lines += [f"| {row.subject} | {describe(row.metric).title} | {figures(row)} | "
                  f"{row.verdict} | {row.reason or ''} |" for row in loud]
    if comparison is not None:
        lines += ["", "## Time and memory, base against head", ""]
        lines += [f"- **worse**: {one.row.subject} {one.row.metric}: {one.row.ratio.value:.3f}"
                  for one in slower]
        lines += [f"- **failed**: {words}" for words in comparison.failures]
        if comparison.untrusted:
            lines.append("- nothing may be concluded: this run differs from itself")
        elif not slower and not comparison.failures:
            lines.append("Nothing got worse.")
        lines += [f"\n> {remark}" for remark in compare_table.remarks(comparison)]
    return "\n".join([*lines, ""])


def workflow_commands(rows: Sequence[Checked], slower: Sequence[Found],
                      broken: Sequence[str] = ()) -> list[str]:
    """Lines of GitHub Actions' commands: ::error and ::warning."""
    said = [f"::{'error' if one.verdict in (WORSE, FAILED) else 'warning'} "
            f"title=pitmark::{_escaped(check_rows.title(one))}"
            for one, _ in _grouped(check_rows.interesting(rows))
            if one.verdict not in (SAME, BETTER)]
    return said + [
        f"::error title=pitmark::{_escaped(found.row.subject)}: {found.row.metric} is"
        f" {found.row.ratio.value:.3f} of the base" for found in slower] + [
        f"::error title=pitmark::{_escaped(words)}" for words in broken]


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
