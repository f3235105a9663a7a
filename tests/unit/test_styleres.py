"""StyleRes: what is stored, the rule by which its map follows a code, and its training against a discriminator."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from methods.base import Inversion, rendered
from methods.encoders.designs import DESIGNS
from methods.encoders.weights import toy_encoder
from methods.feature_space import styleres, weights
from methods.feature_space.styleres import StyleRes, StyleResStageConfig
from methods.feature_space.styleres_network import StyleResConfig
from methods.feature_space.styleres_training import StyleResTraining, StyleResTrainingConfig
from methods.generators import Generator, load_generator
from methods.generators.readers import WEIGHTS
from methods.training.discriminator import Discriminator, discriminator_channels, load_discriminator
from methods.training.losses import LossWeights
from methods.training.registry import load_training

IDS = ["set/a", "set/b"]
STATE = WEIGHTS / "training" / "celeba64-state.safetensors"


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


def test_the_residual_is_of_the_image_and_what_is_added_of_the_code(
    start: tuple[Generator, Tensor, Inversion],
) -> None:
    generator, images, init = start
    found = StyleRes(generator, StyleResStageConfig("toy")).invert(images, IDS, init)
    networks = styleres.toy(generator)
    assert torch.equal(found.latent, init.latent) and networks.shape.layer == 4
    residuals = networks(images, generator.feature_map(init.latent, 4))
    moved = init.latent + 0.3
    own = generator.feature_map(moved, 4)
    change, gate = networks.gates(own, residuals)
    assert gate.shape == (2, 1, 16, 16) and bool(((gate > 0) & (gate < 1)).all())
    for n, (edit,) in enumerate(found.features):
        stored = edit.tensors["residual"]
        assert (edit.layer, edit.operation, edit.rule, stored.dtype) == (4, "add", "styleres", torch.float16)
        torch.testing.assert_close(stored.float(), residuals[n : n + 1], rtol=1e-3, atol=1e-3)
        at = edit.at(moved[n : n + 1], generator)
        wanted = (own + gate * change)[n : n + 1]
        torch.testing.assert_close(at(own[n : n + 1]), wanted, rtol=0, atol=2e-3)
        assert (at.tensors["map"] - edit.at(init.latent[n : n + 1], generator).tensors["map"]).abs().max() > 1e-3
    other = StyleRes(generator, StyleResStageConfig("toy")).invert(images.flip(0), IDS, init)
    assert (other.image - found.image).abs().max() > 1e-3, "the image does not matter"


def test_files_that_do_not_fit_are_named(start: tuple[Generator, Tensor, Inversion], tmp_path: Path) -> None:
    generator, network = start[0], styleres.toy(start[0])
    path = tmp_path / "n.safetensors"
    weights.save(network, network.shape, "styleres", generator, path, half=False, card={})
    found = styleres.read(str(path), generator)
    assert all(torch.equal(value, found.state_dict()[key]) for key, value in network.state_dict().items())
    with pytest.raises(ValueError, match=r"n\.safetensors: trained for the generator"):
        styleres.load(path, load_generator("celeba64"))
    with pytest.raises(FileNotFoundError, match="train styleres` trains one"):
        StyleRes(generator, StyleResStageConfig("elsewhere"))
    for shape, said in (
        ({"resolution": 96}, "power of two.*found 96"),
        ({"resolution": 8}, "at least 4 px after 2 halvings, found 8"),
        ({"units": (1,)}, "expected as many units as widths"),
    ):
        with pytest.raises(ValueError, match=said):
            StyleResConfig(**shape)  # type: ignore[arg-type]
    e4e = toy_encoder(DESIGNS["e4e"], generator)
    with pytest.raises(ValueError, match="levels must be 1 to 4, found 5"):
        styleres.fresh(generator, e4e, 5, 0)
    assert styleres.fresh(generator, e4e, 3, 0).shape.side == 8


def training(**settings: object) -> StyleResTraining:
    config = StyleResTrainingConfig(
        generator="toy", encoder="toy", losses=LossWeights(lpips=0.0, identity=0.0), **settings
    )  # type: ignore[arg-type]
    return StyleResTraining(config, load_generator("toy"))


def test_every_part_learns_and_the_loss_falls(start: tuple[Generator, Tensor, Inversion]) -> None:
    module = training()
    learned = [p for p in module.networks.parameters() if p.requires_grad]
    adam, losses = torch.optim.Adam(learned, lr=2e-3), []
    for _ in range(6):
        terms = module.losses(module.prepared({"images": start[1]}))
        assert list(terms) == ["residual", "inversion_l2", "cycle_l2", "adversarial"]
        adam.zero_grad()
        terms["adversarial"].backward(retain_graph=True)
        assert all(p.grad is not None for p in learned)
        assert all(p.grad is None for p in module.discriminator.parameters())
        total = terms["inversion_l2"] + terms["cycle_l2"]
        total.backward()
        losses.append(float(total.detach()))
        adam.step()
    assert losses[-1] < 0.97 * losses[0]
    frozen = (*module.encoder.parameters(), *module.generator.parameters(), *module.networks.encoder.parameters())
    assert not any(p.requires_grad for p in frozen) and not module.networks.encoder.training


def test_the_cycle_passes_a_gradient_through_the_encoder(start: tuple[Generator, Tensor, Inversion]) -> None:
    """The second image depends on the networks by the edited one, which is encoded again."""
    module = training()
    cycle = module.losses(module.prepared({"images": start[1]}))["cycle_l2"]
    (whole,) = torch.autograd.grad(cycle, [module.networks.alignment.out_layer.bias])
    seen = module.encoder.forward
    module.encoder.forward = lambda images: seen(images.detach())  # type: ignore[method-assign, assignment]
    cycle = module.losses(module.prepared({"images": start[1]}))["cycle_l2"]
    (cut,) = torch.autograd.grad(cycle, [module.networks.alignment.out_layer.bias])
    assert (whole - cut).abs().max() > 1e-3 * whole.abs().max()


def test_every_second_code_moves_to_a_random_one_by_step_alone() -> None:
    module = training()
    codes = module.generator.mapping(torch.randn(6, module.generator.z_dim))

    def moves() -> Tensor:
        batch = module.prepared({"images": torch.zeros(6, 3, 64, 64)})
        return module.edits(codes, batch["z"], batch["parts"])

    first, again = moves(), moves()
    assert torch.equal(first, again) and not bool(first[::2].any())
    z = torch.randn(6, module.generator.z_dim, generator=torch.Generator().manual_seed(module.step_seed))
    parts = (first / (module.generator.mapping(z) - codes))[1::2]
    assert bool(((parts > 0.399) & (parts < 0.501)).all())
    module.steps += 1
    assert not torch.equal(moves(), first)


def test_an_untrained_network_begins_near_the_code(start: tuple[Generator, Tensor, Inversion]) -> None:
    module = training()
    alone, changed = (module.reconstruct(network, start[1]).image for network in (None, module.average))
    assert 0 < (changed - alone).abs().mean() < 0.1


def test_the_discriminator_begins_as_the_generators(tmp_path: Path) -> None:
    module = load_discriminator(STATE)
    assert module.resolution == 64 and len(module.blocks) == 3
    with torch.no_grad():
        faces = load_generator("celeba64")(torch.randn(8, 100, generator=torch.Generator().manual_seed(0)))
        noise = 2 * torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 1
        assert float(module(faces).mean()) > float(module(noise).mean())
    weights.save(styleres.toy(load_generator("toy")), StyleResConfig(), "styleres", load_generator("toy"),
                 tmp_path / "n.safetensors", half=False, card={})  # fmt: skip
    with pytest.raises(ValueError, match=r"n\.safetensors: no state of a generator's training"):
        load_discriminator(tmp_path / "n.safetensors")
    assert Discriminator(discriminator_channels(256)).resolution == 256


def test_training_needs_its_encoder_and_pairs() -> None:
    with pytest.raises(FileNotFoundError, match="train e4e` trains one"):
        load_training("styleres", ["encoder=e4e-elsewhere"])
    with pytest.raises(ValueError, match="batch=1: half of a batch is edited"):
        load_training("styleres", ["generator=toy", "encoder=toy", "batch=1"])
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        load_training("styleres", ["generator=toy", "encoder=toy", "discriminator=none.safetensors"])
    assert load_training("styleres", ["generator=toy", "encoder=toy"]).config.cost == pytest.approx(13 / 6)
