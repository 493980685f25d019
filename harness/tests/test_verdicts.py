"""Verdicts on made-up rounds, of which the truth is known."""

from __future__ import annotations

import random

import pytest

from harness import verdicts
from harness.verdicts import BETTER, SAME, UNCLEAR, WORSE, Row, compare, judge


def arm(seed: int, n: int = 20, centre: float = 100.0, spread: float = 0.02) -> dict[int, float]:
    chance = random.Random(seed)
    return {i: centre * (1 + chance.uniform(-spread, spread)) for i in range(1, n + 1)}


def one(row: Row) -> Row:
    return judge([row])[0]


def test_identical_numbers_are_the_same() -> None:
    a = arm(1)
    row = one(compare("p", "ns_per_op", a, dict(a)))
    assert (row.verdict, row.ratio.value, row.p) == (SAME, 1.0, None)


@pytest.mark.parametrize("factor, metric, verdict", [
    (1.20, "ns_per_op", WORSE), (0.80, "ns_per_op", BETTER),
    (1.20, "ops_per_s", BETTER), (0.80, "ops_per_s", WORSE), (1.005, "ns_per_op", SAME),
])
def test_plain_differences(factor: float, metric: str, verdict: str) -> None:
    row = one(compare("p", metric, arm(1), arm(2, centre=100 * factor)))
    assert row.verdict == verdict
    assert row.q is not None and (verdict == SAME or row.q < 0.05)


def test_drift_within_a_round_cancels() -> None:
    """A machine that gets twice as slow on the way, and 10 % between the arms all the time."""
    chance = random.Random(3)
    drift = {i: 1 + i / 20 for i in range(1, 21)}
    a = {i: 100 * d * chance.uniform(0.99, 1.01) for i, d in drift.items()}
    b = {i: 110 * d * chance.uniform(0.99, 1.01) for i, d in drift.items()}
    row = compare("p", "ns_per_op", a, b, margin=0.03)
    assert one(row).verdict == WORSE


def test_drift_does_not_make_a_certain_change_the_same() -> None:
    """An arm is 10 % from itself in the next round; its ratio to the other is not."""
    a = {i: 100 * 1.1 ** i for i in range(1, 21)}
    chance = random.Random(4)
    b = {i: 1.08 * v * chance.uniform(0.998, 1.002) for i, v in a.items()}
    assert one(compare("p", "ns_per_op", a, b)).verdict == WORSE


def test_noise_raises_the_margin() -> None:
    row = compare("p", "ns_per_op", arm(1, spread=0.05), arm(2, centre=104, spread=0.05))
    assert 0.03 < row.margin < verdicts.MOST_RAISED
    assert one(row).verdict != WORSE


def test_a_margin_is_not_raised_without_end() -> None:
    """However noisy, a third less is not the same."""
    row = compare("p", "ns_per_op", arm(1, spread=0.5), arm(2, centre=66, spread=0.1))
    assert row.margin == verdicts.MOST_RAISED
    assert one(row).verdict in (UNCLEAR, BETTER)


def test_a_fixed_margin_stays() -> None:
    row = compare("p", "ns_per_op", arm(1, spread=0.3), arm(2, spread=0.3), margin=0.03)
    assert row.margin == 0.03


def test_few_rounds_give_no_verdict() -> None:
    for centre in (200, 100):
        row = one(compare("p", "ns_per_op", arm(1, n=6, spread=0.001),
                          arm(2, n=6, centre=centre, spread=0.001)))
        assert row.verdict == UNCLEAR and row.reason is not None and "10 are needed" in row.reason


def test_unclear_says_how_many_rounds_would_do() -> None:
    a, b = arm(1, spread=0.10), arm(2, centre=105, spread=0.10)
    row = one(compare("p", "ns_per_op", a, b, margin=0.03))
    assert row.verdict == UNCLEAR
    assert row.rounds_needed is not None and row.rounds_needed > 20


def test_no_number_of_rounds_decides_a_ratio_on_its_margin() -> None:
    row = compare("p", "ns_per_op", {1: 100.0}, {1: 103.0}, margin=0.03)
    assert verdicts.rounds_needed(row) is None


@pytest.mark.parametrize("a, b, verdict", [
    (5.0, 5.0, SAME), (5.0, 6.0, WORSE), (5.0, 4.0, BETTER), (0.0, 1.0, WORSE), (0.0, 0.0, SAME),
])
def test_exact_metrics_need_no_test(a: float, b: float, verdict: str) -> None:
    row = one(compare("p", "allocs_per_op", {1: a, 2: a}, {1: b, 2: b}))
    assert (row.verdict, row.p) == (verdict, None)


def test_an_exact_metric_within_its_margin() -> None:
    assert one(compare("p", "instructions", {1: 10000.0}, {1: 10040.0})).verdict == SAME
    assert one(compare("p", "instructions", {1: 10000.0}, {1: 10100.0})).verdict == WORSE


def test_an_exact_metric_that_varies_is_treated_as_noisy() -> None:
    a = {i: 5.0 + i % 2 for i in range(1, 21)}
    row = one(compare("p", "allocs_per_op", a, {i: v + 4 for i, v in a.items()}))
    assert row.verdict == WORSE and row.p is not None


def test_small_memory_is_not_told_from_pages() -> None:
    row = compare("p", "peak_rss_b", arm(1, centre=2**20, spread=0), arm(2, centre=2**20 + 200_000,
                                                                         spread=0))
    assert row.margin == pytest.approx(0.25)
    assert one(row).verdict == SAME


@pytest.mark.parametrize("note", [verdicts.ELIDED, verdicts.IDENTICAL])
def test_a_note_stands_whatever_is_measured(note: str) -> None:
    assert one(compare("p", "ns_per_op", arm(1), arm(2, centre=300), note=note)).verdict == note


def test_the_whole_table_is_corrected() -> None:
    """Of 200 comparisons of noise with fixed margins, hardly one may be called a difference."""
    rows = [compare(f"p{i}", "ns_per_op", arm(2 * i), arm(2 * i + 1), margin=0.0)
            for i in range(200)]
    assert sum(row.verdict in (BETTER, WORSE) for row in judge(rows)) <= 1
    assert sum(row.p is not None and row.p < 0.05 for row in rows) > 1


def test_rounds_of_one_arm_alone_do_not_count() -> None:
    a, b = arm(1), arm(2)
    del b[7]
    assert compare("p", "ns_per_op", a, b).ratio.n == 19


def test_nothing_measured() -> None:
    row = one(compare("p", "ns_per_op", {}, {}))
    assert row.verdict == UNCLEAR and row.reason == "no round has both"


def test_outliers_are_counted_and_kept() -> None:
    a = arm(1)
    a[3] = 1000.0
    row = compare("p", "ns_per_op", a, arm(2))
    assert row.outliers == (1, 0) and row.ratio.n == 20
