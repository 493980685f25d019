"""The pitfalls: every folder of pitfalls/ with a pitfall.toml, read into dataclasses.

Adding a pitfall is adding a folder; nothing else lists them. What a pitfall.toml may say is fixed
by schema/pitfall.schema.json. A wrong file is refused with its name and the key at fault.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from harness import expression
from harness.fault import UsageFault
from harness.metrics import METRICS, PERF
from harness.project import Project

SCHEMA = Path(__file__).parent / "schema" / "pitfall.schema.json"
DEFAULT_TIMEOUT_S = 60.0
_BOUNDS = ("equals", "at_least", "at_most", "within")
_EXPRESSIONS = ("equals_expr", "at_least_expr", "at_most_expr")
_QUOTED = re.compile(r'"([a-z][a-z0-9_]*)\\?"')  # a name as C code puts it into the record


@dataclass(frozen=True)
class Parameter:
    """The number every variant takes as --n, and the values it is swept over."""

    name: str
    default: int
    sweep: tuple[int, ...]
    unit: str
    meaning: str


@dataclass(frozen=True)
class Variant:
    """One program: pitfalls/ID/VARIANT.c."""

    id: str
    pair: str
    role: str
    label: str
    allocates: bool
    source: Path
    explain: bool = False  # it marks an object whose being alive the report explains


@dataclass(frozen=True)
class Law:
    """A claim as data."""

    id: str
    title: str
    kind: str
    metric: str
    pair: str | None
    of: str | None
    over: str | None
    cells: tuple[str, ...]
    equals: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    within: tuple[float, float] | None = None
    equals_expr: str | None = None
    at_least_expr: str | None = None
    at_most_expr: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a variant is expected to do in some cells."""

    variant: str
    cells: tuple[str, ...]
    expect: str


@dataclass(frozen=True)
class Detector:
    """A tool that must (or must not) report a variant."""

    tool: str
    variant: str
    cells: tuple[str, ...]
    category: str
    line_marker: str | None
    marked: tuple[str, ...]  # where the marker stands now: bad.c:12
    expect: bool


@dataclass(frozen=True)
class Pitfall:
    """One folder of pitfalls/."""

    id: str
    title: str
    documented: str
    summary: str
    always: bool
    value_only: bool  # one timed round, and no sample for time or memory
    threads: int
    timeout_s: float
    parameter: Parameter
    variants: tuple[Variant, ...]
    laws: tuple[Law, ...]
    outcomes: tuple[Outcome, ...]
    detectors: tuple[Detector, ...]
    folder: Path

    def variant(self, name: str) -> Variant:
        """The variant of that id; the catalogue has checked that it exists."""
        return next(v for v in self.variants if v.id == name)

    def pairs(self) -> list[tuple[str, str | None, tuple[str, ...]]]:
        """(pair, its bad variant, the variants it is compared with), in file order."""
        names = list(dict.fromkeys(v.pair for v in self.variants))
        result = []
        for name in names:
            members = [v for v in self.variants if v.pair == name]
            bad = next((v.id for v in members if v.role == "bad"), None)
            result.append((name, bad, tuple(v.id for v in members if v.role != "bad")))
        return result


def controls(pitfalls: Iterable[Pitfall]) -> set[str]:
    """Those that are one program under two names, which are compared with each other."""
    return {p.id for p in pitfalls if any(v.role == "sham" for v in p.variants)}


def cell_matches(cell: str, globs: Iterable[str]) -> bool:
    """True if one of the globs names the cell."""
    return any(fnmatchcase(cell, glob) for glob in globs)


def load(project: Project) -> list[Pitfall]:
    """Every pitfall, sorted by id; UsageFault on the first wrong file."""
    if not project.pitfalls.is_dir():
        raise UsageFault(f"{project.pitfalls}: no such folder; run from a complete checkout")
    folders = [
        path
        for path in sorted(project.pitfalls.iterdir())
        if path.is_dir() and path.name[0] not in "_." and path.name != "__pycache__"
    ]
    return [read(folder) for folder in folders]


def select(catalog: Sequence[Pitfall], names: Sequence[str]) -> list[Pitfall]:
    """The named pitfalls (all if none is named) and those that are part of every run."""
    if not names:
        return list(catalog)
    known = {p.id for p in catalog}
    for name in names:
        if name not in known:
            raise UsageFault(f"no pitfall '{name}'; there are: {' '.join(sorted(known))}")
    return [p for p in catalog if p.id in names or p.always]


def read(folder: Path) -> Pitfall:
    """One folder; UsageFault names the file and the key that is wrong."""
    path = folder / "pitfall.toml"
    where = f"pitfalls/{folder.name}/pitfall.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageFault(
            f"{where}: missing. Write it (make new-pitfall ID=… makes one), or begin the folder's"
            " name with '_' if it is not a pitfall"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageFault(f"{where}: {error}") from error
    _check_schema(data, where)
    pitfall = _build(data, folder)
    _check_references(pitfall, data, where)
    return pitfall


@cache
def _validator() -> Any:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _check_schema(data: Mapping[str, Any], where: str) -> None:
    errors = sorted(_validator().iter_errors(data), key=lambda e: [str(p) for p in e.absolute_path])
    if not errors:
        return
    error = errors[0]
    key = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path
    ).lstrip(".")
    message = error.message
    if error.validator == "additionalProperties":
        allowed = error.schema["properties"]
        unknown = [name for name in error.instance if name not in allowed]
        message = f"unknown key '{unknown[0]}' (known: {', '.join(allowed)})"
    elif error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        message = f"the key '{missing[0]}' is missing"
    elif error.validator == "pattern":
        message = f"{error.instance!r} does not match {error.validator_value}"
    raise UsageFault(f"{where}: {key + ': ' if key else ''}{message}")


def _globs(value: str | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ("*",)
    return (value,) if isinstance(value, str) else tuple(value)


def _build(data: Mapping[str, Any], folder: Path) -> Pitfall:
    parameter = data["parameter"]
    return Pitfall(
        id=data["id"],
        title=data["title"],
        documented=data["documented"],
        summary=data["summary"],
        always=data.get("always", False),
        value_only=data.get("value_only", False),
        threads=data.get("threads", 1),
        timeout_s=float(data.get("timeout_s", DEFAULT_TIMEOUT_S)),
        parameter=Parameter(
            name=parameter["name"],
            default=parameter["default"],
            sweep=tuple(parameter.get("sweep", ())),
            unit=parameter["unit"],
            meaning=parameter["meaning"],
        ),
        variants=tuple(
            Variant(
                id=v["id"],
                pair=v["pair"],
                role=v["role"],
                label=v.get("label", v["id"]),
                allocates=v.get("allocates", False),
                source=folder / f"{v['id']}.c",
                explain=v.get("explain", False),
            )
            for v in data["variant"]
        ),
        laws=tuple(_law(law) for law in data.get("law", ())),
        outcomes=tuple(
            Outcome(o["variant"], _globs(o.get("cells")), o["expect"])
            for o in data.get("outcome", ())
        ),
        detectors=tuple(
            Detector(
                tool=d["tool"],
                variant=d["variant"],
                cells=_globs(d.get("cells")),
                category=d["category"],
                line_marker=d.get("line_marker"),
                marked=_marked(folder, d["line_marker"]) if "line_marker" in d else (),
                expect=d.get("expect", True),
            )
            for d in data.get("detector", ())
        ),
        folder=folder,
    )


def c_sources(folder: Path) -> list[Path]:
    """The C files of a folder, without those below it."""
    return sorted([*folder.glob("*.c"), *folder.glob("*.h")])


def _marked(folder: Path, marker: str) -> tuple[str, ...]:
    """file:line of every line of the folder's C files that holds the marker."""
    return tuple(
        f"{path.name}:{number}"
        for path in c_sources(folder)
        for number, text in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if marker in text
    )


def _law(law: Mapping[str, Any]) -> Law:
    within = law.get("within")
    return Law(
        id=law["id"],
        title=law["title"],
        kind=law["kind"],
        metric=law["metric"],
        pair=law.get("pair"),
        of=law.get("of"),
        over=law.get("over"),
        cells=_globs(law.get("cells")),
        equals=law.get("equals"),
        at_least=law.get("at_least"),
        at_most=law.get("at_most"),
        within=(within[0], within[1]) if within else None,
        equals_expr=law.get("equals_expr"),
        at_least_expr=law.get("at_least_expr"),
        at_most_expr=law.get("at_most_expr"),
    )


def _unique(values: Sequence[str], what: str, where: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise UsageFault(f"{where}: {what} '{value}' is there twice")


def _check_references(pitfall: Pitfall, data: Mapping[str, Any], where: str) -> None:
    if pitfall.id != pitfall.folder.name:
        raise UsageFault(f"{where}: id: '{pitfall.id}' is not the folder's name")
    names = [v.id for v in pitfall.variants]
    _unique(names, "variant", where)
    _unique([law.id for law in pitfall.laws], "law", where)
    for variant in pitfall.variants:
        if not variant.source.is_file():
            raise UsageFault(f"{where}: variant '{variant.id}': {variant.source.name} is missing")
        if variant.explain and not any("pitfall_retains(" in path.read_text(errors="replace")
                                       for path in (variant.source, *pitfall.folder.glob("*.h"))):
            raise UsageFault(f"{where}: variant '{variant.id}': explain = true, and"
                             f" {variant.source.name} calls pitfall_retains() nowhere")
    for pattern in ("bad*.c", "fixed*.c", "sham*.c", "control*.c"):
        for path in sorted(pitfall.folder.glob(pattern)):
            if path.stem not in names:
                raise UsageFault(f"{where}: {path.name} is there but no [[variant]] names it")
    for pair, bad, _ in pitfall.pairs():
        if len([v for v in pitfall.variants if v.pair == pair and v.role == "bad"]) > 1:
            raise UsageFault(f"{where}: pair '{pair}' has two variants of role bad ({bad}, …)")
    for section, key in (("outcome", "variant"), ("detector", "variant"), ("law", "of"),
                         ("law", "over")):
        for index, item in enumerate(data.get(section, ())):
            if item.get(key, names[0]) not in names:
                raise UsageFault(
                    f"{where}: {section}[{index}].{key}: no variant '{item[key]}'"
                    f" (there are: {', '.join(names)})"
                )
    for index, detector in enumerate(pitfall.detectors):
        own = pitfall.variant(detector.variant).source.name
        files = {place.rpartition(":")[0] for place in detector.marked}
        if detector.line_marker and not any(f == own or f.endswith(".h") for f in files):
            raise UsageFault(f"{where}: detector[{index}].line_marker: '{detector.line_marker}'"
                             f" stands in no line of {own}, nor of a header beside it")
    for index, law in enumerate(pitfall.laws):
        _check_law(pitfall, law, f"{where}: law[{index}] '{law.id}'")


def _check_name(pitfall: Pitfall, name: str, where: str, *also: str) -> None:
    """A law speaks of a declared metric, or of one that the pitfall or the driver reports."""
    if name in METRICS or name.startswith(PERF) or name in also:
        return
    reported = {
        found
        for path in (*c_sources(pitfall.folder), *c_sources(pitfall.folder.parent))
        for found in _QUOTED.findall(path.read_text(errors="replace"))
    }
    if name not in reported:
        nearest = get_close_matches(name, [*also, *METRICS, *sorted(reported)], 1, 0)[0]
        raise UsageFault(f"{where}: nothing reports '{name}' (the nearest name is"
                         f" '{nearest}')")


def _check_bounds(pitfall: Pitfall, law: Law, where: str) -> None:
    """Some value must be able to meet the bounds, as far as they are known without measuring."""
    known: dict[str, float] = {}
    for key in ("equals", "at_least", "at_most"):
        plain, formula = getattr(law, key), getattr(law, f"{key}_expr")
        if plain is not None and formula is not None:
            raise UsageFault(f"{where}: {key} and {key}_expr: give one of them")
        if formula is not None and set(expression.names(formula)) <= {"n"}:
            try:
                plain = expression.evaluate(formula, {"n": float(pitfall.parameter.default)})
            except UsageFault as fault:
                raise UsageFault(f"{where}: {key}_expr: {fault}") from fault
        if plain is not None:
            known[key] = plain
    if law.within is not None:
        if {"at_least", "at_most"} & known.keys() or law.at_least_expr or law.at_most_expr:
            raise UsageFault(f"{where}: within is at_least and at_most in one: give it alone")
        known["at_least"], known["at_most"] = law.within
    for key, value in known.items():
        if not math.isfinite(value):
            raise UsageFault(f"{where}: {key}: {value} is no bound")
    low = known.get("at_least", -math.inf)
    high = known.get("at_most", math.inf)
    equals = known.get("equals")
    if low > high or (equals is not None and not low <= equals <= high):
        said = ", ".join(f"{key} {value:g}" for key, value in known.items())
        raise UsageFault(f"{where}: can never hold: no value meets {said} at once")


def _check_law(pitfall: Pitfall, law: Law, where: str) -> None:
    _check_name(pitfall, law.metric, f"{where}: metric")
    given = [name for name in (*_BOUNDS, *_EXPRESSIONS) if getattr(law, name) is not None]
    if not given:
        raise UsageFault(f"{where}: needs a bound: one of {', '.join((*_BOUNDS, *_EXPRESSIONS))}")
    for name in _EXPRESSIONS:
        text = getattr(law, name)
        if text is not None:
            try:
                used = expression.names(text)
            except UsageFault as fault:
                raise UsageFault(f"{where}: {name}: {fault}") from fault
            for one in used:
                _check_name(pitfall, one, f"{where}: {name}", "n")
    _check_bounds(pitfall, law, where)
    if law.pair is not None and law.pair not in {v.pair for v in pitfall.variants}:
        raise UsageFault(f"{where}: pair: no variant has the pair '{law.pair}'")
    if law.kind in ("ratio", "difference"):
        if law.pair is None and (law.of is None or law.over is None):
            raise UsageFault(f"{where}: kind {law.kind} needs `pair`, or `of` and `over`")
        if law.pair is not None and law.of is None:
            if all(pair != law.pair or bad is None for pair, bad, _ in pitfall.pairs()):
                raise UsageFault(f"{where}: pair '{law.pair}' has no variant of role bad")
    elif law.of is None:
        raise UsageFault(f"{where}: kind {law.kind} needs `of`, the variant it speaks of")
    if law.kind in ("slope", "exponent") and len(pitfall.parameter.sweep) < 3:
        raise UsageFault(f"{where}: kind {law.kind} needs parameter.sweep with 3 values or more")
