"""`bench` on several machines: a pitfall a job, through GNU parallel over ssh, one job at a time on
each. Never by cell or variant: what is compared is measured on one machine.

The checkout is copied to each host and set up there; each job is `python3 -m harness one`, and its
file comes back. A job that a host loses is given to another; what is back is not done again.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from harness import bench, catalog, merge, store
from harness.bench import COMPLETE, Done
from harness.fault import Fault, UsageFault
from harness.plan import Options
from harness.progress import Live
from harness.project import Project

SHARDS, PART, JOBS = "shards", ".part", "jobs.log"
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
REMOTE_PYTHON = "/usr/bin/python3"
_SETUP_TIMEOUT_S = 1800


def check(hosts: Sequence[str]) -> None:
    """Fault if the tools are missing, UsageFault if the hosts are no hosts."""
    for command, package in (("parallel", "parallel"), ("ssh", "openssh-client")):
        if shutil.which(command) is None:
            raise Fault(f"{command} is not installed: apt-get install {package}")
    for host in hosts:
        if host.startswith("-") or not host or any(c.isspace() or c in ",/'\"" for c in host):
            raise UsageFault(f"HOSTS: {host!r} is not the name of a host")


def folder_of(run_id: str) -> str:
    """Where the checkout lies on a host, below the home directory."""
    return f".cache/pitmark/{run_id}"


def prepare(project: Project, hosts: Sequence[str], folder: str, live: Live) -> None:
    """Copies the checkout to each host and sets it up. Fault that names the host it fails on."""
    files = _files(project)
    seen: dict[str, str] = {}
    for host in hosts:
        live.say(f"{host}: copying the checkout, setting up")
        identity = _ssh(host, "cat /etc/machine-id 2>/dev/null || hostname").decode().strip()
        if identity in seen:
            raise UsageFault(f"HOSTS: {seen[identity]} and {host} are the same machine: two jobs at"
                             " a time would disturb each other")
        seen[identity] = host
        _ssh(host, f"mkdir -p {shlex.quote(folder)} && tar -x -C {shlex.quote(folder)}", files)
        _ssh(host, f"cd {shlex.quote(folder)} && sh harness/bootstrap.sh {REMOTE_PYTHON} bench")


def _files(project: Project) -> bytes:
    """The checkout as it is in the working tree, without what is built or measured."""
    listed = subprocess.run(["git", "-C", str(project.root), "ls-files", "-z", "--cached",
                             "--others", "--exclude-standard"], capture_output=True)
    if listed.returncode != 0:
        raise Fault(f"git ls-files: {listed.stderr.decode(errors='replace').strip()}")
    there = b"\0".join(name for name in listed.stdout.split(b"\0")
                       if name and (project.root / name.decode()).exists())
    return subprocess.run(["tar", "-c", "-C", str(project.root), "--null", "-T", "-"], input=there,
                          capture_output=True, check=True).stdout


def _ssh(host: str, command: str, data: bytes | None = None) -> bytes:
    try:
        done = subprocess.run([*SSH, host, command], input=data, capture_output=True,
                              timeout=_SETUP_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Fault(f"{host}: no answer within {_SETUP_TIMEOUT_S} s") from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise Fault(f"{host}: {words[-1] if words else f'ended with {done.returncode}'}. It must be"
                    " reachable by ssh without a password (ssh-copy-id)")
    return done.stdout


def measure(hosts: Sequence[str], folder: str, pitfalls: Sequence[str], shards: Path,
            options: Options, live: Live) -> list[Path]:
    """Lets the hosts measure what is not there yet; the files, one a pitfall."""
    shards.mkdir(parents=True, exist_ok=True)
    missing = [p for p in pitfalls if not (shards / f"{p}.jsonl").exists()]
    if missing:
        live.say(f"{len(missing)} pitfall(s) on {len(hosts)} host(s)")
        _parallel(hosts, folder, missing, shards, options)
        _collect(missing, shards, live)
    back = [shards / f"{p}.jsonl" for p in pitfalls if (shards / f"{p}.jsonl").exists()]
    lost = [p for p in pitfalls if not (shards / f"{p}.jsonl").exists()]
    if lost:
        live.say(f"not measured: {' '.join(lost)}; RESUME=1 tries again")
    if not back:
        raise Fault("no host has measured anything: see its message above")
    return back


def _parallel(hosts: Sequence[str], folder: str, pitfalls: Sequence[str], shards: Path,
              options: Options) -> None:
    """Each job writes its file on the host, and then to its output, which becomes our file."""
    one = [REMOTE_PYTHON, "-m", "harness", "one", "--pitfall", "{}", "--out", "{}.jsonl",
           "--rounds", str(options.rounds), "--seed", str(options.seed), "--profile",
           options.profile, *(["--cells", shlex.quote(" ".join(options.cells))]
                              if options.cells else []),
           *(["--quick"] if options.quick else []), *(["--instr"] if options.instructions else [])]
    job = f"cd {shlex.quote(folder)} && {' '.join(one)} >&2 && cat {{}}.jsonl"
    subprocess.run(
        ["parallel", "--will-cite", "--ssh", " ".join(SSH), "--sshlogin", ",".join(hosts), "-j1",
         "--retries", "2", "--joblog", JOBS, "--results", f"{{}}{PART}", job, ":::", *pitfalls],
        cwd=shards, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)


def _collect(pitfalls: Sequence[str], shards: Path, live: Live) -> None:
    """Keeps the files that came back whole; says why others did not."""
    ended_well = _ended_well(shards / JOBS)
    for pitfall in pitfalls:
        part = shards / f"{pitfall}{PART}"
        try:
            lines = store.read(part)
            store.run_line(lines, part)
            if pitfall not in ended_well:
                raise Fault("its job failed")
            part.rename(shards / f"{pitfall}.jsonl")
        except Fault:
            said = part.with_name(part.name + ".err")
            words = said.read_text(errors="replace").strip() if said.exists() else ""
            live.say(f"{pitfall}: {words.splitlines()[-1] if words else 'nothing came back'}")


def _ended_well(log: Path) -> set[str]:
    """The pitfalls whose job ended with 0, from parallel's log: its last column is the command."""
    found = set()
    for line in log.read_text(errors="replace").splitlines()[1:] if log.exists() else ():
        columns = line.split("\t", 8)
        if len(columns) == 9 and columns[6] == "0" and columns[7] == "0":
            named = columns[8].split("--pitfall ", 1)
            found.add(named[1].split()[0] if len(named) == 2 else "")
    return found


def run(project: Project, options: Options, hosts: Sequence[str], live: Live, *,
        resume: bool = False) -> Done:
    """Measures (or goes on measuring) one run on several machines."""
    check(hosts)
    found = bench.going_on(project, "bench", live, hosts=True) if resume else None
    if found is None:
        path = store.new_run(project, "bench", options.seed)
    else:
        path, options = found[0], bench.restored(Options, found[1])
    run_id = path.parent.name
    begun = bench.run_line(project, run_id, "bench", options.seed,
                           asdict(options) | {"hosts": list(hosts)})
    if not path.exists():
        with store.Store(path) as kept:
            kept.append(begun)
    chosen = [p.id for p in catalog.select(catalog.load(project), options.pitfalls)]
    folder = folder_of(run_id)
    prepare(project, hosts, folder, live)
    files = measure(hosts, folder, chosen, path.parent / SHARDS, options, live)
    lines = merge.together(files)
    merge.write(path, [begun, *lines])
    if len(files) == len(chosen):
        (path.parent / COMPLETE).touch()
        for host in hosts:
            _ssh(host, f"rm -rf {shlex.quote(folder)}")
    taken = [x for x in lines if x["kind"] == "sample"]
    failed = sum(x["status"]["message"] is not None and x["role"] != "detect" for x in taken)
    return Done(path, run_id, len(taken), sum(x["kind"] == "cell" and x["status"] == "failed"
                                              for x in lines), failed)
