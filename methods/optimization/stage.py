"""SG2 W and SG2 W+: Lightning stages around the projector."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.base import Inversion, Method, MethodInfo, rendered
from methods.batching import padded, slices
from methods.features import projector_features
from methods.optimization.projector import ProjectorConfig, StreamDraws, projection


@dataclass(frozen=True)
class LatentOptimizationConfig(ProjectorConfig):
    """The projector's settings and how it is run.

    features: "lpips_vgg" (nearest to NVIDIA's vgg16.pt) or "lpips_alex". keep_noise: render with the optimised
    noise maps; PTI's code throws them away, and so does the default. batch_size: images optimised at once, fixed
    (methods/batching.py).
    """

    features: str = "lpips_vgg"
    keep_noise: bool = False
    batch_size: int = 8


class _LatentOptimization(Method):
    Config = LatentOptimizationConfig
    per_layer: bool
    config: LatentOptimizationConfig

    @classmethod
    def assets(cls, config: LatentOptimizationConfig) -> tuple[str, ...]:
        return (config.features,)

    @classmethod
    def parallel_images(cls, config: LatentOptimizationConfig) -> int:
        return config.batch_size

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        if self.config.steps == 0 and init is not None:
            return init
        parts = slices(len(ids), self.config.batch_size)
        return Inversion.concatenate([self._batch(images[p], ids[p], init[p] if init else None) for p in parts])

    def _batch(self, images: Tensor, ids: Sequence[str], init: Inversion | None) -> Inversion:
        n, size = len(ids), self.padded_size(len(ids))
        images = padded(images, size)
        start = padded(init.latent, size).to(images) if init is not None else None
        streams = self.generators_for(images)
        steps = projection(
            self.generator,
            images,
            projector_features(self.config.features, images),
            self.config,
            StreamDraws(streams),
            per_layer=self.per_layer,
            start=start,
        )
        if self.config.steps == 0:
            return self._result(self.generator.w_mean.expand(n, self.generator.num_ws, -1), None, ids)
        last = deque(steps, maxlen=1).pop()
        latent = last.w.expand(-1, self.generator.num_ws, -1)[:n]
        keep = self.config.keep_noise and self.config.optimise_noise
        return self._result(latent, [[m[i : i + 1] for m in last.noise] for i in range(n)] if keep else None, ids)

    def _result(self, latent: Tensor, noise: list[list[Tensor]] | None, ids: Sequence[str]) -> Inversion:
        n = len(ids)
        size = self.generator.resolution
        draft = Inversion(
            ids=tuple(ids),
            latent=latent.contiguous(),
            space=self.info.space,
            image=latent.new_empty(n, 3, size, size),
            steps=torch.full((n,), self.config.steps),
            noise=tuple(noise) if noise else (),
        )
        return rendered(self.generator, draft)


class WOptimization(_LatentOptimization):
    """One code of W for all layers."""

    per_layer = False
    info = MethodInfo(
        name="w_optimization",
        title="SG2 W",
        version=1,
        paper="Karras et al., Analyzing and Improving the Image Quality of StyleGAN, arXiv 1912.04958",
        year=2020,
        code="NVlabs/stylegan2-ada-pytorch@d72cc7d projector.py; danielroich/PTI@da94d59",
        licence="NVIDIA Source Code License (read for facts only)",
        space="W",
    )


class WPlusOptimization(_LatentOptimization):
    """Its own code for every layer. Starts at the stage before it, or at the mean of W."""

    per_layer = True
    info = MethodInfo(
        name="w_plus_optimization",
        title="SG2 W+",
        version=1,
        paper="Abdal et al., Image2StyleGAN, arXiv 1904.03189; projector as in arXiv 1912.04958",
        year=2019,
        code="danielroich/PTI@da94d59 training/projectors/w_plus_projector.py",
        licence="MIT",
        space="W+",
    )
