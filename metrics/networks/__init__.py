"""Feature networks that metrics and losses share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from inversion_bench.registry import Registry

# A target is a function of the weights' path, or None for the asset of that name.
IDENTITY_NETWORKS: Registry[Any] = Registry(
    "identity network",
    {
        "sface": "metrics.networks.sface:load_sface",
        "facenet": "metrics.networks.facenet:load_facenet",
        "ir_se50": "metrics.networks.arcface:load_ir_se50",
        "curricularface": "metrics.networks.arcface:load_curricularface",
        "moco": "metrics.networks.moco:load_moco",  # no identity: features of any image
    },
    "inversion_bench.identity_networks",
)
PARSERS: Registry[Any] = Registry(
    "face parser", {"bisenet": "metrics.networks.bisenet:load_bisenet"}, "inversion_bench.face_parsers"
)


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

    Raises UnknownNameError and AssetMissingError where the weights cannot be had.
    """
    return _load(IDENTITY_NETWORKS, name, path)


def load_parser(name: str, path: Path | str | None = None) -> Any:
    """The face parsing network `name`, in eval mode and frozen; `logits(images)` are its scores. Errors as above."""
    return _load(PARSERS, name, path)


def _load(known: Registry[Any], name: str, path: Path | str | None) -> Any:
    network: nn.Module = known.get(name)(Path(path) if path else None)
    return network.eval().requires_grad_(False)
