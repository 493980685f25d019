"""`deps`: installs the Debian packages that a target needs and that are missing.

A package that would start a service is not installed but unpacked into a folder of the checkout.
Only the standard library is used: this runs before anything is installed. It asks nothing. Where
it cannot install (no root and no sudo, no network, not Debian) it prints the exact line to run and
ends with 0: the target goes on with what is there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).parent / "packages.toml"
UNPACKED = PACKAGES.parent.parent / "compile-matrix" / "build" / "unpacked"  # a folder a package
TARGETS = ("all", "bench", "compare", "test", "lint", "peers", "fidelity")
APT_TIMEOUT_S = 1200
_TAIL = 15  # lines of apt's output that are shown when it fails


@dataclass(frozen=True)
class Package:
    """One entry of packages.toml."""

    name: str
    why: str
    targets: tuple[str, ...]
    required: bool
    commands: tuple[str, ...]
    module: str | None
    file: str | None
    unpack: str | None = None  # what is wanted of one that is unpacked and not installed

    @property
    def unpacked(self) -> Path | None:
        """Where that lies, or would lie."""
        return None if self.unpack is None else UNPACKED / self.name / self.unpack


def load(path: Path = PACKAGES) -> list[Package]:
    """The list as it stands in the file."""
    data: dict[str, dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Package(
            name=name, why=entry["why"], targets=tuple(entry["for"]), required=entry["required"],
            commands=tuple(entry.get("commands", [entry["command"]] if "command" in entry
                                     else [])),
            module=entry.get("module"), file=entry.get("file"), unpack=entry.get("unpack"),
        )
        for name, entry in data.items()
    ]


def installed(names: Sequence[str]) -> set[str]:
    """Those of the packages that dpkg knows as installed; empty where there is no dpkg."""
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names],
            capture_output=True, text=True,
        )
    except OSError:
        return set()
    return {line.split()[0] for line in done.stdout.splitlines()
            if line.split()[1:] == ["installed"]}


def _there(package: Package) -> bool:
    """True if the thing itself can be found, whatever package brought it."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin"
    if any(shutil.which(command, path=path) for command in package.commands):
        return True
    if package.unpacked is not None and package.unpacked.exists():
        return True
    if package.module is not None and importlib.util.find_spec(package.module) is not None:
        return True
    return package.file is not None and Path(package.file).exists()


def missing(packages: Sequence[Package], target: str,
            have: Callable[[Sequence[str]], set[str]] = installed) -> list[Package]:
    """What a target needs and this machine lacks."""
    wanted = [p for p in packages if target == "all" or target in p.targets]
    absent = [p for p in wanted if not _there(p)]
    if not absent:
        return []
    known = have([p.name for p in absent])
    return [p for p in absent if p.name not in known]


def apt_line(packages: Sequence[Package]) -> str:
    """The command that a person can run as root."""
    names = " ".join(p.name for p in packages)
    return f"apt-get install -y --no-install-recommends {names}"


def _privilege() -> list[str] | None:
    """What to put in front of apt-get: nothing as root, sudo -n if it works, else None."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        return None
    allowed = subprocess.run([sudo, "-n", "true"], capture_output=True)
    return [sudo, "-n"] if allowed.returncode == 0 else None


def _apt(arguments: Sequence[str], prefix: Sequence[str], folder: str | None = None) -> str | None:
    """Runs apt-get; None if it worked, else the end of what it said."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q",
               "-o", "DPkg::Lock::Timeout=300", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=APT_TIMEOUT_S, cwd=folder)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None if done.returncode == 0 else "\n".join(done.stdout.splitlines()[-_TAIL:])


def unpack(package: Package) -> str | None:
    """Unpacks what apt-get downloads; None if it worked, else why not."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get here"
    print(f"unpacking, not installing:\n  {package.name:24} {package.why}", flush=True)
    with tempfile.TemporaryDirectory(prefix="pitmark-") as folder:
        download = ["download", package.name]
        failed = _apt(download, [], folder)
        if failed is not None and (prefix := _privilege()) is not None:
            failed = _apt(["update"], prefix) or _apt(download, [], folder)
        if failed is not None:
            return f"apt-get download failed:\n{failed}"
        (UNPACKED / package.name).mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["dpkg", "-x", *map(str, Path(folder).glob("*.deb")),
                               str(UNPACKED / package.name)], capture_output=True, text=True)
    return done.stderr.strip() or None


def bring(packages: Sequence[Package]) -> str | None:
    """Installs or unpacks each; None if it worked, else why not."""
    ordinary = [p for p in packages if p.unpack is None]
    problems = [install(ordinary)] if ordinary else []
    problems += [unpack(p) for p in packages if p.unpack is not None]
    return "\n".join(p for p in problems if p is not None) or None


def install(packages: Sequence[Package]) -> str | None:
    """Says what it installs, and does; None if it worked, else why not."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get here"
    prefix = _privilege()
    if prefix is None:
        return "neither root nor sudo without a password"
    print(f"installing {len(packages)} package(s){' with sudo' if prefix else ''}:")
    for package in packages:
        print(f"  {package.name:24} {package.why}")
    sys.stdout.flush()
    failed = _apt(["update"], prefix)
    if failed is not None:
        return f"apt-get update failed:\n{failed}"
    names = [p.name for p in packages]
    failed = _apt(["install", "-y", "--no-install-recommends", *names], prefix)
    if failed is None:
        return None
    # One package that this release does not have must not keep the others out.
    for name in names:
        _apt(["install", "-y", "--no-install-recommends", name], prefix)
    return None if not missing(packages, "all") else f"apt-get install failed:\n{failed}"


def main(arguments: Sequence[str]) -> int:
    """python3 -m harness deps [all|bench|compare|peers|fidelity|test|lint]"""
    target = arguments[0] if arguments else "all"
    if target in ("-h", "--help") or target not in TARGETS or len(arguments) > 1:
        text = ("usage: python3 -m harness deps [all|bench|compare|peers|fidelity|test|lint]\n"
                "Installs the Debian packages of harness/packages.toml that are missing.\n"
                "Example: python3 -m harness deps bench")
        wrong = target not in ("-h", "--help")
        print(text, file=sys.stderr if wrong else sys.stdout)
        return 2 if wrong else 0
    lacking = missing(load(), target)
    if not lacking:
        return 0
    problem = bring(lacking)
    left = missing(lacking, "all")
    if not left:
        return 0
    print(f"not installed: {problem or 'apt-get did not bring them'}", file=sys.stderr)
    for package in left:
        kind = "required" if package.required else "optional"
        print(f"  {package.name:24} {kind}: {package.why}", file=sys.stderr)
    ordinary = [p for p in left if p.unpack is None]
    if ordinary:
        print(f"as root: {apt_line(ordinary)}", file=sys.stderr)
    for package in left:
        if package.unpack is not None:
            print(f"apt-get download {package.name}, and dpkg -x of it to"
                  f" {UNPACKED / package.name}", file=sys.stderr)
    print("going on with what is there", file=sys.stderr)
    return 0
