"""The exact tests against plain enumeration, and against published values."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, product

import pytest

from harness.ranks import benjamini_hochberg, rank_sum, signed_rank


def mean_ranks(values: Sequence[float]) -> list[float]:
    return [1 + sum(o < v for o in values) + (sum(o == v for o in values) - 1) / 2 for v in values]


def enumerated_signed_rank(differences: Sequence[float]) -> float:
    """Over all 2^n signs: the share at least as far in the tail, twice."""
    kept = [d for d in differences if d]
    ranks = mean_ranks([abs(d) for d in kept])
    total = sum(ranks)
    seen = sum(r for d, r in zip(kept, ranks) if d > 0)
    extreme = min(seen, total - seen)
    sums = [sum(r for s, r in zip(signs, ranks) if s)
            for signs in product((0, 1), repeat=len(ranks))]
    return min(1.0, 2 * sum(s <= extreme + 1e-9 for s in sums) / len(sums))


def enumerated_rank_sum(one: Sequence[float], other: Sequence[float]) -> float:
    ranks = mean_ranks([*one, *other])
    middle = len(one) * sum(ranks) / len(ranks)
    seen = sum(ranks[:len(one)])
    sums = [sum(chosen) for chosen in combinations(ranks, len(one))]
    return sum(abs(s - middle) >= abs(seen - middle) - 1e-9 for s in sums) / len(sums)


@pytest.mark.parametrize("seed", range(20))
def test_signed_rank_counts_all_signs(seed: int) -> None:
    chance = random.Random(seed)
    data = [chance.randint(-4, 5) * 1.0 for _ in range(chance.randint(1, 12))]
    if any(data):
        assert signed_rank(data) == pytest.approx(enumerated_signed_rank(data))


@pytest.mark.parametrize("seed", range(20))
def test_rank_sum_counts_all_choices(seed: int) -> None:
    chance = random.Random(seed)
    one = [chance.randint(0, 6) * 1.0 for _ in range(chance.randint(1, 6))]
    other = [chance.randint(1, 8) * 1.0 for _ in range(chance.randint(1, 6))]
    assert rank_sum(one, other) == pytest.approx(enumerated_rank_sum(one, other))


def test_signed_rank_of_published_data() -> None:
    """The tables of the test: for n = 8 a rank sum of 3 has the two-sided p 0.039."""
    assert signed_rank([-1, -2, 3, 4, 5, 6, 7, 8]) == pytest.approx(0.0390625)


def test_all_of_one_sign_is_the_least_p() -> None:
    assert signed_rank([1.0 + i for i in range(10)]) == pytest.approx(2 / 2**10)


def test_nothing_to_test() -> None:
    assert signed_rank([]) is None
    assert signed_rank([0.0, 0.0]) is None
    assert rank_sum([], [1.0]) is None
    assert rank_sum([1.0], []) is None


def test_no_difference_is_one() -> None:
    assert rank_sum([1.0, 1.0], [1.0, 1.0, 1.0]) == 1.0
    assert signed_rank([1.0, -1.0]) == 1.0


def test_many_rounds_are_quick_and_finite() -> None:
    data = [(-1.0) ** i * (1 + i / 7) for i in range(80)]
    p = signed_rank(data)
    assert p is not None and 0 < p <= 1
    p = rank_sum(data[:40], data[40:])
    assert p is not None and 0 < p <= 1


def test_benjamini_hochberg_of_published_data() -> None:
    """The 15 p-values of Benjamini and Hochberg (1995), section 3.2: at 0.05 four are found."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
         0.5719, 0.6528, 0.7590, 1.0000]
    q = benjamini_hochberg(p)
    assert [value <= 0.05 for value in q] == [True] * 4 + [False] * 11
    assert q == sorted(q)
    assert benjamini_hochberg([]) == []


def test_benjamini_hochberg_keeps_the_order_of_its_input() -> None:
    assert benjamini_hochberg([0.04, 0.01]) == [0.04, 0.02]
