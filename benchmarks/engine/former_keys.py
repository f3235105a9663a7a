"""Keys of suites of the version before, which say the same as `protocols:` does now; to be removed with the next one.

metrics: [..]     reconstruction, interest_region and set_distances, by the kind of each metric
inline: [..]      locality, latent
protocols: [..]   occlusion, as a list; also under its former name, occluded
editing: {..}     editing, with `again` for reinversion_images and `again_methods` for reinversion_methods
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import cache
from itertools import groupby
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

KEYS = ("protocols", "metrics", "inline", "editing")
METRICS = ("reconstruction", "interest_region", "set_distances")
INLINE = ("locality", "latent")
PAIRED = ("occlusion",)
EDITING = {"again": "reinversion_images", "again_methods": "reinversion_methods"}

log = logging.getLogger(__name__)


def is_former(key: str, value: Any) -> bool:
    """Whether an override `key=value` is of the former kind."""
    if key == "protocols":
        return isinstance(value, ListConfig)
    return key.partition(".")[0].partition("[")[0] in KEYS[1:]


def with_former(protocols: DictConfig | None, layer: DictConfig) -> DictConfig | None:
    """The settings of protocols with what former keys of a layer change of them; the keys leave the layer.

    Args:
        protocols: what lies below the layer, or None.
        layer: settings of a suite.
    """
    plain: Any = OmegaConf.to_container(layer)
    former = {key: plain[key] for key in KEYS if key in plain and (key != "protocols" or isinstance(plain[key], list))}
    if not former:
        return protocols
    _warn()
    below: Any = {} if protocols is None else OmegaConf.to_container(protocols)
    present: dict[str, Any] = dict(below)
    for key, value in former.items():
        del layer[key]
        if key == "metrics":
            present = _of_metrics(value) | _without(present, METRICS)
        elif key == "editing":
            renamed = {EDITING.get(name, name): setting for name, setting in value.items()}
            present["editing"] = (present.get("editing") or {}) | renamed
        else:
            names = ["occlusion" if name == "occluded" else name for name in value]
            present = _without(present, INLINE if key == "inline" else PAIRED) | {name: {} for name in names}
    return OmegaConf.create(dict(sorted(present.items(), key=_place)))


def _of_metrics(names: list[str]) -> dict[str, Any]:
    """Protocols for a list of metrics of all kinds, in its order."""
    protocols: dict[str, Any] = {}
    for kind, group in groupby(names, _kind):
        name = kind if kind not in protocols else f"{kind}_{len(protocols) + 1}"
        protocols[name] = {"metrics": list(group)} | ({} if name == kind else {"protocol": kind})
    return protocols


def _kind(metric: str) -> str:
    from benchmarks.protocols.registry import protocol_of  # only suites of the former form need it

    with suppress(KeyError, ValueError):  # the protocol says what is wrong with the name
        return protocol_of(metric)
    return METRICS[0]


def _without(protocols: dict[str, Any], kinds: tuple[str, ...]) -> dict[str, Any]:
    return {name: settings for name, settings in protocols.items()
            if ((settings or {}).get("protocol") or name) not in kinds}  # fmt: skip


def _place(protocol: tuple[str, Any]) -> int:
    """Tables had the order metrics, occlusion, inline protocols, editing."""
    kind = (protocol[1] or {}).get("protocol") or protocol[0]
    order = (*PAIRED, *INLINE, "editing")
    return -1 if kind in METRICS else order.index(kind) if kind in order else len(order)


@cache
def _warn() -> None:
    log.warning("a suite's `metrics`, `inline` and `editing`, and `protocols` as a list, are former keys; write the "
                "mapping `protocols:` as benchmarks/suites/celeba64.yaml does")  # fmt: skip
