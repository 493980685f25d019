"""Every judged figure as a row of comma-separated values, with a header; quoted as RFC 4180 says,
lines ending as those of Unix do."""

from __future__ import annotations

import csv
import io

from harness.exports.source import Source

NAME = "csv"
WHAT = "every judged figure, a row each"
COLUMNS = ("id", "metric", "unit", "value", "peer", "peer_name", "ratio", "low", "high", "n",
           "goal", "met", "verdict", "reason")


def export(source: Source) -> str:
    """The whole document."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in source.document["rows"]:
        writer.writerow(["" if row[name] is None else row[name] for name in COLUMNS])
    return out.getvalue()
