"""Tuning several images at once is tuning each of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from methods.features import perceptual
from methods.generators import load_generator
from methods.generators.stylegan2 import Generator
from methods.tuning.batch import tune_batch
from methods.tuning.locality import LocalityConfig
from methods.tuning.tune import TuningConfig, copy_for_tuning, tunable, tune_shared
from metrics.networks.lpips import Lpips

pytestmark = pytest.mark.assets
N = 3


@pytest.fixture(scope="module")
def scene() -> tuple[Generator, Lpips, Tensor, Tensor]:
    """A generator, a feature network, pivots and targets, all in double precision."""
    generator = load_generator("toy").double()
    stream = torch.Generator().manual_seed(3)
    pivots = generator.mapping(torch.randn(N, generator.z_dim, generator=stream).double()).detach()
    targets = generator.synthesis(pivots).detach().clamp(-1, 1).roll(2, dims=3)
    return generator, copy.deepcopy(perceptual("lpips_alex")).double(), pivots, targets


def draws(generator: Generator, image: int) -> Iterator[Tensor]:
    stream = torch.Generator().manual_seed(image)
    while True:
        yield torch.randn(1, generator.z_dim, generator=stream).double()


def test_each_image_is_tuned_as_it_would_be_alone(scene: tuple) -> None:
    generator, network, pivots, targets = scene
    locality = LocalityConfig(samples=2, interval=2)  # at steps 0 and 2
    config = TuningConfig(steps=3, lr=3e-3, stop_lpips=0.0, locality=locality)
    starts = [None, {name: value.detach() * 1.01 for name, value in tunable(generator) if "conv" in name}, None]
    streams = [draws(generator, image) for image in range(N)]
    found, taken = tune_batch(
        generator, starts, pivots, targets, network, config, lambda: torch.cat([next(s) for s in streams])
    )
    assert taken == [3] * N
    for image in range(N):
        alone = copy_for_tuning(generator, starts[image])
        stream, part = draws(generator, image), slice(image, image + 1)
        for _ in tune_shared(generator, alone, pivots[part], targets[part], network, config, lambda s=stream: next(s)):
            pass
        moved = 0.0
        for name, value in tunable(alone):
            torch.testing.assert_close(found[image][name], value.detach(), rtol=0, atol=1e-6)
            moved = max(moved, float((found[image][name] - dict(tunable(generator))[name]).abs().max()))
        assert moved > 5e-3, "the weights moved by much more than the tolerance"


def test_an_image_that_stops_keeps_its_weights_and_steps(scene: tuple) -> None:
    generator, network, pivots, targets = scene
    targets = targets.clone()
    targets[1] = generator.synthesis(pivots[1:2])[0]  # met before the first step
    config = TuningConfig(steps=2, lr=3e-3, stop_lpips=1e-4, locality=LocalityConfig(0.0))
    found, taken = tune_batch(generator, [None] * N, pivots, targets, network, config, lambda: pivots[:, 0])
    assert taken == [2, 0, 2]
    for name, value in tunable(generator):
        assert torch.equal(found[1][name], value)


def test_a_loss_that_is_not_finite_is_an_error(scene: tuple) -> None:
    generator, network, pivots, targets = scene
    broken = targets.clone()
    broken[2, 0, 0, 0] = torch.inf
    config = TuningConfig(steps=2, stop_lpips=0.0, locality=LocalityConfig(0.0))
    with pytest.raises(FloatingPointError, match="at tuning step 0; lower lr"):
        tune_batch(generator, [None] * N, pivots, broken, network, config, lambda: pivots[:, 0])
