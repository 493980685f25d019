"""`repro SAMPLE`: rebuilds and reruns one stored sample, and prints stored beside new.

The same sources give the same objects, the stored seed the same layout and environment. Under gdb
or perf the program runs in the foreground with its output in the terminal.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness import bench, catalog, matrix, measure, outcomes, probes, store
from harness.build import Builder, Failed, Program
from harness.fault import FAILED, OK, BuildFault, Fault, UsageFault
from harness.launch import Launcher
from harness.measure import Bench
from harness.metrics import describe, show
from harness.plan import Options, ProgramKey, Spec
from harness.project import Project
from harness.sheet import first_line


@dataclass(frozen=True)
class Stored:
    """A sample, and what its run says about how it was built."""

    line: dict[str, Any]
    cell: dict[str, Any] | None
    options: Any


def look_up(project: Project, name: str, run: str | None) -> Stored:
    """Finds a sample by its name; UsageFault names some that are there."""
    path = store.find(project, run)
    lines = store.read(path)
    options = bench.restored(Options, store.run_line(lines, path)["settings"])
    found = {line["sample"]: line for line in store.samples(lines)}
    if name not in found:
        near = [s for s in found if s.startswith(name)] or list(found)
        raise UsageFault(f"no sample '{name}' in {path}; there are for example:\n  "
                         + "\n  ".join(near[:5]))
    line = found[name]
    key = (line["pitfall"], line["variant"], line["cell"])
    cell = next((c for c in lines if c["kind"] == "cell"
                 and (c["pitfall"], c["variant"], c["cell"]) == key), None)
    return Stored(line, cell, options)


def _find_cell(project: Project, stored: Stored) -> matrix.Cell:
    name, _, tool = stored.line["cell"].partition("+")
    cells = matrix.load(project, stored.options.profile, [name])
    if not cells.cells:
        raise Fault(f"{name} cannot be built here: {cells.left_out[0].reason}")
    return cells.sanitized(cells.cells[0], tool) if tool else cells.cells[0]


def run(project: Project, name: str, run_id: str | None, tool: str | None,
        console: Console) -> int:
    """Reruns a sample; with a tool, under that tool in the foreground."""
    if not name:
        raise UsageFault("which sample? make repro SAMPLE=growth/bad/gcc-O2/r03/timed")
    stored = look_up(project, name, run_id)
    line = stored.line
    pitfall = next((p for p in catalog.load(project) if p.id == line["pitfall"]), None)
    if pitfall is None or all(v.id != line["variant"] for v in pitfall.variants):
        raise UsageFault(f"{line['pitfall']}.{line['variant']} is not in pitfalls/ any more")
    cell = _find_cell(project, stored)
    with Builder(project) as builder, tempfile.TemporaryDirectory(dir=builder.scratch) as folder:
        built = builder.program(pitfall, pitfall.variant(line["variant"]), cell)
        if isinstance(built, Failed):
            raise BuildFault(f"it does not build:\n{built.message}")
        if stored.cell is not None and stored.cell["src_sha"] not in (None, built.src_sha):
            console.print("the sources have changed since this sample was taken", highlight=False)
        spec = spec_of(line)
        path = Path(folder) / f"{line['pitfall']}.{line['variant']}"
        builder.link(built, spec.layout_seed, path, debug=tool is not None)
        if tool is not None:
            return _under(project, tool, path, spec, line["args"], cell)
        return _again(project, builder, built, spec, pitfall, path, line, console)


def spec_of(line: dict[str, Any]) -> Spec:
    """The plan of a stored sample."""
    return Spec(line["sample"], line["pitfall"], line["variant"], line["cell"], line["role"],
                line["round"], line["position"], line["seed"], line["n"])


def _under(project: Project, tool: str, path: Path, spec: Spec, args: list[str],
           cell: matrix.Cell) -> int:
    program = "valgrind" if tool == "callgrind" else tool
    found = shutil.which(program)
    if found is None:
        raise Fault(f"{program} is not installed: run make deps")
    command = {
        "gdb": [found, "-q", "--args", str(path), *args],
        "perf": [found, "record", "-g", "-o", "perf.data", "--", str(path), *args],
        "callgrind": [found, "--tool=callgrind", "--callgrind-out-file=callgrind.out",
                      str(path), *args],
    }[tool]
    environment = {"PATH": os.environ.get("PATH", ""), "TERM": os.environ.get("TERM", "dumb"),
                   "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C",
                   **dict(cell.environment), "PAD": "x" * spec.env_pad_b}
    made = {"perf": Path("perf.data"), "callgrind": Path("callgrind.out")}.get(tool)
    before = _written_ns(made)
    status = subprocess.run(command, env=environment, cwd=Path.cwd()).returncode
    if made is None:
        return OK if status == 0 else FAILED
    if _written_ns(made) in (None, before):
        print(f"{tool} ended with status {status} and recorded nothing: it says why above",
              file=sys.stderr)
        return FAILED
    keep = project.build / "repro" / path.name
    keep.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, keep)
    print(f"{made} is here; its program is {keep}")
    return OK


def _written_ns(path: Path | None) -> int | None:
    """When the file was last written; None where there is no such file."""
    return path.stat().st_mtime_ns if path is not None and path.exists() else None


def _again(project: Project, builder: Builder, built: Program, spec: Spec,
           pitfall: catalog.Pitfall, path: Path, line: dict[str, Any], console: Console) -> int:
    key = ProgramKey(spec.pitfall, spec.variant, spec.cell)
    place = Bench(builder, Launcher(project), {pitfall.id: pitfall}, {key: built}, "")
    args = line["args"]
    count = int(args[args.index("--count") + 1]) if "--count" in args else 1
    events = probes.perf_events() if spec.role == "perf" else probes.Events((), {})
    new = measure.take(place, spec, path, count, events)
    print_comparison(line, new, console)
    if spec.role == "detect":
        return print_report(line, new, console)
    if spec.role == "explain":
        console.print(new.get("report") or "", highlight=False, markup=False, soft_wrap=True)
    return FAILED if new["status"]["message"] and not line["status"]["message"] else OK


def print_report(old: dict[str, Any], new: dict[str, Any], console: Console) -> int:
    """What the sanitizer says now, and whether it said so before. FAILED: only one of the two
    runs was reported."""
    tool = str(old["cell"]).partition("+")[2]
    was, now = (outcomes.findings(tool, s.get("report") or "", s["pitfall"]) for s in (old, new))
    console.print((new.get("report") or "").rstrip() or "no report", highlight=False, markup=False,
                  soft_wrap=True)
    for side, found in (("stored", was), ("new", now)):
        for one in found:
            console.print(f"{side}: {tool} reports {one.headline} at {one.place}",
                          highlight=False, markup=False, soft_wrap=True)
        if not found:
            console.print(f"{side}: {tool} reports nothing", highlight=False)
    return FAILED if bool(was) != bool(now) else OK


def print_comparison(old: dict[str, Any], new: dict[str, Any], console: Console) -> None:
    """Stored beside new, metric by metric."""
    table = Table(title=old["sample"], title_justify="left")
    for heading in ("metric", "stored", "new"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for side in ("exit", "signal"):
        table.add_row(side, *(str(s["status"][side]) for s in (old, new)))
    if old["outcome"] or new["outcome"]:
        table.add_row("outcome", str(old["outcome"]), str(new["outcome"]))
    for name in dict.fromkeys((*old["metrics"], *new["metrics"])):
        unit = describe(name).unit
        table.add_row(name, *(show(s["metrics"].get(name), unit) for s in (old, new)))
    console.print(table)
    for title, sample in (("stored", old), ("new", new)):
        if sample["status"]["message"]:
            console.print(f"{title}: {first_line(sample['status']['message'])}", highlight=False,
                          markup=False, soft_wrap=True)
