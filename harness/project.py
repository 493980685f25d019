"""Where things lie. Every module takes a Project; nothing knows a path by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """The folders of one checkout."""

    root: Path
    out: Path | None = None  # OUT=dir: where results go instead of results/

    @property
    def pitfalls(self) -> Path:
        return self.root / "pitfalls"

    @property
    def allocator(self) -> Path:
        return self.root / "allocator"

    @property
    def matrix_dir(self) -> Path:
        return self.root / "compile-matrix"

    @property
    def matrix_toml(self) -> Path:
        return self.matrix_dir / "matrix.toml"

    @property
    def cell_mk(self) -> Path:
        return self.matrix_dir / "cell.mk"

    @property
    def build(self) -> Path:
        return self.matrix_dir / "build"

    @property
    def results(self) -> Path:
        return self.out if self.out is not None else self.root / "results"

    @property
    def latest(self) -> Path:
        return self.results / "latest"

    @property
    def plots(self) -> Path:
        return self.root / "plots"


def here() -> Project:
    """The checkout this package was imported from."""
    return Project(Path(__file__).resolve().parent.parent)


def relative(path: Path) -> str:
    """As it is called from the current folder, if it lies in there."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
