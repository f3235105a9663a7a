"""Pivotal Tuning Inversion as a stage: it takes the inversion before it as the pivot and tunes the generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.base import Inversion, Method, MethodInfo, Weights, rendered
from methods.features import perceptual
from methods.generators.stylegan2 import Generator
from methods.tuning.tune import TuningConfig, TuningStep, copy_for_tuning, tunable, tuning
from metrics.networks.lpips import Lpips


@dataclass(frozen=True)
class PivotalTuningConfig(TuningConfig):
    """TuningConfig and how it is run.

    network: LPIPS network of the loss ("lpips_alex" in the released code). group: images that share one tuned
    generator; 1 tunes a generator an image, more is the paper's multi-ID setting (12 identities there). Groups are
    formed by the order of the images in the data set, so a data set has to be run whole or in multiples of it.
    """

    network: str = "lpips_alex"
    group: int = 1


class PivotalTuning(Method):
    """PTI around the pivot that the stage before found.

    Where that stage has changed the generator for an image (HyperStyle), tuning goes on from its weights; the locality
    term compares with the shared generator all the same, as it is the one that is known to be editable.
    """

    Config = PivotalTuningConfig
    config: PivotalTuningConfig
    info = MethodInfo(
        name="pivotal_tuning",
        title="PTI",
        version=1,
        paper="Roich et al., Pivotal Tuning for Latent-based Editing of Real Images, arXiv 2106.05744",
        year=2021,
        code="danielroich/PTI@da94d59",
        licence="MIT",
        space="of the pivot",
        refines=True,
    )

    @classmethod
    def group_size(cls, config: PivotalTuningConfig) -> int:
        return config.group

    @classmethod
    def assets(cls, config: PivotalTuningConfig) -> tuple[str, ...]:
        return (config.network,)

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        assert init is not None  # checked in `check`
        if self.config.steps == 0:
            return init
        group = self.config.group
        parts = [slice(i, i + group) for i in range(0, len(ids), group)]
        return Inversion.concatenate([self._tune(images[p], ids[p], init[p]) for p in parts])

    def steps(
        self, tuned: Generator, pivots: Tensor, images: Tensor, network: Lpips, draw_z: Callable[[], Tensor]
    ) -> Iterator[TuningStep]:
        """Tune `tuned` in place, step by step."""
        return tuning(self.generator, tuned, pivots, images, network, self.config, draw_z)

    def _tune(self, images: Tensor, ids: Sequence[str], init: Inversion) -> Inversion:
        start = init.weights[0]
        if not all(same(each, start) for each in init.weights):
            raise ValueError(
                f"{self.info.name} tunes one generator for {len(ids)} images, which came with generators of their own: "
                "set group to 1, or put a stage before it that leaves the generator as it is"
            )
        tuned = copy_for_tuning(self.generator, start)
        network = perceptual(self.config.network).to(images)
        stream = self.generators_for([" ".join(ids)])[0]
        images, pivots = images.contiguous(), init.latent.to(images).contiguous()

        def draw_z() -> Tensor:
            return torch.randn(1, self.generator.z_dim, generator=stream).to(images)

        taken = [step.taken for step in self.steps(tuned, pivots, images, network, draw_z)]
        weights = {**(start or {}), **{name: value.detach() for name, value in tunable(tuned)}}
        n = len(ids)
        draft = Inversion(
            ids=tuple(ids),
            latent=init.latent,
            space=init.space,
            image=torch.empty_like(images),
            steps=torch.full((n,), sum(taken) // n),
            weights=(weights,) * n,
        )
        return rendered(self.generator, draft)


def same(one: Weights | None, other: Weights | None) -> bool:
    """Whether two images have the same generator."""
    if one is None or other is None or one is other:
        return one is other
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
