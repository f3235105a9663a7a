"""FID, KID and MIND between reconstructions and their targets, on the features of published figures.

References: Heusel et al., arXiv 1706.08500 (FID); Binkowski et al., arXiv 1801.01401 (KID); torch-fidelity, whose
Inception has the original weights of 2015-12-05 and resizes to 299 px as TensorFlow 1 did, without antialiasing. That
is why the resolution of the images changes the value and is part of the name (Parmar et al., arXiv 2104.11222).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from datasets.images import resized
from metrics import set_distances
from metrics.base import Features, MetricInfo, SetMetric, Undefined

FIELD = 256
_NETWORK = (
    "torch-fidelity's InceptionV3 (weights-inception-2015-12-05-6726825d.pth), 2,048 features of 8-bit images; "
    "reconstructions and targets of the same images, few images bias the value; its interval resamples images by their "
    "influence on it"
)
_SIZES = {
    256: "images and targets at 256 px first, bilinear with antialiasing, rounded to 8 bits",
    1024: "images and targets as stored, which have to be at 1024 px",
}


def fid(side: str) -> SetMetric:
    return _metric(
        "fid", "FID", int(side), set_distances.frechet_influences, 2,
        "Heusel et al., arXiv 1706.08500; github.com/toshas/torch-fidelity", "Frechet distance of the features of",
        least=set_distances.LEAST_FRECHET,
    )  # fmt: skip


def kid(side: str) -> SetMetric:
    return _metric(
        "kid", "KID × 10³", int(side), set_distances.kernel_influences, 3,
        "Binkowski et al., arXiv 1801.01401; github.com/toshas/torch-fidelity",
        "1,000 times the squared MMD, cubic kernel, unbiased over all images at once (negative where "
        "images are more alike to their own targets than the targets are to each other, as good inversions are), of "
        "the features of"
    )  # fmt: skip


def mind(side: str) -> SetMetric:
    return _metric(
        "mind", "MIND", int(side), set_distances.sliced_influences, 4, "Berthet et al., MIND, arXiv 2605.06797",
        f"mean over {set_distances.DIRECTIONS:,} fixed random unit vectors of the squared one-dimensional Wasserstein "
        "distance (sliced Wasserstein, without a factor), of the features of"
    )  # fmt: skip


def _metric(
    name: str,
    title: str,
    side: int,
    influences: Callable[[Tensor, Tensor], Tensor],
    digits: int,
    reference: str,
    text: str,
    least: int = 2,
) -> SetMetric:
    info = MetricInfo(
        name=f"{name}_inception_torchfidelity_{side}", title=f"{title} (torch-fidelity) at {side}", direction="lower",
        unit="", range=(None, None), version=1, recipe=f"{text} {_SIZES[side]}", reference=reference, digits=digits,
        shared=_NETWORK,
    )  # fmt: skip
    return SetMetric(
        info,
        network=f"inception_torchfidelity_{side}",
        features=partial(_features, side),
        influences=influences,
        asset="inception_fid",
        package=("torch_fidelity", "fid"),
        least=least,
    )


def _features(side: int) -> Features:
    from metrics.networks.inception import load_inception

    network = load_inception()

    def features(images: Tensor) -> Tensor:
        if side == FIELD:
            images = resized(images, side)
        elif images.shape[-1] != side:
            raise Undefined(f"it is defined at {side} px, these images have {images.shape[-1]}")
        return network.to(images.device)(images)

    return features
