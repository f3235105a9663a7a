"""Distances between sets of images, as torchmetrics that add up over batches and processes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics import Metric


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """Frechet distance of two Gaussians, float64: |ma - mb|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)).

    Reference: Heusel et al., arXiv 1706.08500, equation 6. tr (Ca Cb)^(1/2) is the sum of the square roots of
    the eigenvalues of the symmetric Ca^(1/2) Cb Ca^(1/2), which keeps it real.
    """
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    inner = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * inner


class FrechetDistance(Metric):
    """Frechet distance of feature vectors. Named by its features: `frechet_alex` is not an FID.

    features: images [N, 3, H, W] in [-1, 1] -> [N, D]. `update(images, real)` adds a batch to one side;
    `reset()` forgets the generated side only, so that the reference is computed once.
    """

    full_state_update = False
    higher_is_better = False

    def __init__(self, features: Callable[[Tensor], Tensor], dim: int):
        super().__init__()
        self.features = features
        for side in ("real", "fake"):
            self.add_state(f"{side}_n", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_sum", torch.zeros(dim, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_outer", torch.zeros(dim, dim, dtype=torch.float64), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, images: Tensor, real: bool) -> None:
        vectors = self.features(images).double()
        side = "real" if real else "fake"
        setattr(self, f"{side}_n", getattr(self, f"{side}_n") + len(vectors))
        setattr(self, f"{side}_sum", getattr(self, f"{side}_sum") + vectors.sum(0))
        setattr(self, f"{side}_outer", getattr(self, f"{side}_outer") + vectors.T @ vectors)

    def update_batches(self, images: Tensor, real: bool, size: int = 50) -> None:
        """`update` in parts, for whole sets in memory."""
        for part in images.split(size):
            self.update(part, real)

    def _moments(self, side: str) -> tuple[Tensor, Tensor]:
        n, total = getattr(self, f"{side}_n"), getattr(self, f"{side}_sum")
        if n < 2:
            raise ValueError(f"a Frechet distance needs at least two {side} images, found {int(n)}")
        mean = total / n
        return mean, (getattr(self, f"{side}_outer") - n * torch.outer(mean, mean)) / (n - 1)

    def compute(self) -> Tensor:
        return frechet_distance(*self._moments("real"), *self._moments("fake"))

    def reset(self) -> None:
        real = {name: getattr(self, name) for name in ("real_n", "real_sum", "real_outer")}
        super().reset()
        for name, value in real.items():
            setattr(self, name, value)


class AlexFeatures(torch.nn.Module):
    """Spatial means of AlexNet's five ReLU layers (LPIPS trunk): images [N, 3, H, W] in [-1, 1] -> [N, 1152]."""

    DIM = 64 + 192 + 384 + 256 + 256

    def __init__(self) -> None:
        super().__init__()
        from metrics.networks.lpips import load_lpips

        self.lpips = load_lpips("alex").module

    def forward(self, images: Tensor) -> Tensor:
        layers = self.lpips.net(self.lpips.scaling_layer(images))
        return torch.cat([layer.mean(dim=(2, 3)) for layer in layers], dim=1)
