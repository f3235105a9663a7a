from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.statistics import MIN_PAIRS, marks, mean_interval, mean_intervals, paired_interval, tied_with_best, wins

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def test_two_values_have_all_three_bootstrap_means() -> None:
    # 0, 0.5 and 1 with probabilities 1/4, 1/2, 1/4: the 2.5 % and 97.5 % quantiles are the ends, the 50 % ones are
    # the quartiles' inside.
    found = mean_interval([0.0, 1.0])
    assert (found.mean, found.low, found.high, found.n) == (0.5, 0.0, 1.0, 2)
    inside = mean_interval([0.0, 1.0], level=0.4)
    assert (inside.low, inside.high) == (0.5, 0.5)


@pytest.mark.parametrize("n", [1, 3, 7, 100])
def test_equal_values_have_an_interval_without_width(n: int) -> None:
    found = mean_interval([0.1] * n)
    assert found.low == pytest.approx(0.1, abs=1e-15) and found.high == pytest.approx(0.1, abs=1e-15)


def test_a_large_sample_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 4000)
    found = mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_interval_of_normal_samples_covers_their_mean() -> None:
    random = np.random.default_rng(2)
    found = [mean_interval(random.normal(1.0, 1.0, 40), seed=trial, resamples=500) for trial in range(600)]
    covered = np.mean([interval.low <= 1.0 <= interval.high for interval in found])
    assert 0.91 < covered < 0.97  # the percentile bootstrap at n = 40 covers about 94 %


def test_pairing_sees_a_difference_that_the_spread_of_images_hides() -> None:
    random = np.random.default_rng(3)
    images = random.normal(0, 1.0, 50)
    left, right = images + 0.1 + random.normal(0, 0.02, 50), images + random.normal(0, 0.02, 50)
    assert paired_interval(left, right).excludes_zero
    apart = mean_interval(left), mean_interval(right)
    assert apart[0].low < apart[1].high  # unpaired, the intervals overlap


def test_ties_and_places() -> None:
    random = np.random.default_rng(4)
    images = random.normal(0, 1.0, 60)
    noise = random.normal(0, 0.05, (60, 4))
    noise -= noise.mean(axis=0)
    matrix = images[:, None] + noise + np.array([0.5, 0.0, 0.001, 0.2])
    best, tied = tied_with_best(matrix, "lower")
    assert best == 1 and tied.tolist() == [False, True, True, False]
    assert marks(matrix, "lower") == ("", "best", "best", "second")
    assert marks(matrix, "higher") == ("best", "", "", "second")
    assert marks(matrix[:, :1], "lower") == ("",)


def test_too_few_images_tell_nothing() -> None:
    matrix = np.array([[0.0, 1.0]] * (MIN_PAIRS - 1))
    assert tied_with_best(matrix, "lower")[1].all()
    assert marks(matrix, "lower") == ("", "")
    assert marks(np.array([[0.0, 1.0]] * MIN_PAIRS), "lower") == ("best", "second")


def test_wins_are_strict_and_directed() -> None:
    assert wins([1, 2, 3], [2, 2, 1], "lower") == 1
    assert wins([1, 2, 3, 4], [2, 2, 1, 1], "higher") == 2


@pytest.mark.parametrize("bad", [[], [1.0, float("nan")], [float("inf")], [[1.0]]])
def test_values_that_have_no_mean_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_interval(bad)


def test_unequal_lengths_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="same images"):
        paired_interval([1.0, 2.0], [1.0])


@settings(deadline=None)
@given(VALUES)
def test_the_interval_holds_the_mean_and_stays_within_the_values(values: list[float]) -> None:
    found = mean_interval(values, resamples=200)
    slack = 1e-9 * max(1.0, *np.abs(values))
    assert min(values) - slack <= found.low <= found.mean <= found.high <= max(values) + slack


@settings(deadline=None)
@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_the_images_changes_nothing(values: list[float], random: object) -> None:
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean_interval(values, resamples=200) == mean_interval(shuffled, resamples=200)


@settings(deadline=None)
@given(VALUES)
def test_nothing_differs_from_itself(values: list[float]) -> None:
    found = paired_interval(values, values, resamples=200)
    assert (found.low, found.mean, found.high) == (0.0, 0.0, 0.0) and not found.excludes_zero


def test_many_columns_at_once_give_the_intervals_of_each() -> None:
    columns = np.random.default_rng(3).normal(1e-3, 1.0, (57, 5))
    for found, column in zip(mean_intervals(columns), columns.T, strict=True):
        alone = mean_interval(column)
        assert (found.mean, found.low, found.high) == pytest.approx((alone.mean, alone.low, alone.high), abs=1e-12)
        assert found.n == 57 and found.excludes_zero == alone.excludes_zero
    assert mean_intervals(columns[::-1]) == mean_intervals(columns)
    with pytest.raises(ValueError, match="finite"):
        mean_intervals([[0.0, np.nan]])
