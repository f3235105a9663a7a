"""The evaluation protocols by name. One of the suite is a file here and a line in the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from inversion_bench.registry import Registry
from inversion_bench.settings import explain

if TYPE_CHECKING:
    from benchmarks.protocols.base import Protocol

PROTOCOLS: Registry[type[Protocol]] = Registry(
    "protocol",
    {
        "reconstruction": "benchmarks.protocols.reconstruction:Reconstruction",
        "interest_region": "benchmarks.protocols.reconstruction:InterestRegion",
        "set_distances": "benchmarks.protocols.set_distances:SetDistances",
        "locality": "benchmarks.protocols.locality:Locality",
        "latent": "benchmarks.protocols.latent:LatentStatistics",
        "occlusion": "benchmarks.protocols.occlusion:Occlusion",
        "editing": "benchmarks.protocols.editing.protocol:Editing",
    },
    "inversion_bench.protocols",
    aliases={"occluded": "occlusion"},
)


def create(name: str, settings: Mapping[str, Any] | None = None) -> Protocol:
    """A protocol under a suite's settings.

    Args:
        name: a name of PROTOCOLS, or any other one where the settings name the protocol.
        settings: those of its Config, and `protocol`: the name in PROTOCOLS or `package.module:Name`, where `name` is
            the suite's own, as for a second list of metrics.

    Returns:
        The protocol, which still has to be resolved.

    Raises:
        ValueError: an unknown name or setting, with the nearest one, or settings that do not fit.
    """
    settings = dict(settings or {})
    cls = PROTOCOLS.get(str(settings.pop("protocol", name)))
    try:
        config: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(cls.Config), settings))
    except OmegaConfBaseException as error:
        raise ValueError(f"protocols.{name}: {explain(error, 'the protocol')}") from error
    return cls(name, config)


def protocol_of(metric: str) -> str:
    """The protocol that a registered metric belongs to. Raises ValueError or KeyError for an unknown one."""
    from metrics import registry
    from metrics.base import SetMetric

    found = registry.find(metric)
    if isinstance(found, SetMetric):
        return "set_distances"
    return "interest_region" if found.region else "reconstruction"
