"""Weights of trained hypernetworks: safetensors with their shape and the generator that they change in the header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from datasets import assets
from datasets.checkpoints import COUNTERS, check_tensors
from methods.encoders.weights import OFFICIAL
from methods.generators.fingerprint import fingerprint
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.network import HypernetConfig, Hypernetwork

FOLDER = Path(__file__).parent / "weights"
# At 64 px: 2.4 million parameters for faces64, most of them in the heads' last layers.
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


def find(source: str) -> Path:
    """The file of an embedded name, an asset or a path; FileNotFoundError (AssetMissingError) says how to get it."""
    source = assets.resolve(source)
    path = Path(source) if source.endswith((".safetensors", *OFFICIAL)) else FOLDER / f"{source}.safetensors"
    if not path.exists():
        carried = ", ".join(sorted(each.stem for each in FOLDER.glob("*.safetensors"))) or "none"
        raise FileNotFoundError(
            f"no hypernetwork weights {source!r}: neither a .safetensors or .pt file nor one that the suite carries "
            f"({carried}); `python -m benchmarks train hyperstyle` trains one for the embedded generator, `python -m "
            "benchmarks fetch hyperstyle_ffhq` says where the authors' for FFHQ at 1024 px comes from"
        )
    return path


def distinct(hypernet: Hypernetwork) -> dict[str, Tensor]:
    """What a file has to hold: the matrices that heads share once, and no counters."""
    kept = {name for name, _ in (*hypernet.named_parameters(), *hypernet.named_buffers())}
    return {k: v for k, v in hypernet.state_dict().items() if k in kept and not COUNTERS.search(k)}


def save_hypernet(hypernet: Hypernetwork, generator: Generator, path: Path, half: bool, card: dict[str, str]) -> None:
    """Write a hypernetwork; half: float16, for files that are committed."""
    state = {k: v.detach().cpu() for k, v in distinct(hypernet).items()}
    state = {k: (v.half() if half else v).contiguous() for k, v in state.items()}
    header = {"hypernet": json.dumps(asdict(hypernet.shape)), "generator": fingerprint(generator), **card}
    save_file(state, path, header)


def load_hypernet(path: Path, generator: Generator) -> Hypernetwork:
    """A hypernetwork in eval mode for its generator. Raises ValueError that names the file and the fix."""
    try:
        with safe_open(path, framework="pt") as handle:
            header = handle.metadata() or {}
            state = {key: handle.get_tensor(key).float() for key in handle.keys()}  # noqa: SIM118
        shape: dict[str, Any] = json.loads(header["hypernet"])
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in shape.items()}
        config = HypernetConfig(**settings)
        with torch.device("meta"):  # a header may lie about the size; this costs nothing
            expected = distinct(Hypernetwork(config))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: no hypernetwork of this suite ({type(error).__name__}: {error})") from error
    check_tensors(path, state, expected)
    if header.get("generator") != fingerprint(generator):
        raise ValueError(
            f"{path}: trained for the generator {header.get('generator', '')[:12]}, this one is "
            f"{fingerprint(generator)[:12]}; train the hypernetwork again on it"
        )
    hypernet = Hypernetwork(config)
    hypernet.load_state_dict(state, strict=False)
    return hypernet.to(memory_format=torch.channels_last).eval().requires_grad_(False)


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
    """An untrained hypernetwork of the embedded size, whose changes begin near zero."""
    hypernet = _random(generator, seed, SMALL)
    for name, parameter in hypernet.named_parameters():
        if ".output." in name or name.endswith((".w1", ".b1")):
            parameter.data.mul_(0.1)
    return hypernet
