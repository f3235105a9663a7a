"""Feature maps that belong to an inversion: how they are put in, follow the latent, are stored and tuned around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.engine.store import InversionStore
from methods.base import Inversion, render, rendered
from methods.editing.images import between
from methods.feature_maps import FeatureEdit, change_of, stacked
from methods.generators import Generator, load_generator
from methods.registry import resolve_stage
from methods.synthesis import synthesise, synthesise_each
from methods.tuning.tune import tunable

LAYERS = (1, 2, 3, 5, 8)


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.set_num_threads(1)
    return load_generator("toy").requires_grad_(False)


@pytest.fixture(scope="module")
def codes(generator: Generator) -> Tensor:
    return generator.mapping(torch.randn(3, generator.z_dim, generator=torch.Generator().manual_seed(1)))


def other_map(generator: Generator, codes: Tensor, layer: int) -> Tensor:
    """The map of the second code: one that the first code does not have."""
    return generator.feature_map(codes[1:2], layer)


def inversion(generator: Generator, codes: Tensor, *edits: FeatureEdit) -> Inversion:
    n, side = len(codes), generator.resolution
    ids = tuple(f"i{k}" for k in range(n))
    return rendered(
        generator,
        Inversion(ids, codes, "W+", torch.empty(n, 3, side, side), torch.zeros(n), features=(tuple(edits),) * n),
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_a_map_that_is_the_generators_own_changes_nothing(generator: Generator, codes: Tensor, layer: int) -> None:
    own = generator.feature_map(codes[:1], layer)
    zero = torch.zeros_like(own)
    plain = generator.synthesis(codes[:1])
    assert torch.equal(
        synthesise(generator, codes[:1], None, None, features=[FeatureEdit(layer, "replace", {"map": own})]), plain
    )
    for edit in (
        FeatureEdit(layer, "add", {"map": zero}),
        FeatureEdit(layer, "affine", {"scale": zero, "shift": zero}),
        FeatureEdit(layer, "replace", {"map": other_map(generator, codes, layer), "mask": zero[:, :1]}),
    ):
        assert torch.equal(synthesise(generator, codes, None, None, features=[edit]), generator.synthesis(codes))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_changed_map_reaches_the_next_layers_but_not_the_rgb_layer_that_read_it(
    generator: Generator, codes: Tensor, layer: int
) -> None:
    """What a map of another code changes, computed by hand from the layers."""
    new = other_map(generator, codes, layer)
    found = synthesise(generator, codes[:1], None, None, features=[FeatureEdit(layer, "replace", {"map": new})])
    x, image, noise = generator.input.input, None, generator.noise_buffers()
    convolutions, to_rgbs = [generator.conv1, *generator.convs], [generator.to_rgb1, *generator.to_rgbs]
    for k, convolution in enumerate(convolutions, start=1):
        x = convolution(x, codes[:1, k - 1], noise[k - 1])
        if k % 2:
            image = to_rgbs[k // 2](x, codes[:1, k], image)
        x = new if k == layer else x
    torch.testing.assert_close(found, image, rtol=0, atol=1e-5)
    assert (found - generator.synthesis(codes[:1])).abs().max() > 1e-3


def test_a_shifted_map_moves_as_the_generators_own(generator: Generator, codes: Tensor) -> None:
    """`add` of F0 - f(w0) is F0 at w0, and F0 + f(w1) - f(w0) at w1."""
    layer, f0 = 3, other_map(generator, codes, 3)
    first, moved = codes[:1], codes[2:3]
    residual = f0 - generator.feature_map(first, layer)
    change = change_of([FeatureEdit(layer, "add", {"map": residual})])
    assert change is not None
    at = generator.feature_map(moved, layer)
    torch.testing.assert_close(change(layer, at), f0 + at - generator.feature_map(first, layer))
    torch.testing.assert_close(change(layer, generator.feature_map(first, layer)), f0)
    assert torch.equal(change(layer + 1, at), at)


def test_a_kept_map_holds_under_its_mask_when_the_code_moves(generator: Generator, codes: Tensor) -> None:
    layer = 3
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    f0 = other_map(generator, codes, layer)
    change = change_of([FeatureEdit(layer, "replace", {"map": f0, "mask": mask})])
    assert change is not None
    at = generator.feature_map(codes, layer)
    found = change(layer, at)
    torch.testing.assert_close(found[..., :4], f0[..., :4].expand(3, -1, -1, -1))
    assert torch.equal(found[..., 4:], at[..., 4:])


def of_the_mean(edit: FeatureEdit, codes: Tensor, generator: Generator) -> Mapping[str, Tensor]:
    """A rule: evidence times the mean of the code."""
    return {"map": edit.tensors["evidence"] * codes.mean(dim=(1, 2))[:, None, None, None]}


def test_a_rule_makes_the_values_from_what_is_stored_and_the_code(generator: Generator, codes: Tensor) -> None:
    evidence = torch.full((1, 1, 8, 8), 0.5)
    edit = FeatureEdit(3, "add", {"evidence": evidence}, rule=f"{__name__}:of_the_mean")
    one = inversion(generator, codes, edit)
    assert torch.equal(render(generator, one), one.image)
    wanted = [
        synthesise(generator, c[None], None, None, features=[FeatureEdit(3, "add", {"map": evidence * c.mean()})])
        for c in codes
    ]
    torch.testing.assert_close(one.image, torch.cat(wanted).clamp(-1, 1))
    moving = codes.clone().requires_grad_(True)
    synthesise(generator, moving, None, None, features=[edit]).square().mean().backward()
    assert bool(moving.grad.abs().sum() > 0)


def test_inversions_keep_their_maps_in_slices_and_files(generator: Generator, codes: Tensor, tmp_path: Path) -> None:
    edit = FeatureEdit(3, "replace", {"map": other_map(generator, codes, 3).half(), "mask": torch.ones(1, 1, 8, 8)})
    several = inversion(generator, codes, edit, FeatureEdit(5, "add", {"map": torch.ones(1, 1, 16, 16).half()}))
    plain = inversion(generator, codes)
    assert several.more_than_codes and not plain.more_than_codes
    assert (several.image - plain.image).abs().max() > 1e-3
    again = Inversion.concatenate([several[:1], several[1:]])
    assert torch.equal(render(generator, again.to(torch.device("cpu"))), several.image)
    store = InversionStore(tmp_path, "key")
    store.folder.mkdir(parents=True)
    store.save("a", several[:1], keep_weights=True)
    loaded = store.load("a", "i0")
    assert torch.equal(render(generator, loaded), several.image[:1])
    store.save("b", several[:1], keep_weights=False)
    assert store.load("b", "i0").features == ((),)


def test_maps_are_interpolated_with_the_codes(generator: Generator, codes: Tensor) -> None:
    a, b = (
        inversion(generator, codes[n : n + 1], FeatureEdit(3, "replace", {"map": other_map(generator, codes[n:], 3)}))
        for n in range(2)
    )
    for fraction, end in ((0.0, a), (1.0, b)):
        torch.testing.assert_close(render(generator, between(generator, a, b, fraction)), end.image, rtol=0, atol=1e-5)
    middle = between(generator, a, b, 0.5).features[0][0].tensors["map"]
    torch.testing.assert_close(middle, (a.features[0][0].tensors["map"] + b.features[0][0].tensors["map"]) / 2)
    with pytest.raises(ValueError, match="several kinds"):
        between(generator, a, inversion(generator, codes[:1]), 0.5)


def test_one_call_for_several_images_changes_the_first_code_of_each(generator: Generator, codes: Tensor) -> None:
    edits = [(FeatureEdit(3, "replace", {"map": generator.feature_map(codes[[n]], 3)}),) for n in (1, 2)]
    weights = {name: torch.stack([value] * 2) for name, value in tunable(generator)}
    pairs = torch.stack([codes[[0, 2]], codes[[1, 0]]])
    found = synthesise_each(generator, pairs, weights, "const", stacked(edits))
    for n in range(2):
        first = synthesise(generator, pairs[n, :1], None, None, features=edits[n])
        torch.testing.assert_close(found[n, :1], first, rtol=0, atol=1e-4)
        torch.testing.assert_close(found[n, 1:], generator.synthesis(pairs[n, 1:]), rtol=0, atol=1e-4)


@pytest.mark.assets
@pytest.mark.parametrize("batch_size", [1, 2])
def test_pivotal_tuning_keeps_the_maps_of_its_pivot(generator: Generator, codes: Tensor, batch_size: int) -> None:
    edit = FeatureEdit(3, "replace", {"map": other_map(generator, codes, 3)})
    pivot = inversion(generator, codes[:2], edit)
    settings = {"steps": 8, "stop_lpips": 0.0, "batch_size": batch_size}
    stage = resolve_stage("pivotal_tuning", settings).build(generator, 0)
    targets = generator.synthesis(codes[1:]).clamp(-1, 1)
    stage.check(targets, pivot.ids, pivot)
    tuned = stage.invert(targets, pivot.ids, pivot)
    assert tuned.features == pivot.features and torch.equal(tuned.latent, pivot.latent)
    assert torch.equal(render(generator, tuned), tuned.image)

    def error(images: Tensor) -> Tensor:
        return (images - targets).square().mean()

    assert error(tuned.image) < error(pivot.image)
    without = replace(tuned, features=())
    assert (render(generator, without) - tuned.image).abs().max() > 1e-3


def test_a_stage_that_would_lose_the_maps_says_so(generator: Generator, codes: Tensor) -> None:
    pivot = inversion(generator, codes, FeatureEdit(3, "add", {"map": torch.zeros(1, 1, 8, 8)}))
    stage = resolve_stage("hyperstyle", {"weights": "toy"}).build(generator, 0)
    with pytest.raises(ValueError, match="cannot go on from feature maps"):
        stage.check(pivot.image, pivot.ids, pivot)


def test_maps_are_numbered_from_one(generator: Generator, codes: Tensor) -> None:
    assert generator.feature_map(codes, generator.num_ws - 1).shape[-1] == generator.resolution
    for layer in (0, generator.num_ws):
        with pytest.raises(ValueError, match="layer must be 1 to"):
            generator.feature_map(codes, layer)
