"""Adaptive discriminator augmentation: the discriminator sees transformed images, real and generated alike.

Reference: Karras et al., "Training Generative Adversarial Networks with Limited Data", arXiv 2006.06676: section 3,
appendix B (the transformations and their strengths) and the heuristic r_t = E[sign(D(real))]. Of its pipeline the
geometric and the colour transformations are used; mirror images are in the data, and rotations by 90 degrees are left
out: faces stand upright, and at the small probabilities that are reached here they teach nothing.
"""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LUMA = 1 / sqrt(3)


class Sampled(torch.autograd.Function):
    """Bilinear samples of images [N, C, H, W] at a grid [N, H, W, 2] without gradient; reflected at the edges.

    R1 needs a derivative of the gradient, which `F.grid_sample` lacks in older versions of torch, such as 2.11. The map
    is linear in the images, so that its gradient is linear, too, and the gradient's derivative is the map itself.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Gathered.apply(gradient, grid, ctx.shape), None


class _Gathered(torch.autograd.Function):
    """The gradient of `Sampled`: the images' shape, into which each sample gives back what it took."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        bilinear, reflection = 0, 2
        images: Tensor = torch.ops.aten.grid_sampler_2d_backward(
            gradient, gradient.new_empty(shape), grid, bilinear, reflection, False, (True, False)
        )[0]
        return images

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return Sampled.apply(gradient, grid), None, None


class Augment(nn.Module):
    """Each transformation is applied to each image [N, 3, R, R] with probability `p`, which `adapt` moves.

    target: the value of E[sign(D(real))] to hold. images: how many images it takes p to go from 0 to 1.
    """

    p: Tensor
    signs: Tensor

    def __init__(self, target: float = 0.6, images: float = 100_000, limit: float = 0.8):
        super().__init__()
        self.target, self.images, self.limit = target, images, limit
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(2))  # sum of sign(D(real)), count

    @torch.no_grad()
    def observe(self, logits_real: Tensor) -> None:
        self.signs += torch.stack([logits_real.sign().sum(), logits_real.new_tensor(float(len(logits_real)))])

    @torch.no_grad()
    def adapt(self) -> None:
        """Move p by what was observed since the last call, over all processes."""
        signs = self.signs.clone()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(signs)
        step = (signs[0] - self.target * signs[1]).sign() * signs[1] / self.images
        self.p.copy_((self.p + step).clamp(0, self.limit))
        self.signs.zero_()

    def forward(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] transformed, differentiable; the same images where the target is 0."""
        if not self.target:
            return images
        return self._colour(self._geometry(images))

    def _chosen(self, value: Tensor, neutral: float) -> Tensor:
        """`value` for the images that the transformation falls on, `neutral` for the others."""
        return torch.where(torch.rand_like(value) < self.p, value, torch.full_like(value, neutral))

    def _geometry(self, images: Tensor) -> Tensor:
        n, _, height, width = images.shape
        zeros = images.new_zeros(n)

        def normal(deviation: float) -> Tensor:
            return torch.randn_like(zeros) * deviation

        shift_x = self._chosen(((torch.rand_like(zeros) * 2 - 1) * 0.125 * width).round() / width * 2, 0)
        shift_y = self._chosen(((torch.rand_like(zeros) * 2 - 1) * 0.125 * height).round() / height * 2, 0)
        shift_x = shift_x + self._chosen(normal(0.125 * 2), 0)
        shift_y = shift_y + self._chosen(normal(0.125 * 2), 0)
        scale = self._chosen(normal(0.2 * log(2)).exp(), 1)
        stretch = self._chosen(normal(0.2 * log(2)).exp(), 1)
        turn = self._chosen((torch.rand_like(zeros) * 2 - 1) * pi, 0)
        matrix = torch.stack(
            [
                torch.stack([scale * stretch * turn.cos(), -scale * stretch * turn.sin(), shift_x], 1),
                torch.stack([scale / stretch * turn.sin(), scale / stretch * turn.cos(), shift_y], 1),
            ],
            dim=1,
        )  # [N, 2, 3]
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
        sampled: Tensor = Sampled.apply(images, grid)
        return sampled

    def _colour(self, images: Tensor) -> Tensor:
        n = len(images)
        zeros = images.new_zeros(n, 1, 1, 1)
        brightness = self._chosen(torch.randn_like(zeros) * 0.2, 0)
        contrast = self._chosen((torch.randn_like(zeros) * 0.5 * log(2)).exp(), 1)
        saturation = self._chosen((torch.randn_like(zeros) * log(2)).exp(), 1)
        hue = self._chosen((torch.rand_like(zeros) * 2 - 1) * pi, 0)
        images = (images + brightness) * contrast
        grey = images.mean(dim=1, keepdim=True)
        colour = images - grey  # orthogonal to the luma axis: hue turns it, saturation scales it
        crossed = (colour.roll(1, dims=1) - colour.roll(-1, dims=1)) * LUMA
        return grey + (colour * hue.cos() + crossed * hue.sin()) * saturation
