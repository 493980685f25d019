"""pitfall.toml: what is right is read, what is wrong is named with its file and key."""

from __future__ import annotations

import pytest

from harness import catalog, expression
from harness.fault import UsageFault
from harness.project import Project, here
from harness.tests import tiny


def test_every_pitfall_of_the_project_is_read() -> None:
    found = catalog.load(here())
    assert {"escape", "slice-retention", "loop-defer", "unsafe-cast", "growth"} <= {
        p.id for p in found}
    assert {p.id for p in found if p.always} == {"control-leak", "control-same"}


def test_folder_is_all_it_takes(tiny_project: Project) -> None:
    tiny.add(tiny_project, "another", {"bad": tiny.BAD, "fixed": tiny.FIXED})
    (tiny_project.pitfalls / "_not-one").mkdir()
    found = catalog.load(tiny_project)
    assert [p.id for p in found] == ["another", "tiny"]
    assert found[0].pairs() == [("main", "bad", ("fixed",))]
    assert found[0].parameter.sweep == (10, 100, 1000)


def test_variant_that_explains_marks_an_object(tiny_project: Project) -> None:
    toml = tiny.TOML.replace('role = "bad"', 'role = "bad"\nexplain = true')
    tiny.add(tiny_project, "tiny", {}, toml)
    with pytest.raises(UsageFault, match=r"variant 'bad': explain = true, and bad.c calls"):
        catalog.load(tiny_project)
    tiny.add(tiny_project, "tiny", {"bad": tiny.BAD + "/* pitfall_retains(p) */\n"}, toml)
    assert [v.explain for v in catalog.load(tiny_project)[0].variants] == [True, False]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title =", "titel =", "unknown key 'titel'"),
        ('summary = "bad allocates, fixed does not"', "", "the key 'summary' is missing"),
        ("equals = 2", "eqals = 2", "law[0]: unknown key 'eqals'"),
        ("equals = 2", "", "law[0] 'allocations': needs a bound"),
        ('kind = "exact"', 'kind = "exakt"', "law[0].kind: 'exakt' is not one of"),
        ('of = "bad"\nequals', 'of = "worse"\nequals', "law[0].of: no variant 'worse'"),
        ('of = "bad"\nequals', "equals", "kind exact needs `of`"),
        ("equals = 2", 'equals_expr = "__import__(1)"', "equals_expr"),
        ('metric = "allocs_per_op"', 'metric = "alocs_per_op"',
         "law[0] 'allocations': metric: nothing reports 'alocs_per_op' (the nearest name is"
         " 'allocs_per_op')"),
        ("equals = 2", 'equals_expr = "min(alocs, n) + 1"',
         "law[0] 'allocations': equals_expr: nothing reports 'alocs' (the nearest name is"
         " 'allocs')"),
        ("equals = 2", 'at_most_expr = "2 * min"',
         "law[0] 'allocations': at_most_expr: nothing reports 'min'"),
        ("equals = 2", "at_least = 5\nat_most = 1",
         "law[0] 'allocations': can never hold: no value meets at_least 5, at_most 1 at once"),
        ("equals = 2", "equals = 2\nat_most = 1", "can never hold"),
        ("equals = 2", "within = [2, 1]", "can never hold"),
        ("equals = 2", 'at_least_expr = "2 * n"\nat_most = 19', "can never hold"),
        ("equals = 2", "within = [1, 2]\nat_most = 3", "within is at_least and at_most in one"),
        ("equals = 2", 'equals = 2\nequals_expr = "n"', "equals and equals_expr: give one"),
        ("equals = 2", "equals = nan", "nan is no bound"),
        ("default = 10\n", 'default = "ten"\n', "parameter.default: 'ten' is not of type"),
        ("sweep = [10, 100, 1000]", "sweep = [10]", "needs parameter.sweep with 3"),
        ('id = "fixed"', 'id = "fixed.other"', "fixed.other.c is missing"),
        ('id = "fixed"', 'id = "bad"', "variant 'bad' is there twice"),
        ('id = "{id}"', 'id = "other"', "is not the folder's name"),
        ("[parameter]", "[parameter", "pitfall.toml: "),
    ],
)
def test_wrong_file_is_named_with_its_key(
    tiny_project: Project, old: str, new: str, words: str
) -> None:
    assert old in tiny.TOML
    tiny.add(tiny_project, "tiny", {}, tiny.TOML.replace(old, new, 1))
    with pytest.raises(UsageFault) as caught:
        catalog.load(tiny_project)
    assert "pitfalls/tiny/pitfall.toml" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "metric", ["startup_s", "instructions_per_op", "perf_cache_misses", "in_variant", "in_header",
               "in_driver"])
def test_law_may_speak_of_what_is_measured_or_reported(
    tiny_project: Project, metric: str
) -> None:
    folder = tiny.add(tiny_project, "tiny", {"bad": '/* "in_variant" */\n' + tiny.BAD},
                      tiny.TOML.replace("allocs_per_op", metric))
    (folder / "tiny-own.h").write_text('/* "in_header" */\n')
    (tiny_project.pitfalls / "driver.c").write_text('/* "in_driver" */\n')
    assert catalog.load(tiny_project)[0].laws[0].metric == metric


@pytest.mark.parametrize("formula", ["n", "max(in_variant, 2 * allocs)", "perf_cycles / count"])
def test_bound_may_take_the_same_names(tiny_project: Project, formula: str) -> None:
    tiny.add(tiny_project, "tiny", {"bad": '/* "in_variant" "count" */\n' + tiny.BAD},
             tiny.TOML.replace("equals = 2", f'equals_expr = "{formula}"'))
    assert catalog.load(tiny_project)[0].laws[0].equals_expr == formula


@pytest.mark.parametrize("bounds", ["at_least = 1\nat_most = 1", "equals = 2\nat_most = 2",
                                    'at_least_expr = "n"\nat_most = 10', "within = [1, 1]"])
def test_bounds_that_one_value_meets_are_a_law(tiny_project: Project, bounds: str) -> None:
    tiny.add(tiny_project, "tiny", {}, tiny.TOML.replace("equals = 2", bounds))
    assert catalog.load(tiny_project)[0].laws


def test_marker_has_to_mark_a_line_that_the_variant_compiles(tiny_project: Project) -> None:
    toml = tiny.TOML + ('[[detector]]\ntool = "asan"\nvariant = "bad"\ncategory = "overflow"\n'
                        'line_marker = "DETECT"\n')
    folder = tiny.add(tiny_project, "tiny", {"fixed": tiny.FIXED + "/* DETECT */\n"}, toml)
    with pytest.raises(UsageFault, match=r"pitfalls/tiny/pitfall.toml: detector\[0\].line_marker:"
                       r" 'DETECT' stands in no line of bad.c, nor of a header beside it"):
        catalog.load(tiny_project)
    (folder / "own.h").write_text("/* DETECT */\n")
    assert catalog.load(tiny_project)[0].detectors[0].marked == ("fixed.c:3", "own.h:1")


def test_source_that_no_variant_names_is_an_error(tiny_project: Project) -> None:
    tiny.add(tiny_project, "tiny", {"fixed.more": tiny.FIXED})
    with pytest.raises(UsageFault, match="fixed.more.c is there but no"):
        catalog.load(tiny_project)


def test_folder_without_toml_is_an_error(tiny_project: Project) -> None:
    (tiny_project.pitfalls / "empty").mkdir()
    with pytest.raises(UsageFault, match="pitfalls/empty/pitfall.toml: missing"):
        catalog.load(tiny_project)


def test_controls_are_in_every_selection(tiny_project: Project) -> None:
    tiny.add(tiny_project, "control", {"bad": tiny.BAD, "fixed": tiny.FIXED},
             tiny.TOML.replace("title", "always = true\ntitle", 1))
    tiny.add(tiny_project, "another", {"bad": tiny.BAD, "fixed": tiny.FIXED})
    found = catalog.select(catalog.load(tiny_project), ["tiny"])
    assert [p.id for p in found] == ["control", "tiny"]
    with pytest.raises(UsageFault, match="no pitfall 'tony'; there are: another control tiny"):
        catalog.select(catalog.load(tiny_project), ["tony"])


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.9 * (n * parent_b)", 90.0), ("-n ** 2 + 1", -99.0), ("max(n, parent_b) % 7", 3.0),
     ("n // 3", 3.0), ("1e3", 1000.0)],
)
def test_expression_is_arithmetic(text: str, value: float) -> None:
    assert expression.evaluate(text, {"n": 10.0, "parent_b": 10.0}) == value


@pytest.mark.parametrize(
    "text",
    ["n.real", "open('x')", "[n]", "n if n else 1", "lambda: 1", "'a' * 3", "True", "n <", "",
     "10 ** 10 ** 10", "n and 1", "max(*n)", "1 if 1 else 2", "(" * 500 + ")" * 500],
)
def test_expression_is_nothing_else(text: str) -> None:
    with pytest.raises(UsageFault):
        expression.evaluate(text, {"n": 10.0})


def test_expression_names_what_it_does_not_know() -> None:
    with pytest.raises(UsageFault, match=r"unknown name 'm' \(known: n\)"):
        expression.evaluate("m + 1", {"n": 1.0})
    with pytest.raises(UsageFault, match="division by zero"):
        expression.evaluate("1 / n", {"n": 0.0})
