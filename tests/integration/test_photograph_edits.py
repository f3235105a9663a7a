"""`edit` on a photograph: amounts in the attribute's unit and in strengths, files, and errors that start nothing."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from benchmarks.cli import main
from datasets import assets
from datasets.images import read_rgb, to_tensor
from methods.editing.directions import Direction, in_strengths
from methods.editing.readers import Components
from methods.editing.weights import save_directions
from methods.feature_maps import unpacked
from methods.feature_space import hfgi, weights
from methods.generators import load_generator
from methods.synthesis import synthesise

pytestmark = pytest.mark.assets

WRITTEN = {"target.png", "reconstruction.png", "edited.png", "edits.png", "latent.safetensors", "edit.json"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A photograph and a file of two directions of the toy generator; strength 1 of `light` is worth 4 %."""
    root = tmp_path_factory.mktemp("edits")
    read_rgb(assets.ensure("orl_faces") / "s1" / "1.pgm").save(root / "me.png")
    generator = load_generator("toy")
    draws = torch.randn(2, generator.w_dim, generator=torch.Generator().manual_seed(0))
    known = {
        "light": Direction("light", "brightness", in_strengths(draws[0], generator), 4.0, "%", "test"),
        "odd": Direction("odd", "", in_strengths(draws[1], generator), source="test"),
    }
    axes = torch.eye(generator.w_dim)[:2]
    save_directions(
        root / "d.safetensors",
        generator,
        known,
        Components(torch.zeros(generator.w_dim), axes, torch.ones(2)),
        {"name": "d"},
    )
    torch.save(draws[:1], root / "pose.pt")
    return root


def edit(world, out, *more: str) -> int:
    few = ["--suite", "smoke", "--set", "stage_settings.w_optimization.steps=2"]
    return main(["edit", "sg2_w", str(world / "me.png"), "--out", str(out), *few, *more])


def test_files_and_units(world, tmp_path, capsys):
    directions = ["--directions", str(world / "d.safetensors")]
    assert edit(world, tmp_path, *directions, "--edit", "light=+2", "--edit", "odd=-1.5sd") == 0
    folder = tmp_path / "me"
    assert {path.name for path in folder.iterdir()} == WRITTEN
    report = json.loads((folder / "edit.json").read_text())
    light, odd = report["edits"]
    assert (light["asked"], light["unit"], light["strength"]) == ("+2", "%", 0.5)
    assert (odd["asked"], odd["strength"]) == ("-1.5sd", -1.5) and "measured" not in odd
    # Input, inversion, each edit alone, both together; what is reported is what the pictures hold.
    pictures = to_tensor(read_rgb(folder / "edits.png")).split(64, dim=2)
    assert len(pictures) == 5
    luma = torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]
    brightness = [float((50 * (picture + 1) * luma).sum(dim=0).mean()) for picture in pictures]
    assert light["measured"] == pytest.approx(brightness[2] - brightness[1], abs=0.01)
    assert light["measured_together"] == pytest.approx(brightness[4] - brightness[1], abs=0.01)
    latent, generator = load_file(folder / "latent.safetensors"), load_generator("toy")
    with torch.no_grad():
        again = generator.synthesis(latent["edited"][None]).clamp(-1, 1)[0]
    assert float((again - to_tensor(read_rgb(folder / "edited.png"))).abs().max()) <= 1 / 255 + 1e-4
    assert f"light +2 (measured {light['measured']:+.3g} %)" in capsys.readouterr().out


def test_feature_maps_are_edited_by_the_networks_that_they_were_made_with(world, tmp_path, capsys):
    generator, file, out = load_generator("toy"), tmp_path / "n.safetensors", tmp_path / "out"
    settings = ["--suite", "smoke", "--set", "stage_settings.e4e.weights=toy"]
    settings += ["--set", f"stage_settings.hfgi.weights={file}"]

    def trained(seed: int) -> None:
        networks = hfgi.toy(generator, seed)
        weights.save(networks, networks.shape, "hfgi", generator, file, half=False, card={})

    def edited() -> int:
        return main(["edit", str(out), "--directions", str(world / "d.safetensors"), "--edit", "odd=+2sd"])

    trained(0)
    assert main(["invert", "hfgi", str(world / "me.png"), "--out", str(out), *settings]) == 0
    assert edited() == 0
    with safe_open(out / "me" / "latent.safetensors", framework="pt") as handle:
        edit = unpacked({key: handle.get_tensor(key) for key in handle.keys()}, handle.metadata())  # noqa: SIM118
        with torch.no_grad():
            code = handle.get_tensor("edited")[None]
            again = synthesise(generator, code, None, None, features=edit).clamp(-1, 1)[0]
            plain = generator.synthesis(code).clamp(-1, 1)[0]
    shown = to_tensor(read_rgb(out / "me" / "edited.png"))
    assert float((again - shown).abs().max()) <= 1 / 255 + 1e-4 < float((plain - shown).abs().max())
    for change, said in (
        (lambda: trained(1), "its weights are now"),
        (file.unlink, "`python -m benchmarks train hfgi`"),
    ):
        change()
        capsys.readouterr()
        assert edited() == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ") and str(file) in line and said in line


def test_a_file_of_interfacegan_moves_by_strengths(world, tmp_path, capsys):
    assert edit(world, tmp_path, "--directions", str(world / "pose.pt"), "--edit", "pose=2") == 2
    assert "give a strength, e.g. +2sd" in capsys.readouterr().err and not (tmp_path / "me").exists()
    assert edit(world, tmp_path, "--directions", str(world / "pose.pt"), "--edit", "pose=2sd") == 0
    # One edit is the whole: input, inversion and the edited picture.
    assert read_rgb(tmp_path / "me" / "edits.png").size == (3 * 64, 64)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--edit", "ligth=+2"], "did you mean 'light'"),
        (["--edit", "light"], "expected NAME=AMOUNT"),
        (["--edit", "light=++2"], "expected NAME=AMOUNT"),
        (["--edit", "odd=1"], "its effect was not measured"),
        (["--edit", "light=1", "--edit", "light=2"], "asked for twice"),
        (["--edit", "light=1", "--directions", "nowhere.safetensors"], "no file of directions nowhere.safetensors"),
    ],
)
def test_wrong_edits_start_nothing(world, more, said, tmp_path, capsys):
    assert edit(world, tmp_path, "--directions", str(world / "d.safetensors"), *more) == 2  # the last one counts
    assert said in capsys.readouterr().err and not (tmp_path / "me").exists()


def test_a_generator_without_directions_says_how_to_learn_them(world, tmp_path, capsys):
    assert edit(world, tmp_path, "--edit", "light=1") == 2
    assert "`python -m benchmarks train directions generator=...` learns them" in capsys.readouterr().err


def test_a_photograph_without_a_face_stops_nothing(world, tmp_path, capsys):
    (world / "text.png").write_text("no picture")
    arguments = ["edit", "sg2_w", str(world / "text.png"), str(world / "me.png"), "--out", str(tmp_path)]
    few = ["--suite", "smoke", "--set", "stage_settings.w_optimization.steps=2"]
    assert main([*arguments, *few, "--directions", str(world / "d.safetensors"), "--edit", "light=-3"]) == 1
    assert "not a readable image" in capsys.readouterr().err
    assert (tmp_path / "me" / "edited.png").exists()


def test_edits_of_another_domain(world, tmp_path, capsys):
    """Attributes of faces are refused for cats, and cats have no identity; principal components hold for all."""
    generator = load_generator("toy")
    smile = Direction("smile", "smile", in_strengths(torch.ones(generator.w_dim), generator), 1.0, "%", "test")
    axes = Components(torch.zeros(generator.w_dim), torch.eye(generator.w_dim)[:2], torch.ones(2))
    save_directions(tmp_path / "d.safetensors", generator, {"smile": smile}, axes, {"name": "d"})
    cats = ["--directions", str(tmp_path / "d.safetensors"), "--domain", "cats", "--align", "none"]
    assert edit(world, tmp_path, *cats, "--edit", "smile=1sd") == 2
    assert "'smile' is defined for domain faces; the images are in domain cats" in capsys.readouterr().err
    read_rgb(world / "me.png").resize((64, 64)).save(tmp_path / "cat.png")
    few = ["--suite", "smoke", "--set", "stage_settings.w_optimization.steps=2"]
    command = ["edit", "sg2_w", str(tmp_path / "cat.png"), "--out", str(tmp_path / "out"), *few]
    assert main([*command, *cats, "--edit", "pca0=1sd"]) == 0
    assert "identity is left out: defined for domain faces" in capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "cat" / "edit.json").read_text())
    assert "id_sface" not in report and report["domain"] == "cats"
