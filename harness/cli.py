"""The command line: `python3 -m harness VERB`. Each verb is one function here or in its module."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from harness import bench, catalog, cli_compare, hosts, matrix, merge, plan, probes, store
from harness.build import Builder, Failed
from harness.fault import FAILED, FULL_DISK, LAW_FAILED, MAKE_ROOM, OK, USAGE, Fault, UsageFault
from harness.plan import Options
from harness.progress import Live
from harness.project import Project, here, relative

INTERRUPTED = cli_compare.INTERRUPTED
Verb = Callable[[argparse.Namespace, Project, Console], int]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"rounds are 1 to 1000, not {text}")
    return int(text)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError(
            f"minutes are more than 0 and at most 100000, not {text}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m harness", description="Builds, measures and judges memory pitfalls.",
        epilog="Example: python3 -m harness bench --quick --pitfalls 'growth escape'"
               " --cells 'gcc-O2 clang-Os'")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, help_: str, example: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name, help=help_, description=help_[0].upper() + help_[1:] + ".",
            epilog=f"Example: python3 -m harness {name} {example}".rstrip())
        added.add_argument("--out", type=Path, metavar="DIR", help="results go (or lie) here")
        return added

    def choose(added: argparse.ArgumentParser) -> None:
        added.add_argument("--pitfalls", type=_words, default=(), metavar='"A B"',
                           help="only these (and the controls)")
        added.add_argument("--cells", type=_words, default=(), metavar='"C D"',
                           help="only these cells; globs such as 'gcc-*' are understood")
        added.add_argument("--profile", default="default", help="of matrix.toml: default, wide")

    verbs.add_parser("deps", help="install what is missing")
    choose(verb("build", "build every program of the matrix", "--cells gcc-O2"))
    choose(verb("list", "show pitfalls, variants and cells", "--profile wide"))
    measure = verb("bench", "measure, judge, draw and report",
                   "--quick --pitfalls 'growth escape' --cells 'gcc-O2 clang-Os'")
    choose(measure)
    measure.add_argument("--quick", action="store_true",
                         help="6 rounds of 20 ms: ratios without verdicts")
    measure.add_argument("--rounds", type=_rounds, metavar="N", help="rounds (default 20)")
    measure.add_argument("--resume", action="store_true", help="go on with the unfinished run")
    measure.add_argument("--instr", action="store_true", help="count instructions (callgrind)")
    measure.add_argument("--seed", type=int, metavar="N", help="of order, layout and environment")
    measure.add_argument("--hosts", type=_words, default=(), metavar='"A B"',
                         help="measure on these machines, by ssh, a pitfall on each at a time")
    single = verbs.add_parser(
        "one", help="measure one pitfall into a file", description="Measures one pitfall, and the"
        " control pair beside it, into a file; what is there already is not measured again.",
        epilog="Example: python3 -m harness one --pitfall growth --out growth.jsonl")
    single.add_argument("--pitfall", required=True, metavar="ID")
    single.add_argument("--out", required=True, type=Path, metavar="FILE", dest="file")
    single.add_argument("--cells", type=_words, default=(), metavar='"C D"')
    single.add_argument("--profile", default="default", help="of matrix.toml: default, wide")
    single.add_argument("--quick", action="store_true", help="6 rounds of 20 ms")
    single.add_argument("--rounds", type=_rounds, metavar="N", help="rounds (default 20)")
    single.add_argument("--instr", action="store_true", help="count instructions (callgrind)")
    single.add_argument("--seed", type=int, metavar="N", help="of order, layout and environment")
    single.set_defaults(out=None, pitfalls=())
    beside = verb("peers", "measure spanheap beside other allocators and judge its goals",
                  "--quick --works 'binary-trees churn-100'")
    beside.add_argument("--works", type=_words, default=(), metavar='"A B"', help="only these")
    beside.add_argument("--quick", action="store_true", help="3 rounds, shorter, heaps to 1 GB")
    beside.add_argument("--rounds", type=_rounds, metavar="N", help="(default 7)")
    beside.add_argument("--resume", action="store_true", help="go on with the unfinished run")
    beside.add_argument("--seed", type=int, metavar="N", help="of order and environment")
    beside.add_argument("--run", nargs="?", const="", metavar="ID",
                        help="measure nothing, judge a stored run again (default: the latest)")
    cli_compare.add(verb, _words, _rounds)
    cli_compare.add_gate(verb, _words, _rounds)
    verb("fidelity", "compare facts about Go's runtime with the same here", "")
    laws = verb("laws", "judge a stored run again, without measuring", "--all")
    laws.add_argument("--run", metavar="ID", help="a run of results/ (default: the latest)")
    laws.add_argument("--all", action="store_true", help="also print what holds")
    report = verb("report", "draw and write the report of a stored run again", "")
    report.add_argument("--run", metavar="ID", help="a run of results/ (default: the latest)")
    again = verb("repro", "rebuild and rerun one stored sample",
                 "growth/bad/gcc-O2/r03/timed --gdb")
    again.add_argument("sample", metavar="SAMPLE", help="its name in run.jsonl")
    again.add_argument("--run", metavar="ID", help="a run of results/ (default: the latest)")
    tool = again.add_mutually_exclusive_group()
    tool.add_argument("--gdb", action="store_true", help="run it under gdb")
    tool.add_argument("--perf", action="store_true", help="run it under perf record")
    tool.add_argument("--callgrind", action="store_true", help="run it under callgrind")
    new = verb("new-pitfall", "make a folder for a new pitfall", "my-pitfall")
    new.add_argument("id", metavar="ID", help="lower-case words joined by '-'")
    verb("reference", "make the latest run the one that the READMEs quote", "")
    verb("clean", "delete what was built (results stay)", "")
    verb("lint", "clang-format, clang-tidy, gofmt and mypy --strict", "")
    test = verb("test", "run every test", "-- -k launcher")
    test.add_argument("pytest", nargs="*", metavar="PYTEST", help="arguments for pytest, after --")
    stress = verb("stress", "run the allocator's stress program in every configuration",
                  "--minutes 10 --seed 7")
    stress.add_argument("--minutes", type=_minutes, default=2.0, metavar="N",
                        help="for all configurations together (default 2)")
    stress.add_argument("--seed", type=int, metavar="N", help="of the seeds of the runs")
    soak = verb("soak", "run programs of constant live size for an hour: is their memory flat?",
                "--minutes 60")
    soak.add_argument("--minutes", type=_minutes, default=60.0, metavar="N",
                      help="all programs at once (default 60)")
    fuzz = verb("fuzz", "fuzz the allocator, its types and drop-ins beside models",
                "--minutes 10 --targets 'map alloc'")
    fuzz.add_argument("--minutes", type=_minutes, default=3.0, metavar="N",
                      help="for all targets together (default 3)")
    fuzz.add_argument("--targets", type=_words, default=(), metavar='"A B"', help="only these")
    fuzz.add_argument("--seed", type=int, metavar="N", help="of the seeds of the targets")
    fuzz.add_argument("--renew-seeds", action="store_true",
                      help="fuzz nothing: choose the seeds anew from all inputs that are known")
    install = verb("install", "install the library spanheap", "--prefix /usr/local")
    install.add_argument("--prefix", type=Path, default=Path("/usr/local"), metavar="DIR")
    return parser


def _options(args: argparse.Namespace) -> Options:
    quick: bool = args.quick
    return Options(
        rounds=args.rounds or (plan.QUICK_ROUNDS if quick else plan.DEFAULT_ROUNDS),
        region_s=plan.QUICK_REGION_S if quick else plan.DEFAULT_REGION_S,
        quick=quick, instructions=args.instr, profile=args.profile, pitfalls=args.pitfalls,
        cells=args.cells, seed=bench.fresh_seed() if args.seed is None else args.seed,
    )


def _bench(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import show

    with Live(Console(stderr=True)) as live:
        try:
            if args.hosts:
                done = hosts.run(project, _options(args), args.hosts, live, resume=args.resume)
            else:
                done = bench.run(project, _options(args), live, resume=args.resume)
        except KeyboardInterrupt:
            live.say(f"interrupted. What was measured is kept; {_resume(args, 'bench')} goes on"
                     " from there")
            return INTERRUPTED
        live.phase("judging, drawing")
        summary = show.summary_of(project, done.path)
        show.write_bench(project, done.path, summary)
        show.write_laws(project, summary)
        report = show.write_report(project, summary, live.console)
    show.print_table(summary, console, _places(project, done.path, report))
    code = show.verdict_code(summary)
    return FAILED if code != LAW_FAILED and summary["failed"] else code


def _one(args: argparse.Namespace, project: Project, console: Console) -> int:
    with Live(Console(stderr=True)) as live:
        done = merge.one(project, args.pitfall, args.file, _options(args), live)
    console.print(f"{args.file}: {done.stored} samples", highlight=False, soft_wrap=True)
    return OK if done.stored else FAILED  # what does not build or fails is a line of the file


def _resume(args: argparse.Namespace, target: str) -> str:
    """The command that goes on with an interrupted run."""
    return f"make {target} RESUME=1" + (f" OUT={args.out}" if args.out is not None else "")


def _peers(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import peer_rows, peer_table, peers

    if args.run is None:
        with Live(Console(stderr=True)) as live:
            try:
                path = peers.run(
                    project, peers.options(args.rounds, args.quick, args.works, args.seed), live,
                    resume=args.resume).path
            except KeyboardInterrupt:
                live.say(f"interrupted. What was measured is kept; {_resume(args, 'peers')}"
                         " goes on from there")
                return INTERRUPTED
    else:
        path = peers.find(project, args.run)
    document, lines = peers.judge(project, path)
    latest = [project.latest / name for name in (peers.FIGURES, peers.PAGE)]
    if not args.run:
        peers.write(project, path, document, lines)
    places = [("run", relative(path))]
    if not args.run:
        places += [("figures", relative(latest[0])), ("page", relative(latest[1]))]
    peer_table.print_all(document, lines, console, places)
    return FAILED if peer_rows.went_wrong(lines) else OK


def _places(project: Project, run: Path, report: Path) -> list[tuple[str, object]]:
    return [("run", relative(run)), ("figures", relative(project.latest / "bench.json")),
            ("charts", relative(project.latest / "plots")), ("report", relative(report))]


def _laws(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import show

    path = store.find(project, args.run)
    summary = show.summary_of(project, path)
    show.print_laws(summary, console, all_=args.all)
    if path == project.latest / store.RUN_FILE:
        show.write_laws(project, summary)
    return show.verdict_code(summary)


def _report(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import show

    path = store.find(project, args.run)
    summary = show.summary_of(project, path)
    show.write_bench(project, path, summary)
    show.write_laws(project, summary)
    report = show.write_report(project, summary, console)
    show.print_table(summary, console, _places(project, path, report))
    newest = store.runs_of(project, "bench")[-1:]
    if args.run is None and newest and newest[0].name > summary["run"]["run"] and not (
            newest[0] / bench.COMPLETE).exists():
        console.print(f"note: {newest[0].name} is newer, and not complete: RUN={newest[0].name}"
                      " shows what there is of it", highlight=False, soft_wrap=True)
    return OK


def _build(args: argparse.Namespace, project: Project, console: Console) -> int:
    cells = matrix.load(project, args.profile, args.cells)
    chosen = catalog.select(catalog.load(project), args.pitfalls)
    declared = {(p.id, o.variant, c.name) for p in chosen for o in p.outcomes for c in cells.cells
                if o.expect == "link-fail" and catalog.cell_matches(c.name, o.cells)}
    for left in cells.left_out:
        console.print(f"left out: {left.cell}: {left.reason}", highlight=False, soft_wrap=True)
    code = OK
    with Live(Console(stderr=True)) as live, Builder(project) as builder:
        live.phase("building")
        wanted = [(p, v, c) for c in cells.cells for p in chosen for v in p.variants]
        said: set[str] = set()
        for built in builder.programs(wanted, live.tick):
            if not isinstance(built, Failed):
                continue
            if (built.pitfall, built.variant, built.cell.name) in declared:
                continue
            code = FAILED
            if built.message not in said:
                said.add(built.message)
                live.say(f"{built.pitfall}.{built.variant} does not build in {built.cell.name}:\n"
                         f"{built.message}")
    return code


def _list(args: argparse.Namespace, project: Project, console: Console) -> int:
    cells = matrix.load(project, args.profile, args.cells)
    chosen = catalog.select(catalog.load(project), args.pitfalls)

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    line("Pitfalls")
    for pitfall in chosen:
        always = " (in every run)" if pitfall.always else ""
        line(f"  {pitfall.id:18} {pitfall.title}{always}")
        for pair, bad, others in pitfall.pairs():
            names = " ".join(([f"{bad} ->"] if bad else []) + list(others))
            line(f"  {'':18}   {pair}: {names}")
    line(f"Cells of profile {args.profile}")
    for cell in cells.cells:
        line(f"  {cell.name:18} {cell.version}")
    for left in cells.left_out:
        line(f"  {left.cell:18} left out: {left.reason}")
    return OK


def _repro(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import repro

    tool = "gdb" if args.gdb else "perf" if args.perf else "callgrind" if args.callgrind else None
    return repro.run(project, args.sample, args.run, tool, console)


def _new_pitfall(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import new_pitfall

    folder = new_pitfall.create(project, args.id)
    console.print(f"made {relative(folder)}: edit pitfall.toml, bad.c and fixed.c, then"
                  f" make bench QUICK=1 PITFALLS={args.id}", highlight=False, soft_wrap=True)
    return OK


def _clean(args: argparse.Namespace, project: Project, console: Console) -> int:
    for path in (project.build, project.root / "build"):
        if path.is_dir():
            shutil.rmtree(path)
    return OK


def _lint(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import lint

    return lint.run(project, console)


def side_by_side(cpus: int) -> list[str]:
    """pytest's arguments for a file of tests on each processor (pytest-xdist)."""
    able = cpus > 1 and importlib.util.find_spec("xdist") is not None
    return ["-n", str(cpus), "--dist", "loadfile"] if able else []


def _test(args: argparse.Namespace, project: Project, console: Console) -> int:
    command = [sys.executable, "-m", "pytest", *side_by_side(len(probes.cpus())), *args.pytest]
    os.chdir(project.root)
    sys.stdout.flush()
    os.execv(sys.executable, command)


def _stress(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import stress

    store.make_folder((project.out or project.build) / "stress")
    seed = bench.fresh_seed() if args.seed is None else args.seed
    return stress.run(project, args.minutes, seed, console)


def _soak(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import soak

    for folder in (project.results, (project.out or project.build) / "soak"):
        store.make_folder(folder)
    with Live(Console(stderr=True)) as live:
        return soak.run(project, args.minutes, live, console)


def _fuzz(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import fuzz

    for target in args.targets:
        if target not in fuzz.TARGETS:
            raise UsageFault(f"no target '{target}'; there are: {' '.join(fuzz.TARGETS)}")
    store.make_folder((project.out or project.build) / "fuzz")
    seed = bench.fresh_seed() if args.seed is None else args.seed
    return fuzz.run(project, args.targets or tuple(fuzz.TARGETS), args.minutes, seed, console,
                    renew=args.renew_seeds)


def _fidelity(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import fidelity

    store.make_folder(project.latest)
    with Live(Console(stderr=True)) as live:
        return fidelity.run(project, live, console)


def _reference(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import reference

    for path in reference.renew(project):
        console.print(relative(path), highlight=False, soft_wrap=True)
    return OK


def _install(args: argparse.Namespace, project: Project, console: Console) -> int:
    from harness import library

    library.install(project, args.prefix.resolve(), console)
    return OK


VERBS: dict[str, Verb] = {
    "build": _build, "list": _list, "bench": _bench, "laws": _laws, "report": _report,
    "repro": _repro, "new-pitfall": _new_pitfall, "clean": _clean, "lint": _lint, "test": _test,
    "install": _install, "reference": _reference, "peers": _peers, "stress": _stress, "soak": _soak,
    "fidelity": _fidelity, "fuzz": _fuzz, "compare": cli_compare.run_compare,
    "check": cli_compare.run_check, "baseline": cli_compare.run_baseline,
    "export": cli_compare.run_export, "doctor": cli_compare.run_doctor,
    "validate": cli_compare.run_validate, "one": _one, "merge": cli_compare.run_merge,
}


def main(argv: Sequence[str], project: Project | None = None) -> int:
    """Runs one verb; a Fault becomes its message and exit code."""
    try:
        args = _parser().parse_args(argv)
    except SystemExit as leave:
        return USAGE if leave.code not in (0, None) else OK
    console = Console(soft_wrap=False)
    if project is None:
        project = here()
    if args.out is not None:
        project = Project(project.root, args.out.resolve())
    try:
        return VERBS[args.verb](args, project, console)
    except Fault as fault:
        print(f"harness: {fault}", file=sys.stderr)
        return fault.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        print(f"harness: {error.filename or 'the disk'}: {error.strerror}. {MAKE_ROOM}",
              file=sys.stderr)
        return FAILED
