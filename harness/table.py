"""The closing table of a run: what each fix saves, cell by cell, and which laws held.

Readable at 100 columns, without colour, and through a pipe; where the terminal is not UTF-8 the
arrows and signs become ASCII. What failed or was left out follows in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.metrics import exact
from harness.report_view import (
    Comparison,
    Json,
    cells_of,
    claims,
    comparisons,
    failures_of,
    laws_of,
    left_out_of,
    mapping,
    metric_of,
    notes_of,
    observed_text,
    pitfalls_of,
    ratio_of,
    ratio_text,
    sequence,
    tally,
    unjudged,
    variant_of,
)

WIDTH = 100
NAME, LABEL, LEAST = 16, 28, 8  # the widths of pitfalls and variants, and the least of either
PLAIN = str.maketrans({"→": "->", "×": "x", "–": "-", "µ": "u", "…": "~", "≥": ">=", "≤": "<="})

Places = Sequence[tuple[str, object]]


def show(summary: Mapping[str, Any], console: Console, places: Places = ()) -> None:
    """Prints the table, then failures and left-out cells in words, then where everything lies."""
    with wide(console):
        _Closing(console).show(summary, places)


@contextmanager
def wide(console: Console, least: int = WIDTH) -> Iterator[None]:
    """A pipe has no width of its own: what is printed there may be so wide."""
    width = console.width
    if not console.is_terminal:
        console.width = max(width, least)
    try:
        yield
    finally:
        if not console.is_terminal:
            console.width = width


def speaker(console: Console) -> tuple[Callable[..., None], Mapping[int, str]]:
    """say(text, style) for lines that are not cut, and how signs are put where the terminal is not
    UTF-8 (empty: as they are)."""
    signs = {} if (console.encoding or "").lower().startswith("utf") else PLAIN

    def say(text: str, style: str = "") -> None:
        console.print(Text(text.translate(signs), style=style), soft_wrap=True)

    return say, signs


def say_places(say: Callable[..., None], places: Places) -> None:
    """Where everything lies, a line each; nothing for none."""
    if not places:
        return
    widest = max(len(what) for what, _ in places)
    say("")
    for what, where in places:
        say(f"{what:<{widest}}  {where}")


class _Closing:
    """One printing of the closing lines on one console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.plain = not (console.encoding or "").lower().startswith("utf")

    def show(self, summary: Json, places: Places) -> None:
        pitfalls = [p for p in pitfalls_of(summary) if mapping(p.get("cells"))]
        if pitfalls:
            self.console.print(self._fitting(pitfalls))
            self.console.print(
                Text(
                    "time and RSS: bad / fixed, above 1 the fix helps. "
                    "allocs/op: bad → fixed.".translate(self._signs())
                )
            )
        else:
            self._say("Nothing was measured.", "bold")
        self._claims(summary)
        for words, row in failures_of(summary):
            self._say(f"failed: {words}: {row.get('message')}", "red")
        for reason, count in unjudged(summary):
            self._say(f"not judged ({count}): {reason}", "yellow")
        for cells, reason in left_out_of(summary):
            self._say(f"left out: {cells}: {reason}", "yellow")
        for note in notes_of(summary):
            self._say(f"note: {note}", "yellow")
        say_places(self._say, places)

    def _fitting(self, pitfalls: Sequence[Json]) -> Table:
        """On a narrow terminal it is the names that are cut, never a figure."""
        table = self._table(pitfalls, NAME, LABEL, "laws held")
        if self._excess(table) <= 0:
            return table
        excess = max(0, self._excess(self._table(pitfalls, NAME, LABEL, "laws")))
        longest = max(len(f"{c.bad} → {c.fix}") for p in pitfalls for c in comparisons(p))
        label = max(LEAST, min(LABEL, longest) - excess)
        rest = excess - (min(LABEL, longest) - label)
        longest = max(len(str(p.get("id"))) for p in pitfalls)
        return self._table(pitfalls, max(LEAST, min(NAME, longest) - rest), label, "laws")

    def _excess(self, table: Table) -> int:
        """By how much a table is wider than the console."""
        free = self.console.options.update(width=10 * WIDTH, max_width=10 * WIDTH)
        return self.console.measure(table, options=free).maximum - self.console.width

    def _table(self, pitfalls: Sequence[Json], name: int, label: int, laws: str) -> Table:
        table = Table(box=None if self.plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        table.add_column("pitfall", no_wrap=True, max_width=name, overflow="ellipsis")
        table.add_column(self._text("bad → fixed"), no_wrap=True, max_width=label,
                         overflow="ellipsis")
        table.add_column("cell", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("RSS", justify="right", no_wrap=True)
        table.add_column("allocs/op", justify="right", no_wrap=True)
        table.add_column(laws, justify="right", no_wrap=True)
        for pitfall in pitfalls:
            for comparison in comparisons(pitfall):
                cells = cells_of({"pitfalls": [pitfall]})
                for index, cell in enumerate(cells):
                    head = index == 0
                    table.add_row(
                        self._text(str(pitfall.get("id")) if head and comparison.first else ""),
                        self._text(f"{comparison.bad} → {comparison.fix}" if head else ""),
                        self._text(cell),
                        *self._numbers(pitfall, cell, comparison),
                        self._laws(laws_of(pitfall, cell, comparison)),
                        end_section=cell == cells[-1],
                    )
        return table

    def _numbers(self, pitfall: Json, cell: str, one: Comparison) -> list[Text]:
        if any(self._all_failed(pitfall, cell, variant) for variant in (one.bad, one.fix)):
            return [Text("failed", style="red"), Text(""), Text("")]
        allocs = [metric_of(pitfall, cell, v, "allocs_per_op").value for v in (one.bad, one.fix)]
        ratios = [ratio_of(pitfall, cell, one, m).value for m in ("ns_per_op", "peak_rss_b")]
        return [
            *(self._text(ratio_text(ratio)) for ratio in ratios),
            self._text(" → ".join("–" if a is None else exact(a) for a in allocs)),
        ]

    @staticmethod
    def _all_failed(pitfall: Json, cell: str, variant: str) -> bool:
        record = variant_of(pitfall, cell, variant)
        return bool(record) and not record.get("n") and bool(record.get("failed"))

    def _laws(self, laws: Sequence[Json]) -> Text:
        held, failed, unknown = tally(laws)
        if not laws:
            return self._text("–")
        style = "red" if failed else "yellow" if unknown else "green"
        return Text(f"{held}/{len(laws)}", style=style)

    def _claims(self, summary: Json) -> None:
        """One line of counts, then each failed claim in words."""
        counts = []
        for kind, word in (
            ("laws", "laws held"),
            ("outcomes", "outcomes as declared"),
            ("detectors", "detectors as declared"),
        ):
            found = [claim for _, claim in claims(summary, kind)]
            held, failed, unknown = tally(found)
            if found:
                rest = f", {failed} failed" if failed else ""
                rest += f", {unknown} not judged" if unknown else ""
                counts.append(f"{word}: {held} of {len(found)}{rest}")
        controls = {one.get("verdict") for one in sequence(summary.get("controls"))}
        if controls:
            worst = next(v for v in ("different", "unclear", "same") if v in controls)
            counts.append(f"control pair: {worst}")
        if counts:
            self._say("; ".join(counts))
        for pitfall, claim in claims(summary, "laws"):
            if claim.get("held") is False:
                self._say(f"failed: {law_in_words(pitfall, claim)}", "red")
        for pitfall, claim in claims(summary, "outcomes"):
            if claim.get("held") is False:
                self._say(f"failed: {outcome_in_words(pitfall, claim)}", "red")
        for pitfall, claim in claims(summary, "detectors"):
            if claim.get("held") is False:
                self._say(f"failed: {detector_in_words(pitfall, claim)}", "red")

    def _say(self, line: str, style: str = "") -> None:
        words = Text(line.translate(self._signs()), style=style)
        self.console.print(words, soft_wrap=True)

    def _text(self, value: str) -> Text:
        return Text(value.translate(self._signs()))

    def _signs(self) -> dict[int, str]:
        return PLAIN if self.plain else {}


def law_in_words(pitfall: Json, law: Json) -> str:
    """growth on gcc-O2: 19 allocations (bad): allocs_per_op is 21, wanted = 19."""
    said = law.get("reason") or f"observed {observed_text(law)}, wanted {law.get('bound')}"
    variant = f" ({law.get('variant')})" if law.get("variant") else ""
    return f"{pitfall.get('id')} on {law.get('cell')}: {law.get('title')}{variant}: {said}"


def outcome_in_words(pitfall: Json, outcome: Json) -> str:
    return (
        f"{pitfall.get('id')} on {outcome.get('cell')}: {outcome.get('variant')} came out as "
        f"{outcome.get('observed') or 'nothing'}, declared is {outcome.get('expected')}"
    )


def detector_in_words(pitfall: Json, detector: Json) -> str:
    wanted = "should be" if detector.get("expected") else "should not be"
    saw = "was" if detector.get("found") else "was not"
    reason = f"; {detector.get('reason')}" if detector.get("reason") else ""
    return (
        f"{pitfall.get('id')} on {detector.get('cell')}: {detector.get('variant')} {wanted} found "
        f"by {detector.get('tool')} ({detector.get('category')}) and {saw}{reason}"
    )
