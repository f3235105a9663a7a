"""DHR: weights of the generator for what it can make of an image, a feature map for the rest.

Reference: Cao et al., arXiv 2301.12141; caopulan/GANInverter@e3d5d4d (inference/dhr_infer.py). One forward pass a step
serves two losses: inside the domain it tunes the generator, outside it optimises the map. The map stays where the
latent moves, so that nothing outside takes part in an edit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import log2

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.base import Inversion, Method, MethodInfo, rendered
from methods.batching import slices
from methods.feature_maps import MASK, FeatureEdit
from methods.feature_space.domain_mask import NETWORK, DomainConfig, domain_masks
from methods.features import perceptual
from methods.generators.stylegan2 import Generator
from methods.synthesis import Weights, synthesise_each
from methods.tuning.batch import of_image, stacked_weights
from methods.tuning.tune import tunable
from metrics.networks.lpips import Lpips


@dataclass(frozen=True)
class HybridConfig:
    """Hyper-parameters of the released code.

    steps: of the map. weight_steps: the first of them tune the weights, too. layer: k of the map f[k]; 0 for the second
    map at an eighth of the generator's side. batch_size: images that are refined at once; the last batch is padded.
    """

    steps: int = 100
    weight_steps: int = 50
    feature_lr: float = 0.09
    weight_lr: float = 1.5e-3
    l2: float = 1.0
    lpips: float = 1.0
    layer: int = 0
    batch_size: int = 1
    domain: DomainConfig = field(default_factory=DomainConfig)


@dataclass(frozen=True)
class HybridStep:
    """Losses [N] of a step before it is taken; `inside` is None once the weights rest. weights, maps: after it."""

    outside: Tensor
    inside: Tensor | None
    weights: Weights
    maps: Tensor


def hybrid_refinement(
    frozen: Generator,
    starts: Sequence[Weights | None],
    codes: Tensor,
    targets: Tensor,
    masks: Tensor,
    network: Lpips,
    config: HybridConfig,
) -> Iterator[HybridStep]:
    """Refine N images, each with weights and a map of its own; yields once a step.

    Args:
        frozen: the generator that tuning starts from.
        starts: for each image the parameters that it begins with instead of the frozen generator's, or None.
        codes: [N, num_ws, w_dim]; they stay.
        targets: [N, 3, R, R] in [-1, 1].
        masks: [N, 1, R, R], 1 inside the domain.
        network: LPIPS of the losses.
        config: learning rates, weights of the losses and steps.

    Raises:
        FloatingPointError: a loss is not finite.
    """
    layer = config.layer or layer_at_an_eighth(frozen)
    weights = stacked_weights(frozen, starts, {name for name, _ in tunable(frozen)})
    with torch.no_grad():
        maps = frozen.feature_map(codes, layer)[:, None].clone().requires_grad_(True)  # [N, 1, C, r, r]
        wanted = network.layers(targets)
    small = pooled_mask(masks, maps.shape[-1])
    edit = FeatureEdit(layer, "replace", {"map": maps, MASK: 1 - small[:, None]})
    parameters = list(weights.values())
    of_maps = torch.optim.Adam([maps], lr=config.feature_lr)
    of_weights = torch.optim.Adam(parameters, lr=config.weight_lr)
    for step in range(config.steps):
        images = synthesise_each(frozen, codes[:, None], weights, "const", (edit,))[:, 0]
        squares = (images - targets).square().sum(dim=1, keepdim=True)
        distances = network.layer_maps(network.layers(images), wanted)

        def loss(where: Tensor, pooled: Tensor, squares: Tensor = squares, maps: list[Tensor] = distances) -> Tensor:
            return config.l2 * masked_mean(squares, where) + config.lpips * sum(
                (masked_mean(each, F.interpolate(pooled, each.shape[-2:], mode="nearest")) for each in maps),
                torch.zeros_like(where[:, 0, 0, 0]),
            )

        outside, inside = loss(1 - masks, 1 - small), None
        (maps.grad,) = torch.autograd.grad(outside.sum(), [maps], retain_graph=step < config.weight_steps)
        if step < config.weight_steps:
            inside = loss(masks, small)
            for value, gradient in zip(parameters, torch.autograd.grad(inside.sum(), parameters), strict=True):
                value.grad = gradient
            of_weights.step()
        of_maps.step()
        if not bool((outside if inside is None else outside + inside).isfinite().all()):
            raise FloatingPointError(f"the loss is not finite at step {step}; lower weight_lr or feature_lr")
        yield HybridStep(outside.detach(), None if inside is None else inside.detach(), weights, maps)


def layer_at_an_eighth(generator: Generator) -> int:
    """k of the second map f[k] at an eighth of the generator's side: f[11] of 128 px at 1024 px."""
    return int(2 * log2(generator.resolution / 8)) - 3


def pooled_mask(masks: Tensor, side: int) -> Tensor:
    """Masks [N, 1, R, R] averaged to [N, 1, side, side]."""
    return F.adaptive_avg_pool2d(masks, side)


def masked_mean(values: Tensor, masks: Tensor) -> Tensor:
    """Sum over a mask over its area, for values and masks [N, 1, h, w]: [N]; 0 for an empty mask."""
    return (values * masks).sum(dim=(1, 2, 3)) / masks.sum(dim=(1, 2, 3)).clamp_min(1e-6)


class DomainHybridRefinement(Method):
    """Refines any inversion; an image's own noise is left out, as in the released code."""

    Config = HybridConfig
    config: HybridConfig
    info = MethodInfo(
        name="dhr",
        title="DHR",
        version=1,
        paper="Cao et al., Domain-Specific Hybrid Refinement, arXiv 2301.12141",
        year=2023,
        code="caopulan/GANInverter@e3d5d4d",
        licence="MIT",
        space="of the code",
        refines=True,
        note="re-implemented; superpixels by k-means, region of face and hair by this suite's parser",
    )

    @classmethod
    def parallel_images(cls, config: HybridConfig) -> int:
        return config.batch_size

    @classmethod
    def assets(cls, config: HybridConfig) -> tuple[str, ...]:
        return (NETWORK,)

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        assert init is not None  # checked in `check`
        if self.config.steps == 0:
            return init
        parts = slices(len(ids), self.config.batch_size)
        return Inversion.concatenate([self._batch(images[p], ids[p], init[p]) for p in parts])

    def _batch(self, images: Tensor, ids: Sequence[str], init: Inversion) -> Inversion:
        n = len(ids)
        order = [*range(n), *[n - 1] * (self.padded_size(n) - n)]
        targets = images[order].contiguous()
        masks = domain_masks(self.generator, targets, self.config.domain, self.generators_for(targets))
        codes = init.latent.to(images)[order].contiguous()
        starts, network = [init.weights[i] for i in order], perceptual(NETWORK).to(images)
        steps = hybrid_refinement(self.generator, starts, codes, targets, masks, network, self.config)
        last = deque(steps, maxlen=1).pop()
        layer = self.config.layer or layer_at_an_eighth(self.generator)
        outside = 1 - pooled_mask(masks, last.maps.shape[-1])
        own = [
            FeatureEdit(layer, "replace", {"map": last.maps[i].detach().half(), MASK: outside[i : i + 1].half()})
            for i in range(n)
        ]
        draft = replace(
            init,
            ids=tuple(ids),
            image=torch.empty_like(images),
            steps=torch.full((n,), self.config.steps),
            weights=tuple({**(init.weights[i] or {}), **of_image(last.weights, i)} for i in range(n)),
            noise=(),
            features=tuple((edit,) for edit in own),
        )
        return rendered(self.generator, draft)
