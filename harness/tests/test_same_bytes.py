"""The same stored samples, judged and written twice, are the same bytes; also by a Python that
iterates over its sets in another order."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from harness import bench, check, check_table, compare, show
from harness.plan import Options
from harness.progress import Live
from harness.project import Project, here
from harness.tests.test_compare import QUICK

SCRIPT = ("import sys; from harness.tests import test_same_bytes as tests;"
          " getattr(tests, sys.argv[1])(*sys.argv[2:])")


def write_report(root: str, run: str) -> None:
    project, path = Project(Path(root)), Path(run)
    summary = show.summary_of(project, path)
    show.write_bench(project, path, summary)
    show.write_laws(project, summary)
    show.write_report(project, summary, Console(file=StringIO()))


def write_comparison(root: str, run: str) -> None:
    project, path = Project(Path(root)), Path(run)
    compare.write(project, path, *compare.judge(project, path))


def write_check(root: str, run: str, compared: str) -> None:
    """With base against head beside the exact figures."""
    project = Project(Path(root))
    comparison, _ = compare.judge(project, Path(compared))
    result = check.judge(project, Path(run), comparison)
    check.write(project, result, check_table.markdown(result.rows, comparison, result.slower))


def written(project: Project, name: str, *runs: Path) -> dict[str, bytes]:
    """What is in results/latest/ afterwards; the same whenever it is written."""
    result: list[dict[str, bytes]] = []
    for seed in ("1", "2"):
        subprocess.run([sys.executable, "-c", SCRIPT, name, str(project.root), *map(str, runs)],
                       env={**os.environ, "PYTHONHASHSEED": seed}, cwd=here().root, check=True)
        paths = [path for path in sorted(project.latest.rglob("*")) if path.is_file()]
        result.append({str(path.relative_to(project.latest)): path.read_bytes()
                       for path in paths})
        for path in paths:
            path.unlink()
    assert result[0] == result[1]
    return result[0]


def test_report(tiny_project: Project, quiet: Live, options: Options) -> None:
    os.symlink(here().plots, tiny_project.plots)
    found = written(tiny_project, "write_report", bench.run(tiny_project, options, quiet).path)
    assert {"report.html", "summary.json", "bench.json", "laws.json"} <= set(found)
    assert len(found["report.html"]) > 10_000


def test_check_and_comparison(tiny_project: Project, quiet: Live) -> None:
    exact = check.measure_exact(tiny_project, check.Options(cells=("gcc-O2",)), quiet)
    compared = compare.run(tiny_project, replace(QUICK, compilers=("gcc -O0", "gcc -O2"),
                                                 region_s=0.0001), quiet)
    found = written(tiny_project, "write_check", exact, compared)
    assert set(found) == {check.FIGURES, check.PAGE, check.RUN_COPY}
    assert b"## Time and memory" in found[check.PAGE]
    assert {compare.FIGURES, compare.PAGE} <= set(written(tiny_project, "write_comparison",
                                                          compared))
