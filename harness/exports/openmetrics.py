"""OpenMetrics text (openmetrics.io), which Prometheus scrapes from a file: values, ratios and
verdicts as gauges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.exports.source import Source

NAME = "openmetrics"
WHAT = "OpenMetrics text: values and ratios as gauges"
_FAMILIES = (
    ("pitmark_value", "value", "a measured value in the unit that its label names"),
    ("pitmark_ratio", "ratio", "value over what it was compared with"),
    ("pitmark_ratio_low", "low", "low end of the ratio's 95 % interval"),
    ("pitmark_ratio_high", "high", "high end of the ratio's 95 % interval"),
)


def export(source: Source) -> str:
    """The whole document."""
    target = str(source.document["target"])
    lines: list[str] = []
    for family, key, what in _FAMILIES:
        lines += [f"# TYPE {family} gauge", f"# HELP {family} {what}"]
        seen: set[str] = set()
        for row in source.document["rows"]:
            labels = _labels(target, row)
            if row[key] is not None and labels not in seen:
                seen.add(labels)
                lines.append(f"{family}{{{labels}}} {row[key]!r}")
    return "\n".join([*lines, "# EOF"]) + "\n"


def _labels(target: str, row: Mapping[str, Any]) -> str:
    pairs = {"target": target, "id": row["id"], "metric": row["metric"], "unit": row["unit"],
             "peer": row["peer_name"] or ""}
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items())


def _escaped(value: str) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
