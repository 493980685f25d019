"""What an exporter reads: a run's stored lines, and the figures that were judged from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """One run."""

    lines: Sequence[Line]
    document: Mapping[str, Any]  # in the schema of results/latest/TARGET.json

    @property
    def run(self) -> Line:
        """The line of kind run; empty if there is none."""
        return next((line for line in self.lines if line["kind"] == "run"), {})

    def timed(self) -> Iterator[Line]:
        """The samples that were timed and ended well, in the order in which they were taken."""
        for line in self.lines:
            if (line["kind"] == "sample" and line["role"] == "timed" and line["round"] > 0
                    and line["metrics"] and line["status"]["message"] is None):
                yield line

    def programs(self) -> dict[tuple[str, str, str], list[Line]]:
        """The same by program: (pitfall, variant, cell)."""
        result: dict[tuple[str, str, str], list[Line]] = {}
        for line in self.timed():
            key = (line["pitfall"], line["variant"], line["cell"])
            result.setdefault(key, []).append(line)
        return result
