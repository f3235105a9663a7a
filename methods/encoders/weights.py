"""Weights of trained encoders: safetensors with their shape and the generator that they serve in the header."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from datasets import assets
from methods.encoders.encoder import SMALL, Design, Encoder
from methods.encoders.networks import EncoderConfig, SingleCode, StyleBlock
from methods.generators.fingerprint import fingerprint
from methods.generators.stylegan2 import Generator

FOLDER = Path(__file__).parent / "weights"
TOY = "toy"
OFFICIAL = (".pt", ".pth")  # published files, which methods/checkpoints/encoders.py reads


def embedded() -> list[str]:
    """Names of the encoders that the suite carries."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def find(source: str, trained_by: str) -> Path:
    """The file of an embedded name, an asset or a path; FileNotFoundError (AssetMissingError) says how to get it."""
    source = assets.resolve(source)
    path = Path(source) if source.endswith((".safetensors", *OFFICIAL)) else FOLDER / f"{source}.safetensors"
    if not path.exists():
        raise FileNotFoundError(
            f"no encoder weights {source!r}: neither a .safetensors or .pt file nor one of "
            f"{', '.join(embedded()) or 'none'}; "
            f"`python -m benchmarks train {trained_by}` trains one"
        )
    return path


@cache
def file_hash(path: Path) -> str:
    """SHA-256 of a file, for results' keys."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_encoder(encoder: Encoder, generator: Generator, path: Path, half: bool, card: dict[str, str]) -> None:
    """Write an encoder; half: float16, for files that are committed."""
    state = {k: v.detach().cpu() for k, v in encoder.state_dict().items() if not k.endswith("num_batches_tracked")}
    state = {k: (v.half() if half else v).contiguous() for k, v in state.items()}
    header = {"encoder": json.dumps(asdict(encoder.config)), "generator": fingerprint(generator), **card}
    save_file(state, path, header)


def load_encoder(path: Path, design: Design, generator: Generator) -> Encoder:
    """An encoder in eval mode, ready for its generator. Raises ValueError that names the file and the fix."""
    try:
        with safe_open(path, framework="pt") as handle:
            header = handle.metadata() or {}
            state = {key: handle.get_tensor(key).float() for key in handle.keys()}  # noqa: SIM118
        shape = json.loads(header["encoder"])
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in shape.items()}
        config = EncoderConfig(**settings)
        encoder = Encoder(design, config)
        missing, unexpected = encoder.load_state_dict(state, strict=False)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: no encoder of this design ({type(error).__name__}: {error})") from error
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"{path}: lacks {missing[:3]}, has {unexpected[:3]} beyond this design")
    if header["generator"] != fingerprint(generator):
        raise ValueError(
            f"{path}: trained for the generator {header['generator'][:12]}, this one is "
            f"{fingerprint(generator)[:12]}; train the encoder again on it"
        )
    return encoder.set_average_image(generator).eval().requires_grad_(False)


def toy_encoder(design: Design, generator: Generator, seed: int = 0) -> Encoder:
    """A small encoder of random weights around the mean of W: for tests and the smoke suite, not for figures."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = Encoder(design, design.config(generator, units=(1, 1, 1, 1), widths=(8, 8, 8, 8), style_width=8))
    return at_rest(encoder, generator).eval().requires_grad_(False)


def fresh_encoder(design: Design, generator: Generator, seed: int) -> Encoder:
    """An untrained encoder of the embedded size; its offsets begin near zero, so that it starts at the mean of W."""
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


@torch.no_grad()
def start_from(encoder: Encoder, path: Path) -> list[str]:
    """Take over what another encoder's file has under the same name and shape; returns the names taken.

    A first convolution for fewer input channels fills the first ones; the others begin at zero, so that a second
    picture beside the image changes nothing at first.
    """
    with safe_open(path, framework="pt") as handle:
        stored = {key: handle.get_tensor(key).float() for key in handle.keys()}  # noqa: SIM118
    own, taken = encoder.state_dict(), []
    first = "encoder.input_layer.0.weight"
    for key, value in stored.items():
        if key == "latent_avg" or key not in own:
            continue
        if own[key].shape == value.shape:
            own[key].copy_(value)
        elif key == first and own[key].shape[1] > value.shape[1]:
            own[key].zero_()
            own[key][:, : value.shape[1]] = value
        else:
            continue
        taken.append(key)
    if first not in taken:
        raise ValueError(f"{path}: nothing of it fits this encoder (no {first} of a fitting shape)")
    return taken
