"""Where the wall time of a comparison went. Pure.

The whole is everything from the command's beginning to the verdicts. `measured programs` is the
time that programs themselves ran, as the launcher clocks it, in timed samples that are judged, and
their starts: not round 0, which warms, and not callgrind's runs, which time nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

BEGINNING, BUILDING, CALIBRATING, JUDGING = "beginning", "building", "calibrating", "judging"
PROGRAMS = "measured programs"
WARMING = "calibrating and warming"
LINKING = "linking"
STARTING = "starting programs, turns between them, reading what they left"
COUNTING = "counting instructions"
REST = "looking at the machine"


def where(lines: Iterable[Mapping[str, Any]], phases: Mapping[str, float],
          whole_s: float) -> dict[str, float]:
    """What it went to -> seconds. lines: of the run; phases: how long each took (Live.spent())."""
    samples = [line for line in lines if line["kind"] == "sample"]
    timed = [one for one in samples if one["role"] == "timed"]
    measured = sum(_ran(one) for one in timed if one["round"] > 0)
    warming = sum(_ran(one) for one in timed if one["round"] == 0)
    taking = sum(one["took_s"] for one in samples)
    measuring = sum(seconds for name, seconds in phases.items() if name not in (
        "", BEGINNING, BUILDING, CALIBRATING, JUDGING))
    result = {
        PROGRAMS: measured,
        BUILDING: phases.get(BUILDING, 0.0),
        WARMING: phases.get(CALIBRATING, 0.0) + warming,
        LINKING: sum(one["link_s"] for one in samples),
        STARTING: sum(_without_link(one) for one in timed) - measured - warming,
        COUNTING: sum(_without_link(one) for one in samples if one["role"] == "instr"),
        # Between the rounds of one look and the next, and at the end.
        JUDGING: phases.get(JUDGING, 0.0) + max(0.0, measuring - taking),
    }
    return {**result, REST: max(0.0, whole_s - sum(result.values()))}


def _ran(sample: Mapping[str, Any]) -> float:
    return float(sample["wall_s"] + sample["metrics"].get("startup_s", 0.0))


def _without_link(sample: Mapping[str, Any]) -> float:
    return float(sample["took_s"] - sample["link_s"])
