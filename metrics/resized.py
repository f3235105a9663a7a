"""Metrics at 256 px, the resolution at which papers compare methods of 1024 px generators.

References: scripts/calc_losses_on_images.py of eladrich/pixel2style2pixel, omertov/encoder4editing and
yuval-alaluf/restyle-encoder (Resize 256, Normalize .5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import Tensor

from datasets.images import resized
from metrics import perceptual, pixel
from metrics.base import SampleMetric

SIDE = 256
_BASES: dict[str, Callable[[], SampleMetric]] = {
    "mse": pixel.mse,
    "psnr": pixel.psnr,
    "lpips_alex": perceptual.lpips_alex,
}
_RECIPE = (
    f"images and targets of any size at {SIDE} px first, bilinear with antialiasing, as released scripts resize, "
    "but without rounding to 8 bits; then {}"
)


def _at_256(images: Tensor, targets: Tensor, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    return function(resized(images, SIDE), resized(targets, SIDE))


def metric(name: str) -> SampleMetric:
    """The metric `name` at 256 px, called name_256."""
    base = _BASES[name]()
    info = replace(
        base.info,
        name=f"{name}_{SIDE}",
        title=f"{base.info.title} at {SIDE}",
        recipe=_RECIPE.format(base.info.recipe),
    )
    return replace(base, info=info, function=partial(_at_256, function=base.function))
