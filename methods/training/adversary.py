"""The non-saturating game with a discriminator, and its lazy R1: losses of whatever a discriminator judges.

Reference: Karras et al., arXiv 1912.04958, appendix B. Judged things are [N, ...]; a discriminator gives logits.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

R1_INTERVAL = 16  # steps from one R1 penalty to the next


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """softplus(-D(real)) + softplus(D(fake)), means over the judged."""
    return F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()


def fooling_loss(discriminator: nn.Module, fake: Tensor) -> Tensor:
    """softplus(-D(fake)): what the other side lowers; without gradient for the discriminator."""
    discriminator.requires_grad_(False)
    loss = F.softplus(-discriminator(fake)).mean()
    discriminator.requires_grad_(True)
    return loss


def r1_penalty(discriminator: nn.Module, real: Tensor, gamma: float) -> Tensor:
    """Squared gradient of the discriminator at real ones, times gamma / 2 and the interval that it is applied at."""
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gamma / 2 * R1_INTERVAL * gradient.flatten(1).square().sum(dim=1).mean()


def discriminator_step(
    module: pl.LightningModule,
    discriminator: nn.Module,
    optimizer: Any,
    real: Tensor,
    fake: Tensor,
    step: int,
    gamma: float,
) -> Tensor:
    """One step of the discriminator, with R1 on every 16th.

    Args:
        module: whose manual optimisation this is.
        discriminator: what learns.
        optimizer: of its parameters.
        real: [N, ...].
        fake: [N, ...], without gradient.
        step: number of this step.
        gamma: weight of R1.

    Returns:
        The loss without R1, a scalar.
    """
    loss = discriminator_loss(discriminator, real, fake)
    total = loss + r1_penalty(discriminator, real, gamma) if step % R1_INTERVAL == 0 else loss
    optimizer.zero_grad()
    module.manual_backward(total)
    optimizer.step()
    return loss.detach()
