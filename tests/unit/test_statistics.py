"""Intervals, groups and marks: known values, simulated coverage, and what may not matter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.statistics import (
    MIN_PAIRS,
    SHRUNK,
    equivalent,
    marks,
    mean_interval,
    mean_intervals,
    paired_interval,
    tied_with_best,
    wins,
)

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
DRAWS: dict[str, Draw] = {
    "normal": lambda random, size: random.normal(size=size),
    "uniform": lambda random, size: random.uniform(-1, 1, size),
    "t, 3 degrees": lambda random, size: random.standard_t(3, size),
    "exponential": lambda random, size: random.exponential(size=size) - 1,
    "lognormal, 0.5": lambda random, size: random.lognormal(0, 0.5, size) - np.exp(0.125),
}


def test_symmetric_values_have_students_interval() -> None:
    found = mean_interval([-2.0, -1.0, 0.0, 1.0, 2.0])
    half = stats.t.ppf(0.975, 4) * stats.sem([-2, -1, 0, 1, 2])
    assert (found.mean, found.low, found.high) == pytest.approx((0, -half, half))
    assert (found.n, found.groups) == (5, 5) and found.p == pytest.approx(1)


def test_skewed_values_have_a_longer_arm_to_the_right() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 3.0])
    found = mean_interval(values)
    assert found.high - found.mean > 1.5 * (found.mean - found.low)
    # The bounds are where the transformed statistic reaches t's quantiles.
    error, bend = stats.sem(values), SHRUNK * stats.skew(values) / 8**0.5
    for bound, wanted in ((found.low, 0.975), (found.high, 0.025)):
        t = (found.mean - bound) / error
        assert t + bend * t**2 / 3 + bend**2 * t**3 / 27 + bend / 6 == pytest.approx(stats.t.ppf(wanted, 7))


@pytest.mark.parametrize("n", [2, 3, 7, 100])
def test_equal_values_have_an_interval_without_width(n: int) -> None:
    found = mean_interval([0.1] * n)
    assert found.low == pytest.approx(0.1, abs=1e-15) and found.high == pytest.approx(0.1, abs=1e-15)
    assert found.excludes_zero == (n >= MIN_PAIRS)


def test_a_single_person_has_no_interval() -> None:
    for found in (mean_interval([0.5]), mean_interval([0.25, 0.75], ["a", "a"])):
        assert found.mean == 0.5 and np.isnan([found.low, found.high, found.p]).all() and not found.excludes_zero


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("n", [8, 12, 30])
def test_coverage(name: str, n: int) -> None:
    """Of 4,000 samples 93 to 97 % of the intervals hold the mean (0.35 % is the error of the simulation)."""
    samples = DRAWS[name](np.random.default_rng([n, len(name)]), (n, 4_000))
    covered = np.mean([found.low <= 0 <= found.high for found in mean_intervals(samples)])
    assert 0.925 < covered < 0.975, covered


@pytest.mark.parametrize("shared", [0.1, 0.3, 0.5])
def test_coverage_over_people(shared: float) -> None:
    """10 people, 20 images each, whose values are correlated: intervals over images would miss 12 to 50 %."""
    random = np.random.default_rng(0)
    people = random.normal(size=(10, 4_000)).repeat(20, axis=0) * shared**0.5
    samples, groups = people + random.normal(size=people.shape) * (1 - shared) ** 0.5, np.arange(10).repeat(20)
    found = mean_intervals(samples, groups)
    assert (found[0].n, found[0].groups) == (200, 10)
    assert 0.925 < np.mean([interval.low <= 0 <= interval.high for interval in found]) < 0.975
    alone = mean_intervals(samples[:, :500])
    assert np.mean([interval.low <= 0 <= interval.high for interval in alone]) < 0.9


def test_marks_leave_equal_methods_together() -> None:
    """15 equal methods on 12 images: in at most 5 % of tables is one of them not marked as best."""
    random = np.random.default_rng(1)
    left_out = 0
    for _ in range(400):
        table = random.normal(size=(12, 1)) + random.normal(size=(12, 15)) * 0.5
        left_out += set(marks(table, "lower")) != {"best"}
    assert left_out / 400 <= 0.05


def test_groups_of_one_are_no_groups() -> None:
    values = np.random.default_rng(0).normal(size=9)
    alone, grouped = mean_interval(values), mean_interval(values, list("abcdefghi"))
    assert (alone.low, alone.high, alone.p) == pytest.approx((grouped.low, grouped.high, grouped.p))


def test_people_of_many_images_count_by_their_images() -> None:
    found = mean_interval([1.0, 1.0, 1.0, 5.0], ["a", "a", "a", "b"])
    assert found.mean == 2.0 and found.groups == 2


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
    people = np.repeat(np.arange(MIN_PAIRS - 1), 4)
    assert marks(np.array([[0.0, 1.0]] * len(people)), "lower", people) == ("", "")


def test_equivalence_needs_a_margin() -> None:
    random = np.random.default_rng(5)
    left = random.normal(size=40)
    right = left + random.normal(0, 0.01, 40)
    assert equivalent(left, right, 0.02) and not equivalent(left, right, 0.001) and not equivalent(left, right, 0.0)
    assert not equivalent(left[:5], right[:5], 10.0)


def test_wins_are_strict_and_directed() -> None:
    assert wins([1, 2, 3], [2, 2, 1], "lower") == 1
    assert wins([1, 2, 3, 4], [2, 2, 1, 1], "higher") == 2


@pytest.mark.parametrize("bad", [[], [1.0, float("nan")], [float("inf")], [[1.0]]])
def test_values_that_have_no_mean_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"finite|one dimension"):
        mean_interval(bad)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="same images"):
        paired_interval([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="a group for each of 2"):
        mean_interval([1.0, 2.0], ["a"])


@settings(deadline=None)
@given(VALUES)
def test_the_interval_holds_the_mean(values: list[float]) -> None:
    found = mean_interval(values)
    slack = 1e-9 * max(1.0, *np.abs(values))
    assert found.low - slack <= found.mean <= found.high + slack


@settings(deadline=None)
@given(VALUES, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_the_images_changes_nothing(values: list[float], random: object, grouped: bool) -> None:
    rows = [(value, f"person {n // 2}") for n, value in enumerate(values)]
    shuffled = rows.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = [mean_interval([v for v, _ in part], [p for _, p in part] if grouped else None)
             for part in (rows, shuffled)]  # fmt: skip
    assert repr(found[0]) == repr(found[1])


@settings(deadline=None)
@given(VALUES)
def test_nothing_differs_from_itself(values: list[float]) -> None:
    found = paired_interval(values, values)
    assert (found.low, found.mean, found.high) == (0.0, 0.0, 0.0) and not found.excludes_zero


def test_many_columns_at_once_give_the_intervals_of_each() -> None:
    columns = np.random.default_rng(3).normal(1e-3, 1.0, (57, 5))
    for found, column in zip(mean_intervals(columns), columns.T, strict=True):
        alone = mean_interval(column)
        assert (found.mean, found.low, found.high, found.p) == pytest.approx(
            (alone.mean, alone.low, alone.high, alone.p)
        )
    with pytest.raises(ValueError, match="finite"):
        mean_intervals([[0.0, np.nan]])
