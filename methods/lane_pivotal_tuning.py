"""Pivotal Tuning Inversion of several images at once: the same algorithm, faster where one image leaves a machine idle.

What that is worth is in benchmarks/perf/README.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.base import Inversion, Method, MethodInfo, Weights, rendered
from methods.features import perceptual
from methods.tuning.lanes import tune_in_lanes
from methods.tuning.tune import TuningConfig
from metrics.networks.lpips import Lpips


@dataclass(frozen=True)
class LanePivotalTuningConfig(TuningConfig):
    """TuningConfig and how it is run.

    network: as in PivotalTuningConfig. lanes: images tuned together, each with weights of its own, fixed (the last
    group padded) so that an image's result does not depend on the batch it came in. Memory grows with them.
    """

    network: str = "lpips_alex"
    lanes: int = 8


class LanePivotalTuning(Method):
    """PTI around the pivots that the stage before found, `lanes` images at a time."""

    Config = LanePivotalTuningConfig
    config: LanePivotalTuningConfig
    info = MethodInfo(
        name="lane_pivotal_tuning",
        title="PTI in lanes",
        version=1,
        paper="Roich et al., Pivotal Tuning for Latent-based Editing of Real Images, arXiv 2106.05744",
        year=2021,
        code="danielroich/PTI@da94d59",
        licence="MIT",
        space="of the pivot",
        refines=True,
        note="re-implemented; computes what pivotal_tuning does, several images at once",
    )

    @classmethod
    def together(cls, config: LanePivotalTuningConfig) -> int:
        return config.lanes

    @classmethod
    def assets(cls, config: LanePivotalTuningConfig) -> tuple[str, ...]:
        return (config.network,)

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        assert init is not None  # checked in `check`
        if self.config.steps == 0:
            return init
        lanes = self.config.lanes
        parts = [slice(i, i + lanes) for i in range(0, len(ids), lanes)]
        return Inversion.concatenate([self._lanes(images[p], ids[p], init[p]) for p in parts])

    def tune(
        self,
        starts: Sequence[Weights | None],
        pivots: Tensor,
        images: Tensor,
        network: Lpips,
        draw_z: Callable[[], Tensor],
    ) -> tuple[list[Weights], list[int]]:
        """Tuned weights of each of `lanes` images, and the steps that it took."""
        return tune_in_lanes(self.generator, starts, pivots, images, network, self.config, draw_z)

    def _lanes(self, images: Tensor, ids: Sequence[str], init: Inversion) -> Inversion:
        n = len(ids)
        order = [*range(n), *[n - 1] * (self.config.lanes - n)]  # the last image fills what is left
        streams = self.generators_for([ids[i] for i in order])
        pivots = init.latent.to(images)

        def draw_z() -> Tensor:
            return torch.stack([torch.randn(self.generator.z_dim, generator=s) for s in streams]).to(images)

        network = perceptual(self.config.network).to(images)
        starts = [init.weights[i] for i in order]
        weights, taken = self.tune(starts, pivots[order], images[order], network, draw_z)
        found = [{**(before or {}), **own} for before, own in zip(init.weights, weights[:n], strict=True)]
        draft = Inversion(
            ids=tuple(ids),
            latent=init.latent,
            space=init.space,
            image=torch.empty_like(images),
            steps=torch.tensor(taken[:n]),
            weights=tuple(found),
        )
        return rendered(self.generator, draft)
