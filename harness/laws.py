"""Judges stored samples by the laws of pitfall.toml. Pure: no file, no clock, nothing measured.

`exact` and `bound` ask every sample, ratios and differences compare medians, `slope` and
`exponent` are fitted over the sweep. A law that cannot be judged is None with the reason, never
held.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness import expression
from harness.catalog import Law, Pitfall, cell_matches
from harness.fault import UsageFault
from harness.metrics import describe, exact, show
from harness.sheet import Sheet, first_line
from harness.stats import exponent, median, slope

_TOLERANCE = 1e-9
WORK = "work"


@dataclass(frozen=True)
class Judgement:
    """One law in one cell."""

    pitfall: str
    id: str
    title: str
    kind: str
    cell: str
    variant: str | None
    held: bool | None
    observed: float | None
    bound: str
    reason: str


@dataclass(frozen=True)
class Bound:
    """A law's bound with its expressions worked out."""

    equals: float | None
    at_least: float | None
    at_most: float | None
    text: str

    def admits(self, value: float) -> bool:
        """True if the value is inside (rounding of the last digits is forgiven)."""
        slack = _TOLERANCE * max(1.0, abs(value))
        if self.equals is not None and abs(value - self.equals) > slack:
            return False
        if self.at_least is not None and value < self.at_least - slack:
            return False
        return self.at_most is None or value <= self.at_most + slack


def judge(sheet: Sheet, catalog: Sequence[Pitfall], cells: Sequence[str]) -> list[Judgement]:
    """Every law in every cell it speaks of, and the comparison of work."""
    result: list[Judgement] = []
    for pitfall in catalog:
        for law in pitfall.laws:
            for cell in cells:
                if cell_matches(cell, law.cells):
                    result += [_judge(sheet, pitfall, law, cell, of, over)
                               for of, over in comparisons(pitfall, law)]
        result += judge_work(sheet, pitfall, cells)
    return result


def comparisons(pitfall: Pitfall, law: Law) -> list[tuple[str, str | None]]:
    """(of, over) of a law; a pair without names means its bad variant over each other one."""
    if law.kind not in ("ratio", "difference"):
        assert law.of is not None
        return [(law.of, law.over)]
    if law.of is not None and law.over is not None:
        return [(law.of, law.over)]
    for pair, bad, others in pitfall.pairs():
        if pair == law.pair:
            of = law.of or bad
            assert of is not None
            overs = (law.over,) if law.over else tuple(o for o in others if o != of)
            return [(of, over) for over in overs]
    return []


def _judge(sheet: Sheet, pitfall: Pitfall, law: Law, cell: str, of: str,
           over: str | None) -> Judgement:
    variant = of if over is None else f"{of}/{over}"

    def say(held: bool | None, observed: float | None, bound: str, reason: str) -> Judgement:
        if observed is not None and not math.isfinite(observed):
            observed = None
        return Judgement(pitfall.id, law.id, law.title, law.kind, cell, variant, held, observed,
                         bound, reason)

    try:
        names = {**sheet.medians(pitfall.id, of, cell), "n": float(pitfall.parameter.default)}
        bound = _bound(law, names)
    except UsageFault as fault:
        there = bool(sheet.values(pitfall.id, of, cell, law.metric))
        absent = "" if there else f"; {sheet.why_absent(pitfall.id, of, cell, law.metric)}"
        return say(None, None, _bound_text(law), f"{fault}{absent}")
    if law.kind in ("slope", "exponent"):
        value, reason = _fitted(sheet, pitfall, law, cell, of)
        return say(None if value is None else bound.admits(value), value, bound.text,
                   reason or _compare(law, value, bound))
    top = sheet.values(pitfall.id, of, cell, law.metric)
    if not top:
        return say(None, None, bound.text, sheet.why_absent(pitfall.id, of, cell, law.metric))
    if over is None:
        wrong = [value for value in top if not bound.admits(value)]
        observed = wrong[0] if wrong else median(top)
        return say(not wrong, observed, bound.text, _every(law, top, wrong, observed, bound))
    bottom = sheet.values(pitfall.id, over, cell, law.metric)
    if not bottom:
        return say(None, None, bound.text, sheet.why_absent(pitfall.id, over, cell, law.metric))
    unit = describe(law.metric).unit
    a, b = median(top), median(bottom)
    sides = ", ".join(f"{name} {exact(value) if unit == '1' else show(value, unit)}"
                      for name, value in ((of, a), (over, b)))
    if law.kind == "difference":
        shown = exact(a - b) + (f" {unit}" if unit != "1" else "")
        return say(bound.admits(a - b), a - b, bound.text,
                   f"{shown} ({sides}), wanted {bound.text}")
    if b <= 0:
        value = math.inf if a > 0 else math.nan if b < 0 else 1.0
        if math.isnan(value):
            return say(None, None, bound.text, f"{sides}: a ratio of these says nothing")
        ratio = "unbounded" if a > 0 else "1 (both 0)"
        return say(bound.admits(value), value, bound.text,
                   f"ratio {ratio} ({sides}), wanted {bound.text}")
    return say(bound.admits(a / b), a / b, bound.text,
               f"ratio {_rounded(a / b, bound)} ({sides}), wanted {bound.text}")


def _every(law: Law, values: Sequence[float], wrong: Sequence[float], observed: float,
           bound: Bound) -> str:
    unit = describe(law.metric).unit
    shown = exact(observed) + (f" ({show(observed, unit)})" if unit != "1" else "")
    if not wrong:
        return f"{law.metric} {shown}, wanted {bound.text}"
    share = "" if len(wrong) == len(values) else f" in {len(wrong)} of {len(values)} samples"
    return f"{law.metric} is {shown}{share}, wanted {bound.text}"


def _compare(law: Law, value: float | None, bound: Bound) -> str:
    what = "slope of" if law.kind == "slope" else "exponent of"
    shown = "unknown" if value is None else _rounded(value, bound)
    return f"{what} {law.metric} over the sweep {shown}, wanted {bound.text}"


def _rounded(value: float, bound: Bound) -> str:
    """Four digits; ten where four could read as if the bound held."""
    return f"{value:,.4g}" if bound.admits(value) else exact(value)


def _fitted(sheet: Sheet, pitfall: Pitfall, law: Law, cell: str,
            of: str) -> tuple[float | None, str | None]:
    points = [(float(s["n"]), float(s["metrics"][law.metric]))
              for s in sheet.role(pitfall.id, of, cell, "sweep") if law.metric in s["metrics"]]
    wanted = len(pitfall.parameter.sweep)
    if len(points) < wanted:
        failed = [s["status"]["message"] for s in sheet.role(pitfall.id, of, cell, "sweep")
                  if s["status"]["message"]]
        why = (first_line(failed[0]) if failed
               else sheet.why_absent(pitfall.id, of, cell, law.metric))
        return None, f"{len(points)} of {wanted} values of the sweep: {why}"
    x, y = zip(*points)
    fit = slope(x, y) if law.kind == "slope" else exponent(x, y)
    return fit, None if fit is not None else "the sweep gives no fit"


def _bound(law: Law, names: dict[str, float]) -> Bound:
    numbers: dict[str, float | None] = {}
    texts = []
    for key, sign in (("equals", "="), ("at_least", ">="), ("at_most", "<=")):
        plain, formula = getattr(law, key), getattr(law, f"{key}_expr")
        numbers[key] = plain
        if plain is not None:
            texts.append(f"{sign} {exact(plain)}")
        if formula is not None:
            value = expression.evaluate(formula, names)
            numbers[key] = value
            texts.append(f"{sign} {formula} = {exact(value)}")
    if law.within is not None:
        low, high = law.within
        numbers["at_least"], numbers["at_most"] = low, high
        texts.append(f"in [{exact(low)}, {exact(high)}]")
    return Bound(numbers["equals"], numbers["at_least"], numbers["at_most"], " and ".join(texts))


def _bound_text(law: Law) -> str:
    parts = [f"{sign} {getattr(law, key)}"
             for key, sign in (("equals_expr", "="), ("at_least_expr", ">="),
                               ("at_most_expr", "<="))
             if getattr(law, key) is not None]
    return " and ".join(parts) or "?"


# ---- Work: has the compiler removed the pitfall? -------------------------------------------------


def elided(sheet: Sheet, pitfall: Pitfall, cells: Sequence[str]) -> dict[tuple[str, str], str]:
    """(variant, cell) -> how we know that the compiler removed what the variant should do."""
    result: dict[tuple[str, str], str] = {}
    for variant in pitfall.variants:
        works: dict[str, set[tuple[float, float, float]]] = {}
        for cell in cells:
            for sample in sheet.timed(pitfall.id, variant.id, cell):
                m = sample["metrics"]
                if WORK in m and "count" in m:
                    works.setdefault(cell, set()).add((sample["n"], m["count"], m[WORK]))
                if variant.allocates and m.get("allocs") == 0:
                    result[variant.id, cell] = f"{variant.id} allocated nothing"
        for n, count in {(n, c) for found in works.values() for n, c, _ in found}:
            same = {cell: {w for a, b, w in found if (a, b) == (n, count)}
                    for cell, found in works.items()}
            expected = _reference(same)
            for cell, amounts in same.items():
                if amounts and amounts != {expected}:
                    did = ", ".join(exact(w) for w in sorted(amounts))
                    result[variant.id, cell] = (
                        f"{variant.id} reports work {did} and {exact(expected)} in other cells")
    return result


def _reference(works: dict[str, set[float]]) -> float:
    """The amount of the cells at -O0, where nothing is removed; else the most common one."""
    plain = Counter(w for cell, found in works.items() if cell.endswith("-O0") for w in found)
    every = Counter(w for found in works.values() for w in found)
    return (plain or every).most_common(1)[0][0]


def judge_work(sheet: Sheet, pitfall: Pitfall, cells: Sequence[str]) -> list[Judgement]:
    """One judgement a cell: every variant did what it does elsewhere."""
    gone = elided(sheet, pitfall, cells)
    declared = {(o.variant, cell) for o in pitfall.outcomes if o.expect == "elided"
                for cell in cells if cell_matches(cell, o.cells)}
    result = []
    for cell in cells:
        wrong = [why for (variant, where), why in gone.items()
                 if where == cell and (variant, cell) not in declared]
        seen = any(sheet.values(pitfall.id, v.id, cell, WORK) for v in pitfall.variants)
        held = False if wrong else True if seen else None
        reason = ("elided: " + "; ".join(wrong)) if wrong else (
            "every variant did its work" if seen else "no sample reports its work")
        result.append(Judgement(pitfall.id, WORK, "the compiler left the work in", "exact", cell,
                                None, held, None, "the same in every cell", reason))
    return result
