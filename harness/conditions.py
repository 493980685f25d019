"""Whether an unfinished run may be gone on with: only what was measured alike can be compared, so
the machine, the tools and the programs must be those that it began with. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.build import Program
from harness.fault import Fault

MACHINE = ("arch", "cpu_model", "cpu_set", "kernel", "governor", "boost", "smt", "aslr",
           "thp", "glibc")
TOOLS = ("gcc", "clang", "mold", "ld", "libc", "hyperfine", "perf", "valgrind", "go")


def same_place(began: Mapping[str, Any], now: Mapping[str, Any], *, commit: bool = False) -> None:
    """Compares two lines of kind run; commit: that of git too. Raises Fault with what differs."""
    pairs = [(f"machine: {key}", began["machine"].get(key), now["machine"].get(key))
             for key in MACHINE]
    pairs += [(key, began["tools"].get(key), now["tools"].get(key)) for key in TOOLS]
    if commit:
        pairs.append(("the commit", began["git"], now["git"]))
    _refuse(began["run"], [f"{name}: was {_shown(old)}, is {_shown(new)}"
                           for name, old, new in pairs if old != new])


def same_programs(run_id: str, cells: Sequence[Mapping[str, Any]],
                  built: Sequence[Program]) -> None:
    """Compares stored lines of kind cell with what is built now. Raises Fault."""
    now = {(b.pitfall, b.variant, b.cell.name): b.src_sha for b in built}
    changed = [key for line in cells if line["status"] == "ok"
               if (key := (line["pitfall"], line["variant"], line["cell"])) in now
               and now[key] != line["src_sha"]]
    _refuse(run_id, [f"{p}.{v} ({c}): its sources, or the allocator's, have changed"
                     for p, v, c in changed])


def same_images(run_id: str, before: Mapping[str, Mapping[str, Any]],
                now: Sequence[Mapping[str, Any]]) -> None:
    """Compares lines of kind cell of a user's program, by arm. Raises Fault."""
    _refuse(run_id, [f"arm {line['cell']}: the program has changed" for line in now
                     if line["cell"] in before and
                     before[line["cell"]]["image_sha"] != line["image_sha"]])


def _shown(value: Any) -> str:
    return "not there" if value is None else str(value)


def _refuse(run_id: str, differences: Sequence[str]) -> None:
    if not differences:
        return
    shown = list(differences[:5])
    if len(differences) > len(shown):
        shown.append(f"and {len(differences) - len(shown)} more")
    raise Fault(f"RESUME: {run_id} was begun under other conditions:\n  " + "\n  ".join(shown) +
                "\nGo back to them, or start a new run without RESUME; what is stored stays.")
