"""Directions: one unit of strength, applying them, reading the field's files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.checkpoints import read_checkpoint
from methods.editing import directions as d
from methods.editing.readers import components_of, read_direction
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


def test_the_fields_files_give_one_step_whatever_their_scale(tmp_path: Path) -> None:
    generator = load_generator("toy")
    rows, width = generator.num_ws, generator.w_dim
    raw = torch.randn(width, generator=torch.Generator().manual_seed(1))
    unit = raw / raw.norm()
    torch.save(unit[None], tmp_path / "age.pt")
    torch.save(unit.expand(1, rows, width).clone(), tmp_path / "pose.pt")
    np.save(tmp_path / "smile_boundary.npy", (unit.repeat(rows) / rows**0.5)[None].numpy())
    for name in ("age.pt", "pose.pt", "smile_boundary.npy"):
        found = read_direction(tmp_path / name, generator)
        torch.testing.assert_close(found.vector, d.in_strengths(raw, generator), rtol=1e-4, atol=1e-6)
        assert name in found.source and math.isnan(found.slope)
    assert read_direction(tmp_path / "smile_boundary.npy", generator).name == "smile"


def test_ganspace_files_become_directions_of_the_rows_asked_for(tmp_path: Path) -> None:
    generator = load_generator("toy")
    axes = torch.linalg.qr(torch.randn(generator.w_dim, 3, generator=torch.Generator().manual_seed(1)))[0].T
    torch.save(
        {"mean": torch.zeros(1, generator.w_dim), "comp": axes[:, None], "std": torch.ones(3)}, tmp_path / "p.pt"
    )
    direction = components_of(read_checkpoint(tmp_path / "p.pt"), tmp_path / "p.pt").direction(generator, 2, 1, 3)
    assert direction.name == "pca2[1:3]"
    torch.testing.assert_close(direction.vector[1:3], d.in_strengths(axes[2], generator)[1:3], rtol=1e-4, atol=1e-6)
    assert not direction.vector[3:].any()


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("a direction's file was run",)


def test_files_that_are_no_directions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = load_generator("toy")
    torch.save(torch.ones(1, 7), tmp_path / "other.pt")
    torch.save(Hostile(), tmp_path / "hostile.pt")
    torch.save({"comp": torch.ones(1)}, tmp_path / "half.pt")
    np.save(tmp_path / "hostile.npy", np.array([Hostile()], dtype=object))
    for name, message in (
        ("other.pt", "made for another one"),
        ("hostile.pt", "plain tensors"),
        ("hostile.npy", "Object arrays"),
        ("half.pt", "GANSpace's components"),
    ):
        with pytest.raises(ValueError, match=message):
            read_direction(tmp_path / name, generator)
    with pytest.raises(ValueError, match="mean, comp and std"):
        components_of(read_checkpoint(tmp_path / "half.pt"), tmp_path / "half.pt")
    with pytest.raises(FileNotFoundError, match=r"absent\.pt"):
        read_direction(tmp_path / "absent.pt", generator)
    assert "was run" not in capsys.readouterr().out
