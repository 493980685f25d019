"""The verbs that compare: their arguments, and what they print."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from harness import (
    bench,
    catalog,
    check,
    check_rows,
    check_table,
    compare,
    compare_table,
    doctor,
    exports,
    fidelity,
    merge,
    plan,
    store,
    target,
    validate,
)
from harness.fault import FAILED, LAW_FAILED, OK, UNCLEAR, Fault, UsageFault
from harness.progress import Live
from harness.project import Project
from harness.verdicts import WORSE

INTERRUPTED = 130
MOST_SECONDS = 1_000_000
EXPORTED = ("bench", "compare", "check", "peers", "soak", "fidelity")
AddVerb = Callable[[str, str, str], argparse.ArgumentParser]


def _quoted(text: str) -> tuple[str, ...]:
    """Words as a shell would part them; commas stay, for -Wl,option."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"a time-out is more than 0 and at most {MOST_SECONDS:,} seconds, not {text}")
    return value


def _trials(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"trials are 1 to 1000, not {text}")
    return int(text)


def add(verb: AddVerb, words: Callable[[str], tuple[str, ...]], rounds: Callable[[str], int],
        ) -> None:
    """Declares them."""
    added = verb("compare", "compare compilers, flags, revisions, allocators or programs",
                 "--arm 'gcc -O2' --arm 'gcc -Os' --source prog.c --args '1000'")
    added.add_argument("--arm", action="append", default=[], metavar="TEXT",
                       help="a compiler with flags: 'gcc -O2'; the first is the reference")
    added.add_argument("--command", action="append", default=[], metavar="TEXT",
                       help="a program that is there already, with its arguments")
    added.add_argument("--base", metavar="REVISION",
                       help="this checkout's sources at a revision of git, against those of now")
    added.add_argument("--alloc", type=words, default=(), metavar='"A B"',
                       help="allocators to preload: glibc jemalloc mimalloc tcmalloc spanheap")
    added.add_argument("--source", type=_quoted, default=(), metavar='"a.c b.c"',
                       help="the C files of your own program")
    added.add_argument("--args", type=_quoted, default=(), metavar="TEXT",
                       help="arguments of your program")
    added.add_argument("--libs", type=_quoted, default=(), metavar='"-lm"',
                       help="libraries to link your program with")
    added.add_argument("--timeout", type=_seconds, metavar="S",
                       help="seconds after which your program is stopped (default 300)")
    added.add_argument("--pitfalls", type=words, default=(), metavar='"A B"', help="only these")
    added.add_argument("--cell", metavar="CELL",
                       help="with --base: what both are compiled with (default gcc-O2)")
    added.add_argument("--quick", action="store_true", help="6 rounds: ratios without verdicts")
    added.add_argument("--rounds", type=rounds, metavar="N",
                       help="rounds of the first look (default 40, of a program of your own 20;"
                            " twice as many are thorough)")
    added.add_argument("--looks", type=int, choices=(1, 2), default=2,
                       help="2 (default): as many rounds again where they would decide")
    added.add_argument("--no-confirm", action="store_true",
                       help="believe a difference without measuring it again")
    added.add_argument("--turns", action=argparse.BooleanOptionalAction,
                       help="arms run by turns of milliseconds (default: yes, but not a program of"
                            " your own, as it may mind a second one beside it)")
    added.add_argument("--no-instr", action="store_true", help="count no instructions (callgrind)")
    added.add_argument("--resume", action="store_true", help="go on with the unfinished run")
    added.add_argument("--seed", type=int, metavar="N", help="of order, layout and environment")
    added.add_argument("--run", nargs="?", const="", metavar="ID",
                       help="measure nothing, judge a stored run again (default: the latest)")


def add_gate(verb: AddVerb, words: Callable[[str], tuple[str, ...]], rounds: Callable[[str], int],
             ) -> None:
    """Declares the verbs of continuous integration, and the hand-offs to other tools."""
    for name, help_, example in (
            ("check", "the gate: exact figures against results/baseline.jsonl",
             "--cells gcc-O2 --base origin/main"),
            ("baseline", "take today's exact figures as the ones to compare with",
             "--cells gcc-O2")):
        added = verb(name, help_, example)
        added.add_argument("--pitfalls", type=words, default=(), metavar='"A B"', help="only these")
        added.add_argument("--cells", type=words, default=(), metavar='"C D"',
                           help="only these cells; globs such as 'gcc-*' are understood")
        added.add_argument("--profile", default="default", help="of matrix.toml: default, wide")
        added.add_argument("--resume", action="store_true", help="go on with the unfinished run")
        if name == "check":
            added.add_argument("--base", metavar="REVISION",
                               help="also time and memory, this revision against the working tree")
            added.add_argument("--rounds", type=rounds, metavar="N",
                               help="with --base (default 40)")
            added.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML here")
            added.add_argument("--github", action="store_true",
                               help="print ::error lines (default under GitHub Actions)")
    added = verb("doctor", "how small a change this machine can see, and how long that takes",
                 "--rounds 80")
    added.add_argument("--rounds", type=rounds, default=doctor.MEASURED_ROUNDS, metavar="N",
                       help="rounds of A against A (default 80)")
    added.add_argument("--cell", default=plan.CALIBRATION_CELL, metavar="CELL",
                       help="what the control is compiled with (default gcc-O2)")
    added.add_argument("--seed", type=int, metavar="N", help="of layout and environment")
    added = verb("validate", "find out whether the method keeps its promises on this machine",
                 "--trials 20")
    added.add_argument("--trials", type=_trials, default=validate.TRIALS, metavar="N",
                       help="comparisons of each kind (default 20)")
    added.add_argument("--pitfalls", type=words, default=(), metavar='"A B"',
                       help="only these are compared with themselves")
    added = verb("merge", "put files of `one`, or whole runs, together",
                 "a.jsonl b.jsonl --to results/merged/run.jsonl")
    added.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a run.jsonl each")
    added.add_argument("--to", type=Path, required=True, metavar="FILE", help="the merged run")
    added = verb("export", "write a run in the format of another tool",
                 "--format go --run 20260102-030405-bench-1a2b")
    added.add_argument("--format", required=True, choices=list(exports.FORMATS), dest="format_",
                       metavar="FORMAT", help="; ".join(
                           f"{name}: {module.WHAT}" for name, module in exports.FORMATS.items()))
    added.add_argument("--target", default="bench", choices=EXPORTED, metavar="TARGET",
                       help=f"the latest run of which: {', '.join(EXPORTED)} (default bench)")
    added.add_argument("--to", type=Path, metavar="FILE", help="instead of standard output")


def _check_in_vain(args: argparse.Namespace) -> None:
    """UsageFault if something was given that would change nothing."""
    if args.cell is not None and args.base is None:
        raise UsageFault("CELLS (--cell) says what BASE is compiled with; an arm names its compiler"
                         ' and level itself: A="gcc -O2"')
    if args.libs and not args.source:
        raise UsageFault("LIBS (--libs) are what SRC is linked with: give SRC=…")
    if not args.source and not args.command:
        for what, given in (("ARGS (--args)", args.args), ("TIMEOUT (--timeout)", args.timeout)):
            if given:
                raise UsageFault(f"{what} is for a program of your own: give SRC=… or CMD_A=…")


def _options(args: argparse.Namespace) -> compare.Options:
    _check_in_vain(args)
    quick: bool = args.quick
    usual = plan.DEFAULT_ROUNDS if args.source or args.command else plan.COMPARED_ROUNDS
    asked = compare.Options(
        rounds=args.rounds or (plan.QUICK_ROUNDS if quick else usual),
        seed=bench.fresh_seed() if args.seed is None else args.seed, quick=quick,
        looks=args.looks, confirm=not args.no_confirm, instructions=not args.no_instr,
        compilers=tuple(args.arm), commands=tuple(args.command), allocators=args.alloc,
        base=args.base, cell=args.cell or plan.CALIBRATION_CELL, pitfalls=args.pitfalls,
        sources=args.source, args=args.args, libs=args.libs,
        timeout_s=args.timeout or compare.PROGRAM_TIMEOUT_S, turns=args.turns)
    if not quick:
        return asked
    return replace(asked, region_s=plan.QUICK_REGION_S, looks=1, confirm=False, instructions=False)


def run_compare(args: argparse.Namespace, project: Project, console: Console) -> int:
    """`compare`. 1 only with --base: there, worse is a regression."""
    if args.run is None:
        with Live(Console(stderr=True)) as live:
            try:
                path = compare.run(project, _options(args), live, resume=args.resume)
            except KeyboardInterrupt:
                live.say("interrupted. What was measured is kept; the same command with RESUME=1"
                         " (--resume) goes on from there")
                return INTERRUPTED
    else:
        path = (project.latest / compare.RUN_COPY if not args.run
                else store.find(project, args.run, compare.TARGET))
        if not path.is_file():
            raise Fault(f"{path}: nothing has been compared; make compare does it")
    comparison, begun = compare.judge(project, path)
    places: list[tuple[str, Any]] = [("run", path)]
    if not args.run:
        places = list(compare.write(project, path, comparison, begun))
    compare_table.print_all(comparison, console, places)
    if comparison.failures or not any(one.row.ratio.n for one in comparison.found):
        return FAILED
    if comparison.untrusted:
        return UNCLEAR
    regression = begun["settings"].get("base") and any(
        one.row.verdict == WORSE for one in comparison.found)
    return LAW_FAILED if regression else OK


def run_check(args: argparse.Namespace, project: Project, console: Console) -> int:
    """`check`: 1 a regression, 3 something could not be compared, or the run is not trusted."""
    if args.rounds is not None and args.base is None:
        raise UsageFault("ROUNDS (--rounds) are of BASE against the working tree: give"
                         " BASE=revision; exact figures are counted once")
    if args.junit is not None:
        store.make_folder(args.junit.parent)
    options = check.Options(profile=args.profile, pitfalls=args.pitfalls, cells=args.cells,
                            base=args.base, rounds=args.rounds or plan.COMPARED_ROUNDS)
    with Live(Console(stderr=True)) as live:
        try:
            result = check.run(project, options, live, resume=args.resume)
        except KeyboardInterrupt:
            live.say("interrupted. What was measured is kept; the same command with RESUME=1"
                     " (--resume) goes on from there")
            return INTERRUPTED
    page = check_table.markdown(result.rows, result.comparison, result.slower)
    places = check.write(project, result, page)
    if args.junit is not None:
        source = exports.Source(store.read(result.path), target.read(project.latest, check.TARGET))
        store.replace_file(args.junit, exports.FORMATS["junit"].export(source))
        places.append(("junit", args.junit))
    check_table.print_all(result.rows, result.comparison, console, places)
    if args.github or os.environ.get("GITHUB_ACTIONS") == "true":
        for line in check_table.workflow_commands(result.rows, result.slower, result.broken):
            print(line)
    return check.verdict_code(result)


def run_baseline(args: argparse.Namespace, project: Project, console: Console) -> int:
    """`baseline`."""
    with Live(Console(stderr=True)) as live:
        try:
            path = check.measure_exact(project, check.Options(
                profile=args.profile, pitfalls=args.pitfalls, cells=args.cells), live,
                resume=args.resume)
        except KeyboardInterrupt:
            live.say("interrupted, and the baseline is as it was. What was measured is kept; the"
                     " same command with RESUME=1 (--resume) goes on from there")
            return INTERRUPTED
    (path.parent / bench.COMPLETE).touch()
    moved, file = check.renew(project, path)
    check_table.print_rows(moved, console)
    console.print(f"written: {file}: look at its difference in git, and commit it",
                  highlight=False, soft_wrap=True)
    words = {one.verdict for one in moved}
    return FAILED if check_rows.FAILED in words else \
        UNCLEAR if check_rows.NOT_COMPARED in words else OK


def run_doctor(args: argparse.Namespace, project: Project, console: Console) -> int:
    """`doctor`."""
    with Live(Console(stderr=True)) as live:
        try:
            path = doctor.run(project, live, rounds=args.rounds, cell=args.cell,
                              seed=bench.fresh_seed() if args.seed is None else args.seed)
        except KeyboardInterrupt:
            live.say("interrupted, and doctor.json is as it was: make doctor begins anew")
            return INTERRUPTED
    return doctor.finish(project, path, console)


def run_validate(args: argparse.Namespace, project: Project, console: Console) -> int:
    """`validate`: 1 if a promise is not kept."""
    with Live(Console(stderr=True)) as live:
        try:
            made = validate.run(project, live, args.trials, args.pitfalls)
        except KeyboardInterrupt:
            live.say("interrupted. The properties that were told above are kept, in"
                     f" {validate.PAGE}; make validate begins anew")
            return INTERRUPTED
    console.print((project.latest / validate.PAGE).read_text(encoding="utf-8"), highlight=False,
                  markup=False, soft_wrap=True)
    return OK if all(one.met for one in made.lines) else LAW_FAILED


def run_merge(args: argparse.Namespace, project: Project, console: Console) -> int:
    """`merge`."""
    lines = merge.together(args.files)
    merge.write(args.to, lines)
    rows = merge.pooled(lines, catalog.load(project))
    if rows:
        store.replace_json(project.latest / merge.FIGURES, merge.document(lines, rows))
        console.print(f"{len(rows)} ratios, pooled where machines have the same pitfall:"
                      f" {project.latest / merge.FIGURES}", highlight=False, soft_wrap=True)
    console.print(f"{args.to}: {len(lines)} lines; make report RUN={args.to} judges and draws it",
                  highlight=False, soft_wrap=True)
    return OK


def run_export(args: argparse.Namespace, project: Project, console: Console) -> int:
    """`export`."""
    lines = []
    if args.target != fidelity.TARGET:  # which compares facts, and takes no samples
        copy = project.latest / (store.RUN_FILE if args.target == "bench"
                                 else f"{args.target}.jsonl")
        if not copy.is_file():
            raise Fault(f"{copy}: nothing has been measured; make {args.target} does it")
        lines = store.read(copy)
        if not any(line["kind"] == "sample" and line["metrics"] for line in lines):
            raise Fault(f"{copy}: nothing was measured in this run; make {args.target} does it"
                        " again")
    source = exports.Source(lines, target.read(project.latest, args.target))
    text = exports.FORMATS[args.format_].export(source)
    if text == exports.FORMATS[args.format_].export(exports.without_figures(source)):
        raise UsageFault(f"FORMAT={args.format_} has nothing to hand on of make {args.target};"
                         " csv, markdown, junit and openmetrics have its figures")
    if args.to is not None:
        store.replace_file(args.to, text)
    else:
        sys.stdout.write(text)
    return OK
