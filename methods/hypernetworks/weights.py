"""Hypernetworks with trained, random or untrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from methods.checkpoints import trained
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.network import HypernetConfig, Hypernetwork

FOLDER = Path(__file__).parent / "weights"
# At 64 px: 2.4 million parameters for celeba64, most of them in the heads' last layers.
SMALL: dict[str, Any] = {
    "units": (1, 2, 2, 1),
    "widths": (24, 48, 96, 128),
    "shared_width": 32,
    "own_width": 32,
    "code": 16,
}
TINY: dict[str, Any] = {
    "units": (1, 1, 1, 1),
    "widths": (8, 8, 8, 8),
    "shared_width": 8,
    "own_width": 8,
    "code": 8,
}


def find(source: str, stage: str = "hyperstyle") -> Path:
    """The file of a bundled name, an asset or a path; FileNotFoundError (AssetMissingError) says how to get it."""
    advice = (
        f"`python -m benchmarks train {stage}` trains one for the bundled generator, `python -m benchmarks fetch "
        "hyperstyle_ffhq` says where the authors' for FFHQ at 1024 px comes from"
    )
    return trained.find(source, FOLDER, "hypernetwork", advice)


def save_hypernet(hypernet: Hypernetwork, generator: Generator, path: Path, half: bool, card: dict[str, str]) -> None:
    """Write a hypernetwork; half: float16, for files that are committed."""
    trained.save(path, "hypernet", hypernet, hypernet.shape, generator, half, card)


def load_hypernet(path: Path, generator: Generator) -> Hypernetwork:
    """A hypernetwork in eval mode for its generator. Raises ValueError that names the file and the fix."""
    hypernet = trained.load(path, "hypernet", lambda shape: Hypernetwork(HypernetConfig(**shape)), generator)
    return hypernet.to(memory_format=torch.channels_last)


def _random(generator: Generator, seed: int, shape: dict[str, Any]) -> Hypernetwork:
    config = HypernetConfig(generator.config.channels, resolution=min(256, generator.resolution), **shape)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Hypernetwork(config).to(memory_format=torch.channels_last)


def toy_hypernet(generator: Generator, seed: int = 0) -> Hypernetwork:
    """A small hypernetwork of random weights and small changes: for tests, not for figures."""
    hypernet = _random(generator, seed, TINY)
    # So that an image's changes are small, and tell it from another.
    for name, parameter in hypernet.refinement_blocks.named_parameters():
        factor = 3.0 if ".convs." in name else 0.1 if ".output." in name else 1.0
        parameter.data.mul_(factor)
    return hypernet.eval().requires_grad_(False)


def fresh_hypernet(generator: Generator, seed: int) -> Hypernetwork:
    """An untrained hypernetwork of the bundled size, whose changes begin near zero."""
    hypernet = _random(generator, seed, SMALL)
    for name, parameter in hypernet.named_parameters():
        if ".output." in name or name.endswith((".w1", ".b1")):
            parameter.data.mul_(0.1)
    return hypernet
