"""LPIPS with AlexNet and with VGG16 features, and DISTS, at the images' own resolution."""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor

from metrics.base import MetricInfo, SampleMetric
from metrics.networks.dists import Dists, load_dists
from metrics.networks.lpips import Lpips, load_lpips
from metrics.target_cache import TargetCache

LARGEST = 256  # px; the features of few larger targets would fill the cache, and be gone when they are needed again
_TRUNKS = {"alex": "AlexNet", "vgg": "VGG16"}


@cache
def network(net: str, device: torch.device, dtype: torch.dtype) -> Lpips:
    """LPIPS with net "alex" or "vgg", cached by device and type."""
    lpips = load_lpips(net).to(device, dtype)
    # The faster layout for CPU convolutions; feature maps inherit it from the weights.
    return lpips.to(memory_format=torch.channels_last) if device.type == "cpu" else lpips


_targets = TargetCache()


def _distance(images: Tensor, targets: Tensor, net: str) -> Tensor:
    lpips = network(net, images.device, images.dtype)

    def layers_of(new: Tensor) -> list[tuple[Tensor, ...]]:
        return [tuple(maps[i].clone() for maps in layers) for layers in [lpips.layers(new)] for i in range(len(new))]

    if not len(targets):
        return lpips(images, targets)
    if targets.shape[-1] > LARGEST:
        return lpips.between(lpips.layers(images), lpips.layers(targets))
    cached = _targets((net, targets.device), targets, layers_of)
    return lpips.between(lpips.layers(images), [torch.stack(maps) for maps in zip(*cached, strict=True)])


def _lpips(net: str, note: str) -> SampleMetric:
    info = MetricInfo(
        name=f"lpips_{net}", title=f"LPIPS ({_TRUNKS[net]})", direction="lower", unit="", range=(0.0, None), version=1,
        recipe=f"LPIPS v0.1, {_TRUNKS[net]} features with the authors' linear heads, values in [-1, 1], at the "
        f"images' own resolution, without resizing; {note}",
        reference="Zhang et al., arXiv 1801.03924; github.com/richzhang/PerceptualSimilarity", digits=3,
        margin=0.005,  # two decimals
    )  # fmt: skip
    return SampleMetric(info, partial(_distance, net=net), asset=f"lpips_{net}")


def lpips_alex() -> SampleMetric:
    return _lpips("alex", "not an independent measure of methods that minimise it (W, W+, PTI)")


def lpips_vgg() -> SampleMetric:
    return _lpips("vgg", "not NVIDIA's vgg16 feature distance of the StyleGAN2 projector")


@cache
def _dists(device: torch.device, dtype: torch.dtype) -> Dists:
    return load_dists().to(device, dtype)


def dists() -> SampleMetric:
    info = MetricInfo(
        name="dists", title="DISTS", direction="lower", unit="", range=(0.0, None), version=1,
        recipe="1 - the weighted similarity of means (texture) and of covariances (structure) of the image in [0, 1] "
        "and of five layers of VGG16 with L2 pooling, the authors' weights; at the images' own resolution, where the "
        "authors' script resizes the shorter side to 256 px",
        reference="Ding et al., arXiv 2004.07728; github.com/dingkeyan93/DISTS", digits=3,
    )  # fmt: skip
    return SampleMetric(info, lambda a, b: _dists(a.device, a.dtype)(a, b), asset="lpips_vgg")
