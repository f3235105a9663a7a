"""LPIPS with the authors' weights, through the lpips package but without any download of its own.

Reference: Zhang et al., arXiv 1801.03924; richzhang/PerceptualSimilarity v0.1.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import lpips
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from datasets import assets


def load_lpips(net: str = "alex", path: Path | None = None) -> Lpips:
    """LPIPS v0.1 with `net` "alex" or "vgg"; weights from `path` or the asset `lpips_<net>`."""
    if net not in ("alex", "vgg"):
        raise ValueError(f"LPIPS network must be 'alex' or 'vgg', found {net!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's deprecated `pretrained` argument inside lpips
        module = lpips.LPIPS(pretrained=False, net=net, pnet_rand=True, verbose=False)
    stored = load_file(path or assets.ensure(f"lpips_{net}"))
    state = module.state_dict()
    for key in state:
        trunk = re.fullmatch(r"net\.slice\d+\.(\d+\.(?:weight|bias))", key)
        head = re.fullmatch(r"lins\.(\d)\.(.*)", key)
        name = f"features.{trunk[1]}" if trunk else f"lin{head[1]}.{head[2]}" if head else key
        if name in stored:
            state[key] = stored[name]
    module.load_state_dict(state)
    return Lpips(module)


class Lpips(nn.Module):
    """Distance between images [N, 3, H, W] in [-1, 1] -> [N]; features of a fixed target may be kept.

    The distance is the sum over five layers of the spatial mean of the head-weighted squared difference of
    unit-normalised features. `features(x)` returns vectors whose squared Euclidean distance is that sum, so
    that a target's features are computed once in an optimisation.
    """

    def __init__(self, module: lpips.LPIPS):
        super().__init__()
        self.module = module.eval().requires_grad_(False)

    def layers(self, images: Tensor) -> list[Tensor]:
        """Unit-normalised feature maps of the five layers, each [N, C, h, w]."""
        outputs = self.module.net(self.module.scaling_layer(images))
        return [lpips.normalize_tensor(output) for output in outputs]

    def features(self, images: Tensor) -> Tensor:
        """[N, D] such that lpips(a, b) = ||features(a) - features(b)||^2, up to rounding."""
        vectors = []
        for k, maps in enumerate(self.layers(images)):
            weight = self.module.lins[k].model[-1].weight  # [1, C, 1, 1], not negative
            vectors.append((maps * (weight / maps[0, 0].numel()).sqrt()).flatten(1))
        return torch.cat(vectors, dim=1)

    def spatial(self, a: Tensor, b: Tensor) -> Tensor:
        """The map [N, 1, H, W] of distances: each layer's, brought to the images' size (bilinear), summed.

        The authors' option `spatial=True`. Its mean is near the distance, not equal to it, where sizes do not divide.
        """
        total = torch.zeros_like(a[:, :1])
        for k, (maps_a, maps_b) in enumerate(zip(self.layers(a), self.layers(b), strict=True)):
            distances = self.module.lins[k]((maps_a - maps_b).square())
            total = total + F.interpolate(distances, size=a.shape[-2:], mode="bilinear", align_corners=False)
        return total

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.module(a, b).flatten()
