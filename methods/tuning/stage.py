"""Pivotal Tuning Inversion as a stage: the inversion of the stage before is the pivot, and the generator is tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from methods.base import Inversion, Method, MethodInfo, rendered
from methods.batching import slices
from methods.features import perceptual
from methods.synthesis import Weights
from methods.tuning.batch import tune_batch
from methods.tuning.tune import TuningConfig, copy_for_tuning, tunable, tune_shared


@dataclass(frozen=True)
class PivotalTuningConfig(TuningConfig):
    """TuningConfig and how it is run.

    network: LPIPS network of the loss ("lpips_alex" in the released code). batch_size: images that are tuned at once,
    each with a generator of its own; the last batch is padded, so that an image's result does not depend on the batch
    that it came in, and memory grows with the size. group: images that share one tuned generator, the paper's multi-ID
    setting (12 identities there); groups are formed by the order of the images in the data set, so that a data set has
    to be run as one or in multiples of the group. stream: name of the random stream that locality samples are drawn
    from, the stage's own where empty; it keeps the figures of the two variants that were stages of their own once.
    """

    network: str = "lpips_alex"
    batch_size: int = 1
    group: int = 1
    stream: str = ""

    def __post_init__(self) -> None:
        if min(self.batch_size, self.group) < 1:
            raise ValueError(f"batch_size and group are at least 1, found {self.batch_size} and {self.group}")
        if self.batch_size > 1 and self.group > 1:
            raise ValueError(
                "group tunes one generator for several images, batch_size a generator for each of them: "
                f"set one of them to 1, found {self.group} and {self.batch_size}"
            )


class PivotalTuning(Method):
    """PTI around the pivot of the stage before.

    Where that stage has changed the generator for an image (HyperStyle), tuning goes on from its weights; the locality
    term compares with the shared generator all the same, as it is the one that is known to be editable.
    """

    Config = PivotalTuningConfig
    takes_features = True
    ALIASES = Method.ALIASES | {
        "betas": "optimizer.betas",
        "warmup": "optimizer.warmup",
        "orthogonal": "optimizer.channels",
        "gain": "optimizer.gain",
        "momentum": "optimizer.momentum",
    }
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
    def parallel_images(cls, config: PivotalTuningConfig) -> int:
        return config.batch_size

    @classmethod
    def assets(cls, config: PivotalTuningConfig) -> tuple[str, ...]:
        return (config.network,)

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        assert init is not None  # checked in `check`
        if self.config.steps == 0:
            return init
        size, tune = self.config.group, self._tune_shared
        if self.config.batch_size > 1 and (self.pads or len(ids) > 1):
            size, tune = self.config.batch_size, self._tune_batch
        return Inversion.concatenate([tune(images[p], ids[p], init[p]) for p in slices(len(ids), size)])

    def _tune_shared(self, images: Tensor, ids: Sequence[str], init: Inversion) -> Inversion:
        """One generator for all images: a copy of the module, tuned in place."""
        start = init.weights[0]
        if not all(same(other, start) for other in init.weights):
            raise ValueError(
                f"{self.info.name} tunes one generator for {len(ids)} images, which came with generators of their own: "
                "set group to 1, or put a stage before it that leaves the generator as it is"
            )
        tuned = copy_for_tuning(self.generator, start)
        network = perceptual(self.config.network).to(images)
        stream = self.generators_for(torch.cat(list(images), dim=1)[None], self.config.stream)[0]
        images, pivots = images.contiguous(), init.latent.to(images).contiguous()

        def draw_z() -> Tensor:
            return torch.randn(1, self.generator.z_dim, generator=stream).to(images)

        steps = tune_shared(self.generator, tuned, pivots, images, network, self.config, draw_z, init.features)
        taken = sum(step.taken for step in steps) // len(ids)
        own = {name: value.detach() for name, value in tunable(tuned, self.config.affine)}
        return self._result(images, ids, init, [{**(start or {}), **own}] * len(ids), [taken] * len(ids))

    def _tune_batch(self, images: Tensor, ids: Sequence[str], init: Inversion) -> Inversion:
        """A generator for each image, `batch_size` of them at once; the last image fills a short batch."""
        n = len(ids)
        order = [*range(n), *[n - 1] * (self.padded_size(n) - n)]
        streams = self.generators_for(images[order], self.config.stream)
        pivots = init.latent.to(images)

        def draw_z() -> Tensor:
            return torch.stack([torch.randn(self.generator.z_dim, generator=s) for s in streams]).to(images)

        network = perceptual(self.config.network).to(images)
        starts = [init.weights[i] for i in order]
        features = [init.features[i] for i in order]
        weights, taken = tune_batch(
            self.generator, starts, pivots[order], images[order], network, self.config, draw_z, features
        )
        weights = [{**(start or {}), **own} for start, own in zip(init.weights, weights[:n], strict=True)]
        return self._result(images, ids, init, weights, taken[:n])

    def _result(
        self, images: Tensor, ids: Sequence[str], init: Inversion, weights: Sequence[Weights], steps: Sequence[int]
    ) -> Inversion:
        draft = replace(
            init,
            ids=tuple(ids),
            image=torch.empty_like(images),
            steps=torch.tensor(steps),
            weights=tuple(weights),
            noise=(),
        )
        return rendered(self.generator, draft)


def same(one: Weights | None, other: Weights | None) -> bool:
    """Whether two images have the same generator."""
    if one is None or other is None or one is other:
        return one is other
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
