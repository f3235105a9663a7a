"""LSAP's alignment of styles against the released code on synthetic weights (float64 twins)."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from methods.generators import Generator
from methods.style_space import alignment_loss, mean_styles, styles
from tests import parity


@cache
def parts() -> tuple[parity.Case, Generator, list[Tensor]]:
    case, generator = parity.Case("lsap_64"), parity.rosinality("rosinality_64_cm2")
    samples = torch.from_numpy(parity.synth().synthetic_noise("lsap_64.z", (300, 512))).double()
    assert torch.equal(samples[:2], case["in_z"])
    return case, generator.requires_grad_(False), mean_styles(generator, samples)


def test_means_of_styles() -> None:
    case, _, means = parts()
    assert [len(mean) for mean in means] == case["out_dims"].tolist()
    case.assert_close("anchor", torch.cat(means))


@pytest.mark.parametrize("kind", ["wplus", "w", "mix"])
def test_loss_and_gradient(kind: str) -> None:
    case, generator, means = parts()
    w_plus, w = case["in_wplus"], generator.style(case["in_zw"])[:, None].expand(-1, 10, -1)
    latent = {"wplus": w_plus, "w": w, "mix": 0.5 * w + 0.5 * w_plus}[kind].clone().requires_grad_(True)
    total = alignment_loss(generator, latent, means)
    (0.5 * total).backward()
    case.assert_close(f"total_{kind}", total[None])
    case.assert_close(f"loss_{kind}", 0.5 * total[None])
    case.assert_close(f"grad_{kind}", latent.grad)
    dots = [style @ mean for style, mean in zip(styles(generator, latent), means, strict=True)]
    case.assert_close(f"dot_{kind}", torch.stack(dots, dim=1))
    if kind == "mix":
        case.assert_close("loss_stage3", 0.5 * alignment_loss(generator, latent, means, layers=4)[None])
