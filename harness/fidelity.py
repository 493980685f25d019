"""`fidelity`: runs the facts of allocator/fidelity/ in Go and here, compares them, prints a table.

Exit code 1 when a fact has drifted, 4 when a program failed or a fact could not be compared.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness import bench, facts, library, probes, store, target
from harness.facts import DRIFT, Compared, Fact, Value, Verdict
from harness.fault import FAILED, LAW_FAILED, OK, Fault, UsageFault
from harness.progress import Live
from harness.project import Project

TARGET, FIGURES, PAGE = "fidelity", "fidelity.json", "fidelity.md"
FACT, KEY = "fact", "fact_key"  # what a row of the figures is about
TIMEOUT_S = 300
SIDES = {"go": ("go/fidelity", {"GODEBUG": "gctrace=1"}),
         "here": ("fidelity", {"SH_GCTRACE": "1"})}
_SHOWN = 28


@dataclass(frozen=True)
class Said:
    """What a program said: its values, and its trace lines; and how many processors other programs
    kept busy meanwhile, if that is known."""

    values: dict[str, Value]
    trace: list[str]
    others: float | None = None


def load(project: Project) -> list[Fact]:
    """allocator/fidelity/facts.toml."""
    path = project.allocator / "fidelity" / "facts.toml"
    try:
        return facts.parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise UsageFault(f"{path}: {error}") from None


def run(project: Project, live: Live, console: Console) -> int:
    """Builds, runs, compares, writes results/latest/fidelity.*."""
    found = load(project)
    if shutil.which("go") is None:
        raise Fault("golang-go is not installed: apt-get install golang-go")
    live.phase("building")
    folder = project.build / "fidelity"
    compiler = library.default_cell()
    library.make(project, "fidelity-programs", f"BUILD={folder}", f"CC={compiler.command}",
                 f"CFLAGS=-g {compiler.level}")
    live.phase("running")
    runs = {f.program: max(g.runs for g in found if g.program == f.program) for f in found}
    said: dict[str, dict[str, Said]] = {}
    for index, (program, times) in enumerate(runs.items()):
        live.tick(index, len(runs), program)
        said[program] = {side: _several(folder / "fidelity", side, program, times)
                         for side in SIDES}
    verdicts = [_judge(fact, said[fact.program]) for fact in found]
    line = bench.run_line(project, store.new_run_id(TARGET, datetime.now(), 0), TARGET, 0, {})
    write(project, line, verdicts)
    console.print(table(verdicts))
    for one in verdicts:
        _tell(one, console)
    drifted = sum(v.verdict == DRIFT for v in verdicts)
    unknown = sum(v.verdict == facts.UNKNOWN for v in verdicts)
    console.print(f"facts: {len(verdicts)}; drifted: {drifted}; not compared: {unknown}",
                  highlight=False)
    for what, name in (("figures", FIGURES), ("page", PAGE)):
        console.print(f"{what:8} {project.latest / name}", highlight=False, soft_wrap=True)
    return LAW_FAILED if drifted else FAILED if unknown else OK


def _several(folder: Path, side: str, program: str, times: int) -> Said:
    path, environment = SIDES[side]
    others = probes.Others()
    runs = [_once(folder / path, program, environment) for _ in range(times)]
    return Said(facts.merged([one.values for one in runs]),
                [line for one in runs for line in one.trace], others.busy())


def _once(path: Path, program: str, environment: dict[str, str]) -> Said:
    try:
        done = subprocess.run([str(path), program], env={**os.environ, **environment}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Fault(f"{path} {program} has not ended after {TIMEOUT_S} s") from None
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if not line.startswith("gc ")]
        raise Fault(f"{path} {program} ended with status {done.returncode}:\n"
                    + "\n".join(words)[:2000])
    values: dict[str, Value] = {}
    for text in done.stdout.splitlines():
        record = json.loads(text)
        value = record["value"]
        values[record["key"]] = value if isinstance(value, str) else float(value)
    return Said(values, facts.trace_lines(done.stderr))


def _judge(fact: Fact, said: dict[str, Said]) -> Verdict:
    """A fact by its keys, or by the trace lines."""
    if fact.id == facts.TRACE_SHAPE:
        values: dict[str, dict[str, Value]] = {
            side: {"trace/shape": facts.shapes(one.trace)} for side, one in said.items()}
    elif fact.id == facts.TRIGGER:
        share = facts.inside_clamp(said["here"].trace)
        values = {"go": {}, "here": {} if share is None else {"trigger/inside": share}}
    else:
        values = {side: one.values for side, one in said.items()}
    others = [one.others for one in said.values() if one.others is not None]
    return facts.judge(fact, values["go"], values["here"], max(others, default=None))


# ---- Showing -------------------------------------------------------------------------------------


def shown(value: Value | None) -> str:
    """A value in a table."""
    if value is None:
        return "–"
    text = value if isinstance(value, str) else f"{value:.6g}"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _cells(verdict: Verdict) -> tuple[str, str, str, str, str, str]:
    worst = verdict.worst()
    go = shown(None if worst is None else worst.go)
    return (verdict.fact.title, str(len(verdict.compared)),
            go if verdict.fact.wanted is None else f"{go} (wanted)",
            shown(None if worst is None else worst.here), verdict.fact.bound(), verdict.verdict)


HEADINGS = ("fact", "values", "Go", "here", "tolerance", "verdict")


def table(verdicts: list[Verdict]) -> Table:
    """One row a fact; its values are those of the key that is farthest off."""
    result = Table(*HEADINGS)
    for one in verdicts:
        result.add_row(*_cells(one))
    return result


def _tell(verdict: Verdict, console: Console) -> None:
    for one in verdict.compared if verdict.verdict != facts.SAME else ():
        if not one.same:
            console.print(f"{verdict.fact.id}: {one.key}: Go {shown(one.go)}, here"
                          f" {shown(one.here)}", highlight=False, soft_wrap=True)
    if verdict.reason is not None:
        console.print(f"{verdict.fact.id}: {verdict.reason}", highlight=False, soft_wrap=True)


def page(line: Mapping[str, Any], verdicts: list[Verdict]) -> str:
    """The table as Markdown, and why what differs does. line: of the run."""
    lines = ["# What Go does, and what spanheap does", "", target.measured_on(line), "",
             "Go's values and ours are those of the key that is farthest apart.", "",
             "| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(text.replace("|", "\\|") for text in _cells(one)) + " |"
              for one in verdicts]
    lines += [f"\n**{one.fact.title}**: {one.reason}." for one in verdicts
              if one.reason is not None]
    return "\n".join(lines) + "\n"


def document(line: Mapping[str, Any], verdicts: list[Verdict]) -> dict[str, object]:
    """results/latest/fidelity.json: a row for each fact, then one for each of its keys."""
    rows = [_fact_row(one) for one in verdicts]
    rows += [_key_row(one, key) for one in verdicts for key in one.compared]
    return target.document(TARGET, line, rows)


def _fact_row(one: Verdict) -> dict[str, object]:
    """The key that is farthest off; of texts, how many of them are the same."""
    worst = one.worst()
    value, peer, reason = _figures(worst) if worst else (None, None, None)
    if worst is not None and not _is_number(worst):
        value, peer = float(sum(key.same for key in one.compared)), float(len(one.compared))
        reason = (f"{len(one.compared)} compared, all the same" if worst.same else
                  f"the first that differs is {worst.key}: {reason}")
    return _row(one, worst.key if worst else "nothing", FACT, value, peer, n=len(one.compared),
                goal=one.fact.bound(), met=one.verdict == facts.SAME, verdict=one.verdict,
                reason="; ".join(text for text in (one.reason, reason) if text) or None)


def _key_row(one: Verdict, key: Compared) -> dict[str, object]:
    value, peer, reason = _figures(key)
    return _row(one, key.key, KEY, value, peer, reason=reason)


def _row(one: Verdict, key: str, metric: str, value: float | None, peer: float | None,
         **others: object) -> dict[str, object]:
    ratio = value / peer if value is not None and peer else None
    return target.row(f"{one.fact.id}/{key}", metric, value=value, peer=peer, ratio=ratio,
                      peer_name="go" if one.fact.wanted is None else "wanted", **others)


def _is_number(key: Compared) -> bool:
    return isinstance(key.go, float) and isinstance(key.here, float)


def _figures(key: Compared) -> tuple[float | None, float | None, str | None]:
    """Ours and Go's value. Of a text: how many of its characters are the same from the start, and
    how many it has in Go. What one side has not said is null, with the reason."""
    if key.go is None or key.here is None:
        silent = "Go" if key.go is None else "spanheap"
        return (key.here if isinstance(key.here, float) else None,
                key.go if isinstance(key.go, float) else None, f"{silent} says nothing of it")
    if isinstance(key.go, float) and isinstance(key.here, float):
        return key.here, key.go, None
    go, here = str(key.go), str(key.here)
    alike = len(os.path.commonprefix([go, here]))
    what = (f"a text of {len(go)} characters, the same" if key.same else
            f"texts, which differ from character {alike + 1} on: Go {shown(go[alike:])},"
            f" here {shown(here[alike:])}")
    return float(alike), float(len(go)), what


def write(project: Project, line: Mapping[str, Any], verdicts: list[Verdict]) -> None:
    """Both files of results/latest/."""
    project.latest.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document(line, verdicts), ensure_ascii=False, indent=1)
    store.replace_file(project.latest / FIGURES, text + "\n")
    store.replace_file(project.latest / PAGE, page(line, verdicts))
