"""The tables of the report as rows of text: one function a table, all pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.charts import flags
from harness.metrics import METRICS, exact, percent, show
from harness.report_view import (
    BOOKKEEPING,
    Estimate,
    Json,
    cells_of,
    claims,
    comparisons,
    count_text,
    failures_of,
    figure_text,
    interval_text,
    is_control,
    label_of,
    laws_of,
    mapping,
    metric_of,
    number,
    observed_text,
    pair_variants,
    pitfalls_of,
    ratio_of,
    ratio_text,
    rounds_of,
    sequence,
    tally,
    title_of,
    variant_of,
)
from harness.table import detector_in_words, law_in_words, outcome_in_words

_FIRST = (
    "ns_per_op", "ops_per_s", "peak_rss_b", "allocs_per_op", "alloc_b_per_op", "collections",
    "retained_b", "pause_p50_ns", "pause_max_ns",
)
_LAST = ("startup_s", "user_s", "sys_s", "instructions", "text_b", "data_b")


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _switch(value: object) -> str:
    return "on" if str(value) == "1" else "off"


# Facts of the machine: (key, what it is called, how it is said).
MACHINE: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("cpu_model", "processor", str),
    ("cpus", "processors", count_text),
    ("cpu_set", "usable by programs", lambda found: ", ".join(map(str, found))),
    ("features", "of its features", lambda found: " ".join(map(str, found)) or "none"),
    ("memory_b", "memory", lambda size: show(size, "B")),
    ("page_b", "page", lambda size: show(size, "B")),
    ("arch", "architecture", str),
    ("system", "system", str),
    ("kernel", "kernel", str),
    ("glibc", "C library", lambda version: f"glibc {version}"),
    ("hypervisor", "virtual machine", _yes),
    ("governor", "frequency governor", str),
    ("boost", "frequency boost", _switch),
    ("smt", "several threads a core (SMT)", _switch),
    ("aslr", "random addresses (ASLR)",
     lambda level: {"0": "off", "1": "on, but not for the heap"}.get(str(level), "on")),
    ("thp", "transparent huge pages", str),
    ("busy_cpus", "kept busy by other programs",
     lambda busy: f"{busy} processors, just before the run"),
    ("load", "load", lambda load: f"{load}, mean of the minute before the run"),
    ("steal_ticks", "taken by the host", lambda n: f"{n:,} ticks from boot to the run"),
    ("cpu_pressure_percent", "waiting for a processor",
     lambda share: f"{share} % of the 10 s before the run"),
    ("memory_pressure_percent", "waiting for memory",
     lambda share: f"{share} % of the 10 s before the run"),
)


@dataclass(frozen=True)
class Entry:
    """One field of a table: what it says, a smaller second line, and how it is marked."""

    text: str
    note: str = ""
    mark: str = ""  # "", "good", "bad", "unknown"


@dataclass(frozen=True)
class Row:
    heads: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Table:
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def measured(metric: str, one: Estimate) -> Entry:
    if not one.known:
        return Entry("not measured", one.reason or "", "unknown")
    note = interval_text(metric, one.low, one.high) if one.spread else ""
    return Entry(figure_text(metric, one.value), note)


def ratio_entry(one: Estimate) -> Entry:
    if not one.known:
        return Entry("–", one.reason or "", "unknown")
    note = f"{ratio_text(one.low, '')} to {ratio_text(one.high, '')}" if one.spread else ""
    return Entry(ratio_text(one.value), note)


def held_entry(claims_found: Sequence[Json]) -> Entry:
    held, failed, unknown = tally(claims_found)
    if not claims_found:
        return Entry("–")
    notes = [f"{failed} failed"] if failed else []
    notes += [f"{unknown} not judged"] if unknown else []
    mark = "bad" if failed else "unknown" if unknown else "good"
    return Entry(f"{held} of {len(claims_found)}", ", ".join(notes), mark)


def headline(summary: Json, focus: str) -> list[dict[str, object]]:
    """A row a comparison: what the fix saves on the focus cell, laws over all cells."""
    rows: list[dict[str, object]] = []
    for pitfall in pitfalls_of(summary):
        if is_control(pitfall):
            continue
        cells = cells_of({"pitfalls": [pitfall]})
        cell = focus if focus in cells else cells[0] if cells else focus
        for one in comparisons(pitfall):
            allocs = [metric_of(pitfall, cell, v, "allocs_per_op") for v in (one.bad, one.fix)]
            found = [law for c in cells for law in laws_of(pitfall, c, one)]
            rows.append({
                "id": str(pitfall.get("id")),
                "first": one.first,
                "title": str(pitfall.get("title") or ""),
                "bad": f"{one.bad}: {label_of(pitfall, one.bad)}",
                "fix": f"{one.fix}: {one.label}",
                "time": ratio_entry(ratio_of(pitfall, cell, one, "ns_per_op")),
                "rss": ratio_entry(ratio_of(pitfall, cell, one, "peak_rss_b")),
                "allocs": " → ".join("–" if a.value is None else exact(a.value) for a in allocs),
                "laws": held_entry(found),
            })
    return rows


def variants(pitfall: Json) -> list[tuple[str, str, str]]:
    """(id, role, what it does)."""
    return [
        (str(v.get("id")), str(v.get("role")), str(v.get("label") or ""))
        for v in map(mapping, sequence(pitfall.get("variants")))
    ]


def comparison_rows(pitfall: Json, cells: Sequence[str]) -> Table:
    rows = []
    for one in comparisons(pitfall):
        for cell in cells:
            if not variant_of(pitfall, cell, one.bad) and not variant_of(pitfall, cell, one.fix):
                continue
            numbers_of = [
                measured(metric, metric_of(pitfall, cell, variant, metric))
                for metric in ("ns_per_op", "peak_rss_b")
                for variant in (one.bad, one.fix)
            ]
            ratios = [ratio_entry(ratio_of(pitfall, cell, one, m))
                      for m in ("ns_per_op", "peak_rss_b")]
            rows.append(Row(
                (f"{one.bad} → {one.fix}", cell),
                (*numbers_of[:2], ratios[0], *numbers_of[2:], ratios[1],
                 held_entry(laws_of(pitfall, cell, one))),
            ))
    columns = ("time, bad", "time, fixed", "ratio", "peak RSS, bad", "peak RSS, fixed", "ratio",
               "laws held")
    return Table(("comparison", "cell"), columns, tuple(rows))


def numbers(pitfall: Json, cells: Sequence[str]) -> Table:
    """Every metric of every variant; a metric that nobody has becomes a note with its reason."""
    every = [(c, v) for c in cells for _, vs in pair_variants(pitfall) for v in vs
             if variant_of(pitfall, c, v)]
    columns, notes = [], []
    for metric in _metric_order(pitfall, every):
        found = [metric_of(pitfall, c, v, metric) for c, v in every]
        if any(one.known for one in found):
            columns.append(metric)
        else:
            reasons = sorted({one.reason or "" for one in found})
            notes.append(f"{title_of(metric)}: not measured ({'; '.join(reasons)})")
    rows = []
    for cell, variant in every:
        record = variant_of(pitfall, cell, variant)
        entries = [measured(m, metric_of(pitfall, cell, variant, m)) for m in columns]
        failed = number(record.get("failed")) or 0
        runs = Entry(count_text(record.get("n")), f"{failed:g} failed" if failed else "",
                     "bad" if failed else "")
        rows.append(Row((variant, cell), (runs, *entries)))
    return Table(("variant", "cell"), ("samples", *map(title_of, columns)), tuple(rows),
                 tuple(notes))


def _metric_order(pitfall: Json, every: Iterable[tuple[str, str]]) -> list[str]:
    present: dict[str, None] = {}
    for cell, variant in every:
        record = variant_of(pitfall, cell, variant)
        for name in (*mapping(record.get("metrics")), *mapping(record.get("reasons"))):
            present.setdefault(str(name))
    own = [m for m in present if m not in METRICS and m not in BOOKKEEPING]
    return [m for m in (*_FIRST, *own, *_LAST) if m in present]


def _by_cell(
    found: Sequence[Json],
    cells: Sequence[str],
    key: Callable[[Json], tuple[str, ...]],
    entry: Callable[[Json], Entry],
    heads: tuple[str, ...],
) -> Table:
    """Claims as a matrix: a row a claim, a column a cell."""
    groups: dict[tuple[str, ...], dict[str, Entry]] = {}
    columns = [cell for cell in cells if any(one.get("cell") == cell for one in found)]
    for one in found:
        cell = str(one.get("cell"))
        if cell not in columns:
            columns.append(cell)
        groups.setdefault(key(one), {})[cell] = entry(one)
    blank = Entry("–")
    rows = [Row(k, tuple(by.get(cell, blank) for cell in columns)) for k, by in groups.items()]
    return Table(heads, tuple(columns), tuple(rows))


def _marked(claim: Json, words: str, note: str = "") -> Entry:
    held = claim.get("held")
    sign, mark = ("✓", "good") if held is True else ("✗", "bad")
    if not isinstance(held, bool):
        sign, mark = "?", "unknown"
    reason = str(claim.get("reason") or "") if held is not True else ""
    return Entry(f"{sign} {words}", "; ".join(part for part in (note, reason) if part), mark)


def laws(pitfall: Json, cells: Sequence[str]) -> Table:
    found = [mapping(law) for law in sequence(pitfall.get("laws"))]
    bounds: dict[object, set[str]] = {}
    for law in found:
        bounds.setdefault(law.get("id"), set()).add(str(law.get("bound")))

    def key(law: Json) -> tuple[str, ...]:
        same = len(bounds[law.get("id")]) == 1
        return (str(law.get("title")), str(law.get("variant") or "all"),
                str(law.get("bound")) if same else "by cell")

    def entry(law: Json) -> Entry:
        note = "" if len(bounds[law.get("id")]) == 1 else f"wanted {law.get('bound')}"
        return _marked(law, observed_text(law), note)

    return _by_cell(found, cells, key, entry, ("law", "variant", "wanted"))


def outcomes(pitfall: Json, cells: Sequence[str]) -> Table:
    def entry(one: Json) -> Entry:
        drift = one.get("held") is False
        return _marked(one, str(one.get("observed") or "not observed"),
                       f"declared: {one.get('expected')}" if drift else "")

    found = [mapping(one) for one in sequence(pitfall.get("outcomes"))]
    return _by_cell(found, cells, lambda one: (str(one.get("variant")),), entry, ("variant",))


def explanations(pitfall: Json) -> list[tuple[str, str, str | None, str]]:
    """(variant, cell, why its object is alive, or else why that is not known)."""
    return [(str(one.get("variant")), str(one.get("cell")),
             str(one["text"]).rstrip() if one.get("text") else None,
             str(one.get("reason") or "the program said nothing"))
            for one in map(mapping, sequence(pitfall.get("explanations")))]


def detectors(pitfall: Json, cells: Sequence[str]) -> Table:
    def key(one: Json) -> tuple[str, ...]:
        wanted = "should report it" if one.get("expected") else "should stay silent"
        return (str(one.get("tool")), str(one.get("variant")), str(one.get("category")), wanted)

    def entry(one: Json) -> Entry:
        if one.get("found") is None:
            return _marked(one, "not run")
        line = f"line {one.get('line')}" if one.get("found") and one.get("line") else ""
        return _marked(one, "reported" if one.get("found") else "silent", line)

    found = [mapping(one) for one in sequence(pitfall.get("detectors"))]
    return _by_cell(found, cells, key, entry, ("tool", "variant", "kind of report", "expected"))


def flag_table(summary: Json) -> Table:
    """The compile-flag table in figures, with intervals."""
    rows = flags.rows_of(summary)
    made = []
    for row in rows:
        entries = []
        for key, _, metric, _ in flags.COLUMNS:
            one = measured(metric, flags.value_of(row, key))
            relative = flags.ratio(rows, row, key)
            extra = ratio_text(relative) if relative is not None else ""
            entries.append(Entry(one.text, "; ".join(p for p in (extra, one.note) if p), one.mark))
        base = str(flags.reference(rows, row).get("cell"))
        made.append(Row((str(row.get("cell")), base), tuple(entries)))
    titles = tuple(title for _, title, _, _ in flags.COLUMNS)
    return Table(("cell", "ratio to"), titles, tuple(made))


def totals(summary: Json) -> list[Entry]:
    found = []
    for kind, word in (("laws", "laws held"), ("outcomes", "outcomes as declared"),
                       ("detectors", "detectors as declared")):
        every = [claim for _, claim in claims(summary, kind)]
        if every:
            one = held_entry(every)
            found.append(Entry(one.text, " ".join([word, f"({one.note})" if one.note else ""]),
                               one.mark))
    return found


def failures(summary: Json) -> list[str]:
    in_words = {"laws": law_in_words, "outcomes": outcome_in_words, "detectors": detector_in_words}
    return [
        say(pitfall, claim)
        for kind, say in in_words.items()
        for pitfall, claim in claims(summary, kind)
        if claim.get("held") is False
    ]


def failed_programs(summary: Json) -> list[tuple[str, str]]:
    """(what did not build or run and where, all that the compiler said)."""
    built = {(cell.get("pitfall"), cell.get("variant"), cell.get("cell")): cell.get("message")
             for cell in map(mapping, sequence(summary.get("cells")))}
    found = []
    for words, row in failures_of(summary):
        message = row.get("message")
        if not row.get("samples"):
            first = next(iter(sequence(row.get("cells"))), None)
            message = built.get((row.get("pitfall"), row.get("variant"), first)) or message
        found.append((words, str(message)))
    return found


Facts = list[tuple[str, str]]


def run_facts(summary: Json) -> list[tuple[str, Facts]]:
    """(heading, [(name, value)]) of what was run, on which machine, with which tools."""
    run = mapping(summary.get("run"))
    tools = [(name, str(version or "not installed"))
             for name, version in mapping(run.get("tools")).items()]
    groups = (("What was run", _run(summary, run)),
              ("Machine", _machine(mapping(run.get("machine")))), ("Tools", tools))
    return [(heading, facts) for heading, facts in groups if facts]


def _run(summary: Json, run: Json) -> Facts:
    settings = mapping(run.get("settings"))
    pitfalls, cells = [str(p.get("id")) for p in pitfalls_of(summary)], cells_of(summary)
    left = len(sequence(summary.get("left_out")))
    commit = str(run.get("git") or "not in git")
    commit += ", with changes that are not committed" if run.get("git_dirty") else ""
    region_s = number(settings.get("region_s"))
    facts = [
        ("run", run.get("run")),
        ("started", str(run.get("started") or "").replace("T", " ")),
        ("commit", commit),
        ("pitfalls", ", ".join(pitfalls) if settings.get("pitfalls") else f"all {len(pitfalls)}"),
        ("profile", settings.get("profile")),
        ("cells", ", ".join(cells) if settings.get("cells") else
         f"all {len(cells) + left}" + (f", {left} of them left out" if left else "")),
        ("rounds", rounds_of(summary)),
        ("timed region", None if region_s is None else f"about {show(region_s, 's')}"),
        ("quick", "yes: ratios, not verdicts" if settings.get("quick") else "no"),
        ("instructions counted", _yes(settings.get("instructions"))),
        ("seed", run.get("seed")),
    ]
    return [(name, "not recorded" if value in (None, "") else str(value)) for name, value in facts]


def _machine(machine: Json) -> Facts:
    reasons = mapping(machine.get("reasons"))
    return [
        (title, f"unknown: {reasons.get(key, 'no reason was recorded')}" if machine[key] is None
         else say(machine[key]))
        for key, title, say in MACHINE if key in machine
    ]


def fidelity(document: Json) -> list[tuple[str, str, str, str, str, str]]:
    """The facts of `make fidelity`: key, Go's value and ours, tolerance, verdict, reason."""
    return [(str(row["id"]), _number(row["peer"]), _number(row["value"]), str(row["goal"]),
             str(row["verdict"]), str(row["reason"] or ""))
            for row in document.get("rows") or () if row["metric"] == "fact"]


def soak(document: Json) -> list[tuple[str, str, str, str, str, str]]:
    """The programs of `make soak`: name, level, growth with its interval, goal, verdict, reason."""
    return [(str(row["id"]), show(row["value"], "B"), _growth(row), str(row["goal"]),
             str(row["verdict"]), str(row["reason"] or ""))
            for row in document.get("rows") or () if row["metric"] == "rss_b"]


def _growth(row: Json) -> str:
    found = [row["ratio"], row["low"], row["high"]]
    if any(value is None for value in found):
        return "–"
    value, low, high = (("-" if one < 1 else "+") + percent(abs(one - 1)) for one in found)
    return f"{value} ({low} to {high})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"
