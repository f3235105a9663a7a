"""Metrics that compare an occluded image's inversion with the clean image or with the clean image's inversion.

They measure how far something that lies over a face changes what a method makes of the rest of the face: IntereStyle
(Moon, Park, ECCV 2022, arXiv 2209.10811) claims robustness to it and publishes no protocol; this one is the suite's.
The region is the interest region of the clean image times one minus the object's mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from datasets.scope import FACES
from metrics import identity, perceptual
from metrics.base import RANGE, MetricInfo
from metrics.region import masked_mse
from metrics.regions import load_parser

Input = Literal["reconstruction", "clean_reconstruction", "clean_target", "region"]
PARSER = "landmark_ellipse"
_REGION = f"m: the clean image's interest region ({PARSER}) without the pixels that the object touches"


@dataclass(frozen=True)
class PairedMetric:
    """A metric with one value for each occluded image.

    inputs: what `function` takes, in its order. The pictures are the inversion of the occluded image, the same method's
    inversion of the clean image, and the clean image itself, [N, 3, H, W] in [-1, 1]; region is [N, 1, H, W] in [0, 1].
    asset: the weights that it needs.
    """

    info: MetricInfo
    inputs: tuple[Input, ...]
    function: Callable[..., Tensor]
    asset: str = ""

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Values [N]. Raises ValueError for shapes or ranges that do not belong together, naming what was found."""
        name, shape = self.info.name, inputs[0].shape
        for role, batch in zip(self.inputs, inputs, strict=True):
            expected, least = ((shape[0], 1, *shape[2:]), 0.0) if role == "region" else (tuple(shape), -RANGE)
            if tuple(batch.shape) != expected or batch.ndim != 4:
                raise ValueError(f"{name}: expected {role} as {list(expected)}, found {list(batch.shape)}")
            low, high = (float(value) for value in batch.aminmax()) if batch.numel() else (0.0, 0.0)
            if not (low >= least and high <= RANGE):
                found = f"minimum {low:.4g} and maximum {high:.4g}"
                raise ValueError(f"{name}: expected {role} in [{least:.0f}, 1], found {found}")
        values = self.function(*inputs)
        assert values.shape == shape[:1], f"{name} returned {list(values.shape)} for {shape[0]} images"
        return values


def _info(name: str, title: str, recipe: str) -> MetricInfo:
    """A distance on the region m."""
    return MetricInfo(
        name=name,
        title=title,
        direction="lower",
        unit="",
        range=(0.0, None),
        version=1,
        recipe=f"{recipe}; {_REGION}",
        reference="this suite's, after the claim of Moon and Park, IntereStyle, arXiv 2209.10811",
        digits=4,
        shared=f"Interest region: {load_parser(PARSER).recipe}.",
        domains=(FACES,),
    )


def change_mse() -> PairedMetric:
    info = _info(
        "occlusion_change_mse",
        "change, MSE",
        "sum m (a - b)^2 / (3 sum m) of the inversions a of the occluded and b of the clean image, values in [-1, 1]",
    )
    return PairedMetric(info, ("reconstruction", "clean_reconstruction", "region"), masked_mse)


def change_lpips_alex() -> PairedMetric:
    base = perceptual.lpips_alex()
    info = _info(
        "occlusion_change_lpips_alex",
        "change, LPIPS (AlexNet)",
        "LPIPS of m a and m b, the inversions a of the occluded and b of the clean image times m (what lies "
        f"outside is mid grey in both), not divided by the region's area; {base.info.recipe}",
    )

    def masked(a: Tensor, b: Tensor, m: Tensor) -> Tensor:
        return base.function(m * a, m * b)

    return PairedMetric(info, ("reconstruction", "clean_reconstruction", "region"), masked, base.asset)


def error_mse() -> PairedMetric:
    info = _info(
        "occlusion_error_mse",
        "error, MSE",
        "sum m (a - x)^2 / (3 sum m) of the occluded image's inversion a and the clean image x, values in [-1, 1]",
    )
    return PairedMetric(info, ("reconstruction", "clean_target", "region"), masked_mse)


def id_sface() -> PairedMetric:
    base = identity.id_sface()
    info = MetricInfo(
        name="occlusion_id_sface",
        title="ID to the clean image (SFace)",
        direction="higher",
        unit="",
        range=base.info.range,
        version=2,
        recipe=f"of the occluded image's inversion and the clean image (of a natural one: the first clean image of the "
        f"same person); {base.info.recipe}",
        reference=base.info.reference,
        digits=3,
        domains=(FACES,),
    )
    return PairedMetric(info, ("reconstruction", "clean_target"), base.function, base.asset)


def occlusion_metrics() -> list[PairedMetric]:
    """The metrics of occlusion, in the order of the tables."""
    return [change_mse(), change_lpips_alex(), error_mse(), id_sface()]
