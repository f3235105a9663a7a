"""What tells the encoders apart, and one pass of any of them: image (and current reconstruction) to W+."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.encoders.backbone import EncoderConfig, Network, base_and_deltas, independent_rows
from methods.generators.stylegan2 import Generator

# At 64 px: fits a CPU, and its weights a repository.
SMALL = {"units": (1, 2, 2, 1), "widths": (24, 48, 96, 128), "style_width": 64}


@dataclass(frozen=True)
class Design:
    """An encoder's network, how rows of W+ come from it, and how often it looks.

    deltas: rows are w plus deltas (e4e) or independent (pSp). iterations: 1 for a single pass; more for ReStyle's
    residuals, whose network also sees the current reconstruction (the average image at first).
    """

    network: Callable[[EncoderConfig], Network]
    deltas: bool
    iterations: int = 1

    @property
    def iterative(self) -> bool:
        return self.iterations > 1

    def config(self, generator: Generator, **shape: object) -> EncoderConfig:
        """The network's shape for a generator; by default IR-SE50 at up to 256 px."""
        settings: dict[str, object] = {
            "resolution": min(256, generator.resolution),
            "channels": 6 if self.iterative else 3,
            "num_ws": generator.num_ws,
            "w_dim": generator.w_dim,
        }
        return EncoderConfig(**(settings | shape))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Pass:
    """One look: latent [N, num_ws, w_dim] after it and its picture [N, 3, R, R], unclamped."""

    latent: Tensor
    image: Tensor


class Encoder(nn.Module):
    """A network with the mean of W that its offsets start from. Parameters are named as in official files.

    wide: it sees the middle three quarters of a square picture's rows (published encoders of cars). rows: how many of
    its rows are used, where a published encoder makes more than its generator has.
    """

    latent_avg: Tensor
    average_image: Tensor
    wide = False
    rows: int | None = None

    def __init__(self, design: Design, config: EncoderConfig):
        super().__init__()
        self.design, self.config = design, config
        # CPU convolutions are faster in this layout, and every map inherits it from the weights.
        self.encoder = design.network(config).to(memory_format=torch.channels_last)
        self.register_buffer("latent_avg", torch.zeros(config.num_ws, config.w_dim))
        self.register_buffer("average_image", torch.zeros(3, config.resolution, config.resolution), persistent=False)

    @torch.no_grad()
    def look_at(self, generator: Generator) -> Encoder:
        """Take the average image from the generator that this encoder serves (ReStyle's first partner)."""
        image = generator.synthesis(self.latent_avg[None].to(generator.latent_avg))
        self.average_image = pooled(image, self.config.resolution)[0]
        return self

    def shown(self, images: Tensor) -> Tensor:
        """Pictures as the network sees them: bilinear with antialiasing, as Pillow resizes for the official encoders.

        A picture that has the network's width is taken as it is, apart from the rows that a wide encoder leaves out.
        """
        side = self.config.resolution
        if not self.wide:
            return shrunk(images, side)
        height = side * 3 // 4
        if images.shape[-1] == images.shape[-2]:
            images = middle(images, (images.shape[-1] * 3 // 4, images.shape[-1]))
        return images if images.shape[-2:] == (height, side) else _resized(images, (height, side))

    def forward(
        self, images: Tensor, latent: Tensor | None = None, current: Tensor | None = None, stage: int | None = None
    ) -> Tensor:
        """Images [N, 3, S, S] of the network's side -> W+ [N, num_ws, w_dim].

        latent, current: where an iterative design stands, and its picture; None at the first look. stage: rows with
        a delta, see `base_and_deltas`.
        """
        x = images
        if self.design.iterative:
            partner = self.average_image.expand(len(images), -1, -1, -1) if current is None else current
            x = torch.cat([images, middle(partner, images.shape[-2:])], dim=1)
        offsets = base_and_deltas(self.encoder, x, stage) if self.design.deltas else independent_rows(self.encoder, x)
        return (offsets + (self.latent_avg if latent is None else latent))[:, : self.rows]


def looks(encoder: Encoder, generator: Generator, views: Sequence[Tensor], stage: int | None = None) -> Iterator[Pass]:
    """Pass after pass, each from where the last one ended, without gradient from one to the next (as ReStyle).

    views: what the encoder is shown at each pass, [N, 3, S, S] each of the network's side; the same images when
    inverting, filtered ones when IntereStyle trains.
    """
    latent: Tensor | None = None
    current: Tensor | None = None
    for view in views:
        found = encoder(view, latent, current, stage)
        image = generator.synthesis(found)
        yield Pass(found, image)
        latent, current = found.detach(), pooled(image.detach(), encoder.config.resolution)


def shrunk(images: Tensor, side: int) -> Tensor:
    """Pictures at the encoder's side: bilinear with antialiasing, as Pillow resizes for the official encoders."""
    return images if images.shape[-1] == side else _resized(images, (side, side))


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)


def middle(images: Tensor, size: Sequence[int]) -> Tensor:
    """The middle rows of pictures [N, C, H, W], size[0] of them; W has to be size[1]."""
    height, width = size
    if images.shape[-1] != width or images.shape[-2] < height:
        raise ValueError(f"expected pictures of at least {height} rows, {width} px wide, found {list(images.shape)}")
    first = (images.shape[-2] - height) // 2
    return images[..., first : first + height, :]


def pooled(images: Tensor, side: int) -> Tensor:
    """Generator output at the encoder's side: area averages (`face_pool` of the official code)."""
    return images if images.shape[-1] == side else F.adaptive_avg_pool2d(images, (side, side))
