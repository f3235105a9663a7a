"""Bootstrap confidence intervals and ties over images (percentile bootstrap; Efron and Tibshirani 1993, ch. 13, 16).

All functions are pure: the resamples are seeded and the values are sorted first, so the result depends neither on the
order of the rows nor on earlier calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Direction = Literal["lower", "higher"]
Mark = Literal["", "best", "second"]

RESAMPLES = 2_000
LEVEL = 0.95
# Five differences of one sign always give an interval that excludes zero, although the sign test's p is
# 2 / 2**5 > 0.05. At least six pairs are needed to reach 95 %.
MIN_PAIRS = 6


def sign(direction: Direction) -> int:
    """+1 where higher values are better, -1 where lower ones are."""
    return 1 if direction == "higher" else -1


def better(difference: float, direction: Direction) -> bool:
    """Whether a value that differs by so much from another one is better than it."""
    return sign(direction) * difference > 0


@dataclass(frozen=True)
class Interval:
    """A mean over n images and the bounds of its percentile bootstrap interval; low <= mean <= high."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether a mean difference is distinguishable from zero: enough pairs, and zero lies outside the interval."""
        return self.n >= MIN_PAIRS and not self.low <= 0.0 <= self.high


@lru_cache(maxsize=2)  # one table column after another has the same n; at n = 2,824 the indices take 23 MB
def _draws(n: int, resamples: int, seed: int) -> NDArray[np.int32]:
    """Indices of the resamples: [resamples, n]."""
    return np.random.default_rng(seed).integers(n, size=(resamples, n), dtype=np.int32)


def mean_interval(values: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Interval:
    """Mean with its percentile bootstrap interval.

    Args:
        values: [n], n > 0.
        seed: of the resampling.
        resamples: number of bootstrap samples.
        level: coverage of the interval, in (0, 1).

    Raises:
        ValueError: values are empty, not 1-D or not finite, or the level is out of range.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"expected at least one finite value in one dimension, found shape {array.shape}: {array}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"expected a level between 0 and 1, found {level}")
    array = np.sort(array)
    mean = float(array.mean())
    means = array[_draws(array.size, resamples, seed)].mean(axis=1)  # [resamples]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    # Rounding alone can put the mean of equal values one unit in the last place outside.
    return Interval(mean, min(float(low), mean), max(float(high), mean), array.size)


@lru_cache(maxsize=1)
def _weights(n: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Relative frequency of each index in each resample: [resamples, n]; its product with values gives the means."""
    return np.stack([np.bincount(row, minlength=n) for row in _draws(n, resamples, seed)]) / n


def mean_intervals(
    columns: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> list[Interval]:
    """mean_interval of each column by one matrix product, much faster for many columns; equal up to rounding.

    Args:
        columns: [n, K], n > 0.
        seed, resamples, level: as in mean_interval.

    Raises:
        ValueError: columns are empty, not 2-D or not finite.
    """
    array = np.asarray(columns, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] == 0 or not np.isfinite(array).all():
        raise ValueError(f"expected finite values [n, K] with n > 0, found shape {array.shape}: {array}")
    array = np.sort(array, axis=0)
    means = _weights(array.shape[0], resamples, seed) @ array  # [resamples, K]
    bounds = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)  # [2, K]
    return [
        Interval(float(mean), min(float(low), float(mean)), max(float(high), float(mean)), array.shape[0])
        for mean, (low, high) in zip(array.mean(axis=0), bounds.T, strict=True)
    ]


def paired_interval(
    values: ArrayLike, others: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Interval of the mean paired difference.

    Args:
        values, others: [n], of the same images in the same order; the difference is values - others.
        seed, resamples, level: as in mean_interval.

    Raises:
        ValueError: the shapes differ, or mean_interval refuses the differences.
    """
    left, right = np.asarray(values, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if left.shape != right.shape:
        raise ValueError(f"paired values need the same images, found shapes {left.shape} and {right.shape}")
    return mean_interval(left - right, seed=seed, resamples=resamples, level=level)


def wins(values: ArrayLike, others: ArrayLike, direction: Direction) -> int:
    """Number of images on which values [n] are strictly better than others [n]."""
    gain = sign(direction) * (np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64))
    return int((gain > 0).sum())


def tied_with_best(matrix: ArrayLike, direction: Direction) -> tuple[int, NDArray[np.bool_]]:
    """The method with the best mean, and which methods are not distinguishable from it.

    Args:
        matrix: [images, methods].
        direction: which values are better.

    Returns:
        The index of the best method, and a mask [methods]: the best is tied with itself; with fewer than MIN_PAIRS
        images all methods are tied.
    """
    table = np.asarray(matrix, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"expected values [images, methods], found shape {table.shape}")
    means = np.sort(table, axis=0).mean(axis=0)  # sorted: the same bits in any order of the images
    best = int((sign(direction) * means).argmax())
    differs = [paired_interval(column, table[:, best]).excludes_zero for column in table.T]
    return best, ~np.array(differs)


def marks(matrix: ArrayLike, direction: Direction) -> tuple[Mark, ...]:
    """A mark for each method of matrix [images, methods]: "best" and its ties, "second" and its ties, or "".

    There are no marks for a single method or fewer than MIN_PAIRS images.
    """
    table = np.asarray(matrix, dtype=np.float64)
    result: list[Mark] = [""] * table.shape[1]
    if table.shape[0] < MIN_PAIRS or table.shape[1] < 2:
        return tuple(result)
    rest = np.arange(table.shape[1])
    ranks: tuple[Mark, Mark] = ("best", "second")
    for mark in ranks:
        if rest.size == 0:
            break
        _, tied = tied_with_best(table[:, rest], direction)
        for method in rest[tied]:
            result[method] = mark
        rest = rest[~tied]
    return tuple(result)
