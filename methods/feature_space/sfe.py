"""StyleFeatureEditor as a stage, and the rule by which its maps follow an edit.

Reference: Bobkov et al., "The Devil is in the Details: StyleFeatureEditor for Detail-Rich StyleGAN Inversion and High
Quality Image Editing", arXiv 2406.10601; ControlGenAI/StyleFeatureEditor@00996c3. The inverter gives a code and a fused
map. The editor changes that map by what the same edit does to the generator's map at another code of the image, the
pair's, which is e4e's and comes from the stage before. An inversion passes the editor, too, with no change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from methods.base import Inversion, MethodInfo, rendered
from methods.batching import padded, slices
from methods.checkpoints.sfe import load_sfe
from methods.checkpoints.trained import TOY, TrainedStage, is_own
from methods.feature_maps import FeatureEdit
from methods.feature_space import feature_style, weights
from methods.feature_space.feature_style import at_rest, fitted
from methods.feature_space.sfe_networks import Merging, Sfe, SfeConfig, check_entry
from methods.generators.stylegan2 import Generator

KIND = "sfe"
# At 64 px: 0.7 million parameters, and a trunk of the shape of the bundled Feature-Style encoder.
SMALL: dict[str, Any] = {**feature_style.SMALL, "blocks": 3, "hidden": 12}
TINY: dict[str, Any] = {**feature_style.TINY, "blocks": 1, "hidden": 4}


@dataclass(frozen=True)
class SfeStageConfig:
    """weights: a bundled name, a file of this suite, an asset or the authors' editor file (.pt); "" for the one trained
    for celeba64, "toy" for random ones.

    batch_size: images of one call, fixed (methods/batching.py).
    """

    weights: str = ""
    batch_size: int = 8


class StyleFeatureEditor(TrainedStage):
    """The inverter's code and fused map; the code of the stage before is the pair's, on which edits are tried first."""

    Config = SfeStageConfig
    find = staticmethod(weights.find)
    config: SfeStageConfig
    info = MethodInfo(
        name=KIND,
        title="StyleFeatureEditor",
        version=1,
        paper="Bobkov et al., The Devil is in the Details: StyleFeatureEditor for Detail-Rich StyleGAN Inversion and "
        "High Quality Image Editing, arXiv 2406.10601",
        year=2024,
        code="ControlGenAI/StyleFeatureEditor@00996c3",
        licence="MIT",
        space="W+",
        refines=True,
        note="re-implemented; masks of edits are left out, and its training has no adversary",
    )

    def __init__(self, generator: Generator, config: Any = None, seed: int = 0):
        super().__init__(generator, config, seed)
        self.reference = weights.reference(self.source(self.config), KIND, generator)
        self.network = weights.network_of(self.reference, KIND, generator, load_network)

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        assert init is not None  # checked in `check`
        codes, maps = [], []
        for part in slices(len(ids), self.config.batch_size):
            one = images[part]
            latent, fused = self._encode(padded(one, self.padded_size(len(one))))
            codes.append(latent[: len(one)])
            maps.append(fused[: len(one)].half())
        latent, layer = torch.cat(codes), self.network.shape.layer
        own = zip(torch.cat(maps), latent, init.latent.to(latent), strict=True)
        draft = Inversion(
            ids=tuple(ids),
            latent=latent,
            space=self.info.space,
            image=torch.empty_like(images),
            steps=torch.ones(len(ids), dtype=torch.int64),
            features=tuple(
                (
                    FeatureEdit(
                        layer,
                        "replace",
                        {"fused": fused[None], "code": code[None].clone(), "pair": pair[None].clone()},
                        KIND,
                        self.reference,
                    ),
                )
                for fused, code, pair in own
            ),
        )
        return rendered(self.generator, draft)

    @torch.no_grad()
    def _encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        codes, _, fused = self.network.inverter(images, self.generator)
        return codes, fused


def recompute(edit: FeatureEdit, codes: Tensor, generator: Generator) -> Mapping[str, Tensor]:
    """The rule: the map at codes [N, num_ws, w_dim], from the stored one and what the same step does to the pair.

    Raises ValueError where the network's weights are no longer those that made the stored map.
    """
    editor = weights.network_of(edit.network, KIND, generator, load_network).to(codes).editor
    stored = {name: value.to(codes) for name, value in edit.tensors.items()}
    return {"map": edited(editor, generator, edit.layer, stored["fused"], stored["pair"], codes - stored["code"])}


def edited(editor: Merging, generator: Generator, layer: int, fused: Tensor, pair: Tensor, step: Tensor) -> Tensor:
    """The map of an edit.

    Args:
        editor: the feature editor.
        generator: the generator.
        layer: k of the map f[k].
        fused: the inverter's maps [N or 1, C, r, r].
        pair: the pair's codes [N or 1, num_ws, w_dim].
        step: of the edit [N, num_ws, w_dim].

    Returns:
        [N, C, r, r].
    """
    # One size for both: on a CPU the last bits depend on it, and without a step the difference has to be zero.
    before = pair.expand_as(step)
    difference = generator.feature_map(before, layer) - generator.feature_map(before + step, layer)
    return editor(fused.expand_as(difference), difference)


def load_network(source: str, generator: Generator) -> Sfe:
    """Trained or random networks in eval mode for a generator.

    Raises FileNotFoundError, or ValueError that names the file, what was found and the fix.
    """
    if source == TOY:
        return toy_network(generator)
    path = weights.find(source, KIND)
    if not is_own(path):
        return load_sfe(path, generator)
    network = load_own(path, generator)
    check_entry(network.shape, generator)
    return network


def load_own(path: Path, generator: Generator) -> Sfe:
    """Networks of a file of this suite; errors as `load_network`."""
    return weights.load(path, KIND, lambda shape: Sfe(SfeConfig(**shape)), generator)


def toy_network(generator: Generator, seed: int = 0) -> Sfe:
    """Small networks of random weights: for tests, not for figures."""
    network = weights.seeded(lambda: Sfe(fitted(SfeConfig, generator, **TINY)), seed)
    at_rest(network.inverter.fs_backbone)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def fresh_network(generator: Generator, seed: int) -> Sfe:
    """Untrained networks of the bundled size.

    The fused map begins as the generator's own and a little of the trunk's, the edited one as the fused map shifted by
    what the edit does to the generator's.
    """
    network = weights.seeded(lambda: Sfe(fitted(SfeConfig, generator, **SMALL)), seed)
    at_rest(network.inverter.fs_backbone)
    width = network.shape.maps
    same = torch.eye(width)[:, :, None, None]
    network.inverter.fuser.conv.weight[:, width:] = same
    network.editor.conv.weight[:, :width] = same
    network.editor.conv.weight[:, width:] = -same
    parts: Any = (network.inverter.fuser, network.editor)
    for merging in parts:
        nn.init.zeros_(merging.conv.bias)
        for block in merging.body:
            nn.init.zeros_(block.body[-1].weight)
    return network
