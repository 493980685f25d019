"""The heap profile that SH_PROFILE names is read by Go's pprof, and names the right functions.

What it counts is tested in allocator/tests/test_profile.c, when it is written in
allocator/tests/test_profile_file.c.
"""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.tests import linked

PROGRAM = r"""
#include <spanheap.h>
#define PLACE __attribute__((noinline, noclone))
static void *volatile kept[4000];
PLACE void *make_record(size_t size)
{
    void *p = sh_alloc(size);
    SH_KEEP_ALIVE(p);
    return p;
}
PLACE void keep_many(void)
{
    for (int i = 0; i < 4000; i++)
        kept[i] = make_record(10000);
    SH_KEEP_ALIVE(kept);
}
PLACE void drop_many(void)
{
    for (int i = 0; i < 600000; i++)
        SH_KEEP_ALIVE(sh_alloc_noscan(500));
}
PLACE void keep_one(void)
{
    kept[0] = sh_alloc_noscan(5000000);
    SH_KEEP_ALIVE(kept);
}
int main(void)
{
    keep_many();
    drop_many();
    keep_one();
    sh_collect();
    return 0;
}
"""


@pytest.fixture(scope="module", params=linked.KINDS)
def profile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    linked.run(folder, PROGRAM, request.param, SH_PROFILE=str(folder / "heap.pb.gz"),
               SH_PROFILE_RATE="64KiB")
    return folder / "heap.pb.gz"


def pprof(profile: Path, *arguments: str) -> str:
    """What pprof prints. It is not to look at the program: all names are in the profile."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed: apt-get install golang-go")
    (profile.parent / "p").unlink(missing_ok=True)
    done = subprocess.run(["go", "tool", "pprof", *arguments, str(profile)],
                          capture_output=True, text=True, check=True)
    assert "error" not in done.stderr.lower(), done.stderr
    return done.stdout


def top(text: str) -> list[tuple[float, str]]:
    """Flat megabytes and name of each line of `pprof -top -unit=MB`, largest first."""
    rows = re.findall(r"^\s*([\d.]+)(?:MB)?\s+\S+%\s+\S+%\s+\S+\s+\S+%\s+(.+)$", text,
                      re.MULTILINE)
    return [(float(flat), name) for flat, name in rows]


def test_profile_is_a_gzip_file(profile: Path) -> None:
    assert len(gzip.decompress(profile.read_bytes())) > 100


def test_pprof_shows_memory_in_use_by_function(profile: Path) -> None:
    text = pprof(profile, "-top", "-unit=MB")
    assert "Type: inuse_space" in text
    (first, name), (second, other) = top(text)[:2]
    assert name == "make_record"
    assert 4000 * 10240 / 2**20 == pytest.approx(first, rel=0.25)
    assert other == "keep_one"
    assert 5000000 / 2**20 == pytest.approx(second, rel=0.1)
    assert "sh_alloc" not in text


def test_pprof_shows_all_that_was_allocated(profile: Path) -> None:
    flat, name = top(pprof(profile, "-top", "-unit=MB", "-sample_index=alloc_space"))[0]
    assert name == "drop_many"
    assert 600000 * 512 / 2**20 == pytest.approx(flat, rel=0.25)


def test_pprof_shows_who_called(profile: Path) -> None:
    text = pprof(profile, "-traces")
    assert re.search(r"bytes:\s+10kB\n.*\bmake_record\n\s+keep_many\n\s+main\n", text)
    raw = pprof(profile, "-raw")
    assert "PeriodType: space bytes\nPeriod: 65536\n" in raw
    assert ("alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes[dflt]"
            in raw)
