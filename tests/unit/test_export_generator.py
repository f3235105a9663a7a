"""Generators written for other programs: the layout of config-f, as rosinality's code loads it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.cli import main
from methods.generators import load_generator, save_generator
from methods.generators.fingerprint import fingerprint
from methods.generators.readers import build, config_from_state, export_generator
from methods.tuning.deltas import save_delta
from tests import parity


def test_names_and_shapes_are_those_of_rosinalitys_code(tmp_path: Path) -> None:
    shapes = parity.key_shapes("rosinality_32_cm2", "g_ema")
    state = {key: torch.randn(shape) for key, shape in shapes.items()}
    generator = build(config_from_state(state, tmp_path), state, tmp_path)
    export_generator(generator, tmp_path / "g.pt")
    written = torch.load(tmp_path / "g.pt", weights_only=True)
    assert {key: list(value.shape) for key, value in written["g_ema"].items()} == shapes
    assert torch.equal(written["latent_avg"], generator.latent_avg) and written["latent_avg"].shape == (512,)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_tuned_generator_goes_on_elsewhere(suffix: str, tmp_path: Path) -> None:
    toy = load_generator("toy")
    save_generator(toy, tmp_path / "toy.safetensors")
    weights = {"conv1.conv.weight": toy.conv1.conv.weight + 1}
    save_delta(tmp_path / "delta.safetensors", toy, weights)
    words = ["export", str(tmp_path / f"out.{suffix}"), "--generator", str(tmp_path / "toy.safetensors")]
    assert main([*words, "--delta", str(tmp_path / "delta.safetensors")]) == 0
    found = load_generator(tmp_path / f"out.{suffix}")
    torch.testing.assert_close(found.conv1.conv.weight, weights["conv1.conv.weight"])
    assert torch.equal(found.latent_avg, toy.latent_avg) and torch.equal(found.noises.noise_1, toy.noises.noise_1)
    assert main(words) == 0 and fingerprint(load_generator(tmp_path / f"out.{suffix}")) == fingerprint(toy)


def test_what_cannot_be_exported_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.pt").write_text("<html>")
    for words, said in (
        (["x.pkl"], "ends in .pt or .safetensors"),
        (["x.pt", "--generator", "toy", "--delta", str(tmp_path / "page.pt")], "a web page"),
        (["x.pt", "--generator", "toi"], "did you mean 'toy'"),
    ):
        assert main(["export", *words]) == 2
        assert said in capsys.readouterr().err
