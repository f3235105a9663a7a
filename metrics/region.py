"""Distances on the interest region of the target, and outside it.

IntereStyle (Moon, Park, ECCV 2022, arXiv 2209.10811) claims less distortion on face and hair and publishes no
definition of its measures. Two normalisations are in use and both are here, by different names: divided by the
region's area (`mse_interest`), and the form of the released code's loss (`mse_interest_code`), which multiplies both
images by the mask and averages over all pixels (seungjun-moon/interestyle, training/coach_restyle_psp.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from datasets.scope import FACES
from inversion_bench.registry import unknown
from metrics import perceptual, pixel
from metrics.base import MetricInfo, SampleMetric
from metrics.regions import load_parser
from metrics.target_cache import TargetCache

PARSER = "landmark_ellipse"
CACHE_BYTES = 2**28

Distance = Callable[[Tensor, Tensor, Tensor], Tensor]  # images, targets, weights [N, 1, H, W] -> [N]


def masked_mse(images: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """sum m (x - y)^2 / (C sum m) of each image: [N, C, H, W] twice and m [N, 1, H, W] in [0, 1] -> [N].

    NaN where the mask is empty: a mean over nothing. Leave such images out of a loss.
    """
    weighted = mask * (images - targets).square()
    return weighted.flatten(1).sum(dim=1) / (images.shape[1] * mask.flatten(1).sum(dim=1))


def masked_mse_code(images: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """mean (m x - m y)^2 over all channels and pixels of each image -> [N]: not divided by the mask's area.

    The released code's form: faces that fill less of the image weigh less, and a soft mask counts squared.
    """
    return (mask * (images - targets)).square().flatten(1).mean(dim=1)


def masked_psnr(images: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """10 log10(4 / masked_mse) in dB, capped as `psnr` -> [N]; NaN where the mask is empty."""
    return pixel.decibels(masked_mse(images, targets, mask))


def masked_lpips_alex(images: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """LPIPS (AlexNet) of m x and m y -> [N]: outside the mask both are mid grey."""
    return perceptual.network("alex", images.device, images.dtype)(mask * images, mask * targets)


def spatial_lpips_alex(images: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """sum m d / sum m of the LPIPS map d (AlexNet) of the whole images -> [N]; NaN where the mask is empty."""
    distances = perceptual.network("alex", images.device, images.dtype).spatial(images, targets)
    return (mask * distances).flatten(1).sum(dim=1) / mask.flatten(1).sum(dim=1)


_masks = TargetCache()


def target_masks(targets: Tensor, parser: str = PARSER) -> tuple[Tensor, tuple[str, ...]]:
    """What the parser finds in targets [N, 3, H, W]: masks [N, 1, H, W] and reasons, as RegionParser gives them.

    Masks of the last targets seen are kept, up to CACHE_BYTES.
    """

    def find(new: Tensor) -> list[tuple[Tensor, str]]:
        masks, reasons = load_parser(parser)(new)
        return list(zip(masks.cpu(), reasons, strict=True))

    found = _masks(parser, targets, find, CACHE_BYTES)
    masks = torch.stack([mask for mask, _ in found]) if found else targets[:, :1]
    return masks.to(targets), tuple(reason for _, reason in found)


def _weights(targets: Tensor, parser: str, outside: bool) -> tuple[Tensor, list[str]]:
    """What the metric averages over, and why a target has no value ("" where it has one)."""
    masks, found = target_masks(targets, parser)
    weights = 1 - masks if outside else masks
    reasons = []
    for weight, reason in zip(weights, found, strict=True):
        if reason:
            reasons.append(f"no face found in the target (region {parser})")
        elif not weight.any():
            reasons.append(f"nothing of the target lies outside the region ({parser})")
        else:
            reasons.append("")
    return weights, reasons


def _measure(images: Tensor, targets: Tensor, distance: Distance, parser: str, outside: bool) -> Tensor:
    weights, reasons = _weights(targets, parser, outside)
    defined = torch.tensor([not reason for reason in reasons], device=images.device)
    return torch.where(defined, distance(images, targets, weights), torch.nan)


def _undefined(targets: Tensor, parser: str, outside: bool) -> list[str]:
    return _weights(targets, parser, outside)[1]


@dataclass(frozen=True)
class _Kind:
    title: str
    distance: Distance
    formula: str
    base: Callable[[], SampleMetric]
    outside: bool = False


_AREA_MEAN = "sum w (x - y)^2 / (3 sum w), values in [-1, 1], at the images' own resolution"
_AREA_PSNR = f"10 log10(4 / MSE) of each image with MSE = {_AREA_MEAN}; capped at {pixel.PSNR_CAP:g} dB"
_MASKED_LPIPS = "LPIPS v0.1 (AlexNet) of w x and w y, not divided by an area: what has no weight is mid grey in both"

KINDS: dict[str, _Kind] = {
    "mse_interest": _Kind("MSE, interest", masked_mse, _AREA_MEAN, pixel.mse),
    "mse_interest_code": _Kind(
        "MSE, interest (code)",
        masked_mse_code,
        "mean of (w x - w y)^2 over channels and all pixels, the released code's form, not divided by the region's "
        "area; values in [-1, 1]",
        pixel.mse,
    ),
    "mse_outside": _Kind("MSE, outside", masked_mse, _AREA_MEAN, pixel.mse, outside=True),
    "psnr_interest": _Kind("PSNR, interest", masked_psnr, _AREA_PSNR, pixel.psnr),
    "psnr_outside": _Kind("PSNR, outside", masked_psnr, _AREA_PSNR, pixel.psnr, outside=True),
    "lpips_alex_interest": _Kind("LPIPS (AlexNet), interest", masked_lpips_alex, _MASKED_LPIPS, perceptual.lpips_alex),
    "lpips_alex_interest_spatial": _Kind(
        "LPIPS (AlexNet) map, interest",
        spatial_lpips_alex,
        "sum w d / sum w of the LPIPS v0.1 (AlexNet) map d of the whole images, each layer's map brought to their "
        "size, bilinear; d looks beyond the region as far as the features' receptive fields",
        perceptual.lpips_alex,
    ),
    "lpips_alex_outside": _Kind(
        "LPIPS (AlexNet), outside", masked_lpips_alex, _MASKED_LPIPS, perceptual.lpips_alex, outside=True
    ),
}


def metric(name: str, parser: str = PARSER) -> SampleMetric:
    """The metric `name` of KINDS on the region of a parser; another parser than PARSER is part of the metric's name."""
    if name not in KINDS:
        raise unknown("region metric", name, KINDS)
    kind, base = KINDS[name], KINDS[name].base()
    weight = "one minus the target's interest region" if kind.outside else "the target's interest region"
    info = MetricInfo(
        name=name if parser == PARSER else f"{name}_{parser}",
        title=kind.title if parser == PARSER else f"{kind.title} ({parser})",
        direction=base.info.direction,
        unit=base.info.unit,
        range=base.info.range,
        version=1,
        recipe=f"{kind.formula}; w: {weight} ({parser}); no value where none is found",
        reference=f"this suite's definition, after Moon and Park, IntereStyle, arXiv 2209.10811; {base.info.reference}",
        digits=base.info.digits,
        shared=f"Interest region: {load_parser(parser).recipe}.",
        group="interest region",
        domains=(FACES,),
    )
    return SampleMetric(
        info,
        partial(_measure, distance=kind.distance, parser=parser, outside=kind.outside),
        asset=base.asset,
        region=parser,
        undefined=partial(_undefined, parser=parser, outside=kind.outside),
    )
