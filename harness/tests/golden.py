"""Files that hold what something is expected to write, letter by letter."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(__file__).parent / "data"


def check(name: str, text: str) -> None:
    """The text is that of tests/data/NAME.

    PITMARK_UPDATE_GOLDEN=1 writes the file anew; then read the difference.
    """
    path = DATA / name
    if os.environ.get("PITMARK_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
