"""The control pair: what a run may be believed, from made-up samples of one program twice."""

from __future__ import annotations

from typing import Any

import pytest

from harness import catalog, show, target, trust
from harness.catalog import Pitfall
from harness.metrics import percent
from harness.project import Project
from harness.sheet import Sheet
from harness.summary import summarise
from harness.tests import lines, tiny

CELLS = ["gcc-O2", "clang-Os"]
RATIOS = (0.97, 1.0, 1.03, 0.99, 1.01, 0.98, 1.02, 1.0, 0.995, 1.005)


@pytest.fixture(name="pitfall")
def pair_with_sham(tiny_project: Project) -> Pitfall:
    text = tiny.TOML.split("[[law]]")[0].replace('role = "fixed"', 'role = "sham"')
    tiny.add(tiny_project, "tiny", {}, text)
    return catalog.load(tiny_project)[0]


def stored(ratios: tuple[float, ...], *, metric: str = "ns_per_op",
           bottom: float = 100.0) -> list[dict[str, Any]]:
    """A run in which the two names differ by a ratio in each round, alike in both cells."""
    result: list[dict[str, Any]] = [lines.run()]
    for cell in CELLS:
        result += [lines.cell("bad", cell), lines.cell("fixed", cell)]
        for number, ratio in enumerate(ratios, 1):
            result += [lines.sample(variant, {metric: value, "work": 1}, name=cell, round_=number)
                       for variant, value in (("bad", bottom * ratio), ("fixed", bottom))]
    return result


def verdict(pitfall: Pitfall, found: list[dict[str, Any]],
            metric: str = "ns_per_op") -> trust.Control:
    controls = trust.controls(Sheet(found), [pitfall], CELLS)
    return next(one for one in controls if one.metric == metric)


def test_same(pitfall: Pitfall) -> None:
    one = verdict(pitfall, stored(RATIOS))
    assert one.verdict == "same" and one.n == 10 and one.margin == 0.03
    assert trust.sentences([one]) == []


def test_different(pitfall: Pitfall) -> None:
    found = stored(tuple(1.1 * ratio for ratio in RATIOS))
    assert verdict(pitfall, found).verdict == "different"
    summary = summarise(found, [pitfall])
    assert summary["events"][0].startswith("do not trust this run")
    assert trust.untrusted(summary) and show.verdict_code(summary) == 3
    rows = [row for row in target.bench(summary)["rows"] if row["id"] == "tiny/all cells"]
    assert [row["verdict"] for row in rows] == ["different", "unclear"]
    assert rows[0]["met"] is False and rows[0]["goal"] == "within 3 % of 1"


def test_wide_interval_is_unclear_and_names_what_can_be_seen(pitfall: Pitfall) -> None:
    one = verdict(pitfall, stored((0.8, 1.25, 0.9, 1.1, 0.85, 1.2, 1.0, 0.95, 1.15, 1.05)))
    assert one.verdict == "unclear" and one.widest is not None
    assert f"by up to {100 * one.widest:.2g} %" in trust.sentences([one])[0]


@pytest.mark.parametrize(("share", "text"), [
    (0.041, "4.1 %"), (1.2, "120 %"), (12.8, "1,280 %"), (0.996, "100 %"), (0.0996, "10 %"),
    (0.02, "2 %"), (0.00004, "0.004 %"), (0.0, "0 %"), (1e7, "1,000,000,000 %")])
def test_percents_are_plain_numbers(share: float, text: str) -> None:
    assert percent(share) == text


def test_sentence_of_a_wide_control_can_be_read() -> None:
    wide = trust.Control("prog", "wall_s", 1.5, 0.5, 2.2, 20, 0.03, "unclear", None)
    assert trust.sentences([wide]) == [
        "one program under two names (prog) differs in time of the whole process by up to 120 % in"
        " this run: a smaller change cannot be told from noise"]


def test_few_rounds_give_no_verdict(pitfall: Pitfall) -> None:
    assert verdict(pitfall, stored((1.2,) * 9)).verdict == "unclear"
    assert verdict(pitfall, stored((1.2,) * 10)).verdict == "different"


def test_less_than_256_kib_of_memory_is_no_difference(pitfall: Pitfall) -> None:
    few = stored((1.1,) * 10, metric="peak_rss_b", bottom=2e6)
    many = stored((1.1,) * 10, metric="peak_rss_b", bottom=2e8)
    assert verdict(pitfall, few, "peak_rss_b").verdict == "same"
    assert verdict(pitfall, many, "peak_rss_b").verdict == "different"


def test_nothing_measured_is_unclear_with_a_reason(pitfall: Pitfall) -> None:
    one = verdict(pitfall, [lines.run(), lines.cell("bad"), lines.cell("fixed")])
    assert one.verdict == "unclear" and one.ratio is None
    assert one.reason == "bad has no sample of a kept round in gcc-O2"
    assert trust.sentences([one]) == []
