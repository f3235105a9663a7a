"""Optimizers of pivotal tuning and their learning rate: Adam, or Muon's orthogonalized steps beside it.

Reference: Jordan et al., Muon, 2024 (torch.optim.Muon, for matrices): a step along the nearest matrix with orthonormal
rows, so that every direction of the momentum counts alike. Deviations: filters may be stacked, one for each image; the
iteration runs on the small Gram matrix; a filter of many channels is left to Adam, as the iteration's cost rises with
their square.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

QUINTIC = (3.4445, -4.7750, 2.0315)  # Muon's: singular values go near 1, not to it
ITERATIONS = 5
LARGE = 10_000_000  # parameters, of which Adam's passes over memory show in the time of a step
OPTIMIZERS = ("adam", "muon")
SCHEDULES = ("constant", "warmup_cosine")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its learning rate; the defaults are those of paper and released code.

    name: "adam", or "muon" for orthogonalized steps of some filters (see `OrthogonalAdam`). betas: Adam's.
    schedule: "constant", or "warmup_cosine", which rises linearly over the fraction `warmup` of the steps and falls
    along half a cosine to 0. channels, gain, momentum: of "muon".
    """

    name: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "constant"
    warmup: float = 0.0
    channels: int = 96
    gain: float = 3.0
    momentum: float = 0.5

    def __post_init__(self) -> None:
        for key, value, known in (("name", self.name, OPTIMIZERS), ("schedule", self.schedule, SCHEDULES)):
            if value not in known:
                raise ValueError(f"optimizer.{key} is {value!r}, expected one of {', '.join(known)}")


def make_optimizer(
    config: OptimizerConfig, parameters: Sequence[Tensor], lr: float, stacked: bool
) -> torch.optim.Optimizer:
    """The optimizer of a generator's parameters.

    Args:
        config: which one and its settings.
        parameters: the tensors to optimize, of a generator or stacks [N, ...] of those of N generators.
        lr: learning rate, which `learning_rate_factor` scales at each step.
        stacked: whether the parameters are stacks. Stacks take fused Adam, as does a large generator; a small one takes
            torch's default, which is as fast and keeps the last digits of stored results.
    """
    betas = (config.betas[0], config.betas[1])
    if config.name == "muon":
        return OrthogonalAdam(parameters, lr, betas, config.channels, config.gain, config.momentum, stacked)
    return _adam(parameters, lr, betas, stacked)


def _adam(parameters: Sequence[Tensor], lr: float, betas: tuple[float, float], stacked: bool) -> torch.optim.Adam:
    fused = stacked or sum(p.numel() for p in parameters) > LARGE
    return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True if fused else None)


def learning_rate_factor(config: OptimizerConfig, progress: float) -> float:
    """What the learning rate is multiplied by when this fraction of the steps is done."""
    if config.schedule == "constant":
        return 1.0
    if progress < config.warmup:
        return progress / config.warmup
    return 0.5 + 0.5 * math.cos(math.pi * (progress - config.warmup) / (1 - config.warmup))


class OrthogonalAdam(torch.optim.Optimizer):
    """Orthogonalized momentum for filters of few channels, Adam for all other parameters.

    Filters [1, O, I, k, k] with k > 1, O <= `channels` and O <= I k^2 take an orthogonalized step of root mean square
    `gain` lr; `momentum` is the decay of their running gradient. Where parameters are stacked ([N, 1, O, I, k, k]),
    the images do not influence one another.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        lr: float,
        betas: tuple[float, float],
        channels: int,
        gain: float,
        momentum: float,
        stacked: bool = True,
    ):
        super().__init__(parameters, {"lr": lr})
        self.gain, self.momentum = gain, momentum
        dim = 5 + stacked
        self.filters = [
            p for p in parameters if p.ndim == dim and p.shape[-1] > 1 and p.shape[-4] <= min(channels, _fan_in(p))
        ]
        chosen = {id(p) for p in self.filters}
        self.adam = _adam([p for p in parameters if id(p) not in chosen], lr, betas, stacked)
        self.running = [torch.zeros_like(p) for p in self.filters]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        lr = self.param_groups[0]["lr"]
        self.adam.param_groups[0]["lr"] = lr
        self.adam.step()
        for value, running in zip(self.filters, self.running, strict=True):
            if value.grad is None:
                continue
            running.lerp_(value.grad, 1 - self.momentum)
            ahead = running.lerp(value.grad, 1 - self.momentum)  # Nesterov's
            fan_in = _fan_in(value)
            update = orthogonal(ahead.reshape(-1, value.shape[-4], fan_in))
            value.add_(update.view_as(value), alpha=-lr * self.gain * fan_in**0.5)


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


def _fan_in(value: Tensor) -> int:
    return math.prod(value.shape[-3:])
