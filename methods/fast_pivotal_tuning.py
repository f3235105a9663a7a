"""A faster pivotal tuning beside the faithful one.

What it changes: several images at once, orthogonalised steps for the fine layers' filters, a short memory of Adam for
the rest, a learning rate that rises and falls, affine maps of w that stay as they are, the locality term at every few
steps only. What that is worth is in benchmarks/perf/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from methods.base import MethodInfo, Weights
from methods.lane_pivotal_tuning import LanePivotalTuning, LanePivotalTuningConfig
from methods.tuning.lanes import tune_in_lanes
from methods.tuning.locality import LocalityConfig
from methods.tuning.orthogonal import OrthogonalAdam
from metrics.networks.lpips import Lpips


@dataclass(frozen=True)
class FastPivotalTuningConfig(LanePivotalTuningConfig):
    """LanePivotalTuningConfig with a schedule. Settings were chosen on images that the suite faces64 does not use.

    lr is the highest rate, reached after the share `warmup` of the steps by a line and left along half a cosine to 0.
    betas: Adam's; with its usual (0.9, 0.999) so few steps hardly warm it up. affine: tune the maps from w to styles,
    too; at one fixed pivot a change of style is no more than a change of the next convolution's columns, so that it
    costs time and adds nothing. orthogonal: filters of at most so many channels take orthogonalised steps (0: none do),
    `gain` times as long as Adam's, that keep the share `momentum` of the last one; in faces64's generator these are the
    layers from 16 px on. The locality term counts more where it is evaluated less often.
    """

    steps: int = 50
    lr: float = 4e-3
    stop_lpips: float = 0.0
    warmup: float = 0.1
    betas: tuple[float, float] = (0.5, 0.8)
    orthogonal: int = 96
    gain: float = 3.0
    momentum: float = 0.5
    affine: bool = False
    lanes: int = 4
    locality: LocalityConfig = field(default_factory=lambda: LocalityConfig(weight=4.0, interval=8))


class FastPivotalTuning(LanePivotalTuning):
    """Pivotal tuning in a fixed, small number of steps."""

    Config = FastPivotalTuningConfig
    config: FastPivotalTuningConfig
    info = MethodInfo(
        name="fast_pivotal_tuning",
        title="fast PTI",
        version=3,
        paper="this suite's variant of Roich et al., Pivotal Tuning, arXiv 2106.05744",
        year=2026,
        code="danielroich/PTI@da94d59",
        licence="MIT",
        space="of the pivot",
        refines=True,
        note="a variant of this suite, not of the paper",
    )

    def tune(
        self,
        starts: Sequence[Weights | None],
        pivots: Tensor,
        images: Tensor,
        network: Lpips,
        draw_z: Callable[[], Tensor],
    ) -> tuple[list[Weights], list[int]]:
        config = self.config

        def rate(step: int) -> float:
            return warmed_cosine((step + 0.5) / config.steps, config.warmup)

        def chosen(name: str) -> bool:
            return config.affine or ".modulation." not in name

        adam = partial(
            OrthogonalAdam,
            betas=config.betas,
            channels=config.orthogonal,
            gain=config.gain,
            momentum=config.momentum,
        )
        return tune_in_lanes(self.generator, starts, pivots, images, network, config, draw_z, rate, adam, chosen)


def warmed_cosine(share: float, warmup: float) -> float:
    """A line from 0 to 1 over the first `warmup` of the way, then half a cosine down to 0; share in [0, 1]."""
    if share < warmup:
        return share / warmup
    return 0.5 + 0.5 * math.cos(math.pi * (share - warmup) / (1 - warmup))
