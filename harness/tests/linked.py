"""A small C program on the library, built and run for a test of what it writes at its end."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from harness import library
from harness.project import here

KINDS = ("static", "shared")


def run(folder: Path, text: str, kind: str = "static", **settings: str) -> None:
    """Builds `text` in the folder, linked as one of KINDS, and runs it there with no SH_ variables
    but `settings`. It has to end well and to say nothing."""
    cell = library.default_cell()
    built = library.build(here(), cell)
    source, program = folder / "p.c", folder / "p"
    source.write_text(text)
    linked = {"static": [str(built.static)],
              "shared": [str(built.shared), f"-Wl,-rpath,{built.folder}"]}[kind]
    subprocess.run([cell.command, "-O1", f"-I{here().allocator / 'include'}", "-o", str(program),
                    str(source), *linked, "-pthread"], check=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SH_")}
    done = subprocess.run([program], capture_output=True, text=True, timeout=60,
                          env={**environment, **settings})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
