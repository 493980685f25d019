"""`new-pitfall`: a folder for a new pitfall, copied from pitfalls/_template."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from harness.fault import UsageFault
from harness.project import Project

TEMPLATE = "_template"
PLACE = "my-pitfall"  # the id that the template's files carry
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def create(project: Project, name: str) -> Path:
    """Copies the template under a new id; UsageFault if the id cannot be used."""
    if not name:
        raise UsageFault("which pitfall? make new-pitfall ID=my-pitfall")
    if not _ID.fullmatch(name) or len(name) > 60:
        raise UsageFault(f"'{name}' cannot be an id: lower-case words and digits joined by '-',"
                         " at most 60 characters, such as ID=my-pitfall")
    template, folder = project.pitfalls / TEMPLATE, project.pitfalls / name
    if folder.exists():
        raise UsageFault(f"pitfalls/{name} is there already")
    if not (template / "pitfall.toml").is_file():
        raise UsageFault(f"{template}/pitfall.toml is missing: the template is not complete")
    temporary = project.pitfalls / f".{name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(template, temporary)
    for path in sorted(temporary.rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(PLACE, name), encoding="utf-8")
    temporary.rename(folder)
    return folder
