"""Intervals and ties over images: the percentile bootstrap (Efron and Tibshirani 1993, chapters 13 and 16).

Everything here is a pure function of the values: the draws are seeded, and the values are sorted first, so that
neither the order of the rows nor the number of calls before changes a digit.
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
# A bootstrap of five equal signs always excludes zero, although the sign test's p is 2 / 2**5 > 0.05. From six
# pairs on, 95 % can be reached at all.
MIN_PAIRS = 6


@dataclass(frozen=True)
class Interval:
    """A mean over n images and the bounds of its percentile bootstrap interval; low <= mean <= high."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference of this interval can be told from zero: enough pairs, and zero lies outside."""
        return self.n >= MIN_PAIRS and not self.low <= 0.0 <= self.high


@lru_cache(maxsize=2)  # one table column after another has the same n; at n = 2,824 the indices take 23 MB
def _draws(n: int, resamples: int, seed: int) -> NDArray[np.int32]:
    return np.random.default_rng(seed).integers(n, size=(resamples, n), dtype=np.int32)


def mean_interval(values: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Interval:
    """Mean of values [n] with its percentile bootstrap interval. ValueError when empty, not 1-D or not finite."""
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
    """How often each draw takes each place, over n: [resamples, n], so that a product with values gives the means."""
    return np.stack([np.bincount(row, minlength=n) for row in _draws(n, resamples, seed)]) / n


def mean_intervals(
    columns: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> list[Interval]:
    """mean_interval of each column of values [n, K] by one matrix product: the same draws, equal up to rounding.

    Far faster for many columns. ValueError when empty, not 2-D or not finite.
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
    """Interval of mean(values - others), both [n] over the same images in the same order."""
    left, right = np.asarray(values, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if left.shape != right.shape:
        raise ValueError(f"paired values need the same images, found shapes {left.shape} and {right.shape}")
    return mean_interval(left - right, seed=seed, resamples=resamples, level=level)


def wins(values: ArrayLike, others: ArrayLike, direction: Direction) -> int:
    """On how many images values [n] are strictly better than others [n]."""
    gain = np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    return int((gain < 0).sum() if direction == "lower" else (gain > 0).sum())


def tied_with_best(matrix: ArrayLike, direction: Direction) -> tuple[int, NDArray[np.bool_]]:
    """The best method of matrix [images, methods] by its mean, and which methods [methods] cannot be told from it.

    The best is tied with itself. Under MIN_PAIRS images nothing can be told from anything.
    """
    table = np.asarray(matrix, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"expected values [images, methods], found shape {table.shape}")
    means = np.sort(table, axis=0).mean(axis=0)  # sorted: the same bits in any order of the images
    best = int(means.argmin() if direction == "lower" else means.argmax())
    told = [paired_interval(column, table[:, best]).excludes_zero for column in table.T]
    return best, ~np.array(told)


def marks(matrix: ArrayLike, direction: Direction) -> tuple[Mark, ...]:
    """A mark per method of matrix [images, methods]: "best" and its ties, then "second" and its ties, else "".

    No marks where there is nothing to compare: a single method, or fewer than MIN_PAIRS images.
    """
    table = np.asarray(matrix, dtype=np.float64)
    result: list[Mark] = [""] * table.shape[1]
    if table.shape[0] < MIN_PAIRS or table.shape[1] < 2:
        return tuple(result)
    rest = np.arange(table.shape[1])
    places: tuple[Mark, Mark] = ("best", "second")
    for mark in places:
        if rest.size == 0:
            break
        _, tied = tied_with_best(table[:, rest], direction)
        for index in rest[tied]:
            result[index] = mark
        rest = rest[~tied]
    return tuple(result)
