"""The layers of the harness: each module imports only from its own row or from those above."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1]
LAYERS = (
    ("fault", "project", "metrics", "expression", "deps"),
    ("catalog", "matrix", "arms", "peer_catalog", "facts"),
    ("elf", "linker", "build"),
    ("oom", "turns", "record", "launch", "probes"),
    ("plan", "samples", "rig", "measure", "own_program"),
    ("shapes", "store"),
    ("stats", "ranks", "sheet", "baseline"),
    ("verdicts", "flatness", "power", "rivals", "laws", "outcomes", "trust", "cautions", "spent"),
    ("summary", "target", "peer_rows", "compare_rows", "check_rows", "soak_rows"),
    ("report_view", "charts"),
    ("exports", "table", "peer_table", "compare_table", "check_table", "report_tables", "report"),
    ("progress", "conditions", "bench", "show", "library", "new_pitfall", "lint", "peers"),
    ("compare", "check", "doctor", "validate", "merge", "repro", "ctests", "reference", "fidelity"),
    ("stress", "soak", "fuzz", "cli_compare", "hosts"),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
PURE = ("plan", "record", "samples", "shapes", "stats", "ranks", "sheet", "verdicts", "laws",
        "outcomes", "trust", "summary", "target", "peer_rows", "compare_rows", "check_rows",
        "soak_rows", "flatness", "exports", "facts", "metrics", "expression", "conditions",
        "cautions", "spent")
IMPURE_MODULES = {"os", "subprocess", "time", "random", "tempfile", "shutil", "socket"}


def modules() -> list[str]:
    """Every module and package of the harness but the tests."""
    files = {p.stem for p in HARNESS.glob("*.py")} - {"__init__"}
    packages = {p.parent.name for p in HARNESS.glob("*/__init__.py")} - {"tests"}
    return sorted(files | packages)


def sources(module: str) -> list[Path]:
    """The files of a module or package."""
    single = HARNESS / f"{module}.py"
    return [single] if single.exists() else sorted((HARNESS / module).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("module", modules())
def test_module_imports_only_from_its_left(module: str) -> None:
    assert module in RANK, f"{module} belongs into a row of LAYERS"
    for path in sources(module):
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "harness" and len(parts) > 1 and parts[1] in RANK:
                assert RANK[parts[1]] <= RANK[module], f"{path.name} imports {name}"


def test_readme_has_every_module_in_this_order() -> None:
    text = (HARNESS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \|([^|]+)\|", text, re.MULTILINE)
    groups = [group.split() for row in rows for group in re.findall(r"`([a-z_ ]+)`", row)]
    assert [sorted(group) for group in groups] == [sorted(row) for row in LAYERS]


@pytest.mark.parametrize("module", PURE)
def test_pure_module_touches_nothing(module: str) -> None:
    for path in sources(module):
        names = {name.split(".")[0] for name in imported(path)}
        allowed = {"random"} if module == "plan" else set()
        assert not names & (IMPURE_MODULES - allowed), path.name
