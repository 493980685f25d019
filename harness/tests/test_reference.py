"""The reference run: what the READMEs quote is what the stored summary says."""

from __future__ import annotations

import json
import re
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import reference, validate
from harness.fault import Fault
from harness.progress import Live
from harness.project import Project, here

SUMMARY = json.loads((Path(__file__).parent / "data" / "summary.json").read_text())


def test_readmes_quote_the_stored_reference_run() -> None:
    project = here()
    stored = json.loads((reference.folder(project) / "summary.json").read_text())
    assert reference.overview(stored) in (project.root / "README.md").read_text()
    for pitfall in stored["pitfalls"]:
        readme = project.pitfalls / pitfall["id"] / "README.md"
        if readme.exists():
            assert reference.detail(stored, pitfall) in readme.read_text(), pitfall["id"]


def test_pictures_of_the_readme_are_there() -> None:
    text = (here().root / "README.md").read_text()
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert pictures
    for picture in pictures:
        assert (here().root / picture).is_file(), picture


def test_overview_has_a_row_a_comparison_and_names_its_run() -> None:
    text = reference.overview(SUMMARY)
    assert "| [growth](pitfalls/growth/README.md) |" in text
    assert SUMMARY["run"]["run"] in text
    assert "control-" not in text


def test_slim_summary_keeps_the_figures_that_are_quoted() -> None:
    assert reference.overview(reference.slim(SUMMARY)) == reference.overview(SUMMARY)
    assert "values" not in json.dumps(reference.slim(SUMMARY))
    slim = reference.slim(SUMMARY)
    for whole, kept in zip(SUMMARY["pitfalls"], slim["pitfalls"]):
        assert reference.detail(slim, kept) == reference.detail(SUMMARY, whole)


@pytest.fixture
def copy(tmp_path: Path) -> Project:
    """A checkout with a README and nothing measured."""
    shutil.copytree(here().pitfalls, tmp_path / "pitfalls")
    marks = f"{reference.BEGIN}\n{reference.END}"
    (tmp_path / "README.md").write_text(f"before\n{marks}\nafter\n")
    return Project(tmp_path)


def test_without_a_run_the_message_says_what_to_do(copy: Project) -> None:
    with pytest.raises(Fault, match="make bench"):
        reference.renew(copy)


def test_a_quick_run_is_not_quoted(copy: Project) -> None:
    quick = {**SUMMARY, "run": {**SUMMARY["run"], "settings": {"quick": True, "rounds": 6}}}
    copy.latest.mkdir(parents=True)
    (copy.latest / "summary.json").write_text(json.dumps(quick))
    with pytest.raises(Fault, match="quick run"):
        reference.renew(copy)


def test_an_interrupted_run_is_not_quoted(copy: Project) -> None:
    taken = {"samples": 7, "planned": 8, "rounds": [3, 4]}
    copy.latest.mkdir(parents=True)
    (copy.latest / "summary.json").write_text(json.dumps({**SUMMARY, "taken": taken}))
    with pytest.raises(Fault, match="interrupted run"):
        reference.renew(copy)


@pytest.mark.parametrize("page", ["peers.md", "validate.md", "fidelity.md", "plots/soak.png"])
def test_page_of_another_target_is_kept_if_there_is_one(copy: Project, page: str) -> None:
    (copy.latest / "plots").mkdir(parents=True)
    (copy.latest / "summary.json").write_text(json.dumps(SUMMARY))
    for name in reference.CHARTS:
        (copy.latest / "plots" / f"{name}.png").write_bytes(b"a picture")
    (copy.latest / page).write_text("# a page\n")
    kept = reference.folder(copy) / Path(page).name
    assert kept in reference.renew(copy)
    assert kept.read_text() == "# a page\n"


def test_page_of_an_interrupted_validation_is_not_kept(copy: Project) -> None:
    (copy.latest / "plots").mkdir(parents=True)
    (copy.latest / "summary.json").write_text(json.dumps(SUMMARY))
    for name in reference.CHARTS:
        (copy.latest / "plots" / f"{name}.png").write_bytes(b"a picture")
    run: dict[str, Any] = {"started": "today", "git": None, "machine": {}}
    made = validate.Validation(copy, Live(Console(file=StringIO())))
    (copy.latest / validate.PAGE).write_text(validate.page(run, made, False))
    assert reference.folder(copy) / validate.PAGE not in reference.renew(copy)


def test_text_around_the_marks_stays(copy: Project) -> None:
    reference.fill(copy, SUMMARY)
    text = (copy.root / "README.md").read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert reference.overview(SUMMARY) in text


def test_a_readme_without_marks_is_named(copy: Project) -> None:
    (copy.root / "README.md").write_text("no marks\n")
    with pytest.raises(Fault, match="numbers:begin"):
        reference.fill(copy, SUMMARY)
