"""A checkout in miniature: a stub allocator, made-up pitfalls, the real cell.mk.

Its programs need no driver: tiny.h reads the arguments and writes the record.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from harness.project import Project, here

HEADER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifndef TINY_ALLOCS
#define TINY_ALLOCS 1.0
#endif
#ifndef TINY_WORK
#define TINY_WORK n
#endif
#ifndef TINY_BEFORE
#define TINY_BEFORE
#endif
#ifndef TINY_EXTRA
#define TINY_EXTRA ""
#endif
static double stub_call(void);
static long option(int argc, char **argv, const char *name, long otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return atol(argv[i + 1]);
    return otherwise;
}
extern double stub(void);
static double stub_call(void) { return stub(); }
int main(int argc, char **argv)
{
    long n = option(argc, argv, "--n", 10), count = option(argc, argv, "--count", 7);
    if (argc > 1 && strcmp(argv[1], "--start-only") == 0)
        return 0;
    TINY_BEFORE
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    long long start = t.tv_sec * 1000000000LL + t.tv_nsec;
    dprintf(3, "{\"v\":1,\"pitfall\":\"tiny\",\"variant\":\"x\",\"n\":%ld,\"count\":%ld,"
            "\"ops\":%ld,\"threads\":1,\"work\":%ld,\"work_unit\":\"steps\",\"time_ns\":%ld,"
            "\"user_ns\":1000,\"sys_ns\":0,\"start_ns\":%lld,\"end_ns\":%lld,\"allocs\":%.0f,"
            "\"allocs_per_op\":%.17g,\"peak_rss_b\":1048576,\"retained_b\":%ld,"
            "\"collections\":0,\"peak_live_b\":null,\"why_peak_live_b\":\"not known\","
            "\"pause_ns\":[100,300],\"pause_at_ns\":[%lld,%lld]%s}\n",
            n, count, count, (long)(TINY_WORK) * count, count * 1000 + (long)stub_call(), start,
            start + count * 1000, (TINY_ALLOCS) * (double)count, (double)(TINY_ALLOCS), n * 16,
            start + 5, start + 9, TINY_EXTRA);
    return 0;
}
"""

TOML = """
id = "{id}"
title = "A made-up pitfall"
documented = "nowhere"
summary = "bad allocates, fixed does not"
[parameter]
name = "n"
default = 10
sweep = [10, 100, 1000]
unit = "things"
meaning = "how many"
[[variant]]
id = "bad"
pair = "main"
role = "bad"
[[variant]]
id = "fixed"
pair = "main"
role = "fixed"
[[law]]
id = "allocations"
title = "2 against 0"
kind = "exact"
metric = "allocs_per_op"
of = "bad"
equals = 2
[[law]]
id = "grows"
title = "retained grows with n"
kind = "exponent"
metric = "retained_b"
of = "bad"
within = [0.99, 1.01]
"""

BAD = "#define TINY_ALLOCS 2.0\n#include \"tiny.h\"\n"
FIXED = "#define TINY_ALLOCS 0.0\n#include \"tiny.h\"\n"


def make(root: Path) -> Project:
    """A checkout with one pitfall called `tiny`."""
    real = here()
    allocator = root / "allocator"
    (allocator / "include").mkdir(parents=True)
    (allocator / "sources.mk").write_text("SPANHEAP_SOURCES := stub.c\n")
    (allocator / "include" / "spanheap.h").write_text('#define SH_VERSION "0.0.1"\n')
    (allocator / "stub.c").write_text("double stub(void);\ndouble stub(void) { return 5; }\n")
    (root / "compile-matrix").mkdir()
    for name in ("cell.mk", "matrix.toml"):
        shutil.copy(real.matrix_dir / name, root / "compile-matrix" / name)
    (root / "pitfalls").mkdir()
    (root / "pitfalls" / "tiny.h").write_text(HEADER)
    project = Project(root)
    add(project, "tiny", {"bad": BAD, "fixed": FIXED})
    return project


def add(project: Project, name: str, sources: dict[str, str], toml: str = TOML) -> Path:
    """One more pitfall."""
    folder = project.pitfalls / name
    folder.mkdir(exist_ok=True)
    (folder / "pitfall.toml").write_text(toml.replace("{id}", name))
    for variant, text in sources.items():
        (folder / f"{variant}.c").write_text(text)
    return folder


def script(project: Project) -> str:
    """What `python3 -c` runs for `python3 -m harness` on another project."""
    # A shell's background job ignores SIGINT, and so would what it starts.
    return ("import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
            "import sys; from pathlib import Path; from harness import cli;"
            "from harness.project import Project;"
            f"sys.exit(cli.main(sys.argv[1:], Project(Path({str(project.root)!r}))))")


def start(project: Project, *arguments: str) -> subprocess.Popen[str]:
    """`python3 -m harness ARGUMENTS` on another project, as a process that can be interrupted."""
    return subprocess.Popen([sys.executable, "-c", script(project), *arguments], text=True,
                            cwd=here().root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
