"""e4e's latent discriminator: tells codes of W from layers that the encoder predicts.

Reference: Tov et al., arXiv 2102.02766, section 4; omertov/encoder4editing@99ea505 (criteria/w_discriminator).
Non-saturating logistic loss, R1 with gamma 10 on every 16th step, and a pool of 50 past codes on each side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.training.count import Count

R1_GAMMA = 10.0
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

    def __init__(self, w_dim: int, size: int = POOL):
        super().__init__()
        self.register_buffer("codes", torch.zeros(size, w_dim))
        self.filled = Count()

    @torch.no_grad()
    def swap(self, w: Tensor, random: torch.Generator) -> Tensor:
        """Codes [N, w_dim] -> as many, some of them old: a new code takes an old one's place with probability 1/2."""
        size = len(self.codes)
        held = list(range(size))  # what each place of the pool holds: rows of the pool, followed by the new codes
        given = []
        swapped = (torch.rand(len(w), generator=random) < 0.5).tolist()
        places = torch.randint(size, (len(w),), generator=random).tolist()
        for n, place in enumerate(places):
            new = size + n
            if int(self.filled) < size:
                held[int(self.filled)] = new
                self.filled += 1
                given.append(new)
            elif swapped[n]:
                given.append(held[place])
                held[place] = new
            else:
                given.append(new)
        # One gather: a GPU does not wait for every code.
        chosen = torch.cat([self.codes, w]).index_select(0, torch.tensor(held + given).to(w.device))
        self.codes = chosen[:size]
        return chosen[size:]
