"""Training of StyleFeatureEditor: first the inverter, then, with it frozen, the feature editor.

Reference: Bobkov et al., arXiv 2406.10601, section 4; ControlGenAI/StyleFeatureEditor@00996c3. The editor learns
inversions, with no change of the map, and edits of e4e's own images: X = G(w) is given, X' = G(w + d) has to come out.
The adversary of both phases is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from datasets.checkpoints import header
from methods.checkpoints.trained import TOY
from methods.editing.directions import in_strengths
from methods.editing.weights import load_directions
from methods.encoders.encoder import Encoder
from methods.encoders.training import FORWARD_ONLY
from methods.encoders.weights import encoder_for
from methods.feature_space import weights
from methods.feature_space.feature_style_training import drawn
from methods.feature_space.sfe import KIND, edited, fresh_network, load_own
from methods.feature_space.sfe_networks import Sfe, SfeConfig
from methods.features import mean_square
from methods.generators.stylegan2 import Generator
from methods.training.base import EmaTraining, NetworkTrainingConfig, Reconstruction, warmup_cosine
from methods.training.losses import reconstruction_terms


@dataclass(frozen=True, kw_only=True)
class SfeTrainingConfig(NetworkTrainingConfig):
    """Settings of `python -m benchmarks train sfe`.

    map: weight of the squared difference of the fused map and the generator's. blend: fraction of the first phase over
    which the fused map is blended in. inverter: fraction of the steps in the first phase. strength: the largest of an
    edit, in standard deviations (methods/editing/directions.py). e4e: whose codes make the pairs; "" for the one
    trained for the generator, "toy" for a random one. directions: file of the edits; "" for those that the suite
    carries for the generator, "toy" for random ones. start: may be a Feature-Style encoder, for the trunk.
    """

    map: float = 0.01
    blend: float = 1 / 12
    inverter: float = 0.6
    strength: float = 3.0
    e4e: str = ""
    directions: str = ""
    name: str = KIND

    @property
    def cost(self) -> float:
        # Two images of each target; in the second phase two more that need no gradient.
        return 2 + (1 - self.inverter) * 2 * FORWARD_ONLY


def pairs_of(config: SfeTrainingConfig, generator: Generator) -> Encoder:
    """The frozen e4e. Raises FileNotFoundError that says how to train it."""
    return encoder_for("e4e", config.e4e, config.generator, generator)


def edits_of(config: SfeTrainingConfig, generator: Generator) -> Tensor:
    """Steps of strength 1 [K, num_ws, w_dim]. Raises FileNotFoundError that says how to learn them."""
    if config.directions == TOY:
        random = torch.randn(3, generator.w_dim, generator=torch.Generator().manual_seed(config.seed))
        return torch.stack([in_strengths(vector, generator) for vector in random])
    path = Path(config.directions) if config.directions else None
    return torch.stack([direction.vector for direction in load_directions(path, generator).values()])


class SfeTraining(EmaTraining):
    """The networks and their average; generator and e4e are frozen."""

    network_name = "sfe"
    sfe: Sfe
    config: SfeTrainingConfig
    edits: Tensor

    def __init__(self, config: SfeTrainingConfig, generator: Generator):
        super().__init__(config, generator, fresh_network(generator, config.seed))
        self.e4e = pairs_of(config, generator).eval().requires_grad_(False)
        self.register_buffer("edits", edits_of(config, generator), persistent=False)

    @property
    def default_name(self) -> str:
        return KIND

    @property
    def shape(self) -> SfeConfig:
        return self.sfe.shape

    def part_of(self, network: nn.Module, start: Path) -> nn.Module:
        return network if KIND in header(start) else cast(Sfe, network).inverter.fs_backbone

    @property
    def editing(self) -> bool:
        """Whether this is the second phase."""
        return self.progress >= self.config.inverter

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[LRScheduler]]:
        """As of all trainings, with a schedule of the rate for each phase."""
        (adam, *_), _ = super().configure_optimizers()
        return [adam], [LambdaLR(adam, lambda _: warmup_cosine(self.phase_progress, self.config.warmup))]

    @property
    def phase_progress(self) -> float:
        share = self.config.inverter
        return (self.progress - share) / (1 - share) if self.editing else self.progress / share

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return self._edit_terms(batch["images"]) if self.editing else self._inverter_terms(batch["images"])

    def _inverter_terms(self, images: Tensor) -> dict[str, Tensor]:
        config, layer = self.config, self.shape.layer
        codes, own, fused = self.sfe.inverter(images, self.generator)
        blended = own.lerp(fused, min(1.0, self.phase_progress / config.blend) if config.blend else 1.0)
        terms: dict[str, Tensor] = {"map": config.map * mean_square(fused, own).mean()}
        for name, maps in (("code", None), ("mapped", blended)):
            image = drawn(self.generator, codes, layer, maps)
            for part, value in reconstruction_terms(image, images, config.losses).items():
                terms[f"{name}_{part}"] = value
        return terms

    def _edit_terms(self, images: Tensor) -> dict[str, Tensor]:
        layer, generator, count = self.shape.layer, self.generator, len(images)
        self._freeze_inverter()
        with torch.no_grad():
            pair = self.e4e(self.e4e.preprocess(images))
            step = self._steps(count)
            start, target = generator.synthesis(torch.cat([pair, pair + step])).clamp(-1, 1).chunk(2)
            codes, _, fused = self.sfe.inverter(torch.cat([images, start]), generator)
        moves = torch.cat([torch.zeros_like(step), step])
        maps = edited(self.sfe.editor, generator, layer, fused, torch.cat([pair, pair]), moves)
        found = drawn(generator, codes + moves, layer, maps).chunk(2)
        terms: dict[str, Tensor] = {}
        for name, image, wanted in (("inversion", found[0], images), ("edit", found[1], target)):
            for part, value in reconstruction_terms(image, wanted, self.config.losses).items():
                terms[f"{name}_{part}"] = value
        return terms

    def _steps(self, count: int) -> Tensor:
        """A random edit of random strength for each image [N, num_ws, w_dim], by the seed, the step and the process."""
        random = torch.Generator().manual_seed(self.step_seed)
        chosen = torch.randint(len(self.edits), (count,), generator=random)
        strength = (2 * torch.rand(count, generator=random) - 1) * self.config.strength
        return self.edits[chosen.to(self.device)] * strength.to(self.device)[:, None, None]

    def _freeze_inverter(self) -> None:
        """The second phase goes on from the average of the first one, whose batch norms stay."""
        inverter = self.sfe.inverter
        if next(inverter.parameters()).requires_grad:
            inverter.load_state_dict(cast(Sfe, self.average).inverter.state_dict())
            inverter.requires_grad_(False)
        inverter.eval()

    @torch.no_grad()
    def reconstruct(self, network: Any, images: Tensor) -> Reconstruction:
        """By network and editor; before the editor's phase by the inverter, and so for a pair (network, False).

        None stands for e4e alone.
        """
        if network is None:
            codes = self.e4e(self.e4e.preprocess(images))
            return Reconstruction(codes, self.generator.synthesis(codes).clamp(-1, 1), images)
        network, edits = network if isinstance(network, tuple) else (network, self.editing)
        codes, _, maps = network.inverter(images, self.generator)
        if edits:
            maps = network.editor(maps, torch.zeros_like(maps))
        return Reconstruction(codes, drawn(self.generator, codes, self.shape.layer, maps).clamp(-1, 1), images)

    def compared(self, stored: Sfe) -> dict[str, Any]:
        return {"e4e, the pair's code": None, "the inverter alone": (stored, False), **super().compared(stored)}

    def save(self, path: Path, card: dict[str, str]) -> None:
        weights.save(self.average, self.shape, KIND, self.generator, path, half=True, card=card)

    def load(self, path: Path) -> Sfe:
        return load_own(path, self.generator)
