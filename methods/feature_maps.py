"""Maps of the synthesis network that belong to an image's code: what feature-space methods store beside a latent.

`f[k]` numbers the maps as they leave the convolutions, after noise, bias and activation: f[1] at 4 px, then two for
each resolution, f[2j] behind the doubling convolution and f[2j + 1] behind the next one. A changed map goes into the
next convolution; the RGB layer that reads an odd map keeps the map as it was, as in all released code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import torch
from torch import Tensor

from inversion_bench.registry import Registry
from methods.generators.stylegan2 import Generator, MapChange

Operation = Literal["replace", "add", "affine"]
KEEP, MASK = "keep", "mask"


@dataclass(frozen=True)
class FeatureEdit:
    """A change of one map of one image, and the rule by which it follows when the latent moves.

    layer: k of f[k].
    operation: what the values do to a map x: "replace" puts `map` there, "add" gives x + map, "affine" gives
        x (1 + scale) + shift.
    tensors: the values, [1, C, r, r] each, or what the rule makes them of. `mask` [1, 1, r, r] in [0, 1] is where the
        edit holds, everywhere without one.
    rule: "keep" leaves the values as they are. So "replace" freezes a map, and "add" of F0 - f(w0) is F0 shifted by
        f(w1) - f(w0). Any other rule of RULES makes them anew from `tensors` and the new code, by a trained network.
    network: where the rule's weights come from: a bundled name or a file.
    """

    layer: int
    operation: Operation
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    rule: str = KEEP
    network: str = ""

    def at(self, codes: Tensor, generator: Generator) -> FeatureEdit:
        """The same edit with the values that its rule gives for codes [N, num_ws, w_dim]; differentiable in them.

        generator: the shared one, also where the image has weights of its own.
        """
        if self.rule == KEEP:
            return self
        values = {**RULES.get(self.rule)(self, codes, generator)}
        if MASK in self.tensors:
            values[MASK] = self.tensors[MASK]
        return replace(self, tensors=values, rule=KEEP, network="")

    def to(self, device: torch.device) -> FeatureEdit:
        """The same edit with its tensors on a device."""
        return replace(self, tensors={name: value.to(device) for name, value in self.tensors.items()})

    def __call__(self, x: Tensor) -> Tensor:
        """A map x [N, C, r, r] under the values."""
        values = {name: value.to(x) for name, value in self.tensors.items()}
        if self.operation == "replace":
            changed = values["map"].expand_as(x)
        elif self.operation == "add":
            changed = x + values["map"]
        else:
            changed = x * (1 + values["scale"]) + values["shift"]
        return x + values[MASK] * (changed - x) if MASK in values else changed


Features = tuple[FeatureEdit, ...]
Rule = Callable[[FeatureEdit, Tensor, Generator], Mapping[str, Tensor]]
# A rule takes the edit, the codes [N, num_ws, w_dim] and the shared generator, and returns the operation's values.
RULES: Registry[Rule] = Registry(
    "rule of feature maps",
    {name: f"methods.feature_space.{name}:recompute" for name in ("hfgi", "styleres", "sfe")},
    "inversion_bench.feature_rules",
)


def check_map(layer: int, channels: int, generator: Generator) -> None:
    """Raises ValueError where a generator's f[layer] does not have so many channels, or is not there."""
    widths = generator.config.channels
    if not 1 <= layer < generator.num_ws or widths[layer // 2] != channels:
        raise ValueError(
            f"changes a map of {channels} channels at {4 * 2 ** (layer // 2)} px, the generator's maps have "
            f"{', '.join(map(str, widths))} channels from 4 to {generator.resolution} px"
        )


def change_of(edits: Sequence[FeatureEdit], rows: int | None = None) -> MapChange | None:
    """What `Generator.synthesis` takes: the edits, whose rules have been asked (`FeatureEdit.at`); None for none.

    rows: change the maps of the first codes of a batch only; None for all.
    """
    if not edits:
        return None

    def change(layer: int, x: Tensor) -> Tensor:
        for edit in edits:
            if edit.layer == layer:
                x = edit(x) if rows is None else torch.cat([edit(x[:rows]), x[rows:]])
        return x

    return change


def option(change: MapChange | None) -> dict[str, Any]:
    """The change as `synthesis` takes it: left out where there is none, as a generator of one's own may not know it."""
    return {} if change is None else {"change": change}


def at_codes(edits: Sequence[FeatureEdit], codes: Tensor, generator: Generator) -> Features:
    """All edits of an image with the values that they have at codes [N, num_ws, w_dim]."""
    return tuple(edit.at(codes, generator) for edit in edits)


def stacked(images: Sequence[Features]) -> Features:
    """The edits of N images as one, with tensors [N, ...]. Raises ValueError where they are not of one kind."""
    kinds = {json.dumps(described(features)) for features in images}
    if len(kinds) > 1:
        raise ValueError(f"images of one batch have feature maps of several kinds: {'; '.join(sorted(kinds))}")
    return tuple(
        replace(one[0], tensors={name: torch.stack([edit.tensors[name] for edit in one]) for name in one[0].tensors})
        for one in zip(*images, strict=True)
    )


def between(a: Features, b: Features, fraction: float) -> Features:
    """Edits at `fraction` of the way from a (0) to b (1). Raises ValueError where they are not of one kind."""
    pairs = stacked([a, b])
    return tuple(
        replace(
            edit, tensors={k: v[0].float().lerp(v[1].float(), fraction).to(v.dtype) for k, v in edit.tensors.items()}
        )
        for edit in pairs
    )


def described(edits: Features) -> list[dict[str, object]]:
    """The edits without their values, as plain data."""
    return [
        {
            "layer": edit.layer,
            "operation": edit.operation,
            "rule": edit.rule,
            "network": edit.network,
            "tensors": sorted(edit.tensors),
        }
        for edit in edits
    ]


def packed(edits: Features) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Edits as a .safetensors file holds them: tensors by name, and the metadata that `unpacked` needs."""
    if not edits:
        return {}, {}
    tensors = {
        f"feature.{n}.{name}": value.detach().cpu().contiguous()
        for n, edit in enumerate(edits)
        for name, value in edit.tensors.items()
    }
    return tensors, {"features": json.dumps(described(edits))}


def unpacked(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Features:
    """Edits of a .safetensors file, none where it has none. Raises ValueError or KeyError for a malformed one."""
    entries = json.loads(metadata.get("features", "[]"))
    return tuple(
        FeatureEdit(
            int(entry["layer"]),
            cast(Operation, entry["operation"]),
            {name: tensors[f"feature.{n}.{name}"] for name in entry["tensors"]},
            str(entry["rule"]),
            str(entry["network"]),
        )
        for n, entry in enumerate(entries)
    )
