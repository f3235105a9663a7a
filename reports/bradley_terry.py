"""Strengths of methods from choices between two of them (Bradley and Terry, Biometrika 1952), with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, stdtrit

from reports.statistics import LEVEL

PRIOR = 0.5  # wins of each method of a compared pair over the other that are added: strengths stay finite
STEPS = 100


@dataclass(frozen=True)
class Choice:
    """A choice of one method's image over another's. participant, image: choices that share one are not independent."""

    winner: str
    loser: str
    participant: str
    image: str


@dataclass(frozen=True)
class Strength:
    """A method's strength: the logarithm of its odds against a method of average strength.

    low, high: bounds of the 95 % interval, NaN where neither two participants nor two images are there. wins, n: how
    often it was chosen, of how many choices.
    """

    method: str
    value: float
    low: float
    high: float
    wins: int
    n: int


def strengths(choices: Sequence[Choice], methods: Sequence[str]) -> list[Strength]:
    """Fit the model by maximum likelihood, with PRIOR.

    The standard error is the larger of two sandwich estimates, over participants and over images: both are samples.
    Student's t has one degree of freedom fewer than there are of these.

    Args:
        choices: at least one; winner and loser are among the methods.
        methods: all methods, in the order of the result.

    Raises:
        ValueError: there are no choices, or the comparisons do not connect all methods.
    """
    if not choices:
        raise ValueError("there are no choices")
    place = {method: index for index, method in enumerate(methods)}
    signs = np.zeros((len(choices), len(methods)))
    rows = np.arange(len(choices))
    signs[rows, [place[choice.winner] for choice in choices]] = 1.0
    signs[rows, [place[choice.loser] for choice in choices]] = -1.0
    pairs = np.unique(np.abs(signs), axis=0)
    _check_connected(pairs, methods)
    # A comparison of each pair with either outcome; the sign of one of the two is turned.
    prior = pairs * np.where(np.cumsum(pairs, axis=1) == 1, 1.0, -1.0)
    everything = np.concatenate([signs, prior, -prior])
    weights = np.concatenate([np.ones(len(signs)), np.full(2 * len(prior), PRIOR)])
    theta = np.zeros(len(methods))
    for _ in range(STEPS):
        lost = weights * expit(-everything @ theta)
        curvature = (everything.T * (lost * expit(everything @ theta))) @ everything + 1.0  # + 1: the sum stays zero
        step = np.linalg.solve(curvature, everything.T @ lost)
        theta = theta + step
        if np.abs(step).max() < 1e-10:
            break
    inverse = np.linalg.inv(curvature)
    scores = signs * expit(-signs @ theta)[:, None]
    reach = np.max([_reach(scores, inverse, [getattr(choice, key) for choice in choices])
                    for key in ("participant", "image")], axis=0)  # fmt: skip
    reach = np.where(reach > 0, reach, np.nan)
    strengths = []
    for method, index in place.items():
        wins, n = int((signs[:, index] > 0).sum()), int((signs[:, index] != 0).sum())
        value, width = float(theta[index]), float(reach[index])
        strengths.append(Strength(method, value, value - width, value + width, wins, n))
    return strengths


def _reach(scores: NDArray[np.float64], inverse: NDArray[np.float64], labels: Sequence[str]) -> NDArray[np.float64]:
    """Half the interval of each method, from choices in groups; zeros for a single group."""
    names, codes = np.unique(labels, return_inverse=True)
    count = len(names)
    if count < 2:
        return np.zeros(scores.shape[1])
    totals = np.stack([np.bincount(codes, column, count) for column in scores.T], axis=1)  # [groups, methods]
    middle = totals.T @ totals * count / (count - 1)
    error = np.sqrt(np.maximum(np.diag(inverse @ middle @ inverse), 0.0))
    return np.asarray(error * stdtrit(count - 1, (1 + LEVEL) / 2))


def _check_connected(pairs: NDArray[np.float64], methods: Sequence[str]) -> None:
    reached, before = {0}, 0
    while len(reached) > before:
        before = len(reached)
        reached |= {
            int(i) for row in pairs if (ends := np.flatnonzero(row)).size and reached & set(ends.tolist()) for i in ends
        }
    if missing := [method for index, method in enumerate(methods) if index not in reached]:
        raise ValueError(f"no choices connect {', '.join(missing)} with {methods[0]}")
