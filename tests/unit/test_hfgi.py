"""HFGI: the rule by which its map follows a code, what an image keeps on disk, tuning after it, and its training."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import perspective

from benchmarks.engine.store import InversionStore
from methods.base import Inversion, render, rendered, synthesise_at
from methods.feature_maps import at_codes, change_of
from methods.feature_space import hfgi, weights
from methods.feature_space.hfgi import Hfgi, HfgiStageConfig
from methods.feature_space.hfgi_network import HfgiConfig, seen
from methods.feature_space.hfgi_training import HfgiTraining, HfgiTrainingConfig, in_perspective, perspectives
from methods.generators import Generator, load_generator
from methods.training.losses import LossWeights
from methods.training.registry import load_training
from methods.tuning.stage import PivotalTuning, PivotalTuningConfig

IDS = ["set/a", "set/b"]


@pytest.fixture(scope="module")
def start() -> tuple[Generator, Tensor, Inversion]:
    """A toy generator, images, and codes in W+ that are not theirs."""
    generator = load_generator("toy")
    z = torch.randn(2, len(IDS), generator.z_dim, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        images = generator(z[0], noise="none").clamp(-1, 1)
        codes = generator.mapping(z[1])
    init = Inversion(tuple(IDS), codes, "W+", torch.empty_like(images), torch.zeros(len(IDS)))
    return generator, images, rendered(generator, init)


@pytest.fixture(scope="module")
def found(start: tuple[Generator, Tensor, Inversion]) -> Inversion:
    generator, images, init = start
    return Hfgi(generator, HfgiStageConfig("toy")).invert(images, IDS, init)


def test_what_is_stored_is_what_the_image_of_the_code_lacks(
    start: tuple[Generator, Tensor, Inversion], found: Inversion
) -> None:
    _, images, init = start
    assert torch.equal(found.latent, init.latent) and (found.image - init.image).abs().max() > 0.01
    for n, (edit,) in enumerate(found.features):
        residual = edit.tensors["residual"]
        assert residual.shape == (1, 3, 64, 64) and residual.dtype == torch.float16
        assert (edit.layer, edit.rule) == (4, "hfgi")
        torch.testing.assert_close(residual.float(), images[n : n + 1] - init.image[n : n + 1], rtol=0, atol=1e-3)


def test_at_its_code_the_rule_gives_the_inversion_bit_for_bit(
    start: tuple[Generator, Tensor, Inversion], found: Inversion
) -> None:
    generator = start[0]
    assert torch.equal(render(generator, found), found.image)
    another = copy.deepcopy(generator)  # which has its networks read anew
    assert torch.equal(render(another, found), found.image)


def test_the_map_follows_the_code_by_the_image_of_the_new_code(
    start: tuple[Generator, Tensor, Inversion], found: Inversion
) -> None:
    generator = copy.deepcopy(start[0]).double()
    w0 = found.latent[:1].double()
    w1 = w0 + 0.3 * torch.randn(3, 1, w0.shape[2], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    w1.requires_grad_(True)
    (edit,) = found.features[0]
    at = edit.at(w1, generator)
    networks = hfgi.toy(generator).double()
    residual = edit.tensors["residual"].double().expand(3, -1, -1, -1)
    aligned = networks.grid_align(residual, seen(generator.synthesis(w1), 64))
    for name, value in networks.residue(aligned).items():
        torch.testing.assert_close(at.tensors[name], value)
        assert value.shape == (3, 8, 16, 16) and (value - edit.at(w0, generator).tensors[name]).abs().max() > 1e-3
    x = generator.feature_map(w1, 4)
    torch.testing.assert_close(at(x), x * (1 + at.tensors["scale"]) + at.tensors["shift"])
    # The image's gradient runs through the change, too.
    wanted = torch.randn(3, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (through,) = torch.autograd.grad((synthesise_at(generator, found, 0, w1) * wanted).sum(), w1)
    kept = replace(at, tensors={name: value.detach() for name, value in at.tensors.items()})
    (beside,) = torch.autograd.grad((generator.synthesis(w1, change=change_of([kept])) * wanted).sum(), w1)
    assert (through - beside).abs().max() > 1e-3 * beside.abs().max()
    moved, h = torch.zeros_like(w1), 1e-6
    moved[0, 2, 5] = h
    with torch.no_grad():
        ends = [(synthesise_at(generator, found, 0, w1 + s * moved) * wanted).sum() for s in (1, -1)]
    torch.testing.assert_close(through[0, 2, 5], (ends[0] - ends[1]) / (2 * h), rtol=1e-3, atol=1e-5)


def test_it_is_resumed_from_disk(start: tuple[Generator, Tensor, Inversion], found: Inversion, tmp_path: Path) -> None:
    store = InversionStore(tmp_path, "key")
    store.save("a", found[:1], keep_weights=True)
    loaded = store.load("a", IDS[0])
    assert torch.equal(render(start[0], loaded), found.image[:1])
    assert loaded.features[0][0].network == found.features[0][0].network


@pytest.mark.assets
def test_tuning_keeps_the_map_at_the_pivot(start: tuple[Generator, Tensor, Inversion], found: Inversion) -> None:
    generator, images, _ = start
    tuned = PivotalTuning(generator, PivotalTuningConfig(steps=2, stop_lpips=0.0)).invert(images, IDS, found)
    assert tuned.features == found.features and all(tuned.weights)
    assert torch.equal(render(generator, tuned), tuned.image)
    before = (found.image - images).square().mean()
    assert (tuned.image - images).square().mean() < before
    for inversion in (found, tuned):
        with torch.no_grad():
            values = at_codes(inversion.features[0], inversion.latent[:1], generator)[0].tensors
            assert values.keys() == {"scale", "shift"}
    stage = Hfgi(generator, HfgiStageConfig("toy"))
    with pytest.raises(ValueError, match="hfgi cannot go on from feature maps"):
        stage.check(images, IDS, found)


def test_weights_that_changed_are_refused(start: tuple[Generator, Tensor, Inversion], tmp_path: Path) -> None:
    generator, images, init = start
    path = tmp_path / "n.safetensors"
    for seed in (0, 1):
        network = hfgi.toy(generator, seed)
        weights.save(network, network.shape, "hfgi", generator, path.with_stem(f"n{seed}"), half=False, card={})
    path.symlink_to("n0.safetensors")
    made = Hfgi(generator, HfgiStageConfig(str(path))).invert(images, IDS, init)
    assert torch.equal(made.image, Hfgi(generator, HfgiStageConfig("toy")).invert(images, IDS, init).image)
    (edit,) = made.features[0]
    source, _, digest = edit.network.rpartition("@")
    assert source == str(path) and len(digest) == 16
    other = replace(edit, network=f"{tmp_path / 'n1.safetensors'}@{digest}")
    with pytest.raises(ValueError, match=rf"n1\.safetensors: its weights are now .*were made with {digest}; put that"):
        other.at(init.latent, generator)
    with pytest.raises(ValueError, match=r"n0\.safetensors: trained for the generator"):
        hfgi.load(tmp_path / "n0.safetensors", load_generator("celeba64"))


def test_stages_without_weights_say_how_to_get_them() -> None:
    for source, said in (("elsewhere", "train hfgi` trains one"), ("nowhere.pt", r"no hfgi weights 'nowhere\.pt'")):
        with pytest.raises(FileNotFoundError, match=said):
            Hfgi(load_generator("toy"), HfgiStageConfig(source))
        with pytest.raises(FileNotFoundError, match=said):
            Hfgi.weights_hash(HfgiStageConfig(source))


def test_shapes_that_cannot_be_are_named() -> None:
    for shape, said in (
        ({"resolution": 96}, "power of two of at least 8, found 96"),
        ({"align": (1, 2, 3)}, "expected four widths and three"),
    ):
        with pytest.raises(ValueError, match=said):
            HfgiConfig(**shape)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="layer must be 1 to 9, found 10"):
        hfgi.config_for(load_generator("toy"), 10)
    assert hfgi.config_for(load_generator("toy"), 2).side == 8


def training(**settings: object) -> HfgiTraining:
    plain = LossWeights(lpips=0.0, identity=0.0)
    config = HfgiTrainingConfig(generator="toy", encoder="toy", losses=plain, **settings)  # type: ignore[arg-type]
    return HfgiTraining(config, load_generator("toy"))


def test_every_part_learns_and_the_loss_falls(start: tuple[Generator, Tensor, Inversion]) -> None:
    module = training()
    adam = torch.optim.Adam(module.networks.parameters(), lr=5e-3)
    losses = []
    for _ in range(6):
        terms = module.losses(module.prepared({"images": start[1]}))
        assert list(terms) == ["l2", "alignment"]
        adam.zero_grad()
        total = terms["l2"] + terms["alignment"]
        total.backward()
        losses.append(float(total.detach()))
        assert not [name for name, p in module.networks.named_parameters() if p.grad is None]
        adam.step()
    assert losses[-1] < 0.95 * losses[0]
    assert not any(p.requires_grad for p in (*module.encoder.parameters(), *module.generator.parameters()))


def test_details_are_distorted_by_step_alone() -> None:
    module, residual = training(distorted=1.0), torch.rand(2, 3, 64, 64)

    def distorted(module: HfgiTraining) -> Tensor:
        return in_perspective(residual, module.prepared({"images": residual})["perspectives"])

    first, again = distorted(module), distorted(module)
    assert torch.equal(first, again) and not torch.equal(first, residual)
    torch.rand(1)
    module.steps += 1
    assert not torch.equal(distorted(module), first)
    torch.testing.assert_close(distorted(training(distorted=0.0)), residual)


def test_a_perspective_moves_as_torchvisions() -> None:
    """Inside the image; torchvision's solution is of pixel corners, this one of pixel centres."""
    rows = torch.linspace(0, 3, 64)
    image = (rows.sin()[:, None] * (2 * rows).cos()).expand(1, 3, -1, -1)
    inwards = torch.tensor([[[5, 3], [2, 4], [1, 0], [6, 2]]], dtype=torch.float64) / 63
    whole, moved = [[0, 0], [63, 0], [63, 63], [0, 63]], [[5, 3], [61, 4], [62, 63], [6, 61]]
    difference = in_perspective(image, perspectives(inwards)) - perspective(image, whole, moved)
    assert (
        float(difference[..., 8:-8, 8:-8].abs().max())
        < 0.02
        < float((perspective(image, whole, moved) - image).abs().max())
    )


def test_an_untrained_network_begins_near_the_code(start: tuple[Generator, Tensor, Inversion]) -> None:
    module = training()
    alone, changed = (module.reconstruct(network, start[1]).image for network in (None, module.average))
    assert 0 < (changed - alone).abs().mean() < 0.1


def test_training_needs_its_encoder() -> None:
    with pytest.raises(FileNotFoundError, match="train e4e` trains one"):
        load_training("hfgi", ["encoder=e4e-elsewhere"])
    assert load_training("hfgi", ["generator=toy", "encoder=toy", "layer=2"]).config.cost == pytest.approx(4 / 3)
