"""What a batch does when inverting it fails: halves for memory, single images for anything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from methods.base import Inversion, Method, MethodInfo
from methods.generators import load_generator

IDS = [f"set/i{n}" for n in range(8)]


@dataclass(frozen=True)
class Config:
    group: int = 1


@dataclass(frozen=True)
class Padding(Config):
    batch_size: int = 8


class Fails(Method):
    """Inverts batches that `error_of` has no error for, and notes what it is given."""

    info = MethodInfo("fails", "Fails", 1, "", 2026, "", "", "W+")
    Config = Config
    error_of: Callable[[Sequence[str]], Exception | None]
    batches: list[int]

    @classmethod
    def group_size(cls, config: Config) -> int:
        return config.group

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        self.batches.append(len(ids))
        if error := self.error_of(ids):
            raise error
        latent = self.generator.w_mean.expand(len(ids), self.generator.num_ws, -1)
        return Inversion(tuple(ids), latent, "W+", images, torch.zeros(len(ids)))


def failing(error_of: Callable[[Sequence[str]], Exception | None], group: int = 1) -> Fails:
    method = Fails(load_generator("toy"), Config(group))
    method.error_of, method.batches = error_of, []
    return method


BATCH = {"images": torch.zeros(8, 3, 64, 64), "ids": IDS}


@pytest.mark.parametrize(
    ("error", "batches"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), [8, 4, 2, 2, 4, 2, 2]),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), [8, 4, 2, 2, 4, 2, 2]),
        (RuntimeError("diverged"), [8, *[1] * 8]),
    ],
)
def test_only_memory_halves_a_batch(error: Exception, batches: list[int]) -> None:
    method = failing(lambda ids: error if len(ids) > 2 else None)
    outcome = method.predict_step(BATCH, 0)
    assert method.batches == batches and not outcome.failures
    assert outcome.inversion is not None and list(outcome.inversion.ids) == IDS


def test_a_gpus_short_memory_makes_fixed_batches_smaller_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    method = failing(lambda _: None)
    method.config = Padding()
    method.error_of = lambda _: torch.OutOfMemoryError("CUDA out of memory") if method.padded_size(1) > 2 else None
    on_cpu = method.predict_step(BATCH, 0)
    assert set(on_cpu.failures) == set(IDS) and method.batch_size == 8, "its halves are padded, too"
    monkeypatch.setattr(Method, "shrinks", True)
    method.batches = []
    assert not method.predict_step(BATCH, 0).failures and method.batches == [8, 8, 8] and method.batch_size == 2
    method.limit_batches(1)
    method.limit_batches(4)
    assert method.batch_size == 1


def test_the_image_that_fails_fails_alone_and_groups_stay_together(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "methods.base")
    method = failing(lambda ids: RuntimeError("no") if IDS[5] in ids else None, group=2)
    outcome = method.predict_step(BATCH, 0)
    assert method.batches == [8, 2, 2, 2, 2] and outcome.failures == dict.fromkeys(IDS[4:6], "RuntimeError: no")
    assert "Traceback" in caplog.text and outcome.inversion is not None and len(outcome.inversion) == 6


def test_debug_raises() -> None:
    method = failing(lambda ids: RuntimeError("no"))
    method.debug = True
    with pytest.raises(RuntimeError, match="no"):
        method.predict_step(BATCH, 0)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_an_image_that_is_not_finite_fails_alone(monkeypatch: pytest.MonkeyPatch, bad: float) -> None:
    images = torch.ones(8, 3, 64, 64)
    images[2, 1, 5, 7] = bad
    method = failing(lambda _: None)
    monkeypatch.setattr(method, "check", lambda *_: None)
    outcome = method.predict_step(BATCH | {"images": images}, 0)
    assert method.batches == [8] and list(outcome.failures) == [IDS[2]] and "diverged" in outcome.failures[IDS[2]]
    assert outcome.inversion is not None and outcome.inversion.ids == (*IDS[:2], *IDS[3:])
