"""Weights of networks that this suite trains for a generator: safetensors with shape and generator in the header."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from datasets import assets
from datasets.checkpoints import COUNTERS, check_tensors, describe, header, read_safetensors, reading
from inversion_bench.files import atomic
from methods.base import Method
from methods.generators.fingerprint import fingerprint
from methods.generators.stylegan2 import Generator

MOST_SIDE = 1024  # px, of what a network sees
TOY = "toy"  # the source of random weights, for tests
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
    source = assets.resolve(assets.expanded(source))
    path = folder / f"{source}.safetensors"
    if source != Path(source).name or not path.exists():
        path = Path(source)
    if not path.exists():
        bundled = ", ".join(sorted(file.stem for file in folder.glob("*.safetensors")))
        where = f"neither a file nor one of {bundled}" if bundled else "not a file, and none are bundled"
        raise FileNotFoundError(f"no {kind} weights {source!r}: {where}; {advice}")
    return path


def file_hash(path: Path) -> str:
    """SHA-256 of a file, for results' keys; computed again only when the file has been written since."""
    state = path.stat()
    return _hash(path, state.st_mtime_ns, state.st_size)


@cache
def _hash(path: Path, *_: int) -> str:
    return assets.sha256(path)


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
    with atomic(path) as temporary:
        save_file(state, temporary, {kind: json.dumps(asdict(shape)), "generator": fingerprint(generator), **card})


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
    raw, facts = read_safetensors(path)
    state = {key: value.float() for key, value in raw.items()}
    if kind not in facts:
        raise ValueError(f"{path}: no {kind} of this suite; found {describe(state)}")
    with reading(path, kind):
        shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(facts[kind]).items()}
        # A header may lie about the size: no more layers than tensors, and none takes memory before it is checked.
        layers = sum(shape.get("units", ())) + shape.get("num_ws", 0) + shape.get("blocks", 0)
        layers += len(shape.get("layers", ()))
        if layers > len(state) or shape.get("resolution", 0) > MOST_SIDE:
            raise ValueError(
                f"says {layers:,} layers at {shape.get('resolution')} px, the file holds {len(state)} tensors"
            )
        with torch.device("meta"):
            expected = _distinct(build(shape))
        check_tensors(path, state, expected)
    if facts.get("generator") != fingerprint(generator):
        raise ValueError(
            f"{path}: trained for the generator {facts.get('generator', '')[:12]}, this one is "
            f"{fingerprint(generator)[:12]}; train the {kind} again on it"
        )
    network = build(shape)
    network.load_state_dict(state, strict=False)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def start_from(network: nn.Module, path: Path) -> list[str]:
    """Take over what another network's file has under the same name and shape.

    A first convolution for fewer input channels fills the first ones; the others begin at zero, so that a second
    image beside the target changes nothing at first.

    Args:
        network: what begins from the file. A mean of W stays its own.
        path: of the file.

    Returns:
        The names taken.

    Raises:
        ValueError: its first layer does not fit.
    """
    stored, own = read_safetensors(path)[0], network.state_dict()
    first, taken = next(iter(dict(network.named_parameters()))), []
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
        raise ValueError(f"{path}: nothing of it fits this network (no {first} of a fitting shape)")
    return taken


def is_own(path: Path) -> bool:
    """Whether this suite wrote a file of weights; others are read as their authors publish them."""
    return "generator" in header(path)


class TrainedStage(Method):
    """A stage with weights; where its setting `weights` is empty, those that were trained for celeba64.

    Subclasses set `find`, too: a source and the stage's name to the file.
    """

    find: ClassVar[staticmethod[[str, str], Path]]

    @classmethod
    def source(cls, config: Any) -> str:
        """Where a config's weights come from: a bundled name, an asset, a file, or TOY."""
        return config.weights or f"{cls.info.name}-celeba64"

    @classmethod
    def weights_hash(cls, config: Any) -> str:
        source = cls.source(config)
        return TOY if source == TOY else file_hash(cls.find(source, cls.info.name))


def _distinct(network: nn.Module) -> dict[str, Tensor]:
    """What a file holds: tensors that modules share once, and no counters."""
    names = {name for name, _ in (*network.named_parameters(), *network.named_buffers())}
    return {k: v for k, v in network.state_dict().items() if k in names and not COUNTERS.search(k)}
