"""The plain forms that speed figures compare with compute what the suite's stages compute."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.perf import plain
from methods.base import Inversion
from methods.generators import load_generator
from methods.generators.stylegan2 import Generator
from methods.registry import resolve_stage
from metrics import registry as metrics_registry

IDS = ["a", "b"]
QUICK: dict[str, Any] = {"features": "lpips_alex", "steps": 4, "lr": 0.1, "l2": 1.0}


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator("toy")


@pytest.fixture(scope="module")
def images(generator: Generator) -> Tensor:
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(1))
    return generator.synthesis(generator.mapping(z)).detach().clamp(-1, 1).roll(3, dims=3)


def pivot(generator: Generator, images: Tensor) -> Inversion:
    stage = resolve_stage("w_optimization", QUICK | {"steps": 2}).build(generator, 0)
    return stage.invert(images, IDS)


@pytest.mark.parametrize("noise", ["const", "none"])
def test_synthesis(generator: Generator, noise: Any) -> None:
    double = load_generator("toy").double()
    codes = double.mapping(torch.randn(2, double.z_dim, dtype=torch.float64))
    torch.testing.assert_close(plain.synthesis(double, codes, noise), double.synthesis(codes, noise))


@pytest.mark.assets
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("w_optimization", QUICK),
        ("w_plus_optimization", QUICK | {"optimise_noise": False}),
        ("pivotal_tuning", {"steps": 3, "lr": 3e-3, "stop_lpips": 0.0}),
        ("pivotal_tuning", {"steps": 3, "lr": 3e-3, "stop_lpips": 0.0, "locality.weight": 0.0}),
        ("pivotal_tuning", {"steps": 3, "lr": 3e-3, "stop_lpips": 0.0, "locality.samples": 2, "locality.interval": 2}),
        ("pivotal_tuning", {"steps": 3, "lr": 3e-3, "stop_lpips": 0.0, "batch_size": 2}),
        *((name, {"weights": "toy"}) for name in ("psp", "e4e", "restyle_psp", "restyle_e4e", "interestyle")),
    ],
)
def test_a_stage_and_its_plain_form_agree(generator: Generator, images: Tensor, name: str, settings: Any) -> None:
    stage = resolve_stage(name, settings).build(generator, 0)
    init = pivot(generator, images) if "tuning" in name else None
    found = stage.invert(images, IDS, init)
    wanted = plain.invert(plain.stage_of(stage), images, IDS, init)
    assert found.ids == wanted.ids and found.steps.tolist() == wanted.steps.tolist()
    # Adam turns the rounding of a gradient near zero into a step of another sign: few numbers, few steps.
    torch.testing.assert_close(found.latent, wanted.latent, rtol=0, atol=2e-3)
    torch.testing.assert_close(found.image, wanted.image, rtol=0, atol=2e-3)
    if "tuning" in name:
        untuned = stage.generator.synthesis(found.latent).clamp(-1, 1)
        assert float((untuned - wanted.image).abs().max()) > 0.02, "the steps change more than the tolerance"


@pytest.mark.assets
@pytest.mark.parametrize("name", ["mse", "ms_ssim_64", "lpips_alex", "lpips_alex_interest_spatial", "mse_outside"])
def test_a_metric_image_by_image(name: str) -> None:
    stream = torch.Generator().manual_seed(0)
    images, targets = (torch.rand(2, 3, 64, 64, generator=stream) * 2 - 1 for _ in range(2))
    metric = metrics_registry.load(name)
    torch.testing.assert_close(plain.score(metric, images, targets), metric(images, targets), equal_nan=True)


def test_variants_have_no_plain_form(generator: Generator) -> None:
    for settings in ({"optimizer.name": "muon"}, {"affine": False}, {"group": 2}):
        assert not plain.known(resolve_stage("pivotal_tuning", settings).build(generator, 0))
