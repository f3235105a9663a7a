"""IntereStyle: ReStyle-pSp whose training looks at the interest region (face and hair) only.

Reference: Moon and Park, "IntereStyle: Encoding an Interest Region for Robust StyleGAN Inversion", ECCV 2022,
arXiv 2209.10811; seungjun-moon/interestyle@d414b95. Three parts, each a switch of `InterestConfig`; masks are
needed for training only. Where the released code differs from the text:
- uninterest filter: the text filters the region outside the mask (`outside`, the default); the code blurs the whole
  image (`whole`), and its composition with the mask is commented out;
- interest disentanglement: part of the method (weight 0.05); commented out in the code (`disentanglement=0`);
- gradient: the code calls backward once, after the loop, so that only the last step learns (`last`); the text keeps
  ReStyle's training, where every step learns (`every`, the default).
Of one thing the text says nothing that we found: whether the masked error is divided by the mask's area. The default
is the code's plain mean over all pixels (`area_normalised=False`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from methods.base import MethodInfo
from methods.encoders.designs import DESIGNS
from methods.encoders.stage import EncoderStage


@dataclass(frozen=True)
class InterestConfig:
    """The three parts of IntereStyle.

    region_loss: multiply output, target and input by the mask before the losses. disentanglement: weight of the
    masked loss after a further step that sees the image beside the masked image. filter: "outside", "whole" or
    "none". blur: standard deviations of the Gaussian at each step, in pixels of a 1024 px image (PIL's radius), coarse
    to fine; the released code has 16, 9, 4, 1 and 0 for its five steps. gradient: "every" step or the "last" one.
    area_normalised: divide the masked error of an image by its mask's area. parser: see metrics.regions.
    """

    region_loss: bool = True
    disentanglement: float = 0.05
    filter: str = "outside"
    blur: tuple[float, ...] = (16.0, 4.0, 0.0)
    gradient: str = "every"
    area_normalised: bool = False
    parser: str = "landmark_ellipse"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("filter", self.filter, ("outside", "whole", "none")),
            ("gradient", self.gradient, ("every", "last")),
        ):
            if value not in known:
                raise ValueError(f"interest.{name} is {value!r}, expected one of {', '.join(known)}")

    @property
    def needs_masks(self) -> bool:
        return self.region_loss or self.disentanglement > 0 or self.filter == "outside"


OFF = InterestConfig(region_loss=False, disentanglement=0.0, filter="none")


def filtered_views(images: Tensor, mask: Tensor | None, config: InterestConfig, steps: int) -> list[Tensor]:
    """What the encoder sees at each step: images [N, 3, S, S] blurred less and less; sharp inside mask [N, 1, S, S]."""
    if config.filter == "none":
        return [images] * steps
    if len(config.blur) != steps:
        raise ValueError(f"interest.blur has {len(config.blur)} values for {steps} refinement steps: {config.blur}")
    views = []
    for radius in config.blur:
        blurred = blur(images, radius * images.shape[-1] / 1024)
        views.append(blurred if config.filter == "whole" or mask is None else mask * images + (1 - mask) * blurred)
    return views


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of `sigma` pixels, windows cut at three sigma; 0 changes nothing."""
    if sigma == 0:
        return images
    reach = max(1, min(round(3 * sigma), images.shape[-1] - 1))
    return gaussian_blur(images, [2 * reach + 1, 2 * reach + 1], [sigma, sigma])


def masked(images: Sequence[Tensor], mask: Tensor | None) -> list[Tensor]:
    """Images times the mask: outside becomes mid grey (0), as in the released code."""
    return [image if mask is None else image * mask for image in images]


def area_weights(mask: Tensor | None, config: InterestConfig) -> Tensor | float:
    """Factor of each image's masked error [N]: one over its mask's fraction of the image where that is asked for."""
    if mask is None or not config.area_normalised:
        return 1.0
    area = mask.mean(dim=(1, 2, 3))
    # An image without a mask has no masked error; it must not divide by zero.
    return torch.where(area > 0, 1 / area.clamp_min(1e-6), torch.zeros_like(area))


class IntereStyle(EncoderStage):
    """Inference is ReStyle-pSp's: sharp images at every step, no mask."""

    design = DESIGNS["interestyle"]
    info = MethodInfo(
        name="interestyle",
        title="IntereStyle",
        version=1,
        paper="Moon and Park, IntereStyle, arXiv 2209.10811",
        year=2022,
        code="seungjun-moon/interestyle@d414b95 (no licence: read for facts only)",
        licence="none given",
        space="W+",
        note="re-implemented from the paper's text and trained by this suite; no official weights exist",
    )
