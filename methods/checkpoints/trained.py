"""Weights of networks that this suite trains for a generator: safetensors with shape and generator in the header."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from datasets import assets
from datasets.checkpoints import COUNTERS, check_tensors
from methods.generators.fingerprint import fingerprint
from methods.generators.stylegan2 import Generator

TOY = "toy"  # the source of random weights, for tests
OFFICIAL = (".pt", ".pth")  # published files, which the other modules of this folder read
N = TypeVar("N", bound=nn.Module)


def find(source: str, folder: Path, kind: str, advice: str) -> Path:
    """The file of a source.

    Args:
        source: a bundled name, an asset or a path.
        folder: of the bundled files.
        kind: of network, for the message.
        advice: how to get such a file, for the message.

    Raises:
        FileNotFoundError: there is none (AssetMissingError for an asset).
    """
    source = assets.resolve(source)
    path = Path(source) if source.endswith((".safetensors", *OFFICIAL)) else folder / f"{source}.safetensors"
    if not path.exists():
        bundled = ", ".join(sorted(file.stem for file in folder.glob("*.safetensors"))) or "none"
        raise FileNotFoundError(
            f"no {kind} weights {source!r}: neither a .safetensors or .pt file nor one of {bundled}; {advice}"
        )
    return path


@cache
def file_hash(path: Path) -> str:
    """SHA-256 of a file, for results' keys."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save(
    path: Path, kind: str, network: nn.Module, shape: Any, generator: Generator, half: bool, card: dict[str, str]
) -> None:
    """Write a network.

    Args:
        path: of the file.
        kind: the header's key of the shape.
        network: the network.
        shape: its config, a dataclass.
        generator: what it was trained for.
        half: float16, for files that are committed.
        card: further facts for the header.
    """
    state = {k: v.detach().cpu() for k, v in _distinct(network).items()}
    state = {k: (v.half() if half else v).contiguous() for k, v in state.items()}
    save_file(state, path, {kind: json.dumps(asdict(shape)), "generator": fingerprint(generator), **card})


def load(path: Path, kind: str, build: Callable[[Mapping[str, Any]], N], generator: Generator) -> N:
    """Read a network.

    Args:
        path: of the file.
        kind: the header's key of the shape, which messages name, too.
        build: makes the network of the shape's fields.
        generator: what the network has to be trained for.

    Raises:
        ValueError: the file holds another network, or serves another generator; the message names it and the fix.
    """
    try:
        with safe_open(path, framework="pt") as handle:
            header = handle.metadata() or {}
            state = {key: handle.get_tensor(key).float() for key in handle.keys()}  # noqa: SIM118
        shape = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(header[kind]).items()}
        with torch.device("meta"):  # a header may lie about the size; this costs nothing
            expected = _distinct(build(shape))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: no {kind} of this suite ({type(error).__name__}: {error})") from error
    check_tensors(path, state, expected)
    if header.get("generator") != fingerprint(generator):
        raise ValueError(
            f"{path}: trained for the generator {header.get('generator', '')[:12]}, this one is "
            f"{fingerprint(generator)[:12]}; train the {kind} again on it"
        )
    network = build(shape)
    network.load_state_dict(state, strict=False)
    return network.eval().requires_grad_(False)


def _distinct(network: nn.Module) -> dict[str, Tensor]:
    """What a file holds: tensors that modules share once, and no counters."""
    names = {name for name, _ in (*network.named_parameters(), *network.named_buffers())}
    return {k: v for k, v in network.state_dict().items() if k in names and not COUNTERS.search(k)}
