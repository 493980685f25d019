"""What a program says of itself on descriptor 3: one line of JSON, an object. Pure.

Whoever wrote the program may have been wrong: all that is computed with has its type and range
checked here, so that a wrong record is a sample without figures, and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Lists, an entry for each pause, and their names among a sample's pauses.
PAUSES = {
    "pause_ns": "length_ns",
    "pause_signal_ns": "signal_ns",
    "pause_roots_ns": "roots_ns",
    "pause_root_b": "root_b",
    "pause_cause": "cause",
    "pause_at_ns": "at_ns",
}
OUTCOMES = ("manifest", "latent", "elided", "clean")
_WHOLE = ("count", "ops", "start_ns", "end_ns", "time_ns", "user_ns", "sys_ns")
_COUNTS = ("allocs", "frees", "alloc_b", "allocs_per_op", "alloc_b_per_op", "collections",
           "peak_rss_b", "peak_live_b")
_TEXTS = ("explanation", "work_unit")
_LIMIT = 1 << 64  # C has no larger number, and a float holds it
_SHOWN = 60


def parse(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """(record, None) or (None, what is wrong with it)."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None, "it wrote no record on descriptor 3"
    if len(lines) > 1:
        return None, f"it wrote {len(lines)} lines on descriptor 3 instead of one record"
    try:
        record = json.loads(lines[0], parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return None, f"its record is not JSON: {error}: {lines[0][:120]!r}"
    if not isinstance(record, dict) or record.get("v") != 1:
        return None, f"its record is not a version 1 object: {lines[0][:120]!r}"
    wrong = next(_wrong(record), None)
    return (record, None) if wrong is None else (None, f"its record is wrong: {wrong}")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


def is_number(value: object) -> bool:
    """True for an integer or a float, not for a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return type(value) is int and 0 <= value < _LIMIT


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_whole, value))


_RULES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (_WHOLE, _is_whole, "a whole number from 0 to 2^64"),
    (_COUNTS, lambda value: is_number(value) and value >= 0, "a number, 0 or more"),
    (tuple(PAUSES), _is_list, "a list of whole numbers from 0 to 2^64"),
    (_TEXTS, lambda value: isinstance(value, str), "a text"),
    (("work",), lambda value: isinstance(value, str) or is_number(value) and value >= 0,
     "a number, 0 or more"),  # or the name of a work, where a peer did it
    (("outcome",), lambda value: value in OUTCOMES, f"one of {' '.join(OUTCOMES)}"),
)


def _wrong(record: Mapping[str, Any]) -> Iterator[str]:
    """Everything that is wrong with it. null is right everywhere: not known."""
    for key, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{key} is a number that is not finite"
        elif is_number(value) and isinstance(value, int) and abs(value) >= _LIMIT:
            yield f"{key} has more than 64 bits: {_shown(value)}"
    for keys, right, what in _RULES:
        for key in keys:
            value = record.get(key)
            if value is not None and not right(value):
                yield f"{key} is {_shown(value)}, not {what}"
    lengths = {key: len(record[key]) for key in PAUSES if record.get(key) is not None}
    if len(set(lengths.values())) > 1:
        yield "its pauses are not of one number: " + ", ".join(
            f"{count} {key}" for key, count in lengths.items())
    start, end = record.get("start_ns"), record.get("end_ns")
    if start is not None and end is not None and end < start:
        yield f"end_ns is {end}, before start_ns, {start}"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
