"""What a stored line must have, so that it can be judged: asked of every line that is read. Pure.

The schema (schema/run.schema.json) says more, but takes longer to ask. A line that was written here
has all of it; this is for files that were edited, cut and joined, or written by something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.record import PAUSES
from harness.samples import VERSION

Types = tuple[type, ...]
_NOTHING: type = type(None)
_TEXT: Types = (str,)
_MAYBE: Types = (str, _NOTHING)
_WHOLE: Types = (int,)  # a truth value is none: JSON tells them apart
_MAYBE_WHOLE: Types = (int, _NOTHING)
_NUMBER: Types = (int, float)
_MAYBE_NUMBER: Types = (int, float, _NOTHING)
_LIST: Types = (list,)
_TABLE: Types = (dict,)
_LARGEST = 1e300  # of a figure: sums and squares of a few are still numbers

# What judging needs of a line of each kind, and of which type.
KEYS: Mapping[str, Mapping[str, Types]] = {
    "run": {"run": _TEXT, "target": _TEXT, "git": _MAYBE, "settings": _TABLE, "machine": _TABLE,
            "tools": _TABLE},
    "cell": {"run": _TEXT, "cell": _TEXT, "compiler": _TEXT, "version": _MAYBE, "level": _TEXT,
             "flags": _LIST, "pitfall": _MAYBE, "variant": _MAYBE, "status": _TEXT,
             "message": _MAYBE, "text_b": _MAYBE_WHOLE, "data_b": _MAYBE_WHOLE,
             "bss_b": _MAYBE_WHOLE, "src_sha": _MAYBE},
    "sample": {"run": _TEXT, "sample": _TEXT, "pitfall": _TEXT, "variant": _TEXT, "cell": _TEXT,
               "role": _TEXT, "round": _WHOLE, "position": _WHOLE, "seed": _WHOLE,
               "layout_seed": _WHOLE, "env_pad_b": _WHOLE, "args": _LIST, "n": _WHOLE,
               "status": _TABLE, "wall_s": _NUMBER, "metrics": _TABLE, "reasons": _TABLE,
               "outcome": _MAYBE, "pauses": _TABLE, "timeline": (dict, _NOTHING)},
}
# What may be there as well.
_MORE: Mapping[str, Mapping[str, Types]] = {
    "run": {"seed": _WHOLE, "started": _TEXT},
    "cell": {"image_sha": _MAYBE, "text_sha": _MAYBE, "workload_sha": _MAYBE, "linking": (bool,),
             "sanitizer": _MAYBE, "build_s": _MAYBE_NUMBER},
    "sample": {"turns": _WHOLE, "report": _MAYBE, "marked": _TABLE},
}
_STATUS: Mapping[str, Types] = {"exit": _MAYBE_WHOLE, "signal": _MAYBE_WHOLE, "timeout": (bool,),
                                "message": _MAYBE}
_SETTINGS: Mapping[str, Types] = {
    "rounds": _WHOLE, "seed": _WHOLE, "looks": _WHOLE, "region_s": _NUMBER, "timeout_s": _NUMBER,
    "free_mb": _MAYBE_NUMBER, "quick": (bool,), "instructions": (bool,), "confirm": (bool,),
    "identical": (bool,), "extras": (bool,), "turns": (bool, _NOTHING), "profile": _TEXT,
    "cell": _TEXT, "base": _MAYBE,
}
_SETTINGS_OF_TEXTS = ("pitfalls", "cells", "works", "hosts", "compilers", "commands", "allocators",
                      "sources", "args", "libs")
_NEEDED = {"compare": ("rounds", "seed", "arms"), "peers": ("works",)}  # by target
_MACHINE: Mapping[str, Types] = {
    "cpus": _MAYBE_WHOLE, "cpu_model": _MAYBE, "memory_b": _MAYBE_WHOLE, "governor": _MAYBE,
    "busy_cpus": _MAYBE_NUMBER, "load": _MAYBE_NUMBER, "steal_ticks": _MAYBE_WHOLE,
    "cpu_pressure_percent": _MAYBE_NUMBER, "reasons": _TABLE,
}
_STATES = ("ok", "failed", "missing")  # of a cell


class Shapes:
    """Asks the lines of one file, in their order."""

    def __init__(self) -> None:
        self._targets: dict[str, str] = {}

    def problem(self, line: Any) -> str | None:
        """What keeps a line from being judged; None: nothing."""
        if not isinstance(line, dict) or not isinstance(line.get("kind"), str) or (
                line["kind"] not in KEYS):
            return "not a line of kind run, cell or sample"
        version = line.get("v")
        if isinstance(version, int) and version > VERSION:
            return (f"version {version}: written by a newer pitmark; this one reads up to"
                    f" {VERSION}. Update, or measure again")
        kind = line["kind"]
        wrong = _fields(line, KEYS[kind]) or _fields(line, _MORE[kind], needed=False) or (
            self._in_run(line) if kind == "run" else
            self._in_cell(line) if kind == "cell" else _in_sample(line))
        if wrong is None:
            return None
        return f"{wrong}: was the file edited? " + (
            "Put back what was there, or measure again" if kind == "run" else
            "Delete this line to use the rest")

    def _in_run(self, line: dict[str, Any]) -> str | None:
        settings, machine = line["settings"], line["machine"]
        self._targets[line["run"]] = line["target"]
        lacking = [key for key in _NEEDED.get(line["target"], ()) if key not in settings]
        if lacking:
            return f"'settings' has no '{lacking[0]}'"
        arms = settings.get("arms")
        wrong = _fields(settings, _SETTINGS, needed=False) or next(
            (f"'{key}' is not a list of texts" for key in _SETTINGS_OF_TEXTS
             if key in settings and not _list_of(settings[key], _TEXT)), None)
        if wrong is None and arms is not None and not (isinstance(arms, list) and arms and all(
                isinstance(arm, dict) and isinstance(arm.get("name"), str)
                and isinstance(arm.get("title"), str) for arm in arms)):
            wrong = "'arms' is not a list of objects with 'name' and 'title'"
        if wrong is not None:
            return f"in 'settings' {wrong}"
        wrong = _fields(machine, _MACHINE, needed=False) or next(
            (f"'{key}' is not a list" for key, types in (("features", _TEXT), ("cpu_set", _WHOLE))
             if machine.get(key) is not None and not _list_of(machine[key], types)), None)
        if wrong is not None:
            return f"in 'machine' {wrong}"
        return _values(line, "tools", lambda value: type(value) in _MAYBE, "a text")

    def _in_cell(self, line: dict[str, Any]) -> str | None:
        if line["status"] not in _STATES:
            return f"'status' is none of {' '.join(_STATES)}"
        if not _list_of(line["flags"], _TEXT):
            return "'flags' is not a list of texts"
        judged = self._targets.get(line["run"]) == "check" and line["status"] == "ok"
        if judged and not isinstance(line.get("workload_sha"), str):
            return "'workload_sha' is missing"
        return None


def _in_sample(line: dict[str, Any]) -> str | None:
    wrong = _fields(line["status"], _STATUS)
    if wrong is not None:
        return f"in 'status' {wrong}"
    if line["round"] < 0 or not 0 <= line["wall_s"] < _LARGEST:
        return "'round' or 'wall_s' is out of its range"
    args, pauses, timeline = line["args"], line["pauses"], line["timeline"]
    if not _list_of(args, _TEXT):
        return "'args' is not a list of texts"
    if "--count" in args[-1:] or any(a == "--count" and not b.isdecimal()
                                     for a, b in zip(args, args[1:])):
        return "'args' has no number after --count"
    for name in PAUSES.values():
        if not _list_of(pauses.get(name), _WHOLE):
            return f"in 'pauses' '{name}' is not a list of whole numbers"
    for name in ("t_ns", "rss_b") if timeline is not None else ():
        if not _list_of(timeline.get(name), _WHOLE):
            return f"in 'timeline' '{name}' is not a list of whole numbers"
    if not all(_list_of(one, _TEXT) for one in line.get("marked", {}).values()):
        return "'marked' has something else than lists of texts"
    return (_values(line, "metrics", _is_figure, "a number")
            or _values(line, "reasons", lambda value: type(value) is str, "a text"))


def _is_figure(value: Any) -> bool:
    return type(value) in _NUMBER and -_LARGEST < value < _LARGEST  # and so not NaN


def _fields(table: Mapping[str, Any], wanted: Mapping[str, Types], *,
            needed: bool = True) -> str | None:
    for key, types in wanted.items():
        if key not in table:
            if needed:
                return f"'{key}' is missing"
        elif type(table[key]) not in types:
            return f"'{key}' is of the wrong type"
    return None


def _values(line: Mapping[str, Any], name: str, right: Callable[[Any], bool],
            what: str) -> str | None:
    return next((f"in '{name}' '{key}' is not {what}" for key, value in line[name].items()
                 if not right(value)), None)


def _list_of(values: object, types: Types) -> bool:
    return isinstance(values, list) and _types(values) <= set(types)


def _types(values: Iterable[object]) -> set[type]:
    return set(map(type, values))
