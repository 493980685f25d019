"""Programs that share the machine by turns of a few milliseconds, and the time that is their own.

A machine shared with others has slow spells that last from a few milliseconds to seconds. Two
programs that run one after the other meet different ones. By turns, each is stopped (SIGSTOP, all
its threads) while the others run, so that every spell meets all of them, and their ratio keeps what
is theirs. Time passes for a program only in its turns: own_time() puts what its record says on that
clock. For programs that wait (for a disk, a timer, each other) turns are wrong: what they wait for
goes on while they are stopped.
"""

from __future__ import annotations

import os
import subprocess
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

TURN_MS = 5.0  # the first turns; the launcher makes them longer in a program that runs for long
LEAST_BUSY = 0.8  # processors that a program must keep busy to be run by turns

Turns = Sequence[tuple[int, int]]  # begin and end, CLOCK_MONOTONIC, ns


def give(processes: Sequence[subprocess.Popen[bytes]], cpu: int | None) -> None:
    """Gives turns to launchers, in their order, until each has ended; from other processors than
    the one where they begin."""
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, allowed - {cpu} or allowed)
        _give(processes)
    finally:
        os.sched_setaffinity(0, allowed)


def _give(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    waiting = deque(processes)
    while waiting:
        process = waiting.popleft()
        assert process.stdin is not None and process.stdout is not None
        try:
            os.write(process.stdin.fileno(), b"g")
            stopped = os.read(process.stdout.fileno(), 1)
        except BrokenPipeError:
            continue
        if stopped:
            waiting.append(process)


class Clock:
    """The time that passed in some turns."""

    def __init__(self, turns: Turns) -> None:
        self._begins = [begin for begin, _ in turns]
        self._lengths = [end - begin for begin, end in turns]
        self._before = [0, *accumulate(self._lengths)]

    def at(self, ns: int) -> int:
        """How much of it had passed at a moment of CLOCK_MONOTONIC."""
        index = bisect_right(self._begins, ns) - 1
        if index < 0:
            return 0
        return self._before[index] + min(ns - self._begins[index], self._lengths[index])

    def between(self, begin_ns: int, length_ns: int) -> int:
        """How much of it lies in a span of CLOCK_MONOTONIC."""
        return self.at(begin_ns + length_ns) - self.at(begin_ns)


def own_time(record: Mapping[str, Any], turns: Turns) -> dict[str, Any]:
    """The record of a program that ran by turns, with its times in its own time."""
    result = dict(record)
    start, end = record.get("start_ns"), record.get("end_ns")
    if not turns or not isinstance(start, int) or not isinstance(end, int):
        return result
    clock = Clock(turns)
    result |= {"start_ns": clock.at(start), "end_ns": clock.at(end),
               "time_ns": clock.between(start, end - start)}
    at = record.get("pause_at_ns") or []
    lengths = record.get("pause_ns") or []
    if not at or len(at) != len(lengths):
        return result
    result["pause_at_ns"] = [clock.at(ns) for ns in at]
    result["pause_ns"] = own = [clock.between(ns, length) for ns, length in zip(at, lengths)]
    # Its parts, where a turn ended within it: the signals come first, the roots are the rest.
    signals = record.get("pause_signal_ns") or []
    result["pause_signal_ns"] = [clock.between(ns, length) for ns, length in zip(at, signals)]
    result["pause_roots_ns"] = [min(roots, whole) for roots, whole in
                                zip(record.get("pause_roots_ns") or [], own)]
    return result
