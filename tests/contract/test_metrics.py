"""What every registered metric keeps: description, shape, batch invariance, orientation, checks at the door."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from metrics import registry
from metrics.base import SampleMetric
from tests.drawn_faces import drawn_face

NEEDS_NOTHING = ("mse", "psnr", "ms_ssim_64", "mse_256", "psnr_256")
PARAMETERS = [
    pytest.param(name, marks=[] if name in NEEDS_NOTHING else [pytest.mark.assets]) for name in registry.names()
]


@pytest.fixture(params=PARAMETERS)
def metric(request: pytest.FixtureRequest) -> SampleMetric:
    reason = registry.missing(request.param)
    if reason:
        pytest.skip(reason)
    return registry.load(request.param)


def shapes(count: int = 4) -> Tensor:
    """[count, 3, 64, 64] in [-0.8, 0.8]: drawn faces on a slope, each with other colours."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    slopes = [((x + (i + 1) * y) / (64 * (i + 2)) - 0.5) / 4 for i in range(count)]
    faces = [drawn_face((0.3 + 0.1 * i, 0.1 * i, -0.2 + 0.1 * i)) for i in range(count)]
    return torch.stack([(face + slope).clamp(-0.8, 0.8) for face, slope in zip(faces, slopes, strict=True)])


def noisy(images: Tensor, strength: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + strength * noise.to(images)).clamp(-1, 1)


@pytest.fixture
def targets(device: torch.device) -> Tensor:
    return shapes().to(device)


def badness(metric: SampleMetric, images: Tensor, targets: Tensor) -> Tensor:
    with torch.inference_mode():
        values = metric(images, targets)
    return values if metric.info.direction == "lower" else -values


@pytest.mark.parametrize("name", registry.names())
def test_the_description_is_complete(name: str) -> None:
    metric = registry.load(name)
    info = metric.info
    assert name not in NEEDS_NOTHING or not (metric.asset or metric.region)
    assert info.name == name and info.title and info.recipe and info.reference
    assert info.direction in ("lower", "higher")
    assert info.version >= 1 and 0 <= info.digits <= 6
    low, high = info.range
    assert low is None or high is None or low < high
    assert (low if info.direction == "lower" else high) is not None, "the optimum must be stated"


def test_values_are_one_for_each_image_and_in_the_stated_range(metric: SampleMetric, targets: Tensor) -> None:
    with torch.inference_mode():
        values = metric(noisy(targets, 0.2), targets)
    assert values.device == targets.device
    assert values.shape == (4,) and values.is_floating_point()
    low, high = metric.info.range
    assert values.min() >= (-math.inf if low is None else low)
    assert values.max() <= (math.inf if high is None else high)


def test_values_do_not_depend_on_the_batch(metric: SampleMetric, targets: Tensor) -> None:
    images = noisy(targets, 0.2)
    with torch.inference_mode():
        together = metric(images, targets)
        alone = torch.cat([metric(images[i : i + 1], targets[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_identity_is_the_optimum_and_more_noise_is_worse(metric: SampleMetric, targets: Tensor) -> None:
    levels = torch.stack([badness(metric, noisy(targets, s), targets) for s in (0, 0.05, 0.2, 0.6)])
    optimum = metric.info.range[0] if metric.info.direction == "lower" else -(metric.info.range[1] or 0)
    torch.testing.assert_close(levels[0], torch.full_like(levels[0], float(optimum or 0)), rtol=0, atol=1e-4)
    assert (levels.mean(dim=1).diff() > 0).all(), levels.mean(dim=1)
    assert (levels[-1] > levels[0]).all()


def test_a_target_without_a_face_has_no_value_a_reason_and_no_effect_on_the_others(
    metric: SampleMetric, targets: Tensor
) -> None:
    if metric.undefined is None:
        assert not metric.region
        return
    targets[1] = 0.1
    images, of = noisy(targets, 0.2), f" (region {metric.region})" if metric.region else ""
    with torch.inference_mode():
        values = metric(images, targets)
    assert values.isnan().tolist() == [False, True, False, False]
    assert metric.undefined(targets) == ["", f"no face found in the target{of}", "", ""]
    torch.testing.assert_close(values[2:], metric(images[2:], targets[2:]), rtol=0, atol=1e-5)


def test_images_of_another_range_are_refused_with_what_was_found(metric: SampleMetric) -> None:
    targets = shapes()
    with pytest.raises(ValueError, match=r"images in \[-1, 1\], found minimum 0 and maximum 255"):
        metric(torch.linspace(0, 255, targets.numel()).view_as(targets), targets)
    with pytest.raises(ValueError, match=r"targets in \[-1, 1\], found minimum nan"):
        metric(targets, targets * math.nan)


def test_other_shapes_and_types_are_refused_with_what_was_found(metric: SampleMetric) -> None:
    targets = shapes()
    with pytest.raises(ValueError, match=r"found \[4, 3, 64, 64\] and \[3, 3, 64, 64\]"):
        metric(targets, targets[:3])
    with pytest.raises(ValueError, match=r"found \[4, 1, 64, 64\]"):
        metric(targets[:, :1], targets[:, :1])
    with pytest.raises(TypeError, match="uint8"):
        metric(targets.to(torch.uint8), targets)
    with pytest.raises(TypeError, match="float64"):
        metric(targets.double(), targets)


def test_an_unknown_metric_names_the_near_miss() -> None:
    with pytest.raises(KeyError, match="did you mean 'lpips_alex'"):
        registry.load("lpips_alx")


def test_without_weights_and_network_the_reason_names_the_asset(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("INVERSION_BENCH_OFFLINE", "1")
    assert registry.missing("psnr") is None
    reason = registry.missing("id_sface")
    assert reason is not None and "sface" in reason and "INVERSION_BENCH_OFFLINE" in reason
    monkeypatch.delenv("INVERSION_BENCH_OFFLINE")
    assert registry.missing("id_sface") is None
