"""A faster pivotal tuning beside the faithful one.

What it changes: several images at once, a short memory of Adam, a learning rate that rises and falls, affine maps of w
that stay as they are, the locality term at every few steps only. What that is worth is in benchmarks/perf/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from methods.base import MethodInfo, Weights
from methods.lane_pivotal_tuning import LanePivotalTuning, LanePivotalTuningConfig
from methods.tuning.lanes import FUSED_ADAM, tune_in_lanes
from methods.tuning.locality import LocalityConfig
from metrics.networks.lpips import Lpips


@dataclass(frozen=True)
class FastPivotalTuningConfig(LanePivotalTuningConfig):
    """LanePivotalTuningConfig with a schedule. Settings were chosen on images that the suite faces64 does not use.

    lr is the highest rate, reached after the share `warmup` of the steps by a line and left along half a cosine to 0.
    betas: Adam's; with its usual (0.9, 0.999) so few steps hardly warm it up. affine: tune the maps from w to styles,
    too; at one fixed pivot a change of style is no more than a change of the next convolution's columns, so that it
    costs time and adds nothing. The locality term counts more where it is evaluated less often.
    """

    steps: int = 68
    lr: float = 8e-3
    stop_lpips: float = 0.0
    warmup: float = 0.1
    betas: tuple[float, float] = (0.4, 0.7)
    affine: bool = False
    lanes: int = 4
    locality: LocalityConfig = field(default_factory=lambda: LocalityConfig(weight=3.0, interval=6))


class FastPivotalTuning(LanePivotalTuning):
    """Pivotal tuning in a fixed, small number of steps."""

    Config = FastPivotalTuningConfig
    config: FastPivotalTuningConfig
    info = MethodInfo(
        name="fast_pivotal_tuning",
        title="fast PTI",
        version=2,
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

        adam = partial(FUSED_ADAM, betas=config.betas)
        return tune_in_lanes(self.generator, starts, pivots, images, network, config, draw_z, rate, adam, chosen)


def warmed_cosine(share: float, warmup: float) -> float:
    """A line from 0 to 1 over the first `warmup` of the way, then half a cosine down to 0; share in [0, 1]."""
    if share < warmup:
        return share / warmup
    return 0.5 + 0.5 * math.cos(math.pi * (share - warmup) / (1 - warmup))
