"""The 64 px DCGAN of gan-face-generate, trained on DigiFace-1M; the in-domain faces are its samples.

Architecture: PyTorch's DCGAN example (five transposed convolutions with batch norm), in eval mode.
"""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from datasets import assets

Z_DIM = 100


def load_dcgan() -> nn.Module:
    """z [N, 100] -> faces [N, 3, 64, 64] in [-1, 1]."""
    widths = (512, 256, 128, 64)
    layers: list[nn.Module] = []
    previous = Z_DIM
    for i, width in enumerate(widths):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        layers += [nn.ConvTranspose2d(previous, width, 4, stride, padding, bias=False), nn.BatchNorm2d(width)]
        layers.append(nn.ReLU())
        previous = width
    layers += [nn.ConvTranspose2d(previous, 3, 4, 2, 1, bias=False), nn.Tanh()]
    network = nn.Sequential(*layers)
    state = load_file(assets.ensure("dcgan_digiface"))
    network.load_state_dict({key.removeprefix("main."): value for key, value in state.items()})
    return network.eval().requires_grad_(False)


def draw_z(seed: int, count: int) -> Tensor:
    """Standard normal [count, 100], deterministic for a seed."""
    return torch.randn(count, Z_DIM, generator=torch.Generator().manual_seed(seed))
