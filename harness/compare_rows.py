"""From the stored lines of a comparison to its verdicts, and what has to be measured next. Pure.

A run has up to three stages, each decided by the lines of those before it, so that a run that was
interrupted goes on where it was: the rounds that were asked for; as many again for subjects of
which a figure is unclear and would be decided by them (the second look, declared beforehand: both
looks are judged at the level of two); and as many with new seeds for subjects of which a noisy
figure differs. A difference stands only if both say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness import stats, target, trust, turns, verdicts
from harness.catalog import Pitfall
from harness.metrics import describe, percent
from harness.sheet import Sheet, first_line, program_name
from harness.target import row
from harness.verdicts import BETTER, ELIDED, IDENTICAL, SAME, UNCLEAR, WORSE, Row

TARGET = "compare"
NOISY_COUNT = 3  # a change of instructions must be so many times what two runs differ by
SHORT_RUN_S = 0.005  # less is mostly start-up
CONFIRM = 10_000  # the rounds that confirm are numbered from here
PITFALL_METRICS = ("ns_per_op", "peak_rss_b", "pause_p50_ns", "pause_max_ns", "allocs_per_op",
                   "alloc_b_per_op", "startup_s", "instructions_per_op", "text_b")
PROGRAM_METRICS = ("wall_s", "cpu_s", "launcher_rss_b", "instructions", "text_b")
TELLING = ("ns_per_op", "wall_s", "peak_rss_b", "launcher_rss_b")  # what decides, asked for first
_SHORT = {"ns_per_op": "time", "wall_s": "time", "cpu_s": "processor time", "peak_rss_b": "memory",
          "launcher_rss_b": "memory", "pause_p50_ns": "median pause",
          "pause_max_ns": "longest pause", "allocs_per_op": "allocations",
          "alloc_b_per_op": "bytes allocated", "startup_s": "start-up",
          "instructions_per_op": "instructions", "text_b": "code size"}

Subject = tuple[str, str]  # pitfall (or the name of a program) and variant


@dataclass(frozen=True)
class Plan:
    """What a comparison is made of: the settings of its run."""

    arms: tuple[str, ...]  # their names; the first is the reference
    titles: tuple[str, ...]
    subjects: tuple[Subject, ...]
    metrics: tuple[str, ...]
    rounds: int
    looks: int
    confirm: bool
    twin: str | None  # the reference's second name, where a run has one
    identical: bool = True  # whether the same image is answer enough

    @property
    def level(self) -> float:
        """The q under which a difference counts."""
        return verdicts.Q_TWO_LOOKS if self.looks > 1 else verdicts.Q


@dataclass(frozen=True)
class Found:
    """One row of the table: an arm against the reference."""

    arm: str
    row: Row
    confirmed: bool | None = None  # None: nothing to confirm, or not measured again


def short(metric: str) -> str:
    """A metric's name in a comparison's table and sentences."""
    return _SHORT.get(metric, metric)


def subject_name(subject: Subject) -> str:
    """As everywhere: growth.bad; prog for a program of its own."""
    return program_name(*subject)


def judge(sheet: Sheet, plan: Plan) -> list[Found]:
    """Every row, by metric, subject and arm."""
    first = [(arm, _row(sheet, plan, subject, arm, metric, confirming=False))
             for metric in plan.metrics for subject in plan.subjects for arm in plan.arms[1:]]
    first = [(arm, one) for arm, one in first
             if one.a.n or one.b.n or not one.metric.startswith("pause_")]
    judged = verdicts.judge([one for _, one in first], plan.level)
    result = [Found(arm, one) for (arm, _), one in zip(first, judged)]
    return _confirmed(sheet, plan, result) if plan.confirm else result


def _row(sheet: Sheet, plan: Plan, subject: Subject, arm: str, metric: str, *,
         confirming: bool) -> Row:
    a, b = (_series(sheet, subject, name, metric, confirming) for name in (plan.arms[0], arm))
    note = _note(sheet, subject, plan.arms[0], arm, metric)
    if note == IDENTICAL and not plan.identical:
        note = None
    found = verdicts.compare(subject_name(subject), metric, a, b, note=note)
    if metric == "instructions" and plan.twin is not None and found.verdict in (BETTER, WORSE):
        found = _if_repeatable(sheet, plan, subject, found)
    if not a or not b:
        lacking = plan.arms[0] if not a else arm
        return replace(found, reason=sheet.why_absent(*subject, lacking, metric))
    return found


def _if_repeatable(sheet: Sheet, plan: Plan, subject: Subject, found: Row) -> Row:
    """One count an arm says something of the arms only if the reference counts alike twice: an
    interpreter that draws a hash seed, or threads that wait for each other, do not."""
    counts = [sheet.values(*subject, str(name), "instructions")
              for name in (plan.arms[0], plan.twin)]
    if not all(counts):
        return found
    spread = abs(counts[1][0] / counts[0][0] - 1) if counts[0][0] else 0.0
    change = abs((found.ratio.value or 1.0) - 1)
    if NOISY_COUNT * spread < change:
        return found
    return replace(found, verdict=UNCLEAR, reason=f"{plan.titles[0]} counts {percent(spread)}"
                   " apart when it is run twice")


def _series(sheet: Sheet, subject: Subject, arm: str, metric: str,
            confirming: bool) -> dict[int, float]:
    rounds = {number: value for number, value in sheet.by_round(*subject, arm, metric).items()
              if (number > CONFIRM) == confirming}
    if rounds or confirming:
        return rounds
    return dict(enumerate(sheet.values(*subject, arm, metric)[:1]))


def _note(sheet: Sheet, subject: Subject, a: str, b: str, metric: str) -> str | None:
    """`identical-code` or `elided`, where figures cannot speak of the arms."""
    builds = [sheet.cells.get((*subject, arm)) for arm in (a, b)]
    images = [None if line is None else line.get("image_sha") for line in builds]
    if images[0] is not None and images[0] == images[1]:
        return IDENTICAL
    work = [set(sheet.by_round(*subject, arm, "work").values()) for arm in (a, b)]
    same_work = not work[0] or not work[1] or work[0] & work[1]
    return None if same_work or metric in ("text_b", "startup_s") else ELIDED


def _confirmed(sheet: Sheet, plan: Plan, found: Sequence[Found]) -> list[Found]:
    """Sets a difference that a second measurement does not show back to `unclear`."""
    again = [i for i, one in enumerate(found) if needs_confirmation(one)]
    rows = []
    for index in again:
        one = found[index]
        subject = next(s for s in plan.subjects if subject_name(s) == one.row.subject)
        rows.append(_row(sheet, plan, subject, one.arm, one.row.metric, confirming=True))
    result = list(found)
    for index, second in zip(again, verdicts.judge(rows, verdicts.Q)):
        one = found[index]
        if not second.ratio.n:
            continue
        agrees = second.verdict == one.row.verdict
        shown = _interval(second.ratio)
        said = f"measured again with new seeds: {shown}"
        result[index] = Found(one.arm, one.row if agrees else replace(
            one.row, verdict=UNCLEAR, reason=f"not confirmed; {said}"), agrees)
        if agrees:
            result[index] = replace(result[index], row=replace(one.row, reason=said))
    return result


def needs_confirmation(one: Found) -> bool:
    """A difference of a figure that varies by itself."""
    return one.row.verdict in (BETTER, WORSE) and one.row.p is not None


def second_look(found: Sequence[Found], plan: Plan) -> set[str]:
    """The subjects that are measured for as many rounds again."""
    if plan.looks < 2:
        return set()
    return {one.row.subject for one in found
            if one.row.verdict == UNCLEAR and one.row.rounds_needed is not None
            and one.row.ratio.n <= plan.rounds < one.row.rounds_needed <= 2 * plan.rounds}


def confirmation(found: Sequence[Found]) -> set[str]:
    """The subjects that are measured again with new seeds."""
    return {one.row.subject for one in found if needs_confirmation(one)}


# ---- The run itself ------------------------------------------------------------------------------


def controls(sheet: Sheet, plan: Plan, catalog: Sequence[Pitfall]) -> list[trust.Control]:
    """What the run says of one program under two names."""
    if plan.twin is None:
        return trust.controls(sheet, catalog, plan.arms)
    return [_twin(sheet, plan, subject, metric) for subject in plan.subjects
            for metric in TELLING if metric in plan.metrics]


def _twin(sheet: Sheet, plan: Plan, subject: Subject, metric: str) -> trust.Control:
    assert plan.twin is not None
    a, b = (_series(sheet, subject, arm, metric, False) for arm in (plan.arms[0], plan.twin))
    margin = max(describe(metric).margin, verdicts.floor(metric, list(a.values())))
    found = verdicts.judge([verdicts.compare(subject_name(subject), metric, a, b,
                                             margin=margin)])[0]
    word = {SAME: SAME, UNCLEAR: UNCLEAR}.get(found.verdict, trust.DIFFERENT)
    return trust.Control(subject_name(subject), metric, found.ratio.value, found.ratio.low,
                         found.ratio.high, found.ratio.n, margin, word, found.reason)


def failures(sheet: Sheet) -> list[str]:
    """What did not build or did not run, each once, in words."""
    said: dict[str, int] = {}
    for line in sheet.cells.values():
        if line["status"] != "ok":
            what = subject_name((line["pitfall"], line["variant"]))
            said[f"{what} does not build in arm {line['cell']}: {first_line(line['message'])}"] = 1
    for sample in sheet.samples.values():
        message = sample["status"]["message"]
        if message:
            what = subject_name((sample["pitfall"], sample["variant"]))
            words = f"{what} failed in arm {sample['cell']}: {first_line(message)}"
            said[words] = said.get(words, 0) + 1
    return [words if count == 1 else f"{words} ({count} times)" for words, count in said.items()]


def failed_in(sheet: Sheet, plan: Plan) -> dict[str, tuple[str, ...]]:
    """Of each arm the subjects of which it, or the reference, did not build or failed a round: what
    their other figures say does not compare the arms."""
    broken = {(subject_name((line["pitfall"], line["variant"])), line["cell"])
              for line in sheet.cells.values() if line["status"] != "ok"}
    broken |= {(subject_name((one["pitfall"], one["variant"])), one["cell"])
               for one in sheet.samples.values()
               if one["status"]["message"] and one["role"] == "timed"}
    names = [subject_name(subject) for subject in plan.subjects]
    return {arm: tuple(name for name in names
                       if {(name, arm), (name, plan.arms[0])} & broken)
            for arm in plan.arms[1:]}


def notes(sheet: Sheet, plan: Plan) -> list[str]:
    """What makes a program of one's own hard to compare."""
    said = []
    for subject in plan.subjects if plan.twin is not None else ():
        name = subject_name(subject)
        wall = sheet.values(*subject, plan.arms[0], "wall_s")
        if wall and stats.median(wall) < SHORT_RUN_S:
            said.append(f"{name} runs for {1e3 * stats.median(wall):.1f} ms, most of which is"
                        " starting: give it more to do (ARGS=…)")
        printed = [set(sheet.by_round(*subject, arm, "output_id").values()) for arm in plan.arms]
        for arm, others in zip(plan.arms[1:], printed[1:]):
            if len(printed[0]) == len(others) == 1 and printed[0] != others:
                said.append(f"{name} prints something else in arm {arm} than in {plan.arms[0]}: it"
                            " may not do the same work")
    return said


def closer(found: Sequence[Found], sheet: Sheet, plan: Plan) -> list[str]:
    """What would pair the arms of a program of one's own more closely, where its time is unclear
    and it keeps a processor busy."""
    for subject in plan.subjects if plan.twin is not None else ():
        name = subject_name(subject)
        unclear = any(one.row.subject == name and one.row.metric == "wall_s"
                      and one.row.verdict == UNCLEAR for one in found)
        alone = not any(line.get("turns") for line in sheet.timed(*subject, plan.arms[0]))
        wall, cpu = (sheet.values(*subject, plan.arms[0], key) for key in ("wall_s", "cpu_s"))
        if unclear and alone and wall and stats.median(cpu) > turns.LEAST_BUSY * stats.median(wall):
            return [f"the arms of {name} ran one after the other: TURNS=1 (--turns) shows smaller"
                    " differences, if copies of it may be under way at the same time"]
    return []


# ---- In sum --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mean:
    """The geometric mean of a metric's ratios in one arm, over the subjects of all arms' means."""

    metric: str
    arm: str
    ratio: float
    subjects: int
    counts: Mapping[str, int]  # verdict -> subjects, of those


def means(found: Sequence[Found], plan: Plan, failed: Mapping[str, Sequence[str]]) -> list[Mean]:
    """One for each metric and arm that has ratios. All arms' means are over the same subjects:
    those that have a ratio in each, did the same work in each and failed in none."""
    broken = {name for names in failed.values() for name in names}
    result = []
    for metric in plan.metrics:
        of_arm = {arm: {one.row.subject: one.row for one in found
                        if one.arm == arm and one.row.metric == metric} for arm in plan.arms[1:]}
        common = sorted(set.intersection(*(
            {name for name, one in rows.items() if one.ratio.value and one.verdict != ELIDED}
            for rows in of_arm.values())) - broken)
        for arm, rows in of_arm.items():
            mean = stats.geometric_mean([float(rows[name].ratio.value or 0) for name in common])
            if mean is not None:
                counts = Counter(rows[name].verdict for name in common)
                result.append(Mean(metric, arm, mean, len(common), counts))
    return result


def conclusion(found: Sequence[Found], plan: Plan, untrusted: bool,
               failed: Mapping[str, Sequence[str]]) -> list[str]:
    """One sentence an arm: what a person may conclude. failed: as failed_in() finds it."""
    result = []
    for arm, title in zip(plan.arms[1:], plan.titles[1:]):
        left_out = failed.get(arm, ())
        rows = [one.row for one in found if one.arm == arm and one.row.subject not in left_out]
        name = f"{arm} ({title}) against {plan.arms[0]} ({plan.titles[0]})"
        if untrusted:
            result.append(f"{name}: nothing may be concluded, because this run differs from itself")
        elif left_out and not rows:
            result.append(f"{name}: nothing may be concluded, because"
                          f" {', '.join(left_out)} failed")
        elif not any(one.ratio.n for one in rows):
            result.append(f"{name}: nothing was measured")
        else:
            without = [f"without {', '.join(left_out)}, which failed"] if left_out else []
            result.append(f"{name}: " + "; ".join([*_clauses(rows, plan), *without]))
    return result


def _clauses(rows: Sequence[Row], plan: Plan) -> Iterator[str]:
    for metric in plan.metrics:
        of_metric = [one for one in rows if one.metric == metric and
                     (one.ratio.n or one.verdict in (BETTER, WORSE))]
        if not of_metric:
            continue
        title = short(metric)
        moved = [one for one in of_metric if one.verdict in (BETTER, WORSE)]
        words = {one.verdict for one in of_metric}
        if len(of_metric) == 1:
            yield f"{title} {_single(of_metric[0])}"
        elif moved:
            parts = [f"{sum(one.verdict == word for one in moved)} {word}"
                     for word in (BETTER, WORSE) if any(one.verdict == word for one in moved)]
            unclear = sum(one.verdict == UNCLEAR for one in of_metric)
            rest = f", {unclear} unclear" if unclear else ""
            yield f"{title} {', '.join(parts)} of {len(of_metric)}{rest}"
        elif words <= {SAME, IDENTICAL}:
            yield f"{title} the same in all {len(of_metric)}"
        elif UNCLEAR in words and metric in TELLING:
            unclear = sum(one.verdict == UNCLEAR for one in of_metric)
            yield f"{title} cannot be told in {unclear} of {len(of_metric)}"


def _single(one: Row) -> str:
    if one.verdict in (BETTER, WORSE, UNCLEAR) and one.ratio.value is not None:
        word = "cannot be told" if one.verdict == UNCLEAR else one.verdict
        return f"{word} ({_interval(one.ratio)})"
    return "the same" if one.verdict == SAME else one.verdict


def _interval(found: stats.Estimate) -> str:
    if found.value is None:
        return found.reason or "no ratio"
    if found.low is None or found.high is None or found.low == found.high:
        return f"ratio {found.value:.3f}"
    return f"ratio {found.value:.3f}, {found.low:.3f} to {found.high:.3f}"


def document(run: Mapping[str, Any], found: Sequence[Found], plan: Plan,
             checked: Sequence[trust.Control],
             failed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """compare.json: a row for each figure and arm, the means, and the sentinel."""
    titles = dict(zip(plan.arms, plan.titles))
    rows = []
    for one in found:
        known = one.row
        notes = [known.reason, _outliers(known), _more(known)]
        rows.append(row(
            f"{known.subject}/{one.arm}", known.metric, value=known.b.value, peer=known.a.value,
            peer_name=titles[plan.arms[0]], ratio=known.ratio.value, low=known.ratio.low,
            high=known.ratio.high, n=known.ratio.n, goal=f"within {percent(known.margin, 3)} of 1",
            verdict=known.verdict, reason="; ".join(n for n in notes if n) or None))
    rows += [row(f"geometric mean of {mean.subjects}/{mean.arm}", mean.metric, ratio=mean.ratio,
                 n=mean.subjects, peer_name=titles[plan.arms[0]],
                 reason=", ".join(f"{count} {word}" for word, count in mean.counts.items()))
             for mean in means(found, plan, failed)]
    rows += [row(f"{one.pitfall}/itself", one.metric, ratio=one.ratio, low=one.low, high=one.high,
                 n=one.n, goal=f"within {percent(one.margin, 3)} of 1", met=one.verdict == SAME,
                 verdict=one.verdict, reason=one.reason) for one in checked]
    return target.document(TARGET, run, rows)


def _outliers(one: Row) -> str | None:
    count = sum(one.outliers)
    return f"{count} value(s) far from the others, counted in" if count else None


def _more(one: Row) -> str | None:
    if one.verdict != UNCLEAR or not one.ratio.n:
        return None
    if one.ratio.low is None or one.reason is not None:
        return None  # something else is the matter, and said
    if one.rounds_needed is None:
        return "more rounds would not decide it: the ratio lies on the margin"
    return f"about {one.rounds_needed} rounds would decide it"
