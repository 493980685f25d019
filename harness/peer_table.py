"""The closing table of `make peers`: goals, what was reached, and everyone side by side; the same
as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.metrics import describe, show
from harness.peer_catalog import OURS
from harness.peer_rows import UNMEASURED, events, subject_of
from harness.table import Places, say_places, speaker, wide

JUDGED_ROUNDS = 7  # what the goals speak of
_MET = {True: "yes", False: "no"}
_STYLE = {"yes": "green", "no": "red", "–": "yellow"}
_GOAL_HEAD = ("work", "metric", OURS, "peer", "", "ratio (95 %)", "goal", "met")

Row = Mapping[str, Any]


def print_all(document: Mapping[str, Any], lines: Sequence[dict[str, Any]], console: Console,
              places: Places = ()) -> None:
    """Prints the goals, then everyone's telling figures, then what went wrong."""
    with wide(console):
        say, signs = speaker(console)
        style = None if signs else box.SIMPLE_HEAD
        goals = [r for r in document["rows"] if r["goal"] is not None]
        if goals:
            console.print(_terminal(_GOAL_HEAD, [_goal_cells(r) for r in goals], style, signs, 1))
        head, body = _overview(document["rows"], _order(lines), telling=True)
        if body:
            say("")
            console.print(_terminal(head, body, style, signs, 0))
        say("")
        say(_count(goals))
        for note in _notes(document, lines):
            say(f"note: {note}", "yellow")
        say_places(say, places)


def _terminal(head: Sequence[str], body: Sequence[Sequence[str]], style: box.Box | None,
              signs: Mapping[int, str], gap: int) -> Table:
    table = Table(box=style, show_edge=False, pad_edge=False,
                  padding=(0, gap if style else 1, 0, 0))
    for index, name in enumerate(head):
        table.add_column(name.replace("-", "-\n").translate(signs), no_wrap=True,
                         justify="left" if index < 2 else "right")
    before = ""
    for cells in body:
        shown = ["" if cells[0] == before else cells[0], *cells[1:]]
        before = cells[0]
        table.add_row(*(Text(c.translate(signs), style=_STYLE.get(c, "")) for c in shown))
    return table


def _goal_cells(row: Row) -> list[str]:
    met = "–" if row["verdict"] == UNMEASURED else _MET[row["met"]]
    ratio = _number(row["ratio"]) if row["peer_name"] else ""
    if row["low"] is not None:
        ratio += f" ({_number(row['low'])}–{_number(row['high'])})"
    peer = _figure(row["peer"], row["metric"]) if row["peer_name"] else ""
    subject = subject_of(row)
    names = [*([] if subject == OURS else [subject.removeprefix(f"{OURS}-")]),
             *([row["peer_name"]] if row["peer_name"] else [])]
    return [row["id"].split("/")[0], row["metric"], _figure(row["value"], row["metric"]), peer,
            " / ".join(names), ratio.strip(), row["goal"], met]


def _figure(value: float | None, metric: str) -> str:
    unit = describe(metric).unit
    return _number(value) if unit == "1" else show(value, unit)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    for limit, digits in ((0.1, 3), (10.0, 2), (100.0, 1)):
        if 0.01 <= abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:.2g}" if abs(value) < 0.01 else f"{value:.0f}"


def _order(lines: Sequence[dict[str, Any]]) -> list[str]:
    """The peers as they stand in works.toml, which is how they were built."""
    return list(dict.fromkeys(line["variant"] for line in lines if line["kind"] == "cell"))


def _overview(rows: Sequence[Row], order: Sequence[str],
              *, telling: bool) -> tuple[list[str], list[list[str]]]:
    """(head, body): a row for each work and metric (the telling one only), a column a peer."""
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    for row in rows:
        work, metric, _ = row["id"].split("/")
        values = found.setdefault((work, metric), {})
        values[subject_of(row)] = row["value"]
        if row["peer_name"] not in (None, OURS):
            values[row["peer_name"]] = row["peer"]
    # The terminal has no room for those that goals speak of: they stand in the table of goals.
    shown_above = {subject_of(row) for row in rows} if telling else set()
    names = [OURS, *(name for name in order if name not in {OURS, *shown_above})]
    body = []
    seen: set[str] = set()
    for (work, metric), values in sorted(found.items(), key=lambda item: _place(rows, item[0])):
        if telling and work in seen:
            continue
        seen.add(work)
        body.append([work, metric, *(_figure(values.get(name), metric) for name in names)])
    return ["work", "median", *names], body


def _place(rows: Sequence[Row], key: tuple[str, str]) -> tuple[int, int]:
    """Where a work and its metric first stand."""
    works = list(dict.fromkeys(r["id"].split("/")[0] for r in rows))
    first = next(i for i, r in enumerate(rows) if (r["id"].split("/")[0], r["metric"]) == key)
    return works.index(key[0]), first


def _count(goals: Sequence[Row]) -> str:
    met = sum(r["met"] is True for r in goals)
    unmeasured = sum(r["verdict"] == UNMEASURED for r in goals)
    text = f"goals met: {met} of {len(goals)}; missed: {len(goals) - met - unmeasured}"
    return text + (f"; not measured, so not met: {unmeasured}" if unmeasured else "")


def _notes(document: Mapping[str, Any], lines: Sequence[dict[str, Any]]) -> list[str]:
    """Everything that a reader of the figures must know."""
    rows = document["rows"]
    notes = events(lines)
    missing: dict[str, list[str]] = {}
    for row in rows:
        if row["goal"] is not None and row["verdict"] == UNMEASURED:
            missing.setdefault(row["reason"], []).append(row["id"])
    notes += [f"not measured: {', '.join(ids)}: {why}" for why, ids in missing.items()]
    close = [r["id"] for r in rows if r["verdict"] and "crosses" in r["verdict"]]
    if close:
        notes.append(f"the interval crosses the bound: {', '.join(close)}")
    samples = [line for line in lines if line["kind"] == "sample"]
    stolen = sum(line["metrics"].get("stolen_ticks", 0) > 0 for line in samples)
    if stolen:
        notes.append(f"stolen time in {stolen} of {len(samples)} samples; rows say in which")
    rounds = max((r["n"] or 0 for r in rows), default=0)
    if 0 < rounds < JUDGED_ROUNDS:
        notes.append(f"{rounds} round(s): a look; the goals speak of medians of at least"
                     f" {JUDGED_ROUNDS}")
    return notes


def markdown(document: Mapping[str, Any], lines: Sequence[dict[str, Any]]) -> str:
    """The same as a page."""
    run: Row = next((line for line in lines if line["kind"] == "run"), {})
    machine = run.get("machine") or {}
    goals = [r for r in document["rows"] if r["goal"] is not None]
    parts = [
        "# spanheap beside its peers", "",
        f"Run `{run.get('run')}`, commit `{str(run.get('git'))[:12]}`: "
        f"{(run.get('settings') or {}).get('rounds')} rounds, {machine.get('cpu_model')}, "
        f"{machine.get('cpus')} processors, {machine.get('system')}.", "",
        f"{_count(goals)}.", "", "## Goals", "",
        *_page_table(_GOAL_HEAD, [_goal_cells(r) for r in goals]), "",
        "## Everyone", "", "Medians over the rounds.", "",
        *_page_table(*_overview(document["rows"], _order(lines), telling=False)), "",
    ]
    notes = _notes(document, lines)
    if notes:
        parts += ["## Notes", "", *(f"- {' '.join(note.split())}" for note in notes), ""]
    return "\n".join(parts)


def _page_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head),
            *(f"| {' | '.join(cells)} |" for cells in body)]
