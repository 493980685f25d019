#!/usr/bin/env python3
"""Time and memory of the gc.h drop-in beside Boehm's library: one binary on both, in turns.

    make -C allocator gc-figures [ROUNDS=9]

Prints medians of each, and the median ratio of the pairs with the least and the most.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from compare_programs import plain

MB = 1024  # ru_maxrss is in KiB


@dataclass(frozen=True)
class Ran:
    """One process."""

    seconds: float
    cpu_s: float
    peak_mb: float


def run(program: Path, library: Path | None) -> Ran:
    """Runs it once."""
    environment = plain({"LD_LIBRARY_PATH": str(library)} if library is not None else {})
    start = time.monotonic()
    process = subprocess.Popen([str(program)], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if status != 0:
        raise SystemExit(f"{program.name}: ended with status {status}")
    return Ran(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MB)


def row(program: Path, library: Path, rounds: int) -> str:
    """A row of the table."""
    pairs = []
    for number in range(rounds):
        first = run(program, library if number % 2 else None)
        second = run(program, None if number % 2 else library)
        pairs.append((second, first) if number % 2 else (first, second))

    def median(side: int, of: str) -> float:
        values: list[float] = [getattr(pair[side], of) for pair in pairs]
        return statistics.median(values)

    def ratio(of: str) -> str:
        ratios = [getattr(ours, of) / getattr(boehm, of) for boehm, ours in pairs]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    return (f"| {program.name} | {median(0, 'seconds'):.2f} | {median(1, 'seconds'):.2f} "
            f"| {ratio('seconds')} | {ratio('cpu_s')} | {median(0, 'peak_mb'):.0f} "
            f"| {median(1, 'peak_mb'):.0f} | {ratio('peak_mb')} |")


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="the gc.h drop-in beside Boehm's library")
    parser.add_argument("--library", type=Path, required=True, help="the folder of libgc.so.1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("programs", type=Path, nargs="+")
    asked = parser.parse_args()
    print("| | Boehm s | here s | time | processor time | Boehm MB | here MB | peak memory |")
    print("|---|---|---|---|---|---|---|---|")
    for program in asked.programs:
        print(row(program, asked.library.resolve(), asked.rounds), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
