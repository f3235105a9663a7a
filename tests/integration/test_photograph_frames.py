"""`invert` and `edit` with other generators and frames, one method after another, and from finished inversions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from benchmarks.cli import main
from datasets import alignment, assets, ffhq_alignment
from datasets.images import read_rgb, to_tensor
from methods.generators import Generator, GeneratorConfig, load_generator, save_generator

pytestmark = pytest.mark.assets
FEW = ["--suite", "smoke", "--set", "stage_settings.w_optimization.steps=2", "--set", "metrics=[mse]"]
TUNED = ["--set", "stage_settings.pivotal_tuning.steps=2"]


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    image = read_rgb(assets.ensure("openpeople") / "P003" / "assets" / "studio_portrait.jpg")
    image.thumbnail((400, 400))
    return image


@pytest.fixture(scope="module")
def of_128(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of 128 px and random weights, whose file declares no frame."""
    path = tmp_path_factory.mktemp("generator") / "own.safetensors"
    torch.manual_seed(0)
    save_generator(Generator(GeneratorConfig(128, (8,) * 6, z_dim=16, w_dim=16, mapping_layers=2)).eval(), path)
    return path


def facts(folder: Path) -> dict[str, str]:
    with safe_open(folder / "latent.safetensors", "pt") as handle:
        return dict(handle.metadata())


def test_the_frame_is_the_generators(portrait, of_128, tmp_path, capsys):
    portrait.save(tmp_path / "me.png")
    few = [*FEW, "--set", f"generator={of_128}"]
    assert main(["invert", "sg2_w", str(tmp_path / "me.png"), "--out", str(tmp_path / "out"), *few]) == 0
    assert "frame ffhq (assumed: its file declares none)" in capsys.readouterr().err
    found = alignment.find_face(portrait)
    ffhq = ffhq_alignment.align(portrait, ffhq_alignment.frame_of_5(found), 128)
    assert read_rgb(tmp_path / "out" / "me" / "target.png").tobytes() == ffhq.tobytes()
    # A file that declares its frame.
    generator = load_generator(of_128)
    generator.scope = type(generator.scope)("tight", "faces")
    save_generator(generator, tmp_path / "tight.safetensors")
    few[-1] = f"generator={tmp_path / 'tight.safetensors'}"
    assert main(["invert", "sg2_w", str(tmp_path / "me.png"), "--out", str(tmp_path / "out"), *few]) == 0
    assert "frame tight (the generator's), domain faces" in capsys.readouterr().err
    tight = alignment.align(portrait, found, 128)
    assert read_rgb(tmp_path / "out" / "me" / "target.png").tobytes() == tight.tobytes()
    assert facts(tmp_path / "out" / "me")["frame"] == "tight"


def test_a_cat(of_128, tmp_path, capsys):
    y, x = np.mgrid[:256, :256]
    Image.fromarray(np.stack([x * 3 % 256, y * 2 % 256, (x + y) % 256], -1).astype(np.uint8)).save(tmp_path / "cat.png")
    command = ["invert", "sg2_w", str(tmp_path / "cat.png"), "--out", str(tmp_path / "out"), *FEW[:-1]]
    command += ["metrics=[mse,id_sface]", "--set", f"generator={of_128}"]
    assert main(command) == 1 and "--align none (align: none) takes images as they are" in capsys.readouterr().err
    assert main([*command, "--align", "none", "--domain", "cats"]) == 0
    said = capsys.readouterr()
    assert (
        "id_sface: defined for domain faces; the images are in domain cats" in said.err and "id_sface" not in said.out
    )
    metrics = json.loads((tmp_path / "out" / "cat" / "metrics.json").read_text())["metrics"]
    assert metrics["id_sface"] is None and metrics["mse"] > 0


def test_what_lies_in_a_folder_is_of_the_last_run(portrait, tmp_path):
    portrait.save(tmp_path / "me.png")
    (tmp_path / "out" / "me").mkdir(parents=True)
    (tmp_path / "out" / "me" / "mine.txt").write_text("not the suite's")
    arguments = [str(tmp_path / "me.png"), "--out", str(tmp_path / "out"), *FEW]
    assert main(["invert", "pti", *arguments, *TUNED]) == 0
    assert (tmp_path / "out" / "me" / "generator-delta.safetensors").exists()
    (tmp_path / "out" / "me" / "edit.json").write_text("{}")
    assert main(["invert", "sg2_w", *arguments]) == 0
    written = {"target.png", "reconstruction.png", "latent.safetensors", "metrics.json", "mine.txt"}
    assert {path.name for path in (tmp_path / "out" / "me").iterdir()} == written
    assert facts(tmp_path / "out" / "me")["method"] == "sg2_w"


def test_a_group_shares_its_generator_and_a_name_does_not_matter(portrait, tmp_path):
    for n in range(2):
        portrait.rotate(4 * n).save(tmp_path / f"{n}.png")
    group = ["--set", "stage_settings.pivotal_tuning.group=2", *TUNED]
    files = [str(tmp_path / f"{n}.png") for n in range(2)]
    assert main(["invert", "pti_multi_id", *files, "--out", str(tmp_path / "a"), *FEW, *group]) == 0
    deltas = [(tmp_path / "a" / str(n) / "generator-delta.safetensors").read_bytes() for n in range(2)]
    assert deltas[0] == deltas[1]
    (tmp_path / "0.png").rename(tmp_path / "other.png")
    for name, out in (("other.png", "b"), ("1.png", "c")):
        assert main(["invert", "pti", str(tmp_path / name), "--out", str(tmp_path / out), *FEW, *TUNED]) == 0
    portrait.save(tmp_path / "again.png")
    assert main(["invert", "pti", str(tmp_path / "again.png"), "--out", str(tmp_path / "d"), *FEW, *TUNED]) == 0
    latents = [next((tmp_path / out).glob("*/reconstruction.png")).read_bytes() for out in "bcd"]
    assert latents[0] == latents[2] != latents[1]


def test_an_inversion_is_edited_without_inverting_again(portrait, tmp_path, monkeypatch, capsys):
    from methods.base import Method

    portrait.save(tmp_path / "me.png")
    assert main(["invert", "pti", str(tmp_path / "me.png"), "--out", str(tmp_path / "out"), *FEW, *TUNED]) == 0
    torch.save(torch.randn(1, 16, generator=torch.Generator().manual_seed(0)), tmp_path / "pose.pt")
    edits = ["--directions", str(tmp_path / "pose.pt"), "--edit", "pose=1sd"]
    assert main(["edit", "pti", str(tmp_path / "me.png"), "--out", str(tmp_path / "b"), *FEW, *TUNED, *edits]) == 0
    monkeypatch.setattr(Method, "predict_step", None)
    before = (tmp_path / "out" / "me" / "reconstruction.png").read_bytes()
    assert main(["edit", str(tmp_path / "out"), *edits]) == 0
    assert {"metrics.json", "edit.json", "generator-delta.safetensors"} <= {
        path.name for path in (tmp_path / "out" / "me").iterdir()
    }
    assert (tmp_path / "out" / "me" / "reconstruction.png").read_bytes() == before
    one, other = (to_tensor(read_rgb(tmp_path / name / "me" / "edited.png")) for name in ("out", "b"))
    assert float((one - other).abs().max()) <= 1.5 / 127.5
    capsys.readouterr()
    assert main(["edit", str(tmp_path), *edits]) == 2
    assert "no inversion there" in capsys.readouterr().err
    assert main(["edit", str(tmp_path / "out"), *edits, "--set", "generator=celeba64"]) == 2
    assert "name its file with --set generator=FILE" in capsys.readouterr().err
