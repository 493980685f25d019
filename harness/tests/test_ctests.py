"""The collector of C tests: each is an item of its own, and a crash lands on the one that ran."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import ctests
from harness.project import Project, here
from harness.tests import tiny

C_TEST = r"""
/* run: native %(modes)s */
/* libs: -ldl */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
double stub(void);
static void test_good(void **state) { (void)state; assert_true(stub() == 5); }
static void test_bad(void **state) { (void)state; print_error("the reason\n"); assert_true(0); }
static void test_left_out(void **state) { (void)state; skip(); }
static void test_dies(void **state) { (void)state; %(dies)s; }
static void test_after(void **state) { (void)state; }
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_left_out),
        cmocka_unit_test_setup_teardown(test_dies, NULL, NULL), cmocka_unit_test(test_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
"""


def collect(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest on the checkout in miniature."""
    (project.root / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = "-p harness.ctests -p no:cacheprovider"\n')
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--rootdir", str(project.root), "-c",
         str(project.root / "pyproject.toml"), str(project.allocator / "tests"), *arguments],
        cwd=here().root, capture_output=True, text=True)


def write(project: Project, dies: str, modes: str = "") -> None:
    folder = project.allocator / "tests"
    folder.mkdir(exist_ok=True)
    (folder / "test_it.c").write_text(C_TEST % {"dies": dies, "modes": modes})


def test_each_c_test_is_an_item(tiny_project: Project) -> None:
    write(tiny_project, "")
    text = collect(tiny_project).stdout
    for line in ("test_good[native] PASSED", "test_bad[native] FAILED",
                 "test_left_out[native] SKIPPED", "test_after[native] PASSED",
                 "ends-well[native] PASSED"):
        assert line in text, text
    assert "the reason" in text
    assert "1 failed, 4 passed, 1 skipped" in text


@pytest.mark.parametrize("dies", ["abort()", "_Exit(9)"])
def test_death_is_reported_on_the_test_that_ran(tiny_project: Project, dies: str) -> None:
    write(tiny_project, dies)
    text = collect(tiny_project).stdout
    assert "test_good[native] PASSED" in text
    assert "test_dies[native] FAILED" in text
    assert "test_after[native] FAILED" in text
    assert "it was never run" in text


def test_sanitizer_report_is_a_failure(tiny_project: Project) -> None:
    write(tiny_project, "volatile char *p = malloc(8); p[8] = 1; free((void *)p)", "asan")
    text = collect(tiny_project).stdout
    assert "test_dies[native] PASSED" in text
    assert "test_dies[asan] FAILED" in text
    assert "insufficient space" in text or "heap-buffer-overflow" in text


def test_valgrind_report_is_a_failure(tiny_project: Project) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    write(tiny_project, "volatile char *p = malloc(8); p[8] = 1; free((void *)p)", "valgrind")
    text = collect(tiny_project, "-k", "valgrind").stdout
    assert "ends-well[valgrind] FAILED" in text
    assert "Invalid write" in text


def test_what_valgrind_is_told_to_excuse_exists() -> None:
    allocator = here().allocator
    excused = re.findall(r"fun:(\w+)", (allocator / "tests" / "valgrind.supp").read_text())
    sources = "".join(path.read_text() for room in ("heap", "collector", "types", "observe")
                      for path in sorted((allocator / room).glob("*.c")))
    assert excused
    for function in excused:
        assert re.search(rf"^{function}\(", sources, re.MULTILINE), function


def test_test_that_does_not_build_fails_with_the_compilers_words(tiny_project: Project) -> None:
    write(tiny_project, "made_to_fail(")
    text = collect(tiny_project).stdout
    assert "test_it.c does not build" in text
    assert "made_to_fail" in text


def test_head_comments_are_read(tmp_path: Path) -> None:
    path = tmp_path / "test_x.c"
    path.write_text("/* run: native valgrind */\n/* libs: -ldl -lrt */\n/* needs-shared */\n"
                    "cmocka_unit_test(test_a), cmocka_unit_test_setup(test_b, x)\n")
    found = ctests.describe(path)
    assert found.modes == ("native", "valgrind")
    assert found.libs == ("-ldl", "-lrt")
    assert found.shared
    assert found.tests == ("test_a", "test_b")
    path.write_text("/* run: natve */\n")
    with pytest.raises(ValueError, match="no mode 'natve'"):
        ctests.describe(path)
    path.write_text("")
    assert ctests.describe(path).modes == ("native", "asan")


def test_tiny_checkout_is_used(tiny_project: Project) -> None:
    assert (tiny_project.allocator / "stub.c").exists()
    assert tiny.TOML
