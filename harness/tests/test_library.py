"""The installed library: a program finds it through pkg-config, static and shared."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli, library
from harness.project import here

PROGRAM = r"""
#include <spanheap.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    char *text = sh_alloc_noscan(100);
    strcpy(text, "hello");
    sh_collect();
    printf("%s from spanheap %s (%s)\n", text, sh_version(), SH_VERSION);
    return 0;
}
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prefix")
    assert cli.main(["install", "--prefix", str(folder)]) == 0
    return folder


def test_malloc_drop_in_is_installed(prefix: Path) -> None:
    path = prefix / "lib" / "libspanheap-malloc.so"
    done = subprocess.run([sys.executable, "-c", "print(open('/proc/self/maps').read())"],
                          capture_output=True, text=True, check=True,
                          env={**os.environ, "LD_PRELOAD": str(path)})
    assert str(path) in done.stdout
    exported = subprocess.run(["nm", "-D", "--defined-only", str(path)], capture_output=True,
                              text=True, check=True).stdout.split()[2::3]
    assert sorted(exported) == [
        "aligned_alloc", "calloc", "free", "malloc", "malloc_trim", "malloc_usable_size",
        "memalign", "posix_memalign", "pvalloc", "realloc", "reallocarray", "valloc"]


def flags(prefix: Path, *which: str) -> list[str]:
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed: apt-get install pkgconf")
    done = subprocess.run(
        ["pkg-config", *which, "spanheap"], capture_output=True, text=True, check=True,
        env={**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")})
    return done.stdout.split()


def build_and_run(folder: Path, *arguments: str) -> str:
    (folder / "p.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-o", str(folder / "p"), str(folder / "p.c"), *arguments], check=True)
    done = subprocess.run([str(folder / "p")], capture_output=True, text=True, check=True)
    return done.stdout


def test_program_with_the_shared_library(prefix: Path, tmp_path: Path) -> None:
    text = build_and_run(tmp_path, *flags(prefix, "--cflags", "--libs"),
                         f"-Wl,-rpath,{prefix / 'lib'}")
    version = library.version_of(here())
    assert text == f"hello from spanheap {version} ({version})\n"
    needed = subprocess.run(["readelf", "-d", str(tmp_path / "p")], capture_output=True,
                            text=True, check=True).stdout
    assert f"libspanheap.so.{version.split('.')[0]}]" in needed


def test_program_with_the_static_library(prefix: Path, tmp_path: Path) -> None:
    text = build_and_run(tmp_path, *flags(prefix, "--cflags"),
                         str(prefix / "lib" / "libspanheap.a"), "-pthread", "-lm")
    assert text.startswith("hello from spanheap")


def test_only_the_public_names_are_visible(prefix: Path) -> None:
    names = subprocess.run(
        ["nm", "-D", "--defined-only", "--format=posix", str(prefix / "lib" / "libspanheap.so")],
        capture_output=True, text=True, check=True).stdout
    own = {line.split()[0].split("@")[0] for line in names.splitlines()}
    assert "sh_alloc" in own
    # What the shared library takes over; all else that is not sh_ must stay inside.
    taken_over = ("pthread_", "thrd_", "sig", "ppoll", "pselect", "epoll_pwait")
    assert not {name for name in own if not name.startswith(("sh_", *taken_over))}


def test_prefix_that_cannot_be_written_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["install", "--prefix", str(tmp_path / "file")]) == 4
    assert "PREFIX=dir installs elsewhere" in capsys.readouterr().err
