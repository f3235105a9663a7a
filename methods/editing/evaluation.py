"""What directions do to samples that they were not learned from: slopes, Spearman correlation, entanglement.

For every held-out sample and direction the code is moved by each of STRENGTHS, and all attributes are predicted in
the images. A sample counts for an attribute where every image of its sweep has a value.

- Slope: the least-squares line through the attribute's mean change over the strengths within SLOPE_RANGE.
- Spearman: the rank correlation of strength and attribute over the sweep of one sample, averaged over samples; and of
  the samples' mean, where the predictors' noise on single images averages out.
- Entanglement: the slope of every attribute for strength 1 of every direction, in standard deviations of that
  attribute over unedited samples. The diagonal is the intended effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from tqdm.auto import tqdm

from methods.generators.stylegan2 import Generator
from metrics.attributes import predict

STRENGTHS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
SLOPE_RANGE = 2.0


@torch.no_grad()
def sweep(generator: Generator, w: Tensor, vectors: Mapping[str, Tensor], attributes: Sequence[str]) -> Tensor:
    """Attributes' values [directions, samples, strengths, attributes] float64 of codes w [N, w_dim], moved."""
    amounts = torch.tensor(STRENGTHS)[:, None, None]
    start = w[:, None, None].expand(-1, 1, generator.num_ws, -1)  # [N, 1, num_ws, w_dim]
    readings = []
    for name, vector in vectors.items():
        rows = []
        for code in tqdm(start.split(4), desc=f"evaluating {name}", leave=False):
            moved = (code + amounts * vector).flatten(0, 1)  # [4 S, num_ws, w_dim]
            images = generator.synthesis(moved.to(generator.w_mean)).clamp(-1, 1)
            values = predict(attributes, images, generator.scope.frame)
            rows.append(torch.stack([values[name] for name in attributes], dim=1).reshape(len(code), len(amounts), -1))
        readings.append(torch.cat(rows))
    return torch.stack(readings)


def slope(curves: Tensor) -> float:
    """Change for strength 1 of values [samples, strengths]; NaN where no sample has all of them."""
    strengths = torch.tensor(STRENGTHS, dtype=curves.dtype)
    near = strengths.abs() <= SLOPE_RANGE
    complete = curves[~curves.isnan().any(dim=1)]
    x, y = strengths[near], (complete - complete[:, strengths == 0]).mean(dim=0)[near]
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


def spearman(curves: Tensor) -> Tensor:
    """Rank correlation with the strengths of each sample's values [samples, strengths] -> [samples that have all].

    Equal values share their mean rank; a curve that does not move at all correlates by 0.
    """
    complete = curves[~curves.isnan().any(dim=1)].numpy()
    wanted = rankdata(STRENGTHS)
    return torch.tensor([_correlation(rankdata(curve), wanted) for curve in complete], dtype=torch.float64)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / length) if length > 0 else 0.0


@dataclass(frozen=True)
class Evaluation:
    """One direction on held-out samples. slope: of its own attribute, in its unit, for strength 1. spearman: mean over
    samples; of_mean: of the samples' mean; monotone: fraction of samples with at least 0.9. used: samples of `asked`
    whose whole sweep has values. entanglement: slope by attribute in standard deviations.
    """

    slope: float
    spearman: float
    of_mean: float
    monotone: float
    used: int
    asked: int
    entanglement: dict[str, float]

    def of_others(self, own: str) -> float:
        """The largest entanglement with another attribute as a part of the own one, by size."""
        others = [abs(value) for name, value in self.entanglement.items() if name != own]
        return max(others, default=0.0) / abs(self.entanglement[own])


def evaluate(
    curves: Tensor, names: Sequence[str], attributes: Sequence[str], spreads: Mapping[str, float]
) -> list[Evaluation]:
    """The evaluation of each direction from `sweep`'s values; names: each direction's own attribute; spreads: the
    attributes' standard deviations over unedited samples. Raises ValueError where no sample can be read throughout.
    """
    evaluations = []
    for values, name in zip(curves, names, strict=True):  # [samples, strengths, attributes]
        own = values[..., list(attributes).index(name)]
        ranks = spearman(own)
        if not len(ranks):
            raise ValueError(f"{name}: of {len(own)} samples none has a value at all strengths {list(STRENGTHS)}")
        slopes = {other: slope(values[..., i]) for i, other in enumerate(attributes)}
        evaluations.append(
            Evaluation(
                slopes[name],
                float(ranks.mean()),
                float(spearman(own[~own.isnan().any(dim=1)].mean(dim=0, keepdim=True))[0]),
                float((ranks >= 0.9 - 1e-9).double().mean()),
                len(ranks),
                len(own),
                {other: found / spreads[other] for other, found in slopes.items()},
            )
        )
    return evaluations
