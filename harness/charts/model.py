"""What a chart is before and after it is drawn, and how data is written for gnuplot.

A chart module turns a summary into Plans (pure). A Plan holds the text of one data file: variables
and inline data blocks that a template of plots/ loads. Names that come from data never reach
gnuplot as code: they are quoted here, and the templates print them without markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Cell = str | float | int | None


@dataclass(frozen=True)
class Chart:
    """A picture that was drawn, or the reason why it was not."""

    name: str
    title: str
    caption: str
    svg: Path
    png: Path
    data: Path | None
    skipped: str | None
    pitfall: str | None = None  # the pitfall whose section shows it; None: the whole run
    alt: str = ""


@dataclass
class Plan:
    """A chart to draw; or, with `skipped`, one that the data does not allow."""

    name: str
    template: str
    title: str
    caption: str
    pitfall: str | None = None
    alt: str = ""
    skipped: str | None = None
    lines: list[str] = field(default_factory=list)

    def text(self, name: str, value: str) -> None:
        self.lines.append(f"{name} = {quote(value)}")

    def number(self, name: str, value: float) -> None:
        self.lines.append(f"{name} = {value:.10g}")

    def numbers(self, name: str, values: Sequence[float]) -> None:
        items = ", ".join(f"{value:.10g}" for value in values)
        self.lines.append(f"array {name}[{len(values)}] = [{items}]")

    def texts(self, name: str, values: Sequence[str]) -> None:
        items = ", ".join(quote(value) for value in values)
        self.lines.append(f"array {name}[{len(values)}] = [{items}]")

    def tics(self, name: str, tics: Iterable[tuple[str, float]]) -> None:
        """A list of labelled positions, for `eval "set xtics (" . NAME . ")"`.

        Quoted twice, both times singly: gnuplot runs backquotes inside double quotes.
        """
        items = ", ".join(f"{quote(label.replace('%', '%%'))} {at:.10g}" for label, at in tics)
        doubled = items.replace("'", "''")
        self.lines.append(f"{name} = ' {doubled}'")  # gnuplot misreads a string that begins with ''

    def block(self, name: str, rows: Iterable[Sequence[Cell]]) -> None:
        """An inline data block; None in a row is a missing value, an empty row a gap."""
        self.lines.append(f"${name} << END_OF_DATA")
        self.lines.extend(" ".join(_field(one) for one in row) for row in rows)
        self.lines.append("END_OF_DATA")

    def content(self) -> str:
        head = [
            f"# Data of the chart {quote(self.name)}. To draw it again, in the folder plots/:",
            f"#   gnuplot -c {self.template} DATA-FILE OUT.svg      (or OUT.png)",
            f"TITLE = {quote(self.title)}",
        ]
        return "\n".join([*head, *self.lines]) + "\n"


def file_name(*parts: str) -> str:
    """A file name out of ids; what a file system or a shell could misread becomes "_"."""
    return "-".join(re.sub(r"[^A-Za-z0-9._-]+", "_", part) for part in parts)


def shorten(value: str, most: int) -> str:
    return value if len(value) <= most else value[: most - 1].rstrip() + "…"


def quote(value: str) -> str:
    """A gnuplot string in single quotes, in which nothing but the quote is special."""
    doubled = _plain(value).replace("'", "''")
    return f"' {doubled}'" if doubled.startswith("'") else f"'{doubled}'"


def _plain(value: str) -> str:
    return " ".join(value.split())


def _field(value: Cell) -> str:
    if value is None:
        return "NaN"
    if isinstance(value, str):
        return '"' + _plain(value).replace("\\", "/").replace('"', "'") + '"'
    return f"{value:.10g}"
