"""Every law, outcome and detector of every pitfall on every default cell: measured once, then
each is a test of its own. No timing is judged here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from harness import bench, catalog, laws, matrix, store, target
from harness.catalog import cell_matches
from harness.plan import Options
from harness.progress import Live
from harness.project import Project, here
from harness.summary import summarise

OPTIONS = Options(rounds=1, region_s=0.002, quick=True, instructions=False, profile="default",
                  pitfalls=(), cells=(), seed=20221108, extras=False)
CATALOG = catalog.load(here())
CELLS = [c.name for c in matrix.load(here()).cells]
LEFT_OUT = [(c.cell, c.reason) for c in matrix.load(here()).left_out]


def expected() -> Iterator[str]:
    """The names of the rows that a run must come to, without running anything."""
    for pitfall in CATALOG:
        for law in pitfall.laws:
            for of, over in laws.comparisons(pitfall, law):
                variant = of if over is None else f"{of}/{over}"
                yield from (f"{pitfall.id}/{law.id}/{cell}/{variant}" for cell in CELLS
                            if cell_matches(cell, law.cells))
        yield from (f"{pitfall.id}/{laws.WORK}/{cell}" for cell in CELLS)
        for outcome in pitfall.outcomes:
            yield from (f"{pitfall.id}/outcome/{cell}/{outcome.variant}" for cell in CELLS
                        if cell_matches(cell, outcome.cells))
        for found in pitfall.detectors:
            yield from (f"{pitfall.id}/{found.tool}/{cell}/{found.variant}" for cell in CELLS
                        if cell_matches(cell, found.cells))


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run over the whole matrix."""
    project = Project(here().root, tmp_path_factory.mktemp("laws"))
    done = bench.run(project, OPTIONS, Live(Console(file=StringIO())))
    return {"lines": store.read(done.path), "path": done.path}


@pytest.fixture(scope="session")
def rows(measured: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The judged rows by name."""
    summary = summarise(measured["lines"], CATALOG)
    return {row["id"]: row for row in target.judged(summary)["rows"]}


@pytest.mark.parametrize("name", list(dict.fromkeys(expected())))
def test_law_holds(rows: dict[str, dict[str, Any]], name: str) -> None:
    row = rows[name]
    assert row["verdict"] == "held", row["reason"]


def test_every_cell_of_the_matrix_is_there() -> None:
    if LEFT_OUT:
        pytest.skip("; ".join(f"{cell}: {reason}" for cell, reason in LEFT_OUT))


def test_stored_lines_follow_the_schema(measured: dict[str, Any]) -> None:
    path = Path(bench.__file__).parent / "schema" / "run.schema.json"
    validator = jsonschema.Draft202012Validator(json.loads(path.read_text()))
    for line in measured["lines"]:
        assert validator.is_valid(line), next(validator.iter_errors(line)).message


def test_every_sample_ran(measured: dict[str, Any]) -> None:
    wrong = [f"{line['sample']}: {line['status']['message']}" for line in measured["lines"]
             if line["kind"] == "sample" and line["role"] != "detect" and line["status"]["message"]]
    assert not wrong, "\n".join(wrong[:20])
