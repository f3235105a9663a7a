"""Networks of feature-space methods with trained, random or untrained weights; `kind` is the stage's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import nn

from methods.checkpoints import trained
from methods.checkpoints.trained import TOY, file_hash
from methods.generators.fingerprint import fingerprint
from methods.generators.stylegan2 import Generator

FOLDER = Path(__file__).parent / "weights"
_DIGITS = 16  # of a SHA-256, in a reference
N = TypeVar("N", bound=nn.Module)
_OPEN: WeakKeyDictionary[Generator, dict[tuple[str, str], nn.Module]] = WeakKeyDictionary()


def find(source: str, kind: str) -> Path:
    """The file of a bundled name, an asset or a path; FileNotFoundError (AssetMissingError) says how to get it."""
    return trained.find(source, FOLDER, kind, f"`python -m benchmarks train {kind}` trains one")


def save(
    network: nn.Module, shape: Any, kind: str, generator: Generator, path: Path, half: bool, card: dict[str, str]
) -> None:
    """Write a network of a shape (a dataclass); half: float16, for files that are committed."""
    trained.save(path, kind, network, shape, generator, half, card)


def load(path: Path, kind: str, build: Callable[[Mapping[str, Any]], N], generator: Generator) -> N:
    """A network in eval mode for its generator. Raises ValueError that names the file and the fix."""
    return trained.load(path, kind, build, generator).to(memory_format=torch.channels_last)


def seeded(build: Callable[[], N], seed: int) -> N:
    """A network of random weights that leaves the global random stream as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().to(memory_format=torch.channels_last)


def digest(source: str, kind: str, generator: Generator) -> str:
    """SHA-256 of the weights of a source; random ones depend on their generator's shape alone."""
    return fingerprint(generator) if source == TOY else file_hash(find(source, kind))


def reference(source: str, kind: str, generator: Generator) -> str:
    """`source@hash`: how stored feature maps name the network that recomputes them."""
    return f"{source}@{digest(source, kind, generator)[:_DIGITS]}"


def source_of(reference: str, kind: str, generator: Generator) -> str:
    """The source in a `reference`. Raises ValueError where its weights are no longer those."""
    source, _, wanted = reference.rpartition("@")
    found = digest(source, kind, generator)[:_DIGITS]
    if found != wanted:
        raise ValueError(
            f"{source}: its weights are now {found}, the feature maps were made with {wanted}; put that file back, or "
            "invert the images again"
        )
    return source


def network_of(reference: str, kind: str, generator: Generator, read: Callable[[str, Generator], N]) -> N:
    """The network of a `reference`, read once for each generator of a process.

    Args:
        reference: as of `reference`.
        kind: of network.
        generator: the shared one.
        read: a source to its network, in eval mode and frozen.

    Raises:
        ValueError: the source's weights are no longer those.
    """
    known = _OPEN.setdefault(generator, {})
    key = kind, reference
    if key not in known:
        with torch.inference_mode(False):  # else no gradient would ever pass through it
            known[key] = read(source_of(reference, kind, generator), generator)
    return cast(N, known[key])
