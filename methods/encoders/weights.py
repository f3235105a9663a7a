"""Encoders with trained, random or untrained weights."""

from __future__ import annotations

from pathlib import Path

import torch

from methods.checkpoints import trained
from methods.encoders.designs import DESIGNS
from methods.encoders.encoder import SMALL, Design, Encoder
from methods.encoders.networks import EncoderConfig, SingleCode, StyleBlock
from methods.generators.stylegan2 import Generator

FOLDER = Path(__file__).parent / "weights"


def find(source: str, trained_by: str) -> Path:
    """The file of a bundled name, an asset or a path; FileNotFoundError (AssetMissingError) says how to get it."""
    return trained.find(source, FOLDER, "encoder", f"`python -m benchmarks train {trained_by}` trains one")


def save_encoder(encoder: Encoder, generator: Generator, path: Path, half: bool, card: dict[str, str]) -> None:
    """Write an encoder; half: float16, for files that are committed."""
    trained.save(path, "encoder", encoder, encoder.config, generator, half, card)


def load_encoder(path: Path, design: Design, generator: Generator) -> Encoder:
    """An encoder in eval mode, ready for its generator. Raises ValueError that names the file and the fix."""
    encoder = trained.load(path, "encoder", lambda shape: Encoder(design, EncoderConfig(**shape)), generator)
    return encoder.set_average_image(generator)


def encoder_for(kind: str, source: str, generator_name: str, generator: Generator) -> Encoder:
    """A trained encoder that another training starts from, frozen.

    Args:
        kind: of methods/encoders/designs.py.
        source: a bundled name or a file; "" for the one trained for the generator, "toy" for a random one.
        generator_name: name or file of the generator.
        generator: what the encoder makes codes for.

    Raises:
        FileNotFoundError: there is none; the message says how to train it.
    """
    if source == trained.TOY:
        return toy_encoder(DESIGNS[kind], generator)
    return load_encoder(find(source or f"{kind}-{Path(generator_name).stem}", kind), DESIGNS[kind], generator)


def toy_encoder(design: Design, generator: Generator, seed: int = 0) -> Encoder:
    """A small encoder of random weights around the mean of W: for tests and the smoke suite, not for figures."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = Encoder(design, design.config(generator, units=(1, 1, 1, 1), widths=(8, 8, 8, 8), style_width=8))
    return at_rest(encoder, generator).eval().requires_grad_(False)


def fresh_encoder(design: Design, generator: Generator, seed: int) -> Encoder:
    """An untrained encoder of the bundled size; its offsets begin near zero, so that it starts at the mean of W."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = Encoder(design, design.config(generator, **SMALL))
    return at_rest(encoder, generator)


def at_rest(encoder: Encoder, generator: Generator) -> Encoder:
    """The encoder with its generator's mean and small offsets."""
    encoder.latent_avg.copy_(generator.w_mean.expand_as(encoder.latent_avg))
    with torch.no_grad():
        for part in encoder.encoder.modules():
            if isinstance(part, StyleBlock | SingleCode):
                part.linear.weight.mul_(0.1)
    return encoder.set_average_image(generator)
