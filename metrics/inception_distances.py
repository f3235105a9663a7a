"""FID and KID of a cell's pictures against their targets, on the features that the field's figures are of.

References: Heusel et al., arXiv 1706.08500 (FID); Binkowski et al., arXiv 1801.01401 (KID); torch-fidelity, whose
Inception has the original weights of 2015-12-05 and resizes to 299 px as TensorFlow 1 did, without antialiasing. That
is why the pictures' side changes the number, and is part of the name (Parmar et al., arXiv 2104.11222).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from metrics import set_distances
from metrics.base import Features, MetricInfo, SetMetric, Undefined
from metrics.resized import resized

FIELD = 256
_NETWORK = (
    "torch-fidelity's InceptionV3 (weights-inception-2015-12-05-6726825d.pth), 2,048 features of 8-bit pictures; the "
    "set is the pictures of the images against the targets of the same images, and few images bias the number; its "
    "interval resamples images by their influence on it"
)
_PICTURES = {
    256: "pictures and targets at 256 px first, bilinear with antialiasing, rounded to 8 bits",
    1024: "pictures and targets as they are stored, which has to be at 1024 px",
}


def fid(side: str) -> SetMetric:
    return _metric(
        "fid", "FID", int(side), set_distances.frechet_shares, 2,
        "Heusel et al., arXiv 1706.08500; github.com/toshas/torch-fidelity", "Frechet distance of the features of",
    )  # fmt: skip


def kid(side: str) -> SetMetric:
    return _metric(
        "kid", "KID × 10³", int(side), set_distances.kernel_shares, 3,
        "Binkowski et al., arXiv 1801.01401; github.com/toshas/torch-fidelity",
        "1,000 times the squared MMD, cubic kernel, unbiased over all images at once, of the features of",
    )  # fmt: skip


def _metric(
    name: str, title: str, side: int, shares: Callable[[Tensor, Tensor], Tensor], digits: int, reference: str, what: str
) -> SetMetric:
    info = MetricInfo(
        name=f"{name}_inception_torchfidelity_{side}",
        title=f"{title} (torch-fidelity) at {side}",
        direction="lower",
        unit="",
        range=(None, None),
        version=1,
        recipe=f"{what} {_PICTURES[side]}",
        reference=reference,
        digits=digits,
        shared=_NETWORK,
    )
    return SetMetric(
        info,
        network=f"inception_torchfidelity_{side}",
        features=partial(_features, side),
        shares=shares,
        asset="inception_fid",
        package=("torch_fidelity", "fid"),
    )


def _features(side: int) -> Features:
    from metrics.networks.inception import load_inception

    network = load_inception()

    def features(images: Tensor) -> Tensor:
        if side == FIELD:
            images = resized(images, side)
        elif images.shape[-1] != side:
            raise Undefined(f"it is of pictures at {side} px, these have {images.shape[-1]}")
        return network(images)

    return features
