"""Recorded steps, with a stand-in for CUDA's graph where there is no GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from methods import replay
from methods.encoders.interestyle import InterestConfig
from methods.encoders.training import EncoderTraining, EncoderTrainingConfig
from methods.generators import load_generator
from methods.replay import EAGER, Replay
from methods.training.base import EmaTraining
from methods.training.losses import LossWeights
from metrics.regions import RegionParser


class Recorded:
    """As a CUDA graph: writes into the tensors of the recording."""

    def __init__(self, gradient: torch.Tensor, result: torch.Tensor):
        self.gradient, self.result, self.replays = gradient, result, 0

    def replay(self) -> None:
        self.replays += 1
        self.gradient.fill_(self.replays)
        self.result.fill_(10 * self.replays)


def test_on_a_cpu_the_function_itself_runs() -> None:
    calls: list[int] = []
    step = Replay(lambda: calls.append(1) or len(calls), torch.device("cpu"))  # type: ignore[func-returns-value]
    assert [step() for _ in range(EAGER + 2)] == [1, 2, 3, 4, 5]


def test_a_replay_gives_gradients_back_that_somebody_took() -> None:
    """Lightning sets gradients to None before a validation; an optimizer would skip the parameters from then on."""
    weight = torch.zeros(2, requires_grad=True)
    step = Replay(lambda: weight.detach(), torch.device("cpu"), [weight])
    gradient, result = torch.zeros(2), torch.zeros(1)
    step.graph, step.gradients, step.result = Recorded(gradient, result), [gradient], result  # type: ignore[assignment]
    step.stream = object()  # type: ignore[assignment]
    assert float(step()) == 10 and weight.grad is gradient
    weight.grad = None
    assert float(step()) == 20
    assert weight.grad is not None and weight.grad.tolist() == [2, 2]


def test_recording_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert replay.enabled()
    monkeypatch.setenv("INVERSION_BENCH_GRAPHS", "0")
    assert not replay.enabled()


@pytest.mark.parametrize("records", [False, True])
def test_a_training_copies_its_batches_only_for_a_recording(records: bool) -> None:
    """A recording reads the tensors of the first step; the caller's own batches stay as they are."""
    training: Any = SimpleNamespace(_inputs={}, _recorded_phase=None, phase=None)

    class Step:
        def __call__(self) -> Tensor:
            return cast(Tensor, training._inputs["images"])

    training._recorded = Step()
    training._recorded.records = records
    batches = [torch.full((2,), float(n)) for n in range(3)]
    read = [EmaTraining._gradients(training, {"images": batch}, None) for batch in batches]
    if records:
        assert read[0] is read[1] is read[2] and read[2].tolist() == [2, 2]
        assert [batch.tolist() for batch in batches] == [[0, 0], [1, 1], [2, 2]]
    else:
        assert all(one is batch for one, batch in zip(read, batches, strict=True))


def test_a_new_phase_of_a_training_is_recorded_anew() -> None:
    """What is recorded for some layers of an encoder does not hold for more of them."""
    weight = torch.ones(2, requires_grad=True)
    training: Any = SimpleNamespace(
        _inputs={}, _recorded=None, phase=0, replayable=True, device=torch.device("cpu"),
        trainer=SimpleNamespace(world_size=1), config=SimpleNamespace(precision="32-true"),
        network=SimpleNamespace(parameters=lambda: [weight]), manual_backward=lambda loss: loss.backward(),
        losses=lambda batch: {"l2": (weight * batch["images"]).sum()},
    )  # fmt: skip
    batch, optimizer = {"images": torch.ones(2)}, torch.optim.SGD([weight])
    made = []
    for training.phase in (0, 0, 1, 1, 2):
        assert float(EmaTraining._gradients(training, batch, optimizer)["l2"]) == 2
        made.append(training._recorded)
    assert made[0] is made[1] and made[2] is made[3]
    assert len({id(step) for step in made}) == 3
    assert weight.grad is not None and weight.grad.tolist() == [1, 1]


def test_an_encoders_regions_are_found_before_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """By way of the processor, which no recording can do; the step reads them from the batch."""
    plain: dict[str, Any] = {"generator": "toy", "losses": LossWeights(lpips=0.0, identity=0.0)}
    config = EncoderTrainingConfig(design="interestyle", interest=InterestConfig(), **plain)
    training = EncoderTraining(config, load_generator("toy"))
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    masks = torch.zeros(2, 1, 64, 64)
    masks[:, :, 16:48, 16:48] = 1
    parser = RegionParser("box", "a box", lambda images: (masks, ("", "")))
    monkeypatch.setattr("methods.encoders.training.load_parser", lambda name: parser)
    batch = training.prepared({"images": images})
    assert training.replayable and torch.equal(batch["mask"], masks)
    monkeypatch.setattr("methods.encoders.training.load_parser", lambda name: pytest.fail("found again"))
    whole = training.losses(batch)["l2"].detach()
    nothing = training.losses(batch | {"mask": torch.zeros_like(masks)})["l2"].detach()
    assert whole > 0 and nothing == 0
    psp = EncoderTraining(EncoderTrainingConfig(design="psp", **plain), load_generator("toy"))
    assert "mask" not in psp.prepared({"images": images})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_a_recorded_step_trains_as_an_eager_one() -> None:
    """With gradients taken away in between."""
    found = []
    for device in (torch.device("cuda"), torch.device("cpu")):
        weight = torch.ones(3, device="cuda", requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.1)

        def gradients(weight: torch.Tensor = weight, optimizer: torch.optim.SGD = optimizer) -> torch.Tensor:
            loss = (weight.square() * torch.arange(3.0, device="cuda")).sum()
            optimizer.zero_grad()
            loss.backward()
            return loss.detach()

        step = Replay(gradients, device, [weight])
        losses = []
        for n in range(8):
            losses.append(float(step()))
            optimizer.step()
            if n % 2:
                optimizer.zero_grad()
        found.append((losses, weight.tolist()))
    assert found[0] == pytest.approx(found[1])
