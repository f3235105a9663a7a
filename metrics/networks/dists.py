"""DISTS: structure and texture similarity of VGG16's feature maps, with the authors' weights.

Reference: Ding et al., arXiv 2004.07728; dingkeyan93/DISTS. torchmetrics carries the authors' weights of the maps, and
would download the trunk, torchvision's VGG16; here it is the one of LPIPS, which is the same.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.checkpoints import check_tensors, read_checkpoint, tensors
from metrics.networks.lpips import load_lpips

if TYPE_CHECKING:
    from lpips import LPIPS

CHANNELS = (3, 64, 128, 256, 512, 512)  # of the image and of the last ReLU before each pooling
EPSILON = 1e-6


def load_dists(path: Path | None = None) -> Dists:
    """DISTS in eval mode, frozen.

    path: file with alpha and beta, [1, 1475, 1, 1] each; default: torchmetrics' copy of the authors'.

    Raises ValueError where the file lacks them; the message names it.
    """
    if path is None:
        spec = find_spec("torchmetrics")
        assert spec and spec.origin, "torchmetrics is a dependency"
        path = Path(spec.origin).parent / "functional" / "image" / "dists_models" / "weights.pt"
    state = tensors(read_checkpoint(path), path)
    shape = torch.empty(1, sum(CHANNELS), 1, 1)
    check_tensors(path, state, {"alpha": shape, "beta": shape})
    return Dists(load_lpips("vgg").module, state["alpha"].float(), state["beta"].float()).eval().requires_grad_(False)


class Dists(nn.Module):
    """Distance between images [N, 3, H, W] in [-1, 1] -> [N]; 0 for equal ones.

    Args:
        lpips: the module of LPIPS with VGG16: its scaling is ImageNet's, and its five slices end where DISTS looks.
        alpha, beta: weights of texture and structure, [1, 1475, 1, 1], maps in the order of CHANNELS.
    """

    alpha: Tensor
    beta: Tensor

    def __init__(self, lpips: LPIPS, alpha: Tensor, beta: Tensor):
        super().__init__()
        self.scaling = lpips.scaling_layer
        # Each slice but the first begins with the maximum over 2 x 2, which DISTS replaces by l2_pooling.
        trunk = [list(part.children()) for part in lpips.net.children()]
        self.slices = nn.ModuleList(nn.Sequential(*part[bool(k) :]) for k, part in enumerate(trunk))
        self.register_buffer("alpha", alpha)
        self.register_buffer("beta", beta)

    def maps(self, images: Tensor) -> list[Tensor]:
        """The image in [0, 1] and the feature maps of the five slices, [N, C, h, w] by CHANNELS."""
        maps, x = [(images + 1) / 2], self.scaling(images)
        for k, part in enumerate(self.slices):
            x = part(l2_pooling(x) if k else x)
            maps.append(x)
        return maps

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        similarity = torch.zeros(len(a), device=a.device, dtype=a.dtype)
        weights = zip(self.alpha.split(CHANNELS, dim=1), self.beta.split(CHANNELS, dim=1), strict=True)
        for x, y, (alpha, beta) in zip(self.maps(a), self.maps(b), weights, strict=True):
            mean_x, mean_y = x.mean(dim=(2, 3), keepdim=True), y.mean(dim=(2, 3), keepdim=True)
            texture = (2 * mean_x * mean_y + EPSILON) / (mean_x.square() + mean_y.square() + EPSILON)
            x, y = x - mean_x, y - mean_y
            covariance, variances = (each.mean(dim=(2, 3), keepdim=True) for each in (x * y, x.square() + y.square()))
            structure = (2 * covariance + EPSILON) / (variances + EPSILON)
            similarity = similarity + (alpha * texture + beta * structure).sum(dim=(1, 2, 3))
        return (1 - similarity / (self.alpha.sum() + self.beta.sum())).clamp_min(0)  # rounding may leave it


def l2_pooling(x: Tensor) -> Tensor:
    """The root of squares [N, C, H, W] that are smoothed by a 3 x 3 Hann window, at every second place."""
    hann = torch.tensor([0.25, 0.5, 0.25], device=x.device, dtype=x.dtype)
    kernel = (hann[:, None] * hann).expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()
