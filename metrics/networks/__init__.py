"""Feature networks that metrics and losses share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from torch import Tensor, nn

IDENTITY_NETWORKS: dict[str, str] = {
    "sface": "metrics.networks.sface:load_sface",
    "facenet": "metrics.networks.facenet:load_facenet",
}


class IdentityNetwork(nn.Module, ABC):
    """A frozen face recognition network; differentiable in its images, in float32 or float64."""

    @abstractmethod
    def crop(self, images: Tensor) -> Tensor:
        """Faces [N, 3, S, S] in the suite's aligned frame -> the network's own crop, both in [-1, 1]."""

    @abstractmethod
    def embed(self, crops: Tensor) -> Tensor:
        """Crops [N, 3, H, W] in [-1, 1], RGB -> unit vectors [N, D]."""


def load_identity(name: str, path: Path | None = None) -> IdentityNetwork:
    """The identity network `name`, in eval mode and frozen; weights from `path` or the asset of that name.

    Raises KeyError for an unknown name and AssetMissingError where the weights cannot be had.
    """
    if name not in IDENTITY_NETWORKS:
        near = get_close_matches(name, IDENTITY_NETWORKS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise KeyError(f"unknown identity network {name!r}: {hint}known: {', '.join(IDENTITY_NETWORKS)}")
    module, function = IDENTITY_NETWORKS[name].split(":")
    network: IdentityNetwork = getattr(import_module(module), function)(path)
    return network.eval().requires_grad_(False)
