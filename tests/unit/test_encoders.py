"""The parts of the encoders against closed forms, and what must hold for all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.protocols.latent import SAMPLES, latent_distances, style_distance
from datasets.images import resized
from methods.base import Inversion
from methods.checkpoints.trained import start_from
from methods.encoders import e4e, interestyle
from methods.encoders.designs import DESIGNS
from methods.encoders.encoder import SMALL, refine
from methods.encoders.interestyle import InterestConfig, area_weights, blur, filtered_views, masked
from methods.encoders.latent_discriminator import LatentDiscriminator, LatentPool
from methods.encoders.networks import EncoderConfig, Flat, Pyramid, base_and_deltas, independent_layers
from methods.encoders.training import EncoderTrainingConfig
from methods.encoders.weights import fresh_encoder, load_encoder, save_encoder, toy_encoder
from methods.generators import Generator, load_generator
from methods.resizing import pooled
from methods.training.adversary import fooling_loss, r1_penalty
from methods.training.losses import w_norm


def test_small_encoders_see_every_row_at_its_own_level() -> None:
    config = EncoderConfig(64, 3, 10, 128, **SMALL)  # type: ignore[arg-type]
    maps = Pyramid(config).eval().layer_features(torch.zeros(1, 3, 64, 64))
    assert [m.shape[-1] for m in maps] == [4] * 3 + [8] * 4 + [16] * 3
    assert {m.shape[-1] for m in Flat(config).eval().layer_features(torch.zeros(1, 3, 64, 64))} == {4}


@pytest.mark.parametrize("network", [Pyramid, Flat])
def test_rows_without_a_delta_equal_the_first(network: type[Pyramid] | type[Flat]) -> None:
    encoder = network(EncoderConfig(32, 3, 8, 6, (1, 1, 1, 1), (4, 4, 4, 4), 4)).eval()
    images = torch.randn(2, 3, 32, 32)
    rows = independent_layers(encoder, images)
    for count in (0, 3, 7, None):
        found = base_and_deltas(encoder, images, count)
        active = 8 if count is None else count + 1
        assert torch.equal(found[:, active:], found[:, :1].expand(-1, 8 - active, -1))
        torch.testing.assert_close(found[:, 1:active] - found[:, :1], rows[:, 1:active])


def test_a_wrong_shape_of_encoder_says_what_was_found() -> None:
    with pytest.raises(ValueError, match="four levels"):
        EncoderConfig(units=(1, 2))
    with pytest.raises(ValueError, match="found 48"):
        EncoderConfig(resolution=48)


def test_deltas_appear_one_by_one_after_a_tenth_of_the_training() -> None:
    stages = [e4e.deltas_in_use(i / 1000, 10) for i in range(1001)]
    assert stages[99] == 0 and stages[100] == 1 and stages[110] == 2 and stages[-1] == 9
    assert stages == sorted(stages)


def test_delta_norm_is_the_sum_of_mean_distances() -> None:
    latent = torch.zeros(2, 4, 3)
    latent[0, 1] = torch.tensor([3.0, 4.0, 0.0])  # norm 5, mean over two images 2.5
    latent[:, 3] = torch.tensor([1.0, 2.0, 2.0])  # norm 3
    assert float(e4e.delta_norm(latent, 3)) == pytest.approx(5.5)
    assert float(e4e.delta_norm(latent, 2)) == pytest.approx(2.5)


def test_w_norm_counts_all_rows_together() -> None:
    latent = torch.ones(3, 4, 4)
    assert float(w_norm(latent, torch.zeros(4, 4))) == pytest.approx(4.0)
    assert float(w_norm(latent, torch.ones(4, 4))) == 0.0


def test_r1_of_a_linear_discriminator_is_its_weights_squared() -> None:
    discriminator = LatentDiscriminator(4)
    weight = torch.tensor([[1.0, 2.0, 0.0, -2.0]])
    discriminator.mlp = torch.nn.Sequential(torch.nn.Linear(4, 1))
    discriminator.mlp[0].weight.data = weight
    # gamma / 2 * 16 steps * |weight|^2 = 5 * 16 * 9
    assert float(r1_penalty(discriminator, torch.randn(6, 4), 10.0)) == pytest.approx(720.0)
    sure = torch.full((2, 4), 0.0)
    discriminator.mlp[0].bias.data.fill_(0.0)
    assert float(fooling_loss(discriminator, sure)) == pytest.approx(0.6931, abs=1e-4)


def test_a_pool_gives_new_codes_until_full_then_half_old_ones() -> None:
    pool, random = LatentPool(2, size=4), torch.Generator().manual_seed(0)
    first = torch.arange(8.0).view(4, 2)
    assert torch.equal(pool.swap(first, random), first)
    later = 100 + torch.arange(400.0).view(200, 2)
    old = (pool.swap(later, random) != later).any(dim=1).float().mean()
    assert 0.35 < float(old) < 0.65
    restored = LatentPool(2, size=4)
    restored.load_state_dict(pool.state_dict())
    again = [torch.Generator().manual_seed(1) for _ in range(2)]
    assert torch.equal(pool.swap(first, again[0]), restored.swap(first, again[1]))


def test_the_filter_keeps_the_interest_region_sharp_and_ends_sharp() -> None:
    images, mask = torch.randn(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
    mask[:, :, 16:48, 16:48] = 1
    config = InterestConfig()
    views = filtered_views(images, mask, config, 3)
    for view in views:
        assert torch.equal(view[..., 16:48, 16:48], images[..., 16:48, 16:48])
    outside = [float((view - images)[..., :16].square().mean()) for view in views]
    assert outside[0] > outside[1] > outside[2] == 0
    whole = filtered_views(images, mask, replace(config, filter="whole"), 3)
    assert not torch.equal(whole[0][..., 16:48, 16:48], images[..., 16:48, 16:48])
    assert all(view is images for view in filtered_views(images, None, interestyle.OFF, 3))
    with pytest.raises(ValueError, match="3 values for 5 refinement steps"):
        filtered_views(images, mask, config, 5)
    with pytest.raises(ValueError, match="'inside'"):
        InterestConfig(filter="inside")


@settings(max_examples=20, deadline=None)
@given(st.floats(0.3, 6.0), st.floats(-1.0, 1.0))
def test_blur_keeps_constants_and_sums(sigma: float, value: float) -> None:
    flat = torch.full((1, 3, 32, 32), value)
    torch.testing.assert_close(blur(flat, sigma), flat, atol=1e-5, rtol=0)
    point = torch.zeros(1, 1, 65, 65)
    point[..., 32, 32] = 1
    spread = blur(point, sigma)
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-4)
    assert float(spread[..., 32, 32].max()) == float(spread.max())


def test_masked_pictures_are_grey_outside_and_area_weights_undo_the_share() -> None:
    image, mask = torch.ones(2, 3, 8, 8), torch.zeros(2, 1, 8, 8)
    mask[0, :, :2] = 1  # a quarter; the second image has no mask
    (cut,) = masked([image], mask)
    assert float(cut[0].sum()) == 3 * 16 and float(cut[1].abs().sum()) == 0
    weights = area_weights(mask, InterestConfig(area_normalised=True))
    assert torch.equal(torch.as_tensor(weights), torch.tensor([4.0, 0.0]))
    assert area_weights(mask, InterestConfig()) == 1.0


@pytest.mark.parametrize("name", list(DESIGNS))
def test_no_gradient_runs_from_one_look_to_the_next(name: str) -> None:
    generator = load_generator("toy").requires_grad_(False)
    encoder = toy_encoder(DESIGNS[name], generator).requires_grad_(True)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    first_view = images.clone().requires_grad_()
    views = [first_view] + [images] * (DESIGNS[name].iterations - 1)
    steps = list(refine(encoder, generator, views))
    assert len(steps) == DESIGNS[name].iterations
    if DESIGNS[name].iterative:
        steps[-1].image.sum().backward()
        assert first_view.grad is None
        torch.testing.assert_close(encoder(images), steps[0].latent)


def test_pictures_are_brought_to_the_encoders_side() -> None:
    big = torch.rand(1, 3, 128, 128)
    assert resized(big, 64).shape[-1] == pooled(big, 64).shape[-1] == 64
    assert torch.equal(pooled(big, 64), big.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))) or torch.allclose(
        pooled(big, 64), big.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5)), atol=1e-6
    )
    assert resized(big, 128) is big and pooled(big, 128) is big


def test_weights_come_back_and_refuse_another_generator(tmp_path: Path) -> None:
    generator = load_generator("toy")
    encoder = fresh_encoder(DESIGNS["psp"], generator, seed=3)
    path = tmp_path / "psp.safetensors"
    save_encoder(encoder, generator, path, half=False, card={"name": "psp"})
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    again = load_encoder(path, DESIGNS["psp"], generator)
    with torch.no_grad():
        torch.testing.assert_close(again(images), encoder.eval()(images))
    with pytest.raises(ValueError, match=r"psp\.safetensors: trained for the generator"):
        load_encoder(path, DESIGNS["psp"], load_generator("celeba64"))
    with pytest.raises(ValueError, match=r"psp\.safetensors: has unexpected"):
        load_encoder(path, DESIGNS["restyle_psp"], generator)


def test_starting_from_another_encoder_takes_what_fits(tmp_path: Path) -> None:
    generator = load_generator("toy")
    source = fresh_encoder(DESIGNS["psp"], generator, seed=1)
    path = tmp_path / "psp.safetensors"
    save_encoder(source, generator, path, half=False, card={})
    target = fresh_encoder(DESIGNS["restyle_psp"], generator, seed=2)
    taken = start_from(target, path)
    assert all(key in taken for key in target.encoder.body.state_dict(prefix="encoder.body.") if "num_b" not in key)
    first = target.encoder.input_layer[0].weight
    assert torch.equal(first[:, :3], source.encoder.input_layer[0].weight) and not bool(first[:, 3:].any())


@pytest.mark.parametrize(("name", "extra", "cost"), [
    ("psp", {}, 1.0), ("restyle_psp", {}, 3.0), ("interestyle", {"interest": InterestConfig()}, 4.0),
    ("interestyle", {"interest": InterestConfig(gradient="last", disentanglement=0)}, 1 + 2 / 3),
])  # fmt: skip
def test_budget_counts_passes(name: str, extra: dict[str, object], cost: float) -> None:
    config = EncoderTrainingConfig(design=name, **extra)  # type: ignore[arg-type]
    assert config.cost == pytest.approx(cost)


def distances(generator: Generator, inversion: Inversion) -> dict[str, float]:
    return {name: float(value) for name, value in latent_distances(generator, inversion).items()}


def test_latent_distances_of_a_code_by_hand() -> None:
    generator = load_generator("toy")
    w = generator.w_mean
    rows = w.expand(1, generator.num_ws, -1).clone()
    zeros = torch.zeros(1)
    flat = Inversion(("a",), rows, "W+", torch.zeros(1, 3, 64, 64), zeros)
    assert distances(generator, flat) == pytest.approx({"layer_spread": 0.0, "centre_distance": 0.0}, abs=1e-5)
    rows = rows.clone()
    rows[0, : generator.num_ws // 2, 0] += 2.0  # half of the rows 2 away: each 1 from their mean
    found = distances(generator, replace(flat, latent=rows))
    assert found == pytest.approx({"layer_spread": 1.0, "centre_distance": 1.0}, abs=1e-5)


def test_style_distance_is_small_for_the_generators_own_codes_only() -> None:
    generator = load_generator("toy")
    z = torch.randn(64, generator.z_dim, generator=torch.Generator().manual_seed(1))
    own = style_distance(generator, generator.mapping(z))
    assert own.shape == (64,) and 0 < own.mean() < 1
    away = generator.mapping(z) + 20 * torch.randn(64, generator.num_ws, generator.w_dim)
    assert (style_distance(generator, away) > own).float().mean() > 0.9
    # By hand, of one code: each layer's own affine map, and the mean of unit vectors of many codes.
    many = torch.randn(SAMPLES, generator.z_dim, generator=torch.Generator().manual_seed(0))
    layers = [generator.conv1, *generator.convs, generator.to_rgbs[-1]]
    code, found = generator.mapping(z)[0, 0], []
    with torch.no_grad():
        w = generator.style(many)
        for layer in layers:
            affine = layer.conv.modulation
            anchor = (affine(w) / affine(w).norm(dim=1, keepdim=True)).mean(dim=0)
            found.append(1 - torch.dot(affine(code[None])[0], anchor) / affine(code[None]).norm() / anchor.norm())
    assert float(own[0]) == pytest.approx(float(torch.stack(found).mean()), abs=1e-5)
