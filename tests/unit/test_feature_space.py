"""Feature-Style, StyleFeatureEditor and StyleRes: their maps at the inversion, on an edit, on disk, under tuning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.engine.store import InversionStore
from methods import registry
from methods.base import Inversion, render, rendered, synthesise_at
from methods.checkpoints.trained import TOY
from methods.feature_maps import FeatureEdit
from methods.feature_space import feature_style, hfgi, sfe, weights
from methods.feature_space.sfe_networks import SfeConfig, TrunkConfig, check_entry
from methods.generators import Generator, load_generator
from methods.synthesis import synthesise
from methods.tuning.stage import PivotalTuning, PivotalTuningConfig

IDS = ["a", "b"]
NAMES = {"feature_style": "map", "sfe": "fused", "styleres": "residual"}  # what each keeps in half precision


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator("toy")


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module")
def inversions(generator: Generator, images: Tensor) -> dict[str, Inversion]:
    found = {}
    for name in NAMES:
        stages = registry.load_pipeline(name, {stage: {"weights": TOY} for stage in ("e4e", *NAMES)}).stages
        result: Inversion | None = None
        for stage in stages:
            result = stage.build(generator, 0).invert(images, IDS, result)
        assert result is not None
        found[name] = result
    return found


def step_of(generator: Generator) -> Tensor:
    return 0.3 * torch.randn(1, generator.num_ws, generator.w_dim, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", NAMES)
def test_no_step_gives_the_inversion_bit_for_bit(
    name: str, generator: Generator, inversions: dict[str, Inversion], tmp_path: Path
) -> None:
    found = inversions[name]
    plain = render(generator, replace(found, features=((), ())))
    assert (plain - found.image).abs().max() > 0.01, "the maps do nothing"
    store = InversionStore(tmp_path, "key")
    for i, image_id in enumerate(IDS):
        store.save(image_id, found[i : i + 1], keep_weights=True)
        loaded = store.load(image_id, image_id)
        assert torch.equal(render(generator, loaded), found.image[i : i + 1])
        own, stored = found.features[i][0], loaded.features[0][0]
        assert (stored.layer, stored.rule, stored.network) == (own.layer, own.rule, own.network)
        assert {k: v.dtype for k, v in stored.tensors.items()} == {k: v.dtype for k, v in own.tensors.items()}
        moved = found.latent[i : i + 1] + step_of(generator)
        assert torch.equal(synthesise_at(generator, loaded, 0, moved), synthesise_at(generator, found, i, moved))


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_codes_gives_each_its_own_image_and_gradient(
    name: str, generator: Generator, inversions: dict[str, Inversion]
) -> None:
    found = inversions[name]
    codes = torch.cat([found.latent[:1], found.latent[:1] + step_of(generator)]).requires_grad_(True)
    together = synthesise_at(generator, found, 0, codes)
    for n in range(2):
        torch.testing.assert_close(
            together[n : n + 1], synthesise_at(generator, found, 0, codes[n : n + 1]), rtol=0, atol=1e-5
        )
    torch.testing.assert_close(together[:1].clamp(-1, 1), found.image[:1], rtol=0, atol=1e-5)
    assert found.features[0][0].tensors[NAMES[name]].dtype == torch.float16
    (gradient,) = torch.autograd.grad(together[1].square().mean(), codes)
    assert not bool(gradient[0].any()) and bool(gradient[1].any(dim=1).all())


def test_a_zero_residual_is_plain_editing(generator: Generator, inversions: dict[str, Inversion]) -> None:
    codes = inversions["feature_style"].latent + step_of(generator)
    nothing = FeatureEdit(3, "add", {"map": torch.zeros(1, 16, 8, 8, dtype=torch.float16)})
    assert torch.equal(
        synthesise(generator, codes, None, None, features=(nothing,)), synthesise(generator, codes, None, None)
    )


def test_feature_style_shifts_its_map_as_the_generators_moves(
    generator: Generator, images: Tensor, inversions: dict[str, Inversion]
) -> None:
    stage = feature_style.FeatureStyle(generator, feature_style.FeatureStyleConfig(TOY))
    found, layer = inversions["feature_style"], stage.network.shape.layer
    codes, own, predicted = feature_style.encoded(stage.network, generator, images)
    assert layer == 3 and predicted.shape == (2, 16, 8, 8)
    torch.testing.assert_close(codes, found.latent, rtol=0, atol=1e-5)
    moved = codes + step_of(generator)
    shifted = predicted + generator.feature_map(moved, layer) - own
    wanted = synthesise(generator, moved, None, None, features=(FeatureEdit(layer, "replace", {"map": shifted}),))
    for i in range(2):
        image = synthesise_at(generator, found, i, moved[i : i + 1])
        torch.testing.assert_close(image, wanted[i : i + 1], rtol=0, atol=2e-3)  # stored in half precision


def test_the_editor_sees_before_minus_after_on_the_pairs_code(
    generator: Generator, inversions: dict[str, Inversion]
) -> None:
    edit = inversions["sfe"].features[0][0]
    assert (edit.layer, edit.operation, edit.rule) == (5, "replace", "sfe")
    editor = sfe.toy_network(generator).editor
    codes = edit.tensors["code"] + step_of(generator)
    (values,) = edit.at(codes, generator).tensors.values()
    pair = edit.tensors["pair"]
    difference = generator.feature_map(pair, 5) - generator.feature_map(pair + codes - edit.tensors["code"], 5)
    torch.testing.assert_close(values, editor(edit.tensors["fused"].float(), difference), rtol=0, atol=1e-5)
    assert (pair - edit.tensors["code"]).abs().max() > 1e-3, "the pair's code is e4e's, not the inverter's"
    fresh = sfe.fresh_network(generator, 0).eval()
    start = fresh.editor(edit.tensors["fused"].float(), difference)
    torch.testing.assert_close(start, edit.tensors["fused"] - difference, rtol=0, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.assets
def test_tuning_keeps_the_map_at_the_pivot(
    name: str, batch_size: int, generator: Generator, images: Tensor, inversions: dict[str, Inversion]
) -> None:
    first = inversions[name]
    config = PivotalTuningConfig(steps=1, lr=1e-9, stop_lpips=0.0, batch_size=batch_size)
    found = PivotalTuning(generator, config).invert(images, IDS, first)
    torch.testing.assert_close(found.image, first.image, rtol=0, atol=1e-5)
    assert found.features == first.features and all(found.weights)
    without = rendered(generator, replace(found, features=((), ())))
    assert (without.image - found.image).abs().max() > 0.01
    config = replace(config, steps=8, lr=1e-3)
    tuned = PivotalTuning(generator, config).invert(images, IDS, first)
    assert (tuned.image - images).square().mean() < (first.image - images).square().mean()
    assert torch.equal(render(generator, tuned), tuned.image)


def test_maps_of_other_weights_are_refused(
    generator: Generator, inversions: dict[str, Inversion], tmp_path: Path
) -> None:
    path = tmp_path / "mine.safetensors"
    network = sfe.toy_network(generator)
    weights.save(network, network.shape, "sfe", generator, path, half=False, card={})
    named = weights.reference(str(path), "sfe", generator)
    edit = replace(inversions["sfe"].features[0][0], network=named)
    assert torch.equal(edit.at(edit.tensors["code"], generator).tensors["map"],
                       inversions["sfe"].features[0][0].at(edit.tensors["code"], generator).tensors["map"])  # fmt: skip
    other = replace(edit, network=f"{path}@0123456789abcdef")
    with pytest.raises(ValueError, match=r"mine\.safetensors: its weights are now .* made with 0123456789abcdef"):
        other.at(edit.tensors["code"], generator)


def test_random_networks_of_two_kinds_are_kept_apart(generator: Generator) -> None:
    """Both are called toy, and have the hash of the generator."""
    named = weights.reference(TOY, "sfe", generator)
    assert named == weights.reference(TOY, "hfgi", generator)
    for kind, read in (("hfgi", hfgi.read), ("sfe", sfe.load_network)):
        found = weights.network_of(named, kind, generator, read)
        assert type(found) is type(read(TOY, generator)) and found is weights.network_of(named, kind, generator, read)


def test_weights_come_back_and_those_that_do_not_fit_are_named(
    generator: Generator, images: Tensor, inversions: dict[str, Inversion], tmp_path: Path
) -> None:
    path = tmp_path / "f.safetensors"
    network = feature_style.toy_encoder(generator)
    weights.save(network, network.shape, "feature_style", generator, path, half=False, card={"name": "f"})
    stage = feature_style.FeatureStyle(generator, feature_style.FeatureStyleConfig(str(path)))
    assert torch.equal(stage.invert(images, IDS).image, inversions["feature_style"].image)
    with pytest.raises(ValueError, match=r"f\.safetensors: no sfe of this suite"):
        sfe.load_network(str(path), generator)
    with pytest.raises(ValueError, match=r"f\.safetensors: trained for the generator"):
        feature_style.load_encoder(path, load_generator("celeba64"))
    for cls, config in (
        (feature_style.FeatureStyle, feature_style.FeatureStyleConfig("elsewhere")),
        (sfe.StyleFeatureEditor, sfe.SfeStageConfig("elsewhere")),
    ):
        said = f"'elsewhere'.*train {cls.info.name}` trains one"
        with pytest.raises(FileNotFoundError, match=said):
            cls(generator, config)
        with pytest.raises(FileNotFoundError, match=said):
            cls.weights_hash(config)


def test_shapes_that_cannot_be_are_named(generator: Generator) -> None:
    official = SfeConfig()
    assert (official.side, official.layer) == (64, 9)
    paper = TrunkConfig(strides=(2, 2, 2, 2), content_stride=2)
    assert (paper.side, paper.layer) == (16, 5)
    with pytest.raises(ValueError, match="four stages"):
        TrunkConfig(units=(1, 2))
    with pytest.raises(ValueError, match="its map would have 2 px"):
        TrunkConfig(resolution=8)
    with pytest.raises(ValueError, match=r"made for a generator of 18 layers.*this one has 10"):
        check_entry(official, generator)


BUNDLED = sorted(path.stem.partition("-")[0] for path in weights.FOLDER.glob("*-celeba64.safetensors"))


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_networks_are_small_and_their_maps_help(name: str) -> None:
    file = weights.FOLDER / f"{name}-celeba64.safetensors"
    assert file.stat().st_size < 2e6 and "passes" in file.with_suffix(".md").read_text()
    generator = load_generator("celeba64")
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        images = generator(z).clamp(-1, 1)
    found: Inversion | None = None
    for stage in registry.load_pipeline(name).stages:
        found = stage.build(generator, 0).invert(images, IDS, found)
    assert found is not None and torch.equal(render(generator, found), found.image)
    plain = render(generator, replace(found, features=((), ())))
    assert (found.image - images).square().mean() < (plain - images).square().mean()
