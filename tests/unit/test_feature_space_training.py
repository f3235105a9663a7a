"""How the networks of feature-space methods learn: which images each loss sees, and what each phase changes."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from datasets.checkpoints import read_safetensors
from methods.checkpoints.trained import start_from
from methods.feature_space import sfe
from methods.feature_space.feature_style_training import (
    FeatureStyleTraining,
    FeatureStyleTrainingConfig,
    image_terms,
)
from methods.feature_space.sfe_training import SfeTraining, SfeTrainingConfig
from methods.features import perceptual
from methods.generators import load_generator
from methods.training.base import EmaTraining
from methods.training.losses import LossWeights
from methods.training.registry import load_training

PLAIN = LossWeights(lpips=0.0, identity=0.0)
KNOWN = torch.tensor([False, False, True, True])


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def style(**settings: object) -> FeatureStyleTraining:
    return FeatureStyleTraining(FeatureStyleTrainingConfig(generator="toy", **settings), load_generator("toy"))  # type: ignore[arg-type]


def editor(**settings: object) -> SfeTraining:
    config = SfeTrainingConfig(
        generator="toy", e4e="toy", directions="toy", losses=PLAIN, budget=100, batch=4, **settings
    )  # type: ignore[arg-type]
    return SfeTraining(config, load_generator("toy"))


def fall(training: FeatureStyleTraining | SfeTraining, batch: dict[str, Tensor], parameters: list[Tensor]) -> None:
    """Every parameter gets a gradient, and the loss falls."""
    adam, losses = torch.optim.Adam(parameters, lr=2e-3), []
    for _ in range(5):
        loss = torch.stack(list(training.losses(batch).values())).sum()
        adam.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        assert all(p.grad is not None for p in parameters)
        adam.step()
    assert losses[-1] < 0.97 * losses[0]


def test_l2_is_of_samples_alone_and_every_part_learns(images: Tensor) -> None:
    assert set(image_terms(images, images.flip(0), KNOWN, PLAIN)) == {"l2"}
    assert not image_terms(images, images.flip(0), ~KNOWN & KNOWN, PLAIN)
    changed = images.clone()
    changed[0] += 1
    assert torch.equal(
        image_terms(images, changed, KNOWN, PLAIN)["l2"], image_terms(images, images, KNOWN, PLAIN)["l2"]
    )
    training = style(losses=PLAIN, blend=0.0)
    batch = {"images": images, "known": KNOWN}
    assert set(training.losses(batch)) == {"map", "code_l2", "mapped_l2"}
    fall(training, batch, list(training.encoder.parameters()))


@pytest.mark.assets
def test_lpips_sees_two_scales_at_64_px(images: Tensor) -> None:
    noise = images.flip(0)
    found = image_terms(images, noise, KNOWN, LossWeights(l2=0.0, identity=0.0, lpips=0.2))
    halved = [avg_pool2d(each, 2) for each in (images, noise)]
    scales = [perceptual("lpips_alex")(a, b).mean() for a, b in ((images, noise), halved)]
    torch.testing.assert_close(found, {"lpips": 0.2 * (scales[0] + scales[1])})


def test_the_map_is_blended_in_from_the_generators_own(images: Tensor) -> None:
    training = style(losses=PLAIN, budget=240, batch=4)
    batch = {"images": images, "known": KNOWN}
    terms = training.losses(batch)
    assert torch.equal(terms["code_l2"], terms["mapped_l2"])
    training.steps += 10
    terms = training.losses(batch)
    assert not torch.equal(terms["code_l2"], terms["mapped_l2"])
    alone, mapped = (training.reconstruct(each, images).image for each in ((training.average, False), training.average))
    assert not torch.equal(alone, mapped)


def test_the_first_phase_trains_the_inverter_the_second_the_editor(images: Tensor) -> None:
    training = editor(blend=0.0)
    first, second = list(training.sfe.inverter.parameters()), list(training.sfe.editor.parameters())
    batch = {"images": images}
    assert set(training.losses(batch)) == {"map", "code_l2", "mapped_l2"}
    fall(training, batch, first)
    assert all(p.grad is None for p in second) and not training.editing
    training.ema.update_parameters(training.network)
    training.steps += training.total_steps - 2
    assert training.editing and 0 < training.phase_progress < 1
    for p in first:
        p.grad = None
    assert set(training.losses(batch)) == {"inversion_l2", "edit_l2"}
    average = training.average.inverter.state_dict()
    assert all(torch.equal(value, average[key]) for key, value in training.sfe.inverter.state_dict().items())
    fall(training, batch, second)
    assert all(p.grad is None for p in first) and not training.sfe.inverter.training
    assert not any(p.requires_grad for p in (*training.e4e.parameters(), *training.generator.parameters()))


def test_edits_depend_on_the_step_alone() -> None:
    training = editor(strength=2.0)
    once, again = training._steps(64), training._steps(64)
    assert torch.equal(once, again)
    training.steps += 1
    assert not torch.equal(once, training._steps(64))
    lengths = once.flatten(1).norm(dim=1) / training.edits.flatten(1).norm(dim=1).max()
    assert 1 < float(lengths.max()) <= 2.0


def test_the_trunk_begins_from_a_feature_style_encoder(tmp_path: Path) -> None:
    source = style()
    path = tmp_path / "f.safetensors"
    source.save(path, {})
    trunk = editor(start=str(path)).sfe.inverter.fs_backbone
    wanted = source.average.state_dict()
    for key in ("conv.0.weight", "block_4.0.conv2.weight", "styles.9.weight", "content_layer.1.weight"):
        assert torch.equal(trunk.state_dict()[key], wanted[key].half().float())
    assert sfe.fresh_network(load_generator("toy"), 0).inverter.fs_backbone.content_layer[4].weight.shape[0] == 8
    with pytest.raises(ValueError, match=r"f\.safetensors: nothing of it fits"):
        start_from(torch.nn.Linear(2, 2), path)


@pytest.mark.parametrize("name", ["e4e", "hyperstyle", "hfgi", "styleres", "feature_style", "sfe"])
def test_a_network_is_trained_further_from_its_own_file(name: str, tmp_path: Path) -> None:
    parts = {
        "hyperstyle": ["w_encoder=toy"],
        "hfgi": ["encoder=toy"],
        "styleres": ["encoder=toy", "discriminator=toy"],
        "sfe": ["e4e=toy", "directions=toy"],
    }
    settings = ["generator=toy", "data=openpeople", *parts.get(name, [])]
    source, path = cast(EmaTraining, load_training(name, [*settings, "seed=1"]).module()), tmp_path / "own.safetensors"
    source.save(path, {})
    further = cast(EmaTraining, load_training(name, [*settings, f"start={path}"]).module())
    fresh = cast(EmaTraining, load_training(name, settings).module())
    stored = read_safetensors(path)[0]
    for each in (further.network.state_dict(), further.average.state_dict()):
        assert all(torch.equal(each[key], value.float()) for key, value in stored.items() if key != "latent_avg")
    assert not all(torch.equal(fresh.network.state_dict()[key], value.float()) for key, value in stored.items())


def test_trainings_need_their_e4e_and_edits() -> None:
    with pytest.raises(FileNotFoundError, match="train e4e` trains one"):
        load_training("sfe", ["e4e=elsewhere"])
    with pytest.raises(FileNotFoundError, match="no directions for the generator"):
        load_training("sfe", ["generator=toy", "e4e=toy"])
    assert load_training("sfe", ["budget=12000"]).config.steps() == 662  # type: ignore[union-attr]
    assert load_training("feature_style", ["budget=12000"]).config.steps() == 750  # type: ignore[union-attr]
