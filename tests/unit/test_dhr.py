"""DHR: its two losses and optimisers against the released code, its mask, and what an edit leaves alone."""

from __future__ import annotations

from dataclasses import replace

import lpips
import pytest
import torch
from torch import Tensor

from methods.base import Inversion, render, rendered
from methods.feature_space.dhr import HybridConfig, hybrid_refinement, layer_at_an_eighth, masked_mean, pooled_mask
from methods.feature_space.domain_mask import DomainConfig, inside, superpixels
from methods.generators import Generator, load_generator
from methods.generators.stylegan2 import official_config
from methods.registry import resolve_stage
from methods.tuning.batch import of_image
from metrics.networks.lpips import Lpips
from tests import parity
from tests.drawn_faces import drawn_face


def synthetic_network() -> Lpips:
    module = lpips.LPIPS(pretrained=False, net="alex", pnet_rand=True, verbose=False)
    shapes = {
        key: (f"features.{key.split('.', 2)[2]}" if key.startswith("net.") else key, list(value.shape))
        for key, value in module.state_dict().items()
        if key.startswith(("net.slice", "lin")) and not key.startswith("lins")
    }
    made = parity.synthetic_state(dict(shapes.values()))
    module.load_state_dict({key: made[name] for key, (name, _) in shapes.items()}, strict=False)
    return Lpips(module.double())


@pytest.mark.slow  # official widths, in double precision
def test_refinement_equals_the_released_code() -> None:
    case = parity.Case("dhr_64")
    generator, network = parity.rosinality("rosinality_64_cm2"), synthetic_network()
    target, codes, mask = case["in_img"], case["in_codes"], case["in_mask"].double()
    names = case.meta["parameter_names"]
    start = {name: value.detach().clone() for name, value in generator.named_parameters()}
    case.assert_close("img0", generator.synthesis(codes))
    first = generator.feature_map(codes, 7)
    case.assert_close("F0", first[:, :16])
    for k, distances in enumerate(
        network.layer_maps(network.layers(generator.synthesis(codes)), network.layers(target))
    ):
        case.assert_close(f"lpips_map{k}", distances)
    case.assert_equal("mask", pooled_mask(mask, 32))
    config = HybridConfig(steps=5, weight_steps=5, layer=7)
    kept = {
        0: lambda p: p["conv1.conv.weight"][0, :8, :8], 1: lambda p: p["convs.0.conv.weight"][0, :8, :8],
        2: lambda p: p["convs.7.conv.weight"][0, :8, :8], 3: lambda p: p["convs.1.conv.modulation.weight"][:8, :8],
        4: lambda p: p["convs.2.activate.bias"][:64], 5: lambda p: p["convs.3.noise.weight"],
        6: lambda p: p["to_rgbs.3.conv.weight"][0, :8, :8],
    }  # fmt: skip
    losses: list[Tensor] = []
    for step, state in enumerate(hybrid_refinement(generator, [None], codes, target, mask, network, config)):
        assert state.inside is not None and state.maps.grad is not None
        losses += [state.outside[0], state.inside[0]]
        if step == 0:
            case.assert_close("gradF1", state.maps.grad[0, :, :16], 1e-7)
            gradients = {name: value.grad[0] for name, value in state.weights.items()}
            for k, chosen in kept.items():
                case.assert_close(f"grad1_{k}", chosen(gradients), 1e-7)
            norms = [float(gradients[name].norm()) if name in gradients else 0.0 for name in names]
            case.assert_close("grad_norms", torch.tensor(norms), 1e-7)
    case.assert_close("losses", torch.stack(losses), 1e-6)
    tuned = of_image(state.weights, 0)
    changes = {name: tuned.get(name, value) - value for name, value in start.items()}
    for k, chosen in kept.items():
        case.assert_close(f"delta_{k}", chosen(changes), 1e-4)
    case.assert_close("delta_norms", torch.tensor([float(changes[name].norm()) for name in names]), 1e-5)
    case.assert_close("F", state.maps[0, :, :16], 1e-4)
    case.assert_close("dF", (state.maps[0] - first)[:, :16], 1e-4)


def test_the_map_lies_at_an_eighth_of_the_side() -> None:
    with torch.device("meta"):
        assert layer_at_an_eighth(Generator(official_config(1024))) == 11
        assert layer_at_an_eighth(Generator(official_config(64))) == 3


def test_a_mean_under_an_empty_mask_is_zero() -> None:
    values = torch.tensor([1.0, 2.0, 3.0, 6.0]).view(1, 1, 2, 2)
    assert float(masked_mean(values, torch.zeros(1, 1, 2, 2))) == 0
    assert float(masked_mean(values, torch.tensor([0.0, 1.0, 0.0, 1.0]).view(1, 1, 2, 2))) == 4


def test_superpixels_follow_colours() -> None:
    image = torch.full((3, 32, 32), -0.8)
    image[0, :, 13:] = 0.9
    parts = superpixels(image, 16, 1.0)
    assert parts.shape == (32, 32) and parts.unique().numel() > 4
    assert not set(parts[:, :13].flatten().tolist()) & set(parts[:, 13:].flatten().tolist())
    assert torch.equal(parts, superpixels(image, 16, 1.0))


def test_a_part_is_inside_where_it_is_well_made_and_of_the_region() -> None:
    parts = torch.tensor([[0, 0, 1, 1], [2, 2, 3, 3]])
    errors = torch.tensor([[[0.1, 0.3, 0.9, 0.9], [0.1, 0.1, 0.65, 0.65]]])
    region = torch.tensor([[[1.0, 1, 1, 1], [0, 0, 1, 0.4]]])
    config = DomainConfig()
    assert inside(parts, errors, region, config)[0].tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    nowhere = torch.zeros_like(region)
    assert inside(parts, errors, nowhere, config)[0].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]


@pytest.fixture(scope="module")
def refined() -> tuple[Generator, Tensor, Inversion, Inversion]:
    """A drawn face with a block before it, refined from a code of W."""
    torch.set_num_threads(1)
    generator = load_generator("toy")
    z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(2))
    codes = generator.mapping(z, truncation=0.5)
    image = drawn_face()[None].clone()
    image[..., 48:, :16] = torch.tensor([-1.0, 1.0, -1.0])[:, None, None]
    start = rendered(generator, Inversion(("a",), codes, "W", torch.empty_like(image), torch.zeros(1)))
    stage = resolve_stage("dhr", {"steps": 30, "weight_steps": 10, "domain.steps": 2}).build(generator, 0)
    return generator, image, start, stage.invert(image, ["a"], start)


@pytest.mark.assets
def test_refinement_tunes_weights_and_keeps_a_map(refined: tuple[Generator, Tensor, Inversion, Inversion]) -> None:
    generator, image, start, found = refined
    (edit,) = found.features[0]
    assert edit.layer == 3 and edit.operation == "replace" and edit.tensors["map"].dtype == torch.float16
    assert found.weights[0] is not None and torch.equal(found.latent, start.latent)
    assert torch.equal(render(generator, found), found.image)
    assert (render(generator, replace(found, features=())) - found.image).abs().max() > 0.01
    assert (found.image - image).square().mean() < 0.5 * (start.image - image).square().mean()
