"""StyleGAN2 in plain PyTorch: no custom operator, any power-of-two resolution, CPU, CUDA and MPS.

Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", arXiv 1912.04958.
Parameter names and shapes are those of the config-f checkpoints that the encoders ship
(rosinality/stylegan2-pytorch, commit bef283a); StyleGAN2-ADA weights map onto them one to one
(`methods.generators.ada`). Its layers are those of `methods.generators.layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2, sqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.scope import Scope
from methods.generators.layers import EqualLinear, ModulatedConv, PixelNorm, Upsample

NoiseMode = Literal["const", "none", "random"]
Noise = NoiseMode | Sequence[Tensor]
# Takes k and the map f[k] [N, C, r, r] (`methods.feature_maps`), returns what the next convolution gets.
MapChange = Callable[[int, Tensor], Tensor]


@dataclass(frozen=True)
class GeneratorConfig:
    """The shape of a StyleGAN2 generator.

    channels: feature maps at 4, 8, ..., resolution. demod_eps: "scaled" adds 1e-8 to the sum of squares of
    the scaled weights (config-f code), "unscaled" to that of the raw weights (StyleGAN2-ADA). conv_clamp:
    bound on every layer's output, as some ADA pickles set it; None for no bound.
    """

    resolution: int
    channels: tuple[int, ...]
    z_dim: int = 512
    w_dim: int = 512
    mapping_layers: int = 8
    demod_eps: Literal["scaled", "unscaled"] = "scaled"
    conv_clamp: float | None = None

    def __post_init__(self) -> None:
        levels = log2(self.resolution)
        if levels != int(levels) or self.resolution < 8:
            raise ValueError(f"resolution must be a power of two of at least 8, found {self.resolution}")
        if len(self.channels) != int(levels) - 1:
            raise ValueError(
                f"a {self.resolution} px generator needs {int(levels) - 1} channel counts "
                f"(4 px to {self.resolution} px), found {len(self.channels)}: {self.channels}"
            )

    @property
    def num_ws(self) -> int:
        return 2 * int(log2(self.resolution)) - 2


def official_config(resolution: int, channel_multiplier: int = 2) -> GeneratorConfig:
    """Config-f as rosinality's `Generator(size, 512, 8, channel_multiplier)` builds it."""
    widths = {4: 512, 8: 512, 16: 512, 32: 512}
    widths |= {r: 16384 // r * channel_multiplier for r in (64, 128, 256, 512, 1024)}
    sizes = [2**i for i in range(2, int(log2(resolution)) + 1)]
    return GeneratorConfig(resolution, tuple(widths[size] for size in sizes))


class _NoiseWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class _Bias(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU with gain sqrt(2)."""

    def __init__(self, in_channels: int, out_channels: int, config: GeneratorConfig, upsample: bool = False):
        super().__init__()
        # Both parameterisations use 1e-8; ADA sums the squares of unscaled weights, so its 1e-8 is smaller here.
        eps = 1e-8 if config.demod_eps == "scaled" else 1e-8 / (in_channels * 9)
        self.conv = ModulatedConv(in_channels, out_channels, 3, config.w_dim, eps, upsample)
        self.noise = _NoiseWeight()
        self.activate = _Bias(out_channels)
        self.clamp = config.conv_clamp

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        x = self.conv(x, w)
        if noise is not None:
            x = x + self.noise.weight * noise
        x = F.leaky_relu(x + self.activate.bias[:, None, None], 0.2) * sqrt(2)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class ToRGB(nn.Module):
    """1x1 modulated convolution to RGB, added to the doubled image of the level below."""

    def __init__(self, in_channels: int, config: GeneratorConfig, upsample: bool = True):
        super().__init__()
        if upsample:
            self.upsample = Upsample()
        self.conv = ModulatedConv(in_channels, 3, 1, config.w_dim, demod_eps=None)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.clamp = config.conv_clamp

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None) -> Tensor:
        rgb = self.conv(x, w) + self.bias
        if self.clamp is not None:
            rgb = rgb.clamp(-self.clamp, self.clamp)
        return rgb if skip is None else rgb + self.upsample(skip)


class _Constant(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class Generator(nn.Module):
    """StyleGAN2 with skip connections.

    Images are [N, 3, R, R], RGB, about [-1, 1] and unclamped. Latents in W+ are [N, num_ws, w_dim]; layers are used by
    conv1 0, to_rgb1 1, then per level layers i, i+1 for the convolutions and i+2 for the RGB layer (shared with
    the next level's first convolution).
    """

    latent_avg: Tensor
    scope = Scope()  # frame and domain of its images, where its file or name declares them
    mean_source = "the file"  # where `w_mean` comes from; `load_generator` says so where it had to compute it

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        layers: list[nn.Module] = [PixelNorm()]
        for i in range(config.mapping_layers):
            in_dim = config.z_dim if i == 0 else config.w_dim
            layers.append(EqualLinear(in_dim, config.w_dim, lr_mul=0.01, activate=True))
        self.style = nn.Sequential(*layers)
        first, *rest = config.channels
        self.input = _Constant(first)
        self.conv1 = StyledConv(first, first, config)
        self.to_rgb1 = ToRGB(first, config, upsample=False)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        self.noises.register_buffer("noise_0", torch.randn(1, 1, 4, 4))
        previous = first
        for level, width in enumerate(rest):
            self.convs.append(StyledConv(previous, width, config, upsample=True))
            self.convs.append(StyledConv(width, width, config))
            self.to_rgbs.append(ToRGB(width, config))
            side = 8 * 2**level
            for i in (1, 2):
                self.noises.register_buffer(f"noise_{2 * level + i}", torch.randn(1, 1, side, side))
            previous = width
        self.register_buffer("latent_avg", torch.zeros(config.w_dim))

    @property
    def resolution(self) -> int:
        return self.config.resolution

    @property
    def num_ws(self) -> int:
        return self.config.num_ws

    @property
    def z_dim(self) -> int:
        return self.config.z_dim

    @property
    def w_dim(self) -> int:
        return self.config.w_dim

    @property
    def w_mean(self) -> Tensor:
        """Mean of W, [w_dim]; `latent_avg` in config-f files, `mapping.w_avg` in ADA files."""
        return self.latent_avg

    def noise_buffers(self) -> list[Tensor]:
        """The fixed noise maps, [1, 1, r, r] each, coarse to fine."""
        return [getattr(self.noises, f"noise_{i}") for i in range(self.num_ws - 1)]

    def mapping(self, z: Tensor, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """z [N, z_dim] -> W+ [N, num_ws, w_dim] with equal layers, pulled towards `w_mean` by `truncation`.

        cutoff: truncate the first `cutoff` layers only (all when None).
        """
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ValueError(f"z must be [N, {self.z_dim}], found {list(z.shape)}")
        w_plus = self.style(z)[:, None].expand(-1, self.num_ws, -1)
        if truncation == 1.0:
            return w_plus
        layers = self.num_ws if cutoff is None else cutoff
        moved = self.w_mean.lerp(w_plus[:, :layers], truncation)
        return torch.cat([moved, w_plus[:, layers:]], dim=1)

    def _noise_maps(self, noise: Noise, batch: int) -> Sequence[Tensor | None]:
        buffers = self.noise_buffers()
        if isinstance(noise, str):
            if noise == "const":
                return buffers
            if noise == "none":
                return [None] * len(buffers)
            if noise == "random":
                return [torch.randn_like(b.expand(batch, -1, -1, -1)) for b in buffers]
            raise ValueError(f"noise must be 'const', 'none', 'random' or a list of maps, found {noise!r}")
        if len(noise) != len(buffers):
            raise ValueError(f"expected {len(buffers)} noise maps, found {len(noise)}")
        return noise

    def synthesis(
        self, w_plus: Tensor, noise: Noise = "const", own_layout: bool = True, change: MapChange | None = None
    ) -> Tensor:
        """W+ [N, num_ws, w_dim] -> image [N, 3, R, R], about [-1, 1], unclamped.

        own_layout: choose the memory layout of the maps, which torch.func.vmap does not allow. change: gets every map
        on its way into the next convolution.
        """
        x, image = self._constant(w_plus, own_layout), None
        codes, to_rgbs = w_plus.unbind(1), (self.to_rgb1, *self.to_rgbs)
        maps = self._noise_maps(noise, len(x))
        for k, conv in enumerate((self.conv1, *self.convs), start=1):
            x = conv(x, codes[k - 1], maps[k - 1])
            if k % 2:
                image = to_rgbs[k // 2](x, codes[k], image)
            if change is not None:
                x = change(k, x)
        assert image is not None
        return image

    def feature_map(self, w_plus: Tensor, layer: int, noise: Noise = "const") -> Tensor:
        """The map f[layer] [N, C, r, r] of codes [N, num_ws, w_dim] (`methods.feature_maps`), and nothing beyond it."""
        if not 1 <= layer < self.num_ws:
            raise ValueError(f"layer must be 1 to {self.num_ws - 1}, found {layer}")
        x, codes = self._constant(w_plus, own_layout=True), w_plus.unbind(1)
        maps = self._noise_maps(noise, len(x))
        for k, conv in enumerate((self.conv1, *self.convs)[:layer]):
            x = conv(x, codes[k], maps[k])
        return x

    def _constant(self, w_plus: Tensor, own_layout: bool) -> Tensor:
        if w_plus.ndim != 3 or w_plus.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"w_plus must be [N, {self.num_ws}, {self.w_dim}], found {list(w_plus.shape)}")
        x = self.input.input.expand(len(w_plus), -1, -1, -1)
        if own_layout and x.device.type == "cpu":
            # Every later map inherits the layout; it is the faster one for CPU convolutions.
            x = x.contiguous(memory_format=torch.channels_last)
        return x

    def forward(self, z: Tensor, noise: Noise = "const", truncation: float = 1.0) -> Tensor:
        return self.synthesis(self.mapping(z, truncation), noise)
