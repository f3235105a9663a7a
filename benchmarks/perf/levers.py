"""Other ways to compute the suite's stages, each as a context manager: what `benchmarks.perf.gpu` measures.

A lever replaces functions of the suite while its block runs, so that the stages themselves stay as users have them.
Levers can be combined, "channels_last" and "compiled" last, as they wrap the form that the others have chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from math import sqrt
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.engine.machine import allow_tf32
from benchmarks.perf import plain
from methods import replay
from methods.generators.layers import Blur, ModulatedConv
from methods.generators.stylegan2 import Generator, StyledConv

Lever = Callable[[], AbstractContextManager[object]]
CHANNELS_LAST = torch.channels_last


@contextmanager
def tf32(allowed: bool = True) -> Iterator[None]:
    """Matrix products and convolutions of float32 on a GPU's TF32 units, or on none of them."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    allow_tf32(allowed)
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@contextmanager
def cudnn_benchmark() -> Iterator[None]:
    """cuDNN tries its algorithms for every new shape and keeps the fastest."""
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = False


@contextmanager
def adam(**settings: Any) -> Iterator[None]:
    """Every Adam that is made gets these settings."""
    original: Any = torch.optim.Adam

    def make(parameters: Any, **others: Any) -> Any:
        return original(parameters, **{**others, **settings})

    with patch.object(torch.optim, "Adam", make):
        yield


@contextmanager
def autocast(dtype: torch.dtype) -> Iterator[None]:
    """torch.autocast in the synthesis network only; images come back in float32."""
    original = Generator.synthesis

    def synthesis(self: Generator, *arguments: Any, **keywords: Any) -> Tensor:
        with torch.autocast(self.latent_avg.device.type, dtype, cache_enabled=False):
            image = original(self, *arguments, **keywords)
        return image.float()

    with patch.object(Generator, "synthesis", synthesis):
        yield


def _scaled(dtype: torch.dtype, conv: ModulatedConv, x: Tensor, w: Tensor) -> Tensor:
    """`ModulatedConv.forward` with maps and filters in `dtype`; styles and demodulation are computed in float32."""
    style, weight = conv.modulation(w), conv.weight[0] * conv.scale
    filters = weight.to(dtype)
    x = x.to(dtype) * style.to(dtype)[:, :, None, None]
    if conv.upsample:
        x = conv.blur(F.conv_transpose2d(x, filters.transpose(0, 1), stride=2))
    else:
        x = F.conv2d(x, filters, padding=filters.shape[-1] // 2)
    if conv.demod_eps is None:
        return x
    factor = torch.rsqrt(style.square() @ weight.square().sum(dim=(2, 3)).t() + conv.demod_eps)
    return x * factor.to(dtype)[:, :, None, None]


def _grouped(dtype: torch.dtype, conv: ModulatedConv, x: Tensor, w: Tensor) -> Tensor:
    """`ModulatedConv.by_filters` with convolutions in `dtype`."""
    with torch.autocast(x.device.type, dtype, cache_enabled=False):
        return conv.by_filters(x.to(dtype), w)


def _styled(layer: StyledConv, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
    """`StyledConv.forward` whose noise and bias do not raise the precision of the maps."""
    x = layer.conv(x, w)
    if noise is not None:
        x = x + (layer.noise.weight * noise).to(x.dtype)
    x = F.leaky_relu(x + layer.activate.bias[:, None, None].to(x.dtype), 0.2) * sqrt(2)
    return x if layer.clamp is None else x.clamp(-layer.clamp, layer.clamp)


@contextmanager
def low_maps(dtype: torch.dtype, grouped: bool = False) -> Iterator[None]:
    """All maps of the synthesis network in `dtype`, RGB sums in float32, as NVIDIA's code has its fp16 layers."""
    convolve = partial(_grouped if grouped else _scaled, dtype)
    with (
        patch.object(ModulatedConv, "forward", lambda conv, x, w: convolve(conv, x, w)),
        patch.object(StyledConv, "forward", _styled),
    ):
        yield


@contextmanager
def channels_last() -> Iterator[None]:
    """Maps in channels-last order from the first convolution on."""
    original = ModulatedConv.forward

    def forward(conv: ModulatedConv, x: Tensor, w: Tensor) -> Tensor:
        return original(conv, x.contiguous(memory_format=CHANNELS_LAST), w)

    with patch.object(ModulatedConv, "forward", forward):
        yield


def compiled() -> AbstractContextManager[object]:
    """The synthesis network by torch.compile, in the form that other levers have chosen; compiling takes minutes."""
    return patch.object(Generator, "synthesis", torch.compile(Generator.synthesis, dynamic=False))


def no_graphs() -> AbstractContextManager[object]:
    """Every step kernel by kernel."""
    return patch.object(replay, "enabled", lambda: False)


LEVERS: dict[str, Lever] = {
    "TF32": tf32,
    "cudnn.benchmark": cudnn_benchmark,
    "Adam in a loop": partial(adam, foreach=False),
    "Adam of today": partial(adam, foreach=None),  # for the released code's form: torch's default, foreach on a GPU
    "fused Adam": partial(adam, foreach=None, fused=True),
    "grouped": partial(patch.object, ModulatedConv, "forward", ModulatedConv.by_filters),
    "scaled maps": partial(patch.object, ModulatedConv, "forward", ModulatedConv.by_maps),
    "blur in one pass": partial(patch.object, Blur, "forward", Blur.in_one_pass),
    "bf16 autocast": partial(autocast, torch.bfloat16),
    "fp16 autocast": partial(autocast, torch.float16),
    "bf16 maps": partial(low_maps, torch.bfloat16),
    "fp16 maps": partial(low_maps, torch.float16),
    "bf16 maps, grouped": partial(low_maps, torch.bfloat16, grouped=True),
    "no graphs": no_graphs,
    "channels_last": channels_last,
    "one by one": partial(patch.object, plain, "synthesis", Generator.synthesis),  # plain tuning, suite's layers
    "compiled": compiled,
}
CUDA_ONLY = ("TF32", "cudnn.benchmark", "no graphs")
