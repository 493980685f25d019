"""What a comparison says, on a terminal and as a page of Markdown: the conclusion first, then the
rows that matter, then what a reader should know of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import compare_rows, trust
from harness.compare_rows import TELLING, Found, Plan
from harness.metrics import describe, exact, percent, show
from harness.table import Places, say_places, speaker, wide
from harness.verdicts import BETTER, IDENTICAL, LEAST_ROUNDS, SAME, UNCLEAR, WORSE

_STYLE = {BETTER: "green", WORSE: "red", UNCLEAR: "yellow"}
WIDE = 140  # columns of a row with its names and its verdict
_HEAD = ("metric", "subject", "arm", "A", "the arm", "ratio (95 %)", "verdict")


@dataclass(frozen=True)
class Comparison:
    """A judged comparison: what table, page and chart are made of."""

    plan: Plan
    found: Sequence[Found]
    controls: Sequence[trust.Control]
    failures: Sequence[str]
    notes: Sequence[str]
    failed: Mapping[str, Sequence[str]] = field(default_factory=dict)  # arm -> subjects

    @property
    def untrusted(self) -> bool:
        """True if the run differs from itself."""
        return any(one.verdict == trust.DIFFERENT for one in self.controls)


def cells(one: Found) -> tuple[str, ...]:
    """One row of the table, in words."""
    row = one.row
    unit = describe(row.metric).unit
    ratio = "–" if row.ratio.value is None else f"{row.ratio.value:.3f}"
    if row.ratio.low is not None and row.ratio.high is not None and row.ratio.low != row.ratio.high:
        ratio += f" ({row.ratio.low:.3f}–{row.ratio.high:.3f})"
    verdict = row.verdict
    if verdict == SAME and row.margin > describe(row.metric).margin:
        verdict += f" within {percent(row.margin)}"
    if verdict == UNCLEAR and row.rounds_needed is not None:
        verdict += f", {row.rounds_needed} rounds?"
    return (compare_rows.short(row.metric), row.subject, one.arm, _figure(row.a.value, unit),
            _figure(row.b.value, unit), ratio, verdict)


def _figure(value: float | None, unit: str) -> str:
    return exact(round(value)) if unit == "1" and value is not None and value >= 1000 else \
        show(value, unit)


def telling(comparison: Comparison) -> list[Found]:
    """The rows that a terminal shows: time and memory, and whatever moved."""
    return [one for one in comparison.found if one.row.metric in TELLING or
            one.row.verdict not in (SAME, IDENTICAL) and one.row.ratio.n]


def remarks(comparison: Comparison) -> list[str]:
    """What to know before believing a figure."""
    said = trust.sentences(comparison.controls)
    if not any(one.n for one in comparison.controls):
        said.append("this run has no control: nothing was measured under two names")
    few = {one.row.ratio.n for one in comparison.found if one.row.verdict == UNCLEAR
           and one.row.p is not None and 0 < one.row.ratio.n < LEAST_ROUNDS}
    if few and max(_rounds(comparison)) < LEAST_ROUNDS:
        said.append(f"{_counted(few)} give ratios and no verdicts; {LEAST_ROUNDS} or more do")
    elif few:
        said.append(f"figures of {_counted(few)} have ratios and no verdicts; those of"
                    f" {LEAST_ROUNDS} or more have them")
    said += comparison.notes
    reasons: dict[str, int] = {}
    for one in comparison.found:
        row = one.row
        if row.reason and not row.ratio.n:
            why = row.reason.partition(": ")[2]
            if why and any(why in text for text in comparison.failures):
                continue  # said already, as a failure
            words = f"{compare_rows.short(row.metric)}: {row.reason}"
            reasons[words] = reasons.get(words, 0) + 1
        elif one.confirmed is False:
            said.append(f"{row.subject}, {compare_rows.short(row.metric)}: {row.reason}")
    said += [words if count == 1 else f"{words} ({count} rows)"
             for words, count in reasons.items()]
    return said


def _rounds(comparison: Comparison) -> set[int]:
    """How many rounds the figures that vary were really judged by: a second look adds to them."""
    return {one.row.ratio.n for one in comparison.found
            if one.row.p is not None and one.row.ratio.n}


def _counted(rounds: Iterable[int]) -> str:
    """20 rounds; 5 to 10 rounds."""
    low, high = min(rounds), max(rounds)
    if low != high:
        return f"{low} to {high} rounds"
    return f"{low} round{'s' if low != 1 else ''}"


def print_all(comparison: Comparison, console: Console, places: Places = ()) -> None:
    """Prints the whole to a terminal or a pipe."""
    say, signs = speaker(console)
    plan = comparison.plan
    for name, title in zip(plan.arms, plan.titles):
        say(f"{name}  {title}")
    rows = telling(comparison)
    if rows:
        table = Table(box=None if signs else box.SIMPLE_HEAD, show_edge=False, pad_edge=False,
                      padding=(0, 1, 0, 0))
        for index, name in enumerate(_HEAD):
            table.add_column(name, no_wrap=index != 1, justify="left" if index < 3 else "right")
        before: tuple[str, ...] = ("", "")
        for one in rows:
            shown = cells(one)
            first = ("" if shown[0] == before[0] else shown[0],
                     "" if shown[:2] == before[:2] else shown[1])
            before = shown
            table.add_row(*(Text(c.translate(signs)) for c in (*first, *shown[2:-1])),
                          Text(shown[-1].translate(signs), _STYLE.get(one.row.verdict, "")))
        with wide(console, WIDE):
            console.print(table)
        hidden = len(comparison.found) - len(rows)
        say("ratio: the arm / A, the median over the rounds' own ratios"
            + (f" (of {len(comparison.found)} rows, {hidden} that did not move are not shown)"
               if hidden else ""))
    for line in mean_lines(comparison):
        say(line)
    say("")
    for sentence in compare_rows.conclusion(comparison.found, plan, comparison.untrusted,
                                            comparison.failed):
        say(sentence, "bold")
    for failure in comparison.failures:
        say(f"failed: {failure}", "red")
    for remark in remarks(comparison):
        say(f"note: {remark}", "yellow")
    say_places(say, places)


def means(comparison: Comparison) -> list[compare_rows.Mean]:
    """The geometric means, where there is something to take a mean of."""
    found = compare_rows.means(comparison.found, comparison.plan, comparison.failed)
    return found if any(mean.subjects > 1 for mean in found) else []


def mean_lines(comparison: Comparison) -> list[str]:
    """A line an arm: B, geometric means: time 0.951 of 14, memory 1.002 of 16."""
    of_arm: dict[str, list[str]] = {}
    for mean in means(comparison):
        of_arm.setdefault(mean.arm, []).append(
            f"{compare_rows.short(mean.metric)} {mean.ratio:.3f} of {mean.subjects}")
    return [f"{arm}, geometric means: {', '.join(said)}" for arm, said in of_arm.items()]


def markdown(comparison: Comparison, run: Mapping[str, Any], chart: str | None) -> str:
    """The page: for a pull request, or to be kept."""
    plan = comparison.plan
    lines = ["# Comparison", ""]
    lines += [f"- {sentence}" for sentence in compare_rows.conclusion(
        comparison.found, plan, comparison.untrusted, comparison.failed)]
    machine = run.get("machine") or {}
    rounds = _counted(_rounds(comparison) or {plan.rounds})
    lines += ["", f"Run `{run['run']}`: {rounds}, {machine.get('cpu_model')},"
                  f" {machine.get('cpus')} processors, {machine.get('system')}.", ""]
    lines += ["| arm | |", "|---|---|"]
    lines += [f"| {name} | `{title}` |" for name, title in zip(plan.arms, plan.titles)]
    if chart is not None:
        lines += ["", f"![ratios with their intervals]({chart})"]
    for remark in [*(f"failed: {text}" for text in comparison.failures), *remarks(comparison)]:
        lines += ["", f"> {remark}"]
    found = means(comparison)
    if found:
        lines += ["", "## Geometric means", "", "| metric | arm | ratio | over | verdicts |",
                  "|---|---|---|---|---|"]
        lines += [f"| {compare_rows.short(m.metric)} | {m.arm} | {m.ratio:.3f} | {m.subjects} | "
                  + ", ".join(f"{count} {word}" for word, count in m.counts.items()) + " |"
                  for m in found]
    lines += ["", "## Every figure", "", "| " + " | ".join(_HEAD) + " | margin | q | note |",
              "|" + "---|" * (len(_HEAD) + 3)]
    for one in comparison.found:
        row = one.row
        q = "–" if row.q is None else f"{row.q:.2g}"
        lines.append("| " + " | ".join(cells(one)) + f" | {percent(row.margin)} | {q} | "
                     f"{row.reason or ''} |")
    return "\n".join([*lines, ""])
