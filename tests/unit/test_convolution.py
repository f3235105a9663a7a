"""Convolutions by matrix products are convolutions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional as F

from methods.generators import convolution as module
from methods.generators.convolution import convolution, doubling_convolution

Convolution = Callable[[Tensor, Tensor], Tensor]


def direct(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=1)


def direct_doubling(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)


PAIRS = pytest.mark.parametrize(
    ("ours", "torchs"), [(convolution, direct), (doubling_convolution, direct_doubling)], ids=["same size", "doubling"]
)


def random(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)).requires_grad_(True)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of small maps, and in double precision, where an error is not lost in rounding."""
    monkeypatch.setattr(module, "_wide", lambda *_: True)


@PAIRS
@pytest.mark.usefixtures("always")
def test_values_and_gradients_of_both_orders(ours: Convolution, torchs: Convolution) -> None:
    found = []
    for function in (ours, torchs):
        x, weight = random(2, 3, 8, 12), random(5, 3, 3, 3, seed=1)
        y = function(x.contiguous(memory_format=torch.channels_last), weight)
        first = torch.autograd.grad((y * y.detach().cos()).sum(), (x, weight), create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), (x, weight))
        found.append((y, *first, *second))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@PAIRS
@pytest.mark.usefixtures("always")
def test_a_stack_of_filters_as_batched_tuning_has_them(ours: Convolution, torchs: Convolution) -> None:
    found = []
    for function in (ours, torchs):
        x, weights = random(3, 1, 4, 8, 8), random(3, 6, 4, 3, 3, seed=1)
        y = vmap(function)(x, weights)
        found.append((y, *torch.autograd.grad(y.square().sum(), (x, weights))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@PAIRS
def test_wide_maps_keep_float32s_precision(ours: Convolution, torchs: Convolution) -> None:
    x, weight = random(1, 128, 32, 32, dtype=torch.float32), random(128, 128, 3, 3, dtype=torch.float32, seed=1)
    wanted = torchs(x.double(), weight.double())
    error = (ours(x, weight).double() - wanted).norm() / wanted.norm()
    assert 0 < error < 1e-5 and not torch.equal(ours(x, weight), torchs(x, weight)), "it took the other way"


@PAIRS
def test_small_generators_keep_their_last_digits(ours: Convolution, torchs: Convolution) -> None:
    for inputs, outputs, side in ((192, 160, 4), (160, 96, 8), (96, 48, 32), (128, 128, 4)):
        x, weight = (
            random(*shape, dtype=torch.float32) for shape in ((2, inputs, side, side), (outputs, inputs, 3, 3))
        )
        assert torch.equal(ours(x, weight), torchs(x, weight))
    x, weight = random(1, 128, 32, 32), random(128, 128, 3, 3)
    assert torch.equal(ours(x, weight), torchs(x, weight)), "float64 is what others are compared to"
