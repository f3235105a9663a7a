"""Images of codes under what an image has of its own: generator weights, noise maps, feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from methods.feature_maps import FeatureEdit, Features, at_codes, change_of, option
from methods.generators.stylegan2 import Generator, MapChange, NoiseMode

Weights = dict[str, Tensor]  # parameters of the generator that differ from the shared ones


def synthesise(
    generator: Generator,
    w_plus: Tensor,
    weights: Weights | None,
    noise: list[Tensor] | None,
    noise_mode: NoiseMode = "const",
    features: Sequence[FeatureEdit] = (),
) -> Tensor:
    """Unclamped images of W+ codes [N, num_ws, w_dim] with what one image has of its own.

    Maps win over the noise mode. The rules of its feature maps are asked for these codes.
    """
    maps: Any = noise_mode if noise is None else noise
    change = change_of(at_codes(features, w_plus, generator))
    options = option(change)
    if weights is None:
        return generator.synthesis(w_plus, maps, **options)
    own = {f"g.{k}": v for k, v in weights.items()}
    return torch.func.functional_call(Synthesis(generator), own, (w_plus, maps), options)


class Synthesis(torch.nn.Module):
    """`Generator.synthesis` as a module's forward, for torch.func."""

    def __init__(self, generator: Generator):
        super().__init__()
        self.g = generator

    def forward(self, w_plus: Tensor, noise: Any, own_layout: bool = True, change: MapChange | None = None) -> Tensor:
        return self.g.synthesis(w_plus, noise, own_layout, **option(change))


def synthesise_each(
    generator: Generator, w_plus: Tensor, weights: Weights, noise: Any = "const", features: Features = ()
) -> Tensor:
    """Unclamped images [N, K, 3, R, R] of codes [N, K, num_ws, w_dim] under N images' weights [N, ...], in one call.

    noise: as of `Generator.synthesis`, for the K codes of each image. features: `methods.feature_maps.stacked` edits of
    the N images, whose rules have been asked; they hold for the first of each image's codes.
    """
    module = Synthesis(generator)

    def one(own: Weights, codes: Tensor, maps: list[Weights]) -> Tensor:
        edits = [replace(edit, tensors=values) for edit, values in zip(features, maps, strict=True)]
        state, options = {f"g.{k}": v for k, v in own.items()}, {"change": change_of(edits, rows=1)}
        image: Tensor = torch.func.functional_call(module, state, (codes, noise, False), options)
        return image

    rendered: Tensor = torch.func.vmap(one)(weights, w_plus, [dict(edit.tensors) for edit in features])
    return rendered
