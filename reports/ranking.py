"""Ranks of methods across data sets and headline metrics, from the tiers that the marks of the tables come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reports.frame import Results
from reports.statistics import MIN_PAIRS, tiers
from reports.summary import headline_of
from reports.tabulate import compared_values


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over columns, a column a metric on a data set.

    Attributes:
        columns: (data set, protocol, metric) of every column that distinguishes methods.
        left_out: columns with fewer than MIN_PAIRS images or people, or fewer than two methods.
        methods: those with a rank, best first.
        mean: mean rank of each; methods of one tier share the mean of their ranks.
        low, high: the same with the best and the worst rank of each tier: what the ties leave open.
        counts: columns that each method has a rank in.
    """

    columns: tuple[tuple[str, str, str], ...]
    left_out: int
    methods: tuple[str, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    counts: tuple[int, ...]


def tier_ranks(tier: ArrayLike) -> NDArray[np.float64]:
    """Mean, best and worst rank [3, methods] of tiers [methods]; ranks begin with 1."""
    own = np.asarray(tier)
    before = (own[None, :] < own[:, None]).sum(axis=1)
    size = (own[None, :] == own[:, None]).sum(axis=1)
    return np.stack([before + (size + 1) / 2, before + 1.0, before + size])


def ranks(results: Results) -> Ranks:
    """Ranks by the headline metrics on all data sets."""
    chosen = headline_of(results)
    columns, found, left_out = [], [], 0
    for dataset, protocol in results.parts:
        for metric in (name for name in results.part_metrics(dataset, protocol) if name in chosen):
            values = compared_values(results, metric, dataset, protocol)
            groups = results.groups(dataset, list(values.index))
            if values.shape[1] < 2 or len(set(groups or values.index)) < MIN_PAIRS:
                left_out += 1
                continue
            ranked = tier_ranks(tiers(values.to_numpy(), results.info(metric)["direction"], groups))
            columns.append((dataset, protocol, metric))
            found.append({method: ranked[:, place] for place, method in enumerate(values.columns)})
    own = {method: [column[method] for column in found if method in column] for method in results.methods}
    means = {method: np.mean(each, axis=0) for method, each in own.items() if each}  # [3]
    order = sorted(means, key=lambda method: (means[method][0], results.methods.index(method)))
    mean, low, high = (tuple(float(means[method][part]) for method in order) for part in range(3))
    return Ranks(tuple(columns), left_out, tuple(order), mean, low, high, tuple(len(own[name]) for name in order))
