"""LPIPS with AlexNet and with VGG16 features, at the images' own resolution."""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor

from metrics.base import MetricInfo, SampleMetric
from metrics.networks.lpips import Lpips, load_lpips
from metrics.target_cache import TargetCache

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
