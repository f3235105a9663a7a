"""The StyleGAN2 projector as PTI uses it for its pivot, for several images at once.

Reference: Karras et al., arXiv 1912.04958, appendix D; NVlabs/stylegan2-ada-pytorch projector.py (d72cc7d);
danielroich/PTI training/projectors (da94d59). PTI changes two numbers of NVIDIA's: 600 instead of 10,000 samples
for the mean of W, and a learning rate of 0.01 instead of 0.1 (its `first_inv_lr` 5e-3 reaches Adam's constructor
only and is overwritten at every step, so the published 5e-3 is never used). Step 0 has learning rate 0 in both.

Every image has its own code, noise maps and random stream, and Adam works element by element, so images do not
influence one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.generators.stylegan2 import Generator
from methods.replay import Replay

FeatureFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ProjectorConfig:
    """Hyper-parameters of the projector; every default is PTI's released code.

    w_noise: initial strength of the noise on w, in deviations of W; it falls to 0 at `w_noise_until` of the steps.
    noise_regularisation: weight of the autocorrelation of the noise maps. l2: weight of the mean squared error of
    the image in [-1, 1], beside the feature distance (0 in the released code).
    """

    steps: int = 450
    lr: float = 0.01
    lr_rampdown: float = 0.25
    lr_rampup: float = 0.05
    w_avg_samples: int = 600
    w_avg_seed: int = 123
    w_noise: float = 0.05
    w_noise_until: float = 0.75
    optimise_noise: bool = True
    noise_regularisation: float = 1e5
    l2: float = 0.0


class Draws(Protocol):
    """Where the projector's random numbers come from."""

    def noise_map(self, index: int, shape: tuple[int, ...]) -> Tensor:
        """Initial noise map `index` of all images, `shape` [N, 1, r, r], standard normal."""

    def perturbation(self, step: int, shape: tuple[int, ...]) -> Tensor:
        """Noise on w at `step`, `shape` [N, layers, w_dim], standard normal."""


class StreamDraws:
    """One random stream an image: what an image draws does not depend on its batch."""

    def __init__(self, streams: Sequence[torch.Generator]):
        self.streams = streams

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.stack([torch.randn(shape[1:], generator=stream) for stream in self.streams])

    def noise_map(self, index: int, shape: tuple[int, ...]) -> Tensor:
        return self._normal(shape)

    def perturbation(self, step: int, shape: tuple[int, ...]) -> Tensor:
        return self._normal(shape)


@dataclass(frozen=True)
class ProjectionStep:
    """State after a step: codes [N, layers, w_dim], noise maps, feature distance [N] and loss [N] before it."""

    w: Tensor
    noise: list[Tensor]
    distance: Tensor
    loss: Tensor


def w_statistics(generator: Generator, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Mean of W [w_dim] and its scalar deviation sqrt(sum |w - mean|^2 / samples), from a fixed NumPy stream."""
    z = np.random.RandomState(seed).randn(samples, generator.z_dim)
    mean = generator.w_mean
    # NumPy in float32, as the released code, whatever the generator's precision.
    w = generator.mapping(torch.from_numpy(z).to(mean))[:, 0].detach().cpu().float().numpy()
    centre = np.mean(w, axis=0)
    deviation = (np.sum((w - centre) ** 2) / samples) ** 0.5
    return torch.from_numpy(centre).to(mean), torch.tensor(deviation).to(mean)


def learning_rate(t: float, config: ProjectorConfig) -> float:
    """At t in [0, 1): linear rise over the first part, cosine fall over the last."""
    ramp = min(1.0, (1.0 - t) / config.lr_rampdown)
    return config.lr * (0.5 - 0.5 * cos(ramp * pi)) * min(1.0, t / config.lr_rampup)


def noise_autocorrelation(noise: Sequence[Tensor]) -> Tensor:
    """Sum over maps and their halvings down to 8 px of the squared mean product with a shifted self, [N]."""
    total = torch.zeros(len(noise[0]), dtype=noise[0].dtype, device=noise[0].device)
    for level in noise:
        while True:
            for axis in (3, 2):
                total = total + (level * level.roll(1, axis)).mean(dim=(1, 2, 3)).square()
            if level.shape[2] <= 8:
                break
            level = F.avg_pool2d(level, 2)
    return total


def projection(
    generator: Generator,
    targets: Tensor,
    features: FeatureFunction,
    config: ProjectorConfig,
    draws: Draws,
    per_layer: bool,
    start: Tensor | None = None,
) -> Iterator[ProjectionStep]:
    """Optimise codes for targets [N, 3, R, R] in [-1, 1]; yields the state after every step.

    features: images in [-1, 1] (about; not clamped) -> [N, D]; the squared Euclidean distance to the target's
    features is the loss. per_layer: one code for each W+ layer instead of one for all. start: codes [N, num_ws, w_dim]
    to begin at, the mean of W when None.
    """
    n, layers = len(targets), generator.num_ws if per_layer else 1
    centre, deviation = w_statistics(generator, config.w_avg_samples, config.w_avg_seed)
    first = centre.expand(n, layers, -1) if start is None else start[:, :layers]
    w = first.detach().clone().requires_grad_(True)
    buffers = generator.noise_buffers()
    noise = buffers
    parameters = [w]
    if config.optimise_noise:
        noise = [draws.noise_map(i, (n, *b.shape[1:])).to(b).requires_grad_(True) for i, b in enumerate(buffers)]
        parameters += noise
    wanted = features(targets).detach()
    optimiser = torch.optim.Adam(parameters, lr=config.lr, betas=(0.9, 0.999))
    perturbation = torch.empty_like(w, requires_grad=False)

    def gradients() -> Tensor:
        """Gradients of the losses; feature distances and losses [2, N]."""
        image = generator.synthesis((w + perturbation).expand(-1, generator.num_ws, -1), noise)
        distance = (features(image) - wanted).square().sum(dim=1)
        loss = distance
        if config.l2:
            loss = loss + config.l2 * (image - targets).square().mean(dim=(1, 2, 3))
        if config.optimise_noise:
            loss = loss + config.noise_regularisation * noise_autocorrelation(noise)
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()
        return torch.stack([distance, loss]).detach()

    @torch.no_grad()
    def normalise_noise() -> None:
        for level in noise:
            level -= level.mean(dim=(1, 2, 3), keepdim=True)
            level *= level.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()

    compute, settle = Replay(gradients, w.device, parameters), Replay(normalise_noise, w.device)
    for step in range(config.steps):
        t = step / config.steps
        optimiser.param_groups[0]["lr"] = learning_rate(t, config)
        strength = config.w_noise * max(0.0, 1.0 - t / config.w_noise_until) ** 2
        perturbation.copy_(draws.perturbation(step, tuple(w.shape)).to(w) * (deviation * strength))
        distance, loss = compute().clone()
        optimiser.step()
        if config.optimise_noise:
            settle()
        yield ProjectionStep(w.detach().clone(), [m.detach().clone() for m in noise], distance, loss)
