"""LPIPS with the authors' weights, by the lpips package, without its download.

Reference: Zhang et al., arXiv 1801.03924; richzhang/PerceptualSimilarity v0.1.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets import assets
from datasets.checkpoints import check_tensors, read_checkpoint, tensors

if TYPE_CHECKING:
    from lpips import LPIPS

_CONSTANTS = {"scaling_layer.shift", "scaling_layer.scale"}  # ImageNet's, which the module has itself


def load_lpips(net: str = "alex", path: str | Path | None = None, trunk: str | Path | None = None) -> Lpips:
    """LPIPS v0.1 with `net` "alex" or "vgg", in eval mode and frozen.

    Args:
        net: "alex" or "vgg".
        path: this suite's safetensors, the state dict of an lpips module, or the authors' file with the heads only
            (weights/v0.1/alex.pth); default: the asset `lpips_<net>`.
        trunk: torchvision's AlexNet or VGG16 (alexnet-owt-7be5be79.pth, vgg16-397923af.pth) where `path` has none;
            default: that of the asset.

    Raises:
        ValueError: the network is unknown, or a file lacks tensors; the message names them.
    """
    if net not in ("alex", "vgg"):
        raise ValueError(f"LPIPS network must be 'alex' or 'vgg', found {net!r}")
    import lpips  # slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's deprecated `pretrained` argument inside lpips
        with torch.device("meta"):  # initialising random weights would take seconds
            module = lpips.LPIPS(pretrained=False, net=net, pnet_rand=True, verbose=False)
    module.scaling_layer = lpips.ScalingLayer()
    expected = module.state_dict()
    path = assets.file_of(f"lpips_{net}", path)
    state = _read(path, expected)
    if not any(key.startswith("net.") for key in state):
        features = _read(assets.file_of(f"lpips_{net}", trunk), expected)
        state |= {key: value for key, value in features.items() if key.startswith("net.")}
    check_tensors(path, state, expected, optional=_CONSTANTS)
    constants = {key: expected[key] for key in _CONSTANTS}
    module.load_state_dict(constants | {key: value.float() for key, value in state.items()}, assign=True)
    return Lpips(module)


def _read(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors under the names of lpips' module, which has two names for each head (lin0, lins.0)."""
    stored = tensors(read_checkpoint(path), path)
    slices = {key.split(".", 2)[2]: key for key in expected if key.startswith("net.")}
    state: dict[str, Tensor] = {}
    for key, value in stored.items():
        if key.startswith("classifier."):  # torchvision's files have the full network
            continue
        head = re.fullmatch(r"lin(?:s\.)?(\d)\.(.+)", key)
        if head:
            state |= dict.fromkeys((f"lin{head[1]}.{head[2]}", f"lins.{head[1]}.{head[2]}"), value)
        else:
            state[slices.get(key.removeprefix("features."), key)] = value
    return state


class Lpips(nn.Module):
    """Distance between images [N, 3, H, W] in [-1, 1] -> [N]; features of a fixed target can be reused.

    The distance is the sum over five layers of the spatial mean of the head-weighted squared difference of
    unit-normalised features. `features(x)` returns vectors whose squared Euclidean distance is that sum, so
    that an optimization computes a target's features once.
    """

    def __init__(self, module: LPIPS):
        super().__init__()
        self.module = module.eval().requires_grad_(False)

    def layers(self, images: Tensor) -> list[Tensor]:
        """Unit-normalised feature maps of the five layers, each [N, C, h, w]."""
        outputs = self.module.net(self.module.scaling_layer(images))
        from lpips import normalize_tensor

        return [normalize_tensor(output) for output in outputs]

    def features(self, images: Tensor) -> Tensor:
        """[N, D] such that lpips(a, b) = ||features(a) - features(b)||^2, up to rounding."""
        vectors = []
        for k, maps in enumerate(self.layers(images)):
            weight = self.module.lins[k].model[-1].weight  # [1, C, 1, 1], not negative
            vectors.append((maps * (weight / maps[0, 0].numel()).sqrt()).flatten(1))
        return torch.cat(vectors, dim=1)

    def layer_maps(self, a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        """Maps of distances [N, 1, h, w] of each layer, between the `layers` of two batches."""
        pairs = zip(a, b, strict=True)
        return [self.module.lins[k]((maps_a - maps_b).square()) for k, (maps_a, maps_b) in enumerate(pairs)]

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """The distance [N] of the `layers` of two batches."""
        return torch.stack([distances.mean(dim=(1, 2, 3)) for distances in self.layer_maps(a, b)]).sum(dim=0)

    def spatial(self, a: Tensor, b: Tensor) -> Tensor:
        """The map [N, 1, H, W] of distances: the sum of the layers' maps, resized to the images (bilinear).

        The authors' option `spatial=True`. Where sizes do not divide, its mean is not exactly the distance.
        """
        total = torch.zeros_like(a[:, :1])
        for distances in self.layer_maps(self.layers(a), self.layers(b)):
            total = total + F.interpolate(distances, size=a.shape[-2:], mode="bilinear", align_corners=False)
        return total

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.module(a, b).flatten()
