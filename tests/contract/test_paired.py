"""Every metric of a protocol: description, closed forms, checks at the door."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from datasets import assets
from metrics import registry
from metrics.paired import (
    Input,
    PairedMetric,
    change_lpips_alex,
    change_mse,
    error_mse,
    id_sface,
    occlusion_metrics,
)
from tests.drawn_faces import drawn_face

ALL = occlusion_metrics()
NAMES = [metric.info.name for metric in ALL]
METRICS = pytest.mark.parametrize("metric", ALL, ids=NAMES)
pytestmark = pytest.mark.assets


def parts() -> dict[Input, Tensor]:
    """Two faces, their inversions without any error, and a region that is open above row 36."""
    faces = torch.stack([drawn_face(), drawn_face((0.1, -0.2, -0.4))])
    region = torch.zeros(2, 1, 64, 64)
    region[:, :, :36] = 1
    return {"reconstruction": faces, "clean_reconstruction": faces, "clean_target": faces, "region": region}


def value(metric: PairedMetric, **changed: Tensor) -> Tensor:
    if reason := assets.missing(metric.asset, metric.info.name):
        pytest.skip(reason)
    given = {**parts(), **changed}
    with torch.inference_mode():
        return metric(*(given[name] for name in metric.inputs))


def test_descriptions_are_complete_and_names_are_unlike():
    assert len(set(NAMES) | set(registry.names())) == len(NAMES) + len(registry.names())
    for metric in ALL:
        info = metric.info
        assert info.name and info.title and info.recipe and info.reference and info.version >= 1
        assert info.direction in ("lower", "higher") and 0 <= info.digits <= 6
        if "region" in metric.inputs:
            assert "landmark_ellipse" in info.recipe


@METRICS
def test_identical_inversions_are_the_optimum(metric):
    optimum = metric.info.range[0] if metric.info.direction == "lower" else metric.info.range[1]
    torch.testing.assert_close(value(metric), torch.full((2,), float(optimum)), rtol=0, atol=1e-6)


@METRICS
def test_a_change_below_the_object_counts_only_where_there_is_no_region(metric):
    below = parts()["reconstruction"].clone()
    below[:, :, 36:] = -below[:, :, 36:]
    if "region" in metric.inputs:
        assert value(metric, reconstruction=below).abs().max() == 0
    else:
        assert (value(metric, reconstruction=below) < 0.95).all()


@METRICS
def test_more_change_above_is_worse(metric):
    faces = parts()["reconstruction"]
    noise = torch.randn(faces.shape, generator=torch.Generator().manual_seed(0))
    levels = torch.stack([value(metric, reconstruction=(faces + s * noise).clamp(-1, 1)) for s in (0, 0.1, 0.3)])
    badness = levels if metric.info.direction == "lower" else -levels
    assert (badness.diff(dim=0) > 0).all()
    torch.testing.assert_close(
        levels[2, :1], value_of_first(metric, (faces + 0.3 * noise).clamp(-1, 1)), rtol=0, atol=1e-5
    )


def value_of_first(metric: PairedMetric, reconstruction: Tensor) -> Tensor:
    one = {name: part[:1] for name, part in {**parts(), "reconstruction": reconstruction}.items()}
    return value(metric, **one)


@pytest.mark.parametrize("make", [change_mse, error_mse])
def test_errors_are_means_over_the_region(make):
    shifted = (parts()["reconstruction"] * 0.5).clone()
    other: Input = "clean_reconstruction" if "clean_reconstruction" in make().inputs else "clean_target"
    found = value(make(), reconstruction=shifted + 0.25, **{other: shifted})
    torch.testing.assert_close(found, torch.full((2,), 0.0625))
    half = parts()["region"].clone()
    half[:, :, 18:36] = 0  # half the area, the same mean
    torch.testing.assert_close(value(make(), reconstruction=shifted + 0.25, region=half, **{other: shifted}), found)


def test_what_each_one_compares():
    assert change_mse().inputs == change_lpips_alex().inputs == ("reconstruction", "clean_reconstruction", "region")
    assert error_mse().inputs == ("reconstruction", "clean_target", "region")
    assert id_sface().inputs == ("reconstruction", "clean_target")


@METRICS
def test_wrong_shapes_and_ranges_are_refused_with_what_was_found(metric):
    first, last = metric.inputs[0], metric.inputs[-1]
    with pytest.raises(ValueError, match=rf"{metric.info.name}: expected {first} in \[-1, 1\], found minimum -2"):
        value(metric, reconstruction=torch.full((2, 3, 64, 64), -2.0))
    with pytest.raises(ValueError, match=rf"{metric.info.name}: expected {last} as .*, found \[1, "):
        value(metric, **{last: parts()[last][:1]})
    with pytest.raises(ValueError, match="found minimum nan"):
        value(metric, **{last: parts()[last] * torch.nan})
