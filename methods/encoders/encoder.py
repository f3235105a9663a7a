"""An encoder: image (and current reconstruction) to W+, and its refinement steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from methods.encoders.networks import EncoderConfig, Network, base_and_deltas, independent_layers
from methods.generators.stylegan2 import Generator
from methods.resizing import middle, pooled, preprocessed

# At 64 px: fits a CPU, and its weights a repository.
SMALL = {"units": (1, 2, 2, 1), "widths": (24, 48, 96, 128), "style_width": 64}


@dataclass(frozen=True)
class Design:
    """An encoder's network, how layers of W+ come from it, and its refinement steps.

    deltas: layers are w plus deltas (e4e) or independent (pSp). iterations: refinement steps; 1 for a single pass, more
    for ReStyle's residuals, whose network also sees the current reconstruction (the average image at first). training:
    settings of its training that differ from the plain losses.
    """

    network: Callable[[EncoderConfig], Network]
    deltas: bool
    iterations: int = 1
    training: Mapping[str, object] = field(default_factory=dict)

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
class RefinementStep:
    """The latent [N, num_ws, w_dim] after a step and its image [N, 3, R, R], unclamped."""

    latent: Tensor
    image: Tensor


class Encoder(nn.Module):
    """A network with the mean of W that its offsets start from. Parameters are named as in official files.

    wide: it sees the middle three quarters of a square image's pixel rows (published encoders of cars). num_layers: how
    many of its W+ layers are used, where a published encoder makes more than its generator has.
    """

    latent_avg: Tensor
    average_image: Tensor
    wide = False
    num_layers: int | None = None

    def __init__(self, design: Design, config: EncoderConfig):
        super().__init__()
        self.design, self.config = design, config
        # CPU convolutions are faster in this layout, and every map inherits it from the weights.
        self.encoder = design.network(config).to(memory_format=torch.channels_last)
        self.register_buffer("latent_avg", torch.zeros(config.num_ws, config.w_dim))
        self.register_buffer("average_image", torch.zeros(3, config.resolution, config.resolution), persistent=False)

    @torch.no_grad()
    def set_average_image(self, generator: Generator) -> Encoder:
        """Take the average image from the generator that this encoder serves (ReStyle's first partner)."""
        image = generator.synthesis(self.latent_avg[None].to(generator.latent_avg))
        self.average_image = pooled(image, self.config.resolution)[0]
        return self

    def preprocess(self, images: Tensor) -> Tensor:
        """Images as the network sees them."""
        return preprocessed(images, self.config.resolution, self.wide)

    def forward(
        self, images: Tensor, latent: Tensor | None = None, current: Tensor | None = None, num_deltas: int | None = None
    ) -> Tensor:
        """One pass of the network.

        Args:
            images: [N, 3, S, S] of the network's side.
            latent: current code of an iterative design [N, num_ws, w_dim], None at the first step.
            current: its image [N, 3, S, S], None at the first step.
            num_deltas: layers that have a delta, see `base_and_deltas`.

        Returns:
            Codes in W+ [N, num_ws, w_dim].
        """
        x = images
        if self.design.iterative:
            partner = self.average_image.expand(len(images), -1, -1, -1) if current is None else current
            x = torch.cat([images, middle(partner, images.shape[-2:])], dim=1)
        offsets = (
            base_and_deltas(self.encoder, x, num_deltas) if self.design.deltas else independent_layers(self.encoder, x)
        )
        return (offsets + (self.latent_avg if latent is None else latent))[:, : self.num_layers]


def refine(
    encoder: Encoder, generator: Generator, views: Sequence[Tensor], num_deltas: int | None = None
) -> Iterator[RefinementStep]:
    """Refinement steps, each from the code of the last one, without gradient between them (as ReStyle).

    Args:
        encoder: the encoder.
        generator: what renders its codes.
        views: the input of each step, [N, 3, S, S] of the network's side; the same images when inverting, filtered
            ones when IntereStyle trains.
        num_deltas: layers that have a delta, see `base_and_deltas`.
    """
    latent: Tensor | None = None
    current: Tensor | None = None
    for view in views:
        code = encoder(view, latent, current, num_deltas)
        image = generator.synthesis(code)
        yield RefinementStep(code, image)
        latent, current = code.detach(), pooled(image.detach(), encoder.config.resolution)
