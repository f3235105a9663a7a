"""StyleGAN2's regulariser of a smooth W."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PathLength(nn.Module):
    """Path length regulariser: |J^T y| is to be the same everywhere in W (arXiv 1912.04958, section 3.2)."""

    mean: Tensor

    def __init__(self, decay: float = 0.01):
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, images: Tensor, w_plus: Tensor) -> Tensor:
        """Penalty (a scalar with a graph) for images [N, 3, R, R] made from w_plus [N, L, D]."""
        y = torch.randn_like(images) / images[0, 0].numel() ** 0.5
        (gradient,) = torch.autograd.grad((images * y).sum(), w_plus, create_graph=True)
        lengths = gradient.square().sum(2).mean(1).sqrt()
        mean = torch.where(self.mean == 0, lengths.detach().mean(), self.mean)
        mean = mean.lerp(lengths.detach().mean(), self.decay)
        self.mean.copy_(mean)
        return (lengths - mean).square().mean()
