"""StyleGAN2-ADA's pickled generators: what their modules' attributes say beside the tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datasets.module_pickles import Record


def conv_clamp(modules: Iterable[tuple[str, Record]]) -> float | None:
    """The bound on a generator's layers' outputs; None for no bound.

    Args:
        modules: the modules by the prefix of their tensors' names.

    Raises:
        ValueError: a layer's arguments make it another function than the one that is built here.
    """
    clamps = set()
    for prefix, module in modules:
        _check_kind(prefix, module.state)
        if "conv_clamp" in module.state:
            clamps.add(module.state["conv_clamp"])
    if len(clamps) > 1:
        raise ValueError(f"layers with different conv_clamp: {sorted(clamps, key=str)}; one for all is read")
    return clamps.pop() if clamps else None


def _check_kind(prefix: str, attributes: Any) -> None:
    linear = prefix.endswith(("affine.", "embed."))
    expected = {
        "architecture": "skip",
        "activation": "linear" if linear else "lrelu",
        "bias_gain": 0.01 if prefix.startswith("mapping.fc") else 1,  # the learning rate's multiplier
        "use_noise": True,
        "img_channels": 3,
    }
    for name, wanted in expected.items():
        if name in attributes and attributes[name] != wanted:
            raise ValueError(f"{prefix}{name} is {attributes[name]!r}; only {wanted!r} is read")
