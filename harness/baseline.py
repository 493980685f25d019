"""results/baseline.jsonl: the exact figures that `make check` compares with, one line a program and
cell, sorted, so that a difference in git reads as what moved.

A line holds for its place: the architecture, the processor's features, the compiler, the C library
and valgrind. Lines of other places stay beside it; none of them is ever called a regression.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.fault import UsageFault
from harness.project import Project

VERSION = 1
PLACE = ("arch", "features", "glibc", "valgrind", "compiler")


@dataclass(frozen=True)
class Known:
    """The exact figures of one program in one cell at one place."""

    pitfall: str
    variant: str
    cell: str
    place: tuple[str, ...]  # in the order of PLACE
    workload_sha: str
    metrics: Mapping[str, float]

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is a figure of."""
        return self.pitfall, self.variant, self.cell

    def as_line(self) -> str:
        """JSON, with the keys in a fixed order."""
        return json.dumps({
            "v": VERSION, "kind": "baseline", "pitfall": self.pitfall, "variant": self.variant,
            "cell": self.cell, "place": dict(zip(PLACE, self.place)),
            "workload_sha": self.workload_sha,
            "metrics": {key: self.metrics[key] for key in sorted(self.metrics)}},
            ensure_ascii=False)


def path_of(project: Project) -> Path:
    """The file, in git."""
    return project.root / "results" / "baseline.jsonl"


def read(path: Path) -> list[Known]:
    """Every line. UsageFault that names the first wrong one; empty if there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(f"{path}: {error}") from error
    result = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            result.append(_known(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageFault(f"{path}:{number}: {_words(error)}; make baseline writes the file"
                             " anew") from error
    return result


def _words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error)


def _known(line: Mapping[str, Any]) -> Known:
    if line.get("kind") != "baseline":
        raise ValueError("not a line of kind baseline")
    if line["v"] != VERSION:
        raise ValueError(f"version {line['v']}, this program reads {VERSION}: it was written by a"
                         " newer one")
    metrics = {str(key): value for key, value in line["metrics"].items()}
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in metrics.values()):
        raise ValueError("a metric is not a number")
    return Known(line["pitfall"], line["variant"], line["cell"],
                 tuple(str(line["place"][key]) for key in PLACE), line["workload_sha"], metrics)


def place_of(machine: Mapping[str, Any], tools: Mapping[str, Any],
             compiler: str | None) -> tuple[str, ...]:
    """The place of a line, from a run's line and a build's."""
    features = machine.get("features")
    return (str(machine.get("arch")), " ".join(features) if features else "not known",
            str(machine.get("glibc")), str(tools.get("valgrind")), str(compiler))


def renewed(old: Iterable[Known], new: Sequence[Known]) -> list[Known]:
    """The file after `make baseline`: new lines in place of those of the same program and place."""
    replaced = {(one.key, one.place) for one in new}
    kept = [one for one in old if (one.key, one.place) not in replaced]
    return sorted([*kept, *new], key=lambda one: (one.key, one.place))


def text_of(lines: Sequence[Known]) -> str:
    """The file's content."""
    return "".join(one.as_line() + "\n" for one in lines)


def differences(old: Known, new: Known) -> list[str]:
    """Which parts of their places differ, in words."""
    return [f"{name}: {before} there, {now} here"
            for name, before, now in zip(PLACE, old.place, new.place) if before != now]
