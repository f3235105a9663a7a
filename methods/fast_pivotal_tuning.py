"""A faster pivotal tuning beside the faithful one.

What it changes: a short memory of Adam, a learning rate that rises and falls, target features computed once, the
locality term at every few steps only. What that is worth is in benchmarks/perf/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from methods.base import MethodInfo
from methods.generators.stylegan2 import Generator
from methods.pivotal_tuning import PivotalTuning, PivotalTuningConfig
from methods.tuning.locality import LocalityConfig
from methods.tuning.tune import TuningStep, tuning
from metrics.networks.lpips import Lpips


@dataclass(frozen=True)
class FastPivotalTuningConfig(PivotalTuningConfig):
    """PivotalTuningConfig with a schedule. lr is the highest rate, reached after the share `warmup` of the steps by a
    line and left along half a cosine to 0. betas: Adam's; with its usual (0.9, 0.999) so few steps hardly warm it up.
    The locality term counts more where it is evaluated less often.
    """

    steps: int = 44
    lr: float = 8e-3
    stop_lpips: float = 0.0
    warmup: float = 0.1
    betas: tuple[float, float] = (0.4, 0.7)
    locality: LocalityConfig = field(default_factory=lambda: LocalityConfig(weight=3.0, interval=6))


class FastPivotalTuning(PivotalTuning):
    """Pivotal tuning in a fixed, small number of steps."""

    Config = FastPivotalTuningConfig
    config: FastPivotalTuningConfig
    info = MethodInfo(
        name="fast_pivotal_tuning",
        title="fast PTI",
        version=1,
        paper="this suite's variant of Roich et al., Pivotal Tuning, arXiv 2106.05744",
        year=2026,
        code="danielroich/PTI@da94d59",
        licence="MIT",
        space="of the pivot",
        refines=True,
        note="a variant of this suite, not of the paper",
    )

    def steps(
        self, tuned: Generator, pivots: Tensor, images: Tensor, network: Lpips, draw_z: Callable[[], Tensor]
    ) -> Iterator[TuningStep]:
        def rate(step: int) -> float:
            return warmed_cosine((step + 0.5) / self.config.steps, self.config.warmup)

        adam = partial(torch.optim.Adam, betas=self.config.betas, fused=True)
        distance = KnownTargets(network, images)
        return tuning(self.generator, tuned, pivots, images, distance, self.config, draw_z, rate, adam)


class KnownTargets:
    """LPIPS that computes the features of an image's target [1, 3, R, R] once."""

    def __init__(self, network: Lpips, targets: Tensor):
        self.network = network
        with torch.no_grad():
            self.known = [(target, network.features(target[None])) for target in targets]

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """Distances [N] of images and targets [N, 3, R, R]; the first target may be a known one."""
        for target, features in self.known:
            if torch.equal(targets[0], target):
                rest = self.network.features(targets[1:]) if len(targets) > 1 else features[:0]
                return (self.network.features(images) - torch.cat([features, rest])).square().sum(dim=1)
        return self.network(images, targets)


def warmed_cosine(share: float, warmup: float) -> float:
    """A line from 0 to 1 over the first `warmup` of the way, then half a cosine down to 0; share in [0, 1]."""
    if share < warmup:
        return share / warmup
    return 0.5 + 0.5 * math.cos(math.pi * (share - warmup) / (1 - warmup))
