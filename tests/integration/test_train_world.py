"""`train world` on a folder of drawings: every step, a suite that runs, and a second call that has nothing to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from benchmarks.cli import main
from methods.training import world
from methods.training.world import WorldConfig, steps_of

TINY = [
    "align=none",
    "domain=drawings",
    "resolution=32",
    "images=16",
    "passes=16",
    "parallel=2",
    "generator.batch=4",
    "generator.frechet_images=20",
    "encoders.batch=2",
    "directions.samples=60",
    "directions.held_out=20",
    "directions.evaluated=10",
    "directions.components=4",
]


def drawings(folder: Path, count: int = 24) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(count):
        pixels = random.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 40)).save(folder / f"{i}.png")
    return folder


def test_the_steps_of_a_world_of_faces(tmp_path: Path) -> None:
    config = WorldConfig("mine", minutes=60, encoders={"losses": {"identity": 0.2}, "batch": 4})
    steps = {step.name: step for step in steps_of(config, tmp_path)}
    assert list(steps) == [
        "generator", "directions", "start", "hyperstyle_w_encoder", "restyle_psp", "psp", "e4e", "restyle_e4e", "lsap",
        "interestyle", "interestyle-no_region", "interestyle-no_disentanglement", "interestyle-no_filter",
        "hyperstyle", "hfgi", "styleres", "feature_style", "sfe",
    ]  # fmt: skip
    assert steps["interestyle-no_filter"].words[0] == "interestyle"
    assert {"losses.identity=0.2", "batch=4", "budget=40000"} <= set(steps["e4e"].words)
    assert steps["generator"].needs == () and steps["directions"].needs == steps["start"].needs == ("generator",)
    assert steps["psp"].needs == steps["interestyle-no_filter"].needs == ("generator", "start")
    assert steps["hyperstyle"].needs == ("generator", "hyperstyle_w_encoder")
    assert steps["styleres"].needs == ("generator", "e4e") and steps["feature_style"].needs == ("generator",)
    assert steps["sfe"].needs == ("generator", "e4e", "feature_style", "directions")
    assert f"start={steps['feature_style'].product}" in steps["sfe"].words
    state = steps["generator"].product.with_name("mine-state.safetensors")
    assert {f"generator={steps['generator'].product}", f"discriminator={state}"} <= set(steps["styleres"].words)
    assert "sfe" not in {step.name for step in steps_of(WorldConfig("cars", domain="cars"), tmp_path)}
    assert steps["generator"].minutes == 30 and steps["psp"].minutes == pytest.approx(30 / 15.25)
    with pytest.raises(ValueError, match="unknown pps; known: generator"):
        steps_of(WorldConfig("mine", steps=["pps"]), tmp_path)
    own = {step.name: step for step in steps_of(WorldConfig("mine", networks={"psp": {"batch": 32}}), tmp_path)}
    assert own["psp"].words[-1] == "batch=32" and "batch=32" not in own["e4e"].words


def test_a_world_needs_a_name_and_keeps_its_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "world", "data=celeba", "--out", str(tmp_path)]) == 2
    assert "a world needs a name" in capsys.readouterr().err
    monkeypatch.setattr(world, "_start", lambda *_: pytest.fail("a training began"))
    monkeypatch.setattr(world, "steps_of", lambda *_: [])
    assert main(["train", "world", "mine", "images=10", "--out", str(tmp_path)]) == 0
    assert main(["train", "world", "mine", "images=20", "--out", str(tmp_path)]) == 2
    assert "a world with images=10" in capsys.readouterr().err


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_world_of_drawings(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    # Minutes less.
    few = ("generator", "directions", "start", "hyperstyle_w_encoder", "e4e", "hyperstyle", "hfgi", "styleres")
    monkeypatch.setattr(world, "NEEDS", {name: world.NEEDS[name] for name in few})
    out = tmp_path / "world"
    command = ["train", "world", "drawn", f"data={drawings(tmp_path / 'drawings')}", *TINY, "--out", str(out)]
    assert main([*command, "--device", "cpu"]) == 0
    assert (out / "directions" / "directions-drawn.safetensors").exists()
    suite = OmegaConf.load(out / "drawn.yaml")
    assert "interestyle" not in suite.methods and {"hyperstyle", "e4e+pti", "hfgi", "styleres"} <= set(suite.methods)
    caplog.clear()
    assert main([*command, "--device", "cpu"]) == 0
    assert "8 of 8 steps are done" in caplog.text
    short = ["datasets.0.limit=2", "methods=[e4e,hyperstyle,hfgi,styleres]", "reference_method=e4e", "workers=1"]
    assert main(["run", str(out / "drawn.yaml"), *short, "--out", str(tmp_path / "run"), "--device", "cpu"]) == 0
