"""e4e's latent discriminator: tells codes of W from layers that the encoder predicts.

Reference: Tov et al., arXiv 2102.02766, section 4; omertov/encoder4editing@99ea505 (criteria/w_discriminator).
Non-saturating logistic loss, R1 with gamma 10 on every 16th step, and a pool of 50 past codes on each side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

R1_GAMMA, R1_INTERVAL = 10.0, 16
POOL = 50


class LatentDiscriminator(nn.Module):
    """Codes [..., w_dim] -> logits [..., 1]."""

    def __init__(self, w_dim: int = 512):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.Linear(w_dim, w_dim), nn.LeakyReLU(0.2)]
        self.mlp = nn.Sequential(*layers, nn.Linear(w_dim, 1))

    def forward(self, w: Tensor) -> Tensor:
        return self.mlp(w)


class LatentPool(nn.Module):
    """Up to 50 past codes; half of what is asked for comes from them. Its state is part of a checkpoint."""

    codes: Tensor
    filled: Tensor

    def __init__(self, w_dim: int, size: int = POOL):
        super().__init__()
        self.register_buffer("codes", torch.zeros(size, w_dim))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def swap(self, w: Tensor, random: torch.Generator) -> Tensor:
        """Codes [N, w_dim] -> as many, some of them old: a new code takes an old one's place with probability 1/2."""
        out = []
        for code in w:
            count = int(self.filled)
            if count < len(self.codes):
                self.codes[count] = code
                self.filled += 1
                out.append(code)
            elif torch.rand((), generator=random) < 0.5:
                index = int(torch.randint(len(self.codes), (), generator=random))
                out.append(self.codes[index].clone())
                self.codes[index] = code
            else:
                out.append(code)
        return torch.stack(out)


def discriminator_loss(discriminator: LatentDiscriminator, real: Tensor, fake: Tensor) -> Tensor:
    """softplus(-D(real)) + softplus(D(fake)), means over codes."""
    return F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()


def encoder_loss(discriminator: LatentDiscriminator, fake: Tensor) -> Tensor:
    """softplus(-D(fake)): what the encoder lowers."""
    return F.softplus(-discriminator(fake)).mean()


def r1_penalty(discriminator: LatentDiscriminator, real: Tensor) -> Tensor:
    """Squared gradient of the discriminator at real codes, times gamma / 2 and the interval that it is applied at."""
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return R1_GAMMA / 2 * R1_INTERVAL * gradient.square().sum(dim=-1).mean()
