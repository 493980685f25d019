"""A pitfall made from the template builds, runs, and has its law judged."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness import bench, catalog, new_pitfall, store, target
from harness.fault import UsageFault
from harness.plan import Options
from harness.progress import Live
from harness.project import Project, here
from harness.summary import summarise


@pytest.fixture
def checkout(tmp_path: Path) -> Project:
    """The real allocator, driver and template, without the pitfalls."""
    real = here()
    root = tmp_path / "checkout"
    shutil.copytree(real.allocator, root / "allocator")
    (root / "compile-matrix").mkdir()
    for name in ("cell.mk", "matrix.toml"):
        shutil.copy(real.matrix_dir / name, root / "compile-matrix" / name)
    shutil.copytree(real.pitfalls, root / "pitfalls", ignore=lambda folder, names: [
        n for n in names if (Path(folder) / n).is_dir() and n != new_pitfall.TEMPLATE])
    return Project(root)


def test_new_pitfall_is_measured_and_its_laws_judged(
    checkout: Project, quiet: Live, options: Options
) -> None:
    assert catalog.load(checkout) == []
    new_pitfall.create(checkout, "brand-new")
    found = catalog.load(checkout)
    assert [p.id for p in found] == ["brand-new"]
    assert found[0].laws
    done = bench.run(checkout, replace(options, region_s=0.002), quiet)
    summary = summarise(store.read(done.path), found)
    rows = target.judged(summary)["rows"]
    assert len(rows) > 1
    assert all(row["verdict"] == "held" for row in rows), rows


def test_nothing_of_the_template_keeps_its_name(checkout: Project) -> None:
    folder = new_pitfall.create(checkout, "brand-new")
    assert not [p.name for p in folder.rglob("*")
                if p.is_file() and new_pitfall.PLACE in p.read_text()]


@pytest.mark.parametrize("name", ["", "Upper", "a_b", "-a", "a-", "a--b", "1a", "a/b", "..",
                                  "x" * 61, "ümlaut"])
def test_wrong_id_is_refused(checkout: Project, name: str) -> None:
    with pytest.raises(UsageFault):
        new_pitfall.create(checkout, name)
    assert sorted(p.name for p in checkout.pitfalls.iterdir() if p.is_dir()) == [
        new_pitfall.TEMPLATE]


def test_folder_that_is_there_is_not_touched(checkout: Project) -> None:
    folder = new_pitfall.create(checkout, "brand-new")
    (folder / "mine").write_text("x")
    with pytest.raises(UsageFault, match="is there already"):
        new_pitfall.create(checkout, "brand-new")
    assert (folder / "mine").exists()
