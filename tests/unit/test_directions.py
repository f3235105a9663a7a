"""Directions: one unit of strength, applying them, reading the field's files."""

from __future__ import annotations

import pytest
import torch

from methods.editing import directions as d
from methods.generators import load_generator


def test_strength_one_is_a_standard_deviation_however_the_vector_was_scaled() -> None:
    generator = load_generator("toy")
    raw = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(1))
    one = d.in_strengths(raw, generator)
    for other in (7 * raw, raw.expand(generator.num_ws, -1) / raw.norm() / generator.num_ws**0.5):
        torch.testing.assert_close(d.in_strengths(other, generator), one)
    normal = raw / raw.norm()
    moved = d.apply(generator.w_mean.expand(1, generator.num_ws, -1), {"a": 1.0}, {"a": d.Direction("a", "", one)})
    step = (moved[0] - generator.w_mean) @ normal  # every row moves by the spread of the samples' projection
    spread = (d.w_samples(generator) @ normal).std()
    torch.testing.assert_close(step, spread.expand_as(step), rtol=1e-4, atol=1e-5)


def test_a_direction_of_some_rows_keeps_its_step_in_those_rows() -> None:
    generator = load_generator("toy")
    raw = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(1))
    some = torch.zeros(generator.num_ws, generator.w_dim)
    some[2:4] = raw
    vector = d.in_strengths(some, generator)
    torch.testing.assert_close(vector[2:4], d.in_strengths(raw, generator)[2:4])
    assert not vector[:2].any() and not vector[4:].any()


def test_strengths_of_each_latent_and_requests_in_the_attributes_unit() -> None:
    direction = d.Direction("yaw", "yaw", torch.ones(4, 8), slope=5.0, unit="degrees")
    latent = torch.zeros(3, 4, 8)
    moved = d.apply(latent, {"yaw": torch.tensor([0.0, 1.0, -2.0])}, {"yaw": direction})
    assert moved[:, 0, 0].tolist() == [0.0, 1.0, -2.0] and not latent.any()
    assert direction.strength(-15.0) == -3.0
    with pytest.raises(ValueError, match="was not measured"):
        d.Direction("pose", "", torch.ones(4, 8)).strength(1.0)


def test_what_does_not_fit_is_named() -> None:
    generator = load_generator("toy")
    with pytest.raises(ValueError, match=r"found \[5\]"):
        d.in_strengths(torch.ones(5), generator)
    with pytest.raises(ValueError, match="zero"):
        d.in_strengths(torch.zeros(generator.w_dim), generator)
    with pytest.raises(KeyError, match="did you mean 'smile'"):
        d.apply(torch.zeros(1, 4, 8), {"smil": 1.0}, {"smile": d.Direction("smile", "", torch.ones(4, 8))})
    with pytest.raises(ValueError, match="the latents are"):
        d.apply(torch.zeros(1, 4, 9), {"smile": 1.0}, {"smile": d.Direction("smile", "", torch.ones(4, 8))})
