"""Adam, with orthogonalised momentum for the filters of few channels.

Reference: Jordan et al., Muon, 2024 (torch.optim.Muon, for matrices): a step along the nearest matrix with orthonormal
rows, so that every direction of the momentum counts alike. Deviations: stacks of filters, one of each lane; the
iteration runs on the small Gram matrix; a filter of many channels is left to Adam, as the iteration's cost rises with
their square.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

QUINTIC = (3.4445, -4.7750, 2.0315)  # Muon's: singular values go near 1, not to it
ITERATIONS = 5


class OrthogonalAdam(torch.optim.Optimizer):
    """One step an image: parameters are stacks [N, ...] over images, and images do not influence one another.

    Filters [N, 1, O, I, k, k] with k > 1 and O at most `channels` and I k^2 take an orthogonalised step of root mean
    square `gain` lr; momentum is the share that they keep of the last one. All others are Adam's (fused), with `betas`.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        lr: float,
        betas: tuple[float, float],
        channels: int,
        gain: float,
        momentum: float,
    ):
        super().__init__(parameters, {"lr": lr})
        self.gain, self.momentum = gain, momentum
        self.filters = [p for p in parameters if p.ndim == 6 and p.shape[-1] > 1 and _rows(p) <= min(channels, _fan(p))]
        taken = {id(p) for p in self.filters}
        self.adam = torch.optim.Adam([p for p in parameters if id(p) not in taken], lr=lr, betas=betas, fused=True)
        self.kept = [torch.zeros_like(p) for p in self.filters]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        lr = self.param_groups[0]["lr"]
        self.adam.param_groups[0]["lr"] = lr
        self.adam.step()
        for value, kept in zip(self.filters, self.kept, strict=True):
            if value.grad is None:
                continue
            kept.lerp_(value.grad, 1 - self.momentum)
            ahead = kept.lerp(value.grad, 1 - self.momentum)  # Nesterov's
            rows = orthogonal(ahead.reshape(len(value), _rows(value), _fan(value)))
            value.add_(rows.view_as(value), alpha=-lr * self.gain * _fan(value) ** 0.5)


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly the nearest matrices with orthonormal rows, of matrices [N, O, K] with O <= K; zeros stay zeros."""
    x = matrices / matrices.flatten(1).norm(dim=1).clamp_min(1e-20)[:, None, None]
    gram = x @ x.mT  # [N, O, O]
    one = torch.eye(gram.shape[1]).to(gram)
    total = one.expand_as(gram)
    a, b, c = QUINTIC
    for _ in range(ITERATIONS):
        factor = a * one + b * gram + c * gram @ gram
        total, gram = factor @ total, factor @ gram @ factor
    return total @ x


def _rows(value: Tensor) -> int:
    return value.shape[2]


def _fan(value: Tensor) -> int:
    return value[0, 0, 0].numel()
