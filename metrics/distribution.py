"""The Frechet distance as a torchmetric, accumulated over batches and processes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics import Metric

from metrics.set_distances import frechet_distance


class FrechetDistance(Metric):
    """Frechet distance of feature vectors, named by its features: `frechet_alex` is not an FID.

    `update(images, real)` adds a batch to one side; `reset()` clears the generated side only, so that the reference is
    computed once.

    Args:
        features: images [N, 3, H, W] in [-1, 1] -> [N, D].
        dim: D.
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
        """`update` in batches, for sets in memory."""
        for part in images.split(size):
            self.update(part, real)

    def _moments(self, side: str) -> tuple[Tensor, Tensor]:
        """Mean [D] and covariance root [D, D] of a side."""
        n, total = getattr(self, f"{side}_n"), getattr(self, f"{side}_sum")
        if n < 2:
            raise ValueError(f"a Frechet distance needs at least two {side} images, found {int(n)}")
        mean = total / n
        values, vectors = torch.linalg.eigh((getattr(self, f"{side}_outer") - n * torch.outer(mean, mean)) / (n - 1))
        return mean, vectors * values.clamp_min(0).sqrt()

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
