"""What the trainings of encoders and hypernetworks share: average and schedule."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from methods.training.augment import Sampled
from methods.training.base import ema_with_warmup, warmup_cosine


def test_the_average_warms_up_and_copies_counters() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    wanted = copy.deepcopy(network)
    average = AveragedModel(network, multi_avg_fn=ema_with_warmup(0.9), use_buffers=True)
    average.n_averaged.fill_(1)
    for step in range(120):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
            network(torch.randn(2, 3, 8, 8))
            decay = min(0.9, (1 + step) / (10 + step))
            for mine, current in zip(wanted.state_dict().values(), network.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(current, 1 - decay)
                else:
                    mine.copy_(current)
        average.update_parameters(network)
    for mine, found in zip(wanted.state_dict().values(), average.module.state_dict().values(), strict=True):
        assert torch.allclose(mine, found, atol=1e-6)


def test_the_rate_rises_and_falls() -> None:
    assert warmup_cosine(0.0, 0.05) == pytest.approx(0.02) and warmup_cosine(1.0, 0.05) == pytest.approx(0)
    assert warmup_cosine(0.5, 0.05) == pytest.approx(0.5)
    assert warmup_cosine(0.25, 0.0) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))


def test_augmented_images_have_a_second_derivative_in_every_version_of_torch() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 6, 6, dtype=torch.double, generator=random, requires_grad=True)
    grid = torch.rand(2, 6, 6, 2, dtype=torch.double, generator=random) * 3 - 1.5  # beyond the edges, too

    def sampled(images: Tensor) -> Tensor:
        return Sampled.apply(images, grid)

    assert torch.autograd.gradcheck(sampled, (images,))
    assert torch.autograd.gradgradcheck(sampled, (images,))
    expected = torch.nn.functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    assert torch.equal(sampled(images), expected)
