"""Eight photographs, turned four ways, aligned and not: what `invert` cuts is the alignment of the upright picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.cli import main
from datasets import alignment, assets, ffhq_alignment
from datasets.faces import QUARTERS
from datasets.images import read_rgb
from datasets.scope import FFHQ, TIGHT
from methods.generators import Generator, GeneratorConfig, save_generator

pytestmark = [pytest.mark.assets, pytest.mark.slow, pytest.mark.timeout(1800)]
PEOPLE = range(1, 9)
SIDE, ALIGNED = 400, 256  # of photographs and of pictures that are aligned already, in pixels


def align(image: Image.Image, frame: str, side: int) -> Image.Image:
    face = alignment.find_face(image)
    if frame == TIGHT:
        return alignment.align(image, face, side)
    return ffhq_alignment.align(image, ffhq_alignment.frame_of_5(face), side)


def inputs() -> dict[str, tuple[Image.Image, str]]:
    """Upright pictures by name, and the frame that they are in, "" for photographs."""
    found = {}
    for person in PEOPLE:
        photo = read_rgb(assets.ensure("openpeople") / f"P{person:03d}" / "assets" / "studio_portrait.jpg")
        photo.thumbnail((SIDE, SIDE))
        found[f"{person}-photo"] = (photo, "")
        for frame in (FFHQ, TIGHT):
            found[f"{person}-{frame}"] = (align(photo, frame, ALIGNED), frame)
    return found


@pytest.mark.parametrize(("side", "frame"), [(64, TIGHT), (128, FFHQ)])
def test_what_was_cut_is_what_it_should_be(side: int, frame: str, tmp_path: Path) -> None:
    """The embedded generator, and one of 128 px with random weights whose file declares no frame."""
    name = "celeba64"
    if side == 128:
        torch.manual_seed(0)
        name = str(tmp_path / "random.safetensors")
        save_generator(
            Generator(GeneratorConfig(128, (8,) * 6, z_dim=16, w_dim=16, mapping_layers=2)).eval(), Path(name)
        )
    pictures, files = inputs(), []
    for stem, (picture, _) in pictures.items():
        for turn in (0, *QUARTERS):
            turned = picture.transpose(QUARTERS[turn]) if turn else picture
            turned.save(tmp_path / f"{stem}-{turn}.png")
            files.append(str(tmp_path / f"{stem}-{turn}.png"))
    few = ["--set", f"generator={name}", "--set", "stage_settings.w_optimization.steps=1", "--set", "metrics=[mse]"]
    assert main(["invert", "sg2_w", *files, "--out", str(tmp_path / "out"), "--suite", "smoke", *few]) == 0

    differences = {}
    for stem, (picture, own) in pictures.items():
        wanted = picture.resize((side, side), Image.Resampling.BICUBIC) if own == frame else align(picture, frame, side)
        for turn in (0, *QUARTERS):
            cut = read_rgb(tmp_path / "out" / f"{stem}-{turn}" / "target.png")
            assert cut.size == (side, side)
            levels = np.abs(np.asarray(cut, int) - np.asarray(wanted, int))
            differences[f"{stem}-{turn}"] = (int(levels.max()), float(levels.mean()))
    worst = {each: found for each, found in differences.items() if found[0]}
    print(f"\n{side} px, frame {frame}: {len(differences)} pictures; largest difference "
          f"{max(found[0] for found in differences.values())} levels; others than 0: {worst}")  # fmt: skip
    assert not worst
