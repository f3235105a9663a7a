"""LPIPS against its authors' code on synthetic weights, and pinned distances with the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from metrics import registry
from metrics.networks.lpips import Lpips, load_lpips
from tests import parity

TRUNK = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
WIDTHS = (64, 192, 384, 256, 256)
GOLDEN = Path(__file__).parents[1] / "golden" / "lpips.json"


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Lpips:
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (outputs, inputs, side) in TRUNK.items():
        shapes[f"features.{i}.weight"] = (outputs, inputs, side, side)
        shapes[f"features.{i}.bias"] = (outputs,)
    for k, width in enumerate(WIDTHS):
        shapes[f"lin{k}.model.1.weight"] = (1, width, 1, 1)
    path = tmp_path_factory.mktemp("weights") / "lpips_alex.safetensors"
    save_file(parity.synth().synthetic_state(shapes), path)
    return load_lpips("alex", path)


@pytest.mark.parametrize("side", [64, 100])
def test_float64_parity(synthetic: Lpips, side: int) -> None:
    case, network = parity.Case("lpips_alex"), synthetic.double()
    a, b = case[f"in_a{side}"].requires_grad_(), case[f"in_b{side}"]
    distances = network(a, b)
    case.assert_close(f"dist{side}", distances.view(-1, 1, 1, 1))
    case.assert_close(f"psp_copy{side}", distances.mean())
    (gradient,) = torch.autograd.grad(distances.sum(), a)
    case.assert_close(f"grad_a{side}", gradient)


@pytest.mark.parametrize("side", [64, 100])
def test_float32_parity(synthetic: Lpips, side: int) -> None:
    case, network = parity.Case("lpips_alex"), synthetic.float()
    info = case.meta["outputs"][f"dist{side}"]
    tolerance = max(20 * info["f32_vs_f64_max"], 5e-6 * info["absmax"])
    distances = network(case[f"in_a{side}"].float(), case[f"in_b{side}"].float())
    wanted = case[f"out_dist{side}"].flatten().float()
    torch.testing.assert_close(distances, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("side", [64, 100])
def test_squared_distance_of_features_is_the_distance(synthetic: Lpips, side: int) -> None:
    case, network = parity.Case("lpips_alex"), synthetic.double()
    a, b = case[f"in_a{side}"], case[f"in_b{side}"]
    squared = (network.features(a) - network.features(b)).square().sum(dim=1)
    torch.testing.assert_close(squared, network(a, b), rtol=1e-12, atol=0)


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(ValueError, match="'squeeze'"):
        load_lpips("squeeze")


def waves(phase: float) -> Tensor:
    """[1, 3, 64, 64]: coloured waves, no photograph."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    channels = [torch.sin(0.05 * (k + 2) * x + phase) * torch.cos(0.07 * y * (k + 1) - phase * k) for k in range(3)]
    return 0.9 * torch.stack(channels)[None]


def pairs() -> dict[str, tuple[Tensor, Tensor]]:
    """Three kinds of difference: other colours and places, a checker on top, coarse squares."""
    image = waves(0.4)
    squares = torch.arange(64) // 4
    checker = 1 - 2.0 * ((squares[:, None] + squares) % 2)
    coarse = torch.nn.functional.avg_pool2d(image, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    return {"shifted": (image, waves(1.3)), "checker": (image, image + 0.1 * checker), "coarse": (image, coarse)}


@pytest.mark.assets
@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_real_weights_give_the_stored_distances(net: str) -> None:
    metric = registry.load(f"lpips_{net}")
    found = {name: metric(a, b).item() for name, (a, b) in pairs().items()}
    assert found == pytest.approx(json.loads(GOLDEN.read_text())[net], abs=1e-5)
