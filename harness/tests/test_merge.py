"""One result from many files: merging, pooling, and machines over ssh."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness import bench, catalog, cli, deps, hosts, merge, store
from harness.fault import Fault, UsageFault
from harness.plan import Options
from harness.progress import Live
from harness.project import Project, here
from harness.sheet import Sheet
from harness.summary import summarise
from harness.tests import lines, tiny
from harness.tests.test_bench import schema_errors


@pytest.fixture
def two_pitfalls(tiny_project: Project) -> Project:
    tiny.add(tiny_project, "second", {"bad": tiny.BAD, "fixed": tiny.FIXED})
    return tiny_project


def write(path: Path, *written: dict[str, object]) -> Path:
    with store.Store(path) as kept:
        for line in written:
            kept.append(line)
    return path


# ---- one -----------------------------------------------------------------------------------------


def test_one_measures_one_pitfall_and_goes_on(two_pitfalls: Project, tmp_path: Path) -> None:
    file = tmp_path / "second.jsonl"
    command = ["one", "--pitfall", "second", "--out", str(file), "--quick", "--rounds", "1",
               "--cells", "gcc-O2"]
    assert cli.main(command, two_pitfalls) == 0
    first = store.read(file)
    assert not schema_errors(file)
    assert {x["pitfall"] for x in first if x["kind"] == "sample"} == {"second"}
    assert cli.main([*command[:-4], "--rounds", "2", *command[-2:]], two_pitfalls) == 0
    again = store.read(file)
    assert again[:len(first)] == first and len(again) == len(first) + 2
    assert not list(two_pitfalls.results.glob("*")) if two_pitfalls.results.exists() else True


def test_one_of_nothing(two_pitfalls: Project, tmp_path: Path,
                        capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["one", "--pitfall", "third", "--out", str(tmp_path / "x")], two_pitfalls) == 2
    assert "no pitfall 'third'; there are: second tiny" in capsys.readouterr().err


# ---- merge ---------------------------------------------------------------------------------------


def test_shards_become_one_run_that_is_judged(two_pitfalls: Project, quiet: Live, options: Options,
                                              tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.jsonl" for name in ("tiny", "second")]
    for file in files:
        merge.one(two_pitfalls, file.stem, file, options, quiet)
    out = tmp_path / "merged" / "run.jsonl"
    assert cli.main(["merge", *map(str, files), "--to", str(out)], two_pitfalls) == 0
    assert not schema_errors(out)
    summary = summarise(store.read(out), catalog.load(two_pitfalls))
    assert {p["id"] for p in summary["pitfalls"]} == {"tiny", "second"}
    assert all(law["held"] for p in summary["pitfalls"] for law in p["laws"])


def test_merging_again_changes_nothing(tmp_path: Path) -> None:
    a = write(tmp_path / "a", lines.run(), lines.cell("bad"), lines.sample("bad", {"x": 1}))
    assert merge.together([a, a]) == store.read(a)


def machine(name: str, factor: float, ratio: float, rounds: int = 8) -> list[dict[str, object]]:
    """A run of another machine: `factor` times as slow, the same ratio of bad to fixed."""
    head: dict[str, object] = {**lines.run(), "run": name}
    body: list[dict[str, object]] = [lines.cell(v) for v in ("bad", "fixed")]
    body.extend(lines.sample(v, {"ns_per_op": factor * value * (1 + r / 100)}, round_=r)
             for r in range(1, rounds + 1) for v, value in (("bad", ratio), ("fixed", 1.0)))
    return [head, *(x | {"run": name} for x in body)]


def test_a_pitfall_of_two_machines_is_not_mixed(tiny_project: Project, tmp_path: Path) -> None:
    a = write(tmp_path / "a", *machine("one", 100, 2.0))
    b = write(tmp_path / "b", *machine("two", 900, 2.2))
    merged = merge.together([a, b])
    sheet = Sheet(merged)
    assert sheet.medians("tiny", "fixed", "gcc-O2")["ns_per_op"] == pytest.approx(104.5)
    assert set(sheet.others["tiny"]) == {"two"}


def test_ratios_are_pooled_and_times_are_not(tiny_project: Project, tmp_path: Path) -> None:
    merged = merge.together([write(tmp_path / "a", *machine("one", 100, 2.0)),
                             write(tmp_path / "b", *machine("two", 900, 2.42))])
    rows = merge.pooled(merged, catalog.load(tiny_project))
    assert [r["id"] for r in rows] == ["tiny/main/gcc-O2/one", "tiny/main/gcc-O2/two",
                                       "tiny/main/gcc-O2"]
    assert rows[-1]["ratio"] == pytest.approx(2.2)
    assert all(r["value"] is None and r["peer"] is None for r in rows)
    assert "not pooled" in rows[-1]["reason"] and rows[-1]["n"] == 16


def test_each_machine_counts_alike() -> None:
    assert merge.stratified([[2.0] * 4, [8.0] * 40]).value == pytest.approx(4.0)
    assert merge.stratified([[2.0], [8.0]]).low is None


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (Path("/proc/no/x"), tmp_path / "file" / "x"):
        with pytest.raises(Fault, match="cannot be written"):
            merge.write(place, [lines.run()])


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="no line of kind run"):
        merge.together([write(tmp_path / "a", lines.cell("bad"))])


# ---- Hosts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a b", "a,b", "a/b", "a'b"])
def test_what_is_no_host_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(UsageFault, match="is not the name of a host"):
        hosts.check([host])


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Fault, match="apt-get install parallel"):
        hosts.check(["a"])


def sshd_program() -> Path:
    """An sshd: the installed one, or the one that the set-up has unpacked."""
    package = next(p for p in deps.load() if p.name == "openssh-server")
    for place in (package.file, package.unpacked):
        if place is not None and Path(place).exists():
            return Path(place)
    pytest.skip("no sshd: openssh-server is neither installed nor unpacked: make deps")


def with_its_user(folder: Path) -> dict[str, str]:
    """The environment in which sshd finds the user that it gives its rights up to. Only its
    package would make that user; libnss-wrapper reads a list that has it."""
    listed = Path("/etc/passwd").read_text()
    if os.geteuid() != 0 or "\nsshd:" in listed:
        return dict(os.environ)
    users = folder / "passwd"
    users.write_text(listed + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")
    return os.environ | {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_PASSWD": str(users),
                         "NSS_WRAPPER_GROUP": "/etc/group"}


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An sshd on loopback with keys of its own; the name of the host that leads to it."""
    for command in ("parallel", "ssh", "ssh-keygen"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")
    folder = tmp_path / "sshd"
    folder.mkdir(mode=0o700)
    program = sshd_program()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)],
                       check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)
    config = folder / "config"
    config.write_text(f"Host here\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n"
                      f" IdentityFile {folder / 'user'}\n UserKnownHostsFile {folder / 'known'}\n"
                      " StrictHostKeyChecking accept-new\n IdentitiesOnly yes\n"
                      "Host nowhere\n HostName 127.0.0.1\n Port 1\n")
    log = (folder / "log").open("w")
    server = subprocess.Popen(
        [str(program), "-D", "-e", "-f", "/dev/null", "-p", str(port),
         "-o", "ListenAddress=127.0.0.1", "-o", f"HostKey={folder / 'host'}",
         "-o", f"AuthorizedKeysFile={folder / 'authorized'}", "-o", "StrictModes=no",
         "-o", "UsePAM=no", "-o", "PidFile=none", "-o", "PermitRootLogin=yes"],
        stderr=log, env=with_its_user(folder))
    monkeypatch.setattr(hosts, "SSH", ("ssh", "-F", str(config), "-o", "BatchMode=yes",
                                       "-o", "ConnectTimeout=5"))
    try:
        until = time.monotonic() + 20
        while True:
            answer = subprocess.run([*hosts.SSH, "here", "true"], capture_output=True, text=True)
            if answer.returncode == 0:
                break
            if time.monotonic() > until or server.poll() is not None:
                pytest.skip(f"sshd does not let us in: {(folder / 'log').read_text()[-300:]}"
                            f"{answer.stderr[-300:]}")
            time.sleep(0.1)
        yield "here"
    finally:
        server.kill()
        server.wait()
        log.close()


@pytest.fixture
def whole_checkout(two_pitfalls: Project) -> Project:
    """With the harness in it, and in git, as on a user's machine. Nothing is installed there."""
    root = two_pitfalls.root
    shutil.copytree(here().root / "harness", root / "harness",
                    ignore=shutil.ignore_patterns("__pycache__", "tests"))
    (root / "harness" / "bootstrap.sh").write_text("exit 0\n")
    subprocess.run(["git", "-C", str(root), "init", "-q"], check=True)
    return two_pitfalls


def test_pitfalls_are_measured_on_another_machine(
    whole_checkout: Project, quiet: Live, options: Options, loopback: str
) -> None:
    done = hosts.run(whole_checkout, replace(options, pitfalls=("tiny", "second")), [loopback],
                     quiet)
    assert done.failed_samples == 0 and (done.path.parent / bench.COMPLETE).exists()
    assert not schema_errors(done.path)
    summary = summarise(store.read(done.path), catalog.load(whole_checkout))
    assert {p["id"] for p in summary["pitfalls"]} == {"tiny", "second"}
    assert not (Path.home() / hosts.folder_of(done.run_id)).exists()


def test_a_lost_job_is_done_by_resume(
    whole_checkout: Project, quiet: Live, options: Options, loopback: str,
    said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hosts._parallel

    def lossy(hosts_: object, folder: str, pitfalls: list[str], *rest: object) -> None:
        real(hosts_, folder, [p for p in pitfalls if p != "tiny"], *rest)  # type: ignore[arg-type]

    chosen = replace(options, pitfalls=("tiny", "second"))
    monkeypatch.setattr(hosts, "_parallel", lossy)
    lost = hosts.run(whole_checkout, chosen, [loopback], quiet)
    assert "not measured: tiny" in said() and not (lost.path.parent / bench.COMPLETE).exists()
    monkeypatch.setattr(hosts, "_parallel", real)
    before = (lost.path.parent / hosts.SHARDS / "second.jsonl").read_bytes()
    done = hosts.run(whole_checkout, chosen, [loopback], quiet, resume=True)
    assert done.path == lost.path and (done.path.parent / bench.COMPLETE).exists()
    assert (done.path.parent / hosts.SHARDS / "second.jsonl").read_bytes() == before


def test_unreachable_host_is_named(whole_checkout: Project, quiet: Live, options: Options,
                                   loopback: str) -> None:
    with pytest.raises(Fault, match="nowhere: .*ssh-copy-id"):
        hosts.run(whole_checkout, options, ["nowhere"], quiet)


def test_one_machine_under_two_names_is_refused(whole_checkout: Project, quiet: Live,
                                                options: Options, loopback: str) -> None:
    with pytest.raises(UsageFault, match="are the same machine"):
        hosts.run(whole_checkout, options, [loopback, loopback], quiet)
