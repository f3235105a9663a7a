"""How the hypernetwork learns: a loss at every refinement step, no gradient between them, weights from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from methods.generators import Generator, load_generator
from methods.hypernetworks.refine import refine
from methods.hypernetworks.stage import HyperStyle, HyperStyleConfig
from methods.hypernetworks.training import HyperStyleTraining, HyperStyleTrainingConfig, inverted, pivots
from methods.hypernetworks.weights import fresh_hypernet, load_hypernet, save_hypernet, toy_hypernet
from methods.training.losses import LossWeights
from methods.training.registry import load_training

PLAIN = LossWeights(lpips=0.0, identity=0.0)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def module(**settings: object) -> HyperStyleTraining:
    config = HyperStyleTrainingConfig(generator="toy", w_encoder="toy", iterations=2, losses=PLAIN, **settings)  # type: ignore[arg-type]
    return HyperStyleTraining(config, load_generator("toy"))


def test_no_gradient_runs_from_one_step_to_the_next(images: Tensor) -> None:
    generator = load_generator("toy")
    hypernet = toy_hypernet(generator).requires_grad_(True)
    seen: list[dict[str, Tensor]] = []

    def keep(_: object, __: object, changes: dict[str, Tensor]) -> None:
        for change in changes.values():
            change.retain_grad()
        seen.append(changes)

    hypernet.register_forward_hook(keep)
    start = pivots(module().w_encoder, images)
    found = list(refine(hypernet, generator, images, start, 2, batch_size=2))
    found[1].image.sum().backward()
    assert all(change.grad is None for change in seen[0].values())
    assert all(change.grad is not None and bool(change.grad.any()) for change in seen[1].values())
    assert not any(p.grad is not None for p in generator.parameters())


def test_every_part_learns_and_the_loss_falls(images: Tensor) -> None:
    training = module()
    adam = torch.optim.Adam(training.hypernet.parameters(), lr=2e-3)
    losses = []
    for _ in range(4):
        terms = training.losses({"images": images})
        assert list(terms) == ["l2"]
        adam.zero_grad()
        terms["l2"].backward()
        losses.append(float(terms["l2"].detach()))
        without = [name for name, p in training.hypernet.named_parameters() if p.grad is None]
        assert not without
        adam.step()
    assert losses[-1] < 0.95 * losses[0]
    assert not any(p.requires_grad for p in (*training.w_encoder.parameters(), *training.ema.parameters()))


def test_what_heads_share_is_averaged_once() -> None:
    training = module(ema=0.75)
    training.ema.n_averaged.fill_(101)
    before = training.average.shared_weight_hypernet.w1.clone()
    with torch.no_grad():
        training.hypernet.shared_weight_hypernet.w1.add_(1.0)
    training.ema.update_parameters(training.network)
    torch.testing.assert_close(training.average.shared_weight_hypernet.w1, before + 0.25)
    heads = training.average.refinement_blocks
    assert heads["0"].hypernet.w1 is training.average.shared_weight_hypernet.w1


def test_an_untrained_network_begins_near_the_pivot(images: Tensor) -> None:
    generator: Generator = load_generator("toy")
    training = module()
    alone = inverted(None, training.w_encoder, generator, images, 2)
    changed = inverted(fresh_hypernet(generator, 0).eval(), training.w_encoder, generator, images, 2)
    assert 0 < (changed - alone).abs().mean() < 0.05


def test_weights_come_back_and_refuse_another_generator(images: Tensor, tmp_path: Path) -> None:
    generator = load_generator("toy")
    path, hypernet = tmp_path / "h.safetensors", toy_hypernet(generator)
    save_hypernet(hypernet, generator, path, half=False, card={"name": "h"})
    assert sum("w2" in key for key in load_file(path)) == 1, "what heads share is stored once"
    init = pivots(module().w_encoder, images)
    found = HyperStyle(generator, HyperStyleConfig(str(path), 1, 2)).invert(images, ["a", "b"], init)
    wanted = HyperStyle(generator, HyperStyleConfig("toy", 1, 2)).invert(images, ["a", "b"], init)
    assert torch.equal(found.image, wanted.image)
    with pytest.raises(ValueError, match=r"h\.safetensors: trained for the generator"):
        load_hypernet(path, load_generator("celeba64"))
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors", {"hypernet": '{"channels": 3}'})
    with pytest.raises(ValueError, match=r"other\.safetensors: no hypernet that can be read \(TypeError"):
        load_hypernet(tmp_path / "other.safetensors", generator)
    state = load_file(path) | {"conv1.weight": torch.full((8, 6, 7, 7), torch.nan)}
    save_file(state, tmp_path / "nan.safetensors", {"hypernet": header(path)})
    with pytest.raises(ValueError, match=r"nan\.safetensors: is not finite in conv1\.weight"):
        load_hypernet(tmp_path / "nan.safetensors", generator)


def header(path: Path) -> str:
    with safe_open(path, framework="pt") as handle:
        return handle.metadata()["hypernet"]


def test_training_needs_its_w_encoder() -> None:
    with pytest.raises(FileNotFoundError, match="train hyperstyle_w_encoder` trains one"):
        load_training("hyperstyle", ["w_encoder=hyperstyle_w_encoder-elsewhere"])
    assert load_training("hyperstyle", ["generator=toy", "w_encoder=toy", "passes=3"]).config.iterations == 3
