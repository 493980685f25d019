"""Stored lines, made up for tests of judging and summarising."""

from __future__ import annotations

from typing import Any


def run(**settings: Any) -> dict[str, Any]:
    return {
        "v": 1, "kind": "run", "run": "r", "target": "bench",
        "started": "2026-01-02T03:04:05+00:00", "git": None, "git_dirty": False, "seed": 1,
        "settings": {"rounds": 3, **settings},
        "machine": {"cpus": 2, "cpu_set": [0, 1], "load": 0.1, "reasons": {}},
        "tools": {"gcc": "gcc 12", "clang": None},
    }


def cell(variant: str, name: str = "gcc-O2", pitfall: str = "tiny",
         **changes: Any) -> dict[str, Any]:
    line = {
        "v": 1, "kind": "cell", "run": "r", "cell": name, "compiler": name.split("-")[0],
        "version": "1", "level": "-" + name.split("-")[1], "flags": [], "sanitizer": None,
        "pitfall": pitfall, "variant": variant, "status": "ok", "message": None, "linking": False,
        "text_b": 1000, "data_b": 10, "bss_b": 20, "text_sha": "a", "src_sha": "b", "build_s": 0.1,
    }
    return line | changes


def sample(variant: str, metrics: dict[str, float], *, name: str = "gcc-O2", role: str = "timed",
           round_: int = 1, n: int = 10, pitfall: str = "tiny", **changes: Any) -> dict[str, Any]:
    middle = f"n{n}" if role == "sweep" else f"r{round_:02d}"
    line = {
        "v": 1, "kind": "sample", "run": "r",
        "sample": f"{pitfall}/{variant}/{name}/{middle}/{role}", "pitfall": pitfall,
        "variant": variant, "cell": name, "role": role, "round": round_, "position": 0, "seed": 1,
        "layout_seed": 1, "env_pad_b": 0, "args": ["--n", str(n), "--count", "5"], "n": n,
        "status": {"exit": 0, "signal": None, "timeout": False, "message": None}, "wall_s": 0.1,
        "metrics": metrics, "reasons": {}, "outcome": None,
        "pauses": {"length_ns": [100], "signal_ns": [10], "roots_ns": [50], "root_b": [64],
                   "cause": [1], "at_ns": [5]},
        "timeline": None, "report": None,
    }
    return line | changes


def failed(variant: str, message: str, **rest: Any) -> dict[str, Any]:
    signal = rest.pop("signal", None)
    status = {"exit": None if signal else 1, "signal": signal, "timeout": False,
              "message": message}
    return sample(variant, {}, status=status, **rest)
