"""Edits and factorisations against the outputs of the released code (parity case `edits`)."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from methods.editing.directions import Direction, apply
from methods.editing.readers import Components
from methods.generators import readers
from methods.generators.stylegan2 import Generator
from tests import parity


@functools.cache
def case() -> parity.Case:
    return parity.Case("edits")


@functools.cache
def generator() -> Generator:
    state = parity.synthetic_state(parity.key_shapes("rosinality_64_cm2", "g_ema"))
    path = Path("rosinality_64_cm2")
    return readers.build(readers.config_from_state(state, path), state, path)


def components() -> Components:
    axes = torch.from_numpy(parity.synth().synthetic_noise("edit.pca.comp", (80, 1, 512))) / 512**0.5
    return Components(case()["in_pca_mean"][0].float(), axes[:, 0], case()["in_pca_std"].float())


def test_interfacegan_adds_multiples_of_the_stored_vector() -> None:
    latents, raw = case()["in_latents"], case()["in_direction"]
    directions = {"a": Direction("a", "", raw.expand(18, 512))}
    moved = [apply(latents[:1], {"a": factor}, directions) for factor in range(-2, 3)]
    case().assert_close("interfacegan", torch.cat(moved))


@pytest.mark.parametrize(
    ("name", "edits"), [("ganspace0", [(54, 7, 8, 20)]), ("ganspace1", [(54, 7, 8, 20), (0, 0, 18, -3)])]
)
def test_ganspace_moves_to_a_place_measured_on_row_0(name: str, edits: list[tuple[int, int, int, float]]) -> None:
    latents = case()["in_latents"].float()
    # One output for each edit of each latent, latents outermost.
    moved = torch.stack([components().moved_to(latents, *edit) for edit in edits], dim=1)
    case().assert_close(name, moved.flatten(0, 1))


def test_ganspace_is_absolute() -> None:
    found = components()
    unit = Components(found.mean, found.axes / found.axes.norm(dim=1, keepdim=True), found.spreads)
    latents = torch.randn(3, 18, 512, generator=torch.Generator().manual_seed(0))

    def place(latent: Tensor) -> Tensor:
        return (latent[:, 0] - unit.mean) @ unit.axes[3] / unit.spreads[3]

    once = unit.moved_to(latents, 3, 0, 18, 2.0)
    torch.testing.assert_close(place(once), torch.full((3,), 2.0))
    torch.testing.assert_close(unit.moved_to(once, 3, 0, 18, 2.0), once)
    with pytest.raises(ValueError, match="there are 80"):
        unit.moved_to(latents, 80, 0, 18, 1.0)
    with pytest.raises(ValueError, match="layers 7 to 19"):
        unit.moved_to(latents, 3, 7, 19, 1.0)
