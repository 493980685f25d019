"""Statistics against values worked out by hand or by scipy."""

from __future__ import annotations

import pytest

from harness import stats


def test_median_of_odd_and_even() -> None:
    assert stats.median([3, 1, 2]) == 2
    assert stats.median([4, 1, 2, 3]) == 2.5


@pytest.mark.parametrize(("n", "low", "high"), [(6, 0, 5), (10, 1, 8), (20, 5, 14), (40, 13, 26)])
def test_interval_is_the_pair_of_order_statistics(n: int, low: int, high: int) -> None:
    estimate = stats.median_interval([float(i) for i in reversed(range(n))])
    assert (estimate.low, estimate.high) == (low, high)
    binom = pytest.importorskip("scipy.stats").binom
    assert 1 - 2 * binom.cdf(low, n, 0.5) >= 0.95 > 1 - 2 * binom.cdf(low + 1, n, 0.5)


def test_interval_of_few_values_is_unknown_with_a_reason() -> None:
    for n in range(6):
        estimate = stats.median_interval([1.0] * n)
        assert estimate.low is None and estimate.high is None
        assert estimate.reason


def test_paired_ratio_cancels_drift() -> None:
    drift = [1.0 + 0.1 * i for i in range(20)]
    estimate = stats.paired_ratio([2 * d for d in drift], drift)
    assert estimate.value == pytest.approx(2)
    assert estimate.low == pytest.approx(2) and estimate.high == pytest.approx(2)


def test_paired_ratio_repeats_exactly_and_covers_its_value() -> None:
    top = [1.0, 1.3, 0.9, 1.1, 1.2, 1.05, 0.95, 1.15]
    bottom = [1.0] * 8
    one, two = stats.paired_ratio(top, bottom), stats.paired_ratio(top, bottom)
    assert one == two
    assert one.value is not None and one.low is not None and one.high is not None
    assert one.low <= one.value <= one.high
    assert 0.9 <= one.low and one.high <= 1.3


def test_ratio_over_zero_or_nothing_is_unknown_with_a_reason() -> None:
    assert stats.paired_ratio([1.0], [0.0]).reason == "divided by 0"
    assert stats.paired_ratio([], []).value is None
    assert stats.paired_ratio([2.0], [1.0]).low is None
    with pytest.raises(ValueError):
        stats.paired_ratio([1.0], [])


def test_slope_and_exponent() -> None:
    x = [10.0, 100.0, 1000.0]
    assert stats.slope(x, [2 * v + 5 for v in x]) == pytest.approx(2)
    assert stats.exponent(x, [7 * v**2 for v in x]) == pytest.approx(2)
    assert stats.exponent(x, [0.0, 0.0, 0.0]) == 0
    assert stats.slope([1.0], [1.0]) is None
    assert stats.slope([1.0, 1.0], [1.0, 2.0]) is None
    assert stats.exponent([0.0, 1.0], [1.0, 1.0]) is None


def test_geometric_mean() -> None:
    assert stats.geometric_mean([1.0, 4.0, 16.0]) == pytest.approx(4)
    assert stats.geometric_mean([]) is None
    assert stats.geometric_mean([1.0, 0.0]) is None
