"""Feature networks that metrics and losses share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

IDENTITY_NETWORKS: dict[str, str] = {
    "sface": "metrics.networks.sface:load_sface",
    "facenet": "metrics.networks.facenet:load_facenet",
    "ir_se50": "metrics.networks.arcface:load_ir_se50",
    "curricularface": "metrics.networks.arcface:load_curricularface",
    "moco": "metrics.networks.moco:load_moco",  # no identity: features of any picture, for domains without faces
}
PARSERS: dict[str, str] = {"bisenet": "metrics.networks.bisenet:load_bisenet"}


class IdentityNetwork(nn.Module, ABC):
    """A frozen face recognition network; differentiable in its images, in float32 or float64."""

    @abstractmethod
    def crop(self, images: Tensor) -> Tensor:
        """Aligned faces [N, 3, S, S] -> the network's own crop, both in [-1, 1]; each network says in which frame."""

    @abstractmethod
    def embed(self, crops: Tensor) -> Tensor:
        """Crops [N, 3, H, W] in [-1, 1], RGB -> unit vectors [N, D]."""


def load_identity(name: str, path: Path | str | None = None) -> IdentityNetwork:
    """The identity network `name`, in eval mode and frozen; weights from `path` or the asset of that name.

    Raises KeyError for an unknown name and AssetMissingError where the weights cannot be had.
    """
    return _load(IDENTITY_NETWORKS, "identity network", name, path)


def load_parser(name: str, path: Path | str | None = None) -> Any:
    """The face parsing network `name`, in eval mode and frozen; `logits(images)` are its scores. Errors as above."""
    return _load(PARSERS, "face parser", name, path)


def _load(known: dict[str, str], what: str, name: str, path: Path | str | None) -> Any:
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise KeyError(f"unknown {what} {name!r}: {hint}known: {', '.join(known)}")
    module, function = known[name].split(":")
    network: nn.Module = getattr(import_module(module), function)(Path(path) if path else None)
    return network.eval().requires_grad_(False)
