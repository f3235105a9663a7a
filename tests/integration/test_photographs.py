"""`invert` on the photographs that people have: good ones are inverted, every other one says what is wrong with it."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from benchmarks.cli import main
from benchmarks.engine import photographs
from datasets import assets
from datasets.assets import AssetMissingError
from datasets.images import read_rgb, to_tensor
from methods.base import Method
from methods.generators import load_generator
from methods.generators.readers import export_generator
from methods.optimization.stage import WOptimization
from methods.synthesis import synthesise
from methods.tuning.deltas import load_delta
from metrics.base import SampleMetric

pytestmark = pytest.mark.assets

FEW = ["--set", "stage_settings.w_optimization.steps=2", "--set", "stage_settings.pivotal_tuning.steps=2"]
WRITTEN = {"target.png", "reconstruction.png", "latent.safetensors", "metrics.json"}


@pytest.fixture(scope="module")
def face() -> Image.Image:
    return read_rgb(assets.ensure("orl_faces") / "s1" / "1.pgm")


def invert(method: str, images: list[Path], out: Path, *more: str) -> int:
    return main(["invert", method, *map(str, images), "--out", str(out), "--suite", "smoke", *FEW, *more])


def test_every_kind_of_file(face, tmp_path, capsys):
    grey = np.asarray(face.convert("L"))
    face.save(tmp_path / "good.jpg", quality=95)
    face.convert("CMYK").save(tmp_path / "cmyk.jpg")
    face.convert("L").save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    face.save(tmp_path / "moving.gif", save_all=True, append_images=[face.rotate(180)])
    (tmp_path / "other").mkdir()
    face.save(tmp_path / "other" / "good.png")
    good = ["good.jpg", "cmyk.jpg", "grey.png", "sixteen.png", "moving.gif", "other/good.png"]

    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (1, 1)).save(tmp_path / "tiny.png")
    Image.new("RGB", (2000, 3)).save(tmp_path / "strip.png")
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "faceless.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    bad = {
        "truncated.jpg": "not a readable image",
        "tiny.png": "no face found in an image of 1x1 px",
        "strip.png": "too narrow for a face",
        "faceless.png": "no face found in an image of 200x200 px",
        "text.png": "not a readable image",
        "empty.png": "0 bytes",
        "absent.png": "no such file",
        "other": "a folder, not a file",
    }
    # Bad ones first: none of them may stop what comes after.
    out = tmp_path / "out"
    assert invert("sg2_w", [tmp_path / name for name in (*bad, *good)], out) == 1
    said = capsys.readouterr()
    for name, reason in bad.items():
        lines = [line for line in said.err.splitlines() if line.startswith(f"error: {tmp_path / name}: ")]
        assert len(lines) == 1 and reason in lines[0], name
        assert f"warning: {Path(name).stem}: " not in said.err, "said once"
    folders = {"good", "cmyk", "grey", "sixteen", "moving", "good-2"}
    assert {path.name for path in out.iterdir()} == folders | {"log.txt"}
    for folder in folders:
        assert {path.name for path in (out / folder).iterdir()} == WRITTEN
        metrics = json.loads((out / folder / "metrics.json").read_text())["metrics"]
        assert metrics.keys() == {"mse", "psnr", "ms_ssim_64", "lpips_alex", "seconds"}
        assert all(np.isfinite(value) for value in metrics.values())
        assert read_rgb(out / folder / "target.png").size == (64, 64)
    # The same face, whatever the file: first frame, all 16 bits, no inverted ink.
    targets = {name: to_tensor(read_rgb(out / name / "target.png")) for name in folders}
    for name in folders:
        assert float((targets[name] - targets["good-2"]).abs().mean()) < 0.05, name


def test_tuned_generator_reloads_to_the_same_picture(face, tmp_path):
    face.save(tmp_path / "me.png")
    assert invert("pti", [tmp_path / "me.png"], tmp_path / "out") == 0
    folder = tmp_path / "out" / "me"
    assert {path.name for path in folder.iterdir()} == WRITTEN | {"generator-delta.safetensors"}
    generator = load_generator("toy")
    weights = load_delta(folder / "generator-delta.safetensors", generator)
    latent = load_file(folder / "latent.safetensors")["latent"][None]
    stored = to_tensor(read_rgb(folder / "reconstruction.png"))
    with torch.no_grad():
        tuned = synthesise(generator, latent, weights, None).clamp(-1, 1)[0]
        plain = synthesise(generator, latent, None, None).clamp(-1, 1)[0]
    assert float((tuned - stored).abs().max()) <= 1 / 255 + 1e-4  # the picture has 8 bits
    assert float((plain - stored).abs().max()) > 2 / 255, "the tuning has changed nothing that one could see"


@pytest.mark.parametrize(
    ("method", "more", "said"),
    [
        ("sg2w", [], "did you mean 'sg2_w'"),
        ("pti", ["--set", "stage_settings.pivotal_tuning.stepz=1"], "did you mean 'steps'"),
        ("pti", ["--set", "sed=1"], "did you mean 'seed'"),
        ("pti", ["--set", "metrics=[msee]"], "did you mean 'mse'"),
        ("pti", ["--set", "generator=nothing"], "no generator 'nothing'"),
        ("pti", ["--suite", "smok"], "did you mean 'smoke'"),
    ],
)
def test_wrong_settings_start_nothing(method, more, said, tmp_path, capsys):
    assert invert(method, [tmp_path / "any.png"], tmp_path / "out", *more) == 2
    found = capsys.readouterr().err
    assert said in found.splitlines()[-1] and found.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "out").exists()


def test_a_generator_without_a_moving_average_is_read_and_warned_of_once(face, tmp_path, capfd):
    export_generator(load_generator("toy"), tmp_path / "toy.pt")
    content = torch.load(tmp_path / "toy.pt", weights_only=True)
    torch.save({"g": content["g_ema"], "latent_avg": content["latent_avg"]}, tmp_path / "toy.pt")
    face.save(tmp_path / "me.png")
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # pytest keeps warnings to itself otherwise
        warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
        assert invert("sg2_w", [tmp_path / "me.png"], tmp_path / "out", "--set", f"generator={tmp_path}/toy.pt") == 0
    assert capfd.readouterr().err.count("has no moving average of the weights") == 1


def test_folder_that_cannot_be_written(face, tmp_path, capsys):
    face.save(tmp_path / "me.png")
    (tmp_path / "taken").touch()
    assert invert("sg2_w", [tmp_path / "me.png"], tmp_path / "taken") == 2
    assert "choose another folder with --out" in capsys.readouterr().err


def test_metric_that_cannot_be_computed_spoils_nothing(face, tmp_path, monkeypatch, capsys):
    def absent(*_: object) -> None:
        raise AssetMissingError("the weights are not here; run fetch")

    face.save(tmp_path / "me.png")
    monkeypatch.setattr(SampleMetric, "__call__", absent)
    assert invert("sg2_w", [tmp_path / "me.png"], tmp_path / "out") == 0
    assert "mse: the weights are not here; run fetch" in capsys.readouterr().err
    metrics = json.loads((tmp_path / "out" / "me" / "metrics.json").read_text())["metrics"]
    assert metrics["mse"] is None and metrics["seconds"] > 0


def test_full_disk_is_said(face, tmp_path, monkeypatch, capsys):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    face.save(tmp_path / "me.png")
    monkeypatch.setattr(photographs, "save_png", full)
    assert invert("sg2_w", [tmp_path / "me.png"], tmp_path / "out") == 1
    assert "No space left on device" in capsys.readouterr().err


def test_photographs_are_inverted_in_batches_of_the_suite(face, tmp_path, monkeypatch):
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for n, path in enumerate(paths):
        face.rotate(3 * n).save(path)
    sizes, step = [], Method.predict_step

    def counted(self, batch, index):
        sizes.append(len(batch["ids"]))
        return step(self, batch, index)

    monkeypatch.setattr(Method, "predict_step", counted)
    for size in (1, 2):
        assert invert("sg2_w", paths, tmp_path / str(size), "--set", f"batch_size={size}", "--device", "cpu") == 0
    assert sizes == [1, 1, 1, 2, 1]
    for path in paths:
        alone, together = (tmp_path / size / path.stem / "reconstruction.png" for size in "12")
        # Batches are not padded, so that last digits depend on them.
        assert float((to_tensor(read_rgb(alone)) - to_tensor(read_rgb(together))).abs().max()) < 0.02


def test_an_error_of_the_method_fails_its_photograph_and_debug_raises_it(face, tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("no such code")

    face.save(tmp_path / "me.png")
    monkeypatch.setattr(WOptimization, "invert", broken)
    assert invert("sg2_w", [tmp_path / "me.png"], tmp_path / "out") == 1
    text = (tmp_path / "out" / "log.txt").read_text()
    assert "me.png: RuntimeError: no such code" in text and "Traceback" in text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"log.txt"}
    with pytest.raises(RuntimeError, match="no such code"):
        invert("sg2_w", [tmp_path / "me.png"], tmp_path / "out", "--debug")
