"""Feature distances that optimisation and tuning minimise, chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from torch import Tensor
from torch.nn import functional as F

from metrics.networks.lpips import Lpips, load_lpips

# NVIDIA's projector reduces images of more than 256 px to 256 px (area) before the features.
FEATURE_SIZE = 256


@cache
def perceptual(name: str) -> Lpips:
    """LPIPS by the name of its network, "lpips_alex" or "lpips_vgg"; one copy a process."""
    known = {"lpips_alex": "alex", "lpips_vgg": "vgg"}
    if name not in known:
        raise ValueError(f"unknown feature network {name!r}; known: {', '.join(known)}")
    return load_lpips(known[name])


def projector_features(name: str, like: Tensor) -> Callable[[Tensor], Tensor]:
    """Images [N, 3, R, R] in about [-1, 1] -> [N, D] whose squared distance is LPIPS, on the device of `like`.

    Stands for NVIDIA's vgg16.pt, a TorchScript file that carries LPIPS-VGG16 features.
    """
    network = perceptual(name).to(like)

    def features(images: Tensor) -> Tensor:
        if images.shape[2] > FEATURE_SIZE:
            images = F.interpolate(images, size=(FEATURE_SIZE, FEATURE_SIZE), mode="area")
        return network.features(images)

    return features


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared error of each image, [N]."""
    return (a - b).square().mean(dim=tuple(range(1, a.ndim)))
