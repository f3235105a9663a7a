"""Cached results of targets have the same values, and are computed once."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from datasets.images import to_tensor
from metrics import identity, perceptual
from metrics import registry as metrics_registry
from metrics.networks.lpips import load_lpips
from metrics.target_cache import TargetCache
from tests.drawn_faces import face_picture


def faces(count: int = 3) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    images, targets = torch.rand(2, count, 3, 64, 64, generator=stream) * 2 - 1
    return images, targets


def test_a_target_is_computed_once_and_evicted_when_least_recently_used() -> None:
    cache, seen = TargetCache(), []

    def mean(targets: Tensor) -> list[tuple[Tensor]]:
        seen.append(len(targets))
        return [(target.mean(dim=(1, 2)),) for target in targets]

    _, targets = faces()
    first = cache("mean", targets, mean)
    again = cache("mean", targets.flip(0), mean)
    assert seen == [3] and all(torch.equal(a, b) for (a,), (b,) in zip(first, again[::-1], strict=True))
    cache("another", targets, mean)
    cache("mean", targets.double(), mean)
    assert seen == [3, 3, 3], "another function and another type are other results"
    cache("mean", torch.cat([targets[:1], targets[:1] + 1, targets[:1] + 1]), mean)
    assert seen[3:] == [1], "a target that comes twice is computed once"
    cache("mean", targets[:1] + 2, mean, max_bytes=3 * 4)
    assert len(cache.entries) == 1 and cache("mean", targets[:0], mean) == []


def test_no_gradient_is_cached() -> None:
    _, targets = faces()
    ((found,), *_) = TargetCache()("x", targets.requires_grad_(True), lambda new: [(each * 2,) for each in new])
    assert not found.requires_grad


@pytest.mark.assets
@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_with_cached_targets_is_the_authors(net: str) -> None:
    images, targets = (part.roll(len(net), dims=3) for part in faces(2))  # seen by no other test
    wanted = copy.deepcopy(load_lpips(net))(images, targets)
    metric = metrics_registry.load(f"lpips_{net}")
    before = len(perceptual._targets.entries)
    for _ in range(2):
        torch.testing.assert_close(metric(images, targets), wanted, rtol=1e-5, atol=1e-7)
    assert len(perceptual._targets.entries) == before + 2


@pytest.mark.assets
def test_identity_with_cached_targets_is_the_cosine() -> None:
    targets = torch.stack([to_tensor(face_picture((0.5 - shade, 0.1, -0.1))) for shade in (0.0, 0.2)])
    images = (targets + 0.1 * torch.randn(targets.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    a, b = identity.embed(images, "sface", targets), identity.embed(targets, "sface")  # cropped at the target's face
    for _ in range(2):
        torch.testing.assert_close(identity.cosine(images, targets, "sface"), (a * b).sum(dim=1), rtol=1e-5, atol=1e-6)
