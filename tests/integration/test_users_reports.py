"""What users of inversion code report, tried on the commands: one line in a table for each report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.cli import main
from datasets import alignment, assets
from datasets.images import read_rgb
from inversion_bench.names import safe_name
from methods.generators import Generator, GeneratorConfig, save_generator

pytestmark = pytest.mark.assets
FEW = ["--suite", "smoke", "--set", "stage_settings.w_optimization.steps=1", "--set", "metrics=[mse]"]
Writer = Callable[[Image.Image, Path], object]


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    """A face of which the detector is certain, so that it looks at no quarter turns."""
    image = read_rgb(assets.ensure("openpeople") / "P002" / "assets" / "studio_portrait.jpg")
    image.thumbnail((320, 320))
    return image


@pytest.fixture(scope="module")
def files(portrait: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait and files of other tools."""
    root = tmp_path_factory.mktemp("files")
    portrait.save(root / "me.png")
    portrait.crop((0, 0, 200, 150)).save(root / "wide.png")
    portrait.save(root / "me", format="PNG")
    for name in ("images", "targets", "twice"):
        (root / name).mkdir()
        portrait.save(root / name / "a.png")
    portrait.save(root / "twice" / "a.jpg")
    np.save(root / "pose.npy", np.random.default_rng(0).normal(size=(1, 16)))
    np.save(root / "nan.npy", np.full((1, 16), np.nan))
    torch.save(torch.zeros(1, 18, 512), root / "latent.pt")
    cars = {"encoder.input_layer.0.weight": torch.zeros(64, 3, 3, 3), "decoder.input.input": torch.zeros(1, 512, 4, 4)}
    torch.save(
        {"state_dict": cars, "latent_avg": torch.zeros(16, 512), "opts": {"stylegan_size": 512}}, root / "cars.pt"
    )
    torch.manual_seed(0)
    of_128 = Generator(GeneratorConfig(128, (8,) * 6, z_dim=16, w_dim=16, mapping_layers=2)).eval()
    save_generator(of_128, root / "of-128.safetensors")
    return root


ERRORS = {
    "the encoder is of another generator": (
        "invert e4e {}/me.png --set generator={}/of-128.safetensors", 2, "trained for the generator"
    ),
    "the encoder is of cars": (
        "invert e4e {}/me.png --set stage_settings.e4e.weights={}/cars.pt", 2, "serves a generator of 16 layers"
    ),
    "an encoder as generator": ("invert sg2_w {}/me.png --set generator={}/cars.pt", 2, "an encoder of pSp's"),
    "a latent as generator": ("invert sg2_w {}/me.png --set generator={}/latent.pt", 2, "one tensor [1, 18, 512]"),
    "a latent as picture": ("invert sg2_w {}/latent.pt {FEW}", 1, "latent.pt: not a readable image"),
    "a picture as generator": ("invert sg2_w {}/me.png --set generator={}/me.png", 2, "a picture (PNG), not weights"),
    "out is a file": ("invert sg2_w {}/me.png --out {}/me.png {FEW}", 2, "results cannot be written there"),
    "a picture is where its results belong": ("invert sg2_w {}/me --out {} {FEW}", 2, "choose another --out"),
    "an address": ("invert sg2_w https://example.org/a.png {FEW}", 1, "no such file"),
    "no such face": ("invert sg2_w {}/me.png --face 2 {FEW}", 1, "face 2 is asked for, 1 found"),
    "not square, not aligned": ("invert sg2_w {}/wide.png --align none {FEW}", 1, "expected a square image"),
    "a direction of another generator": (
        "edit sg2_w {}/me.png --directions {}/latent.pt --edit latent=1sd {FEW}", 2, "it was made for another one"
    ),
    "a direction of nan": ("edit sg2_w {}/me.png --directions {}/nan.npy --edit nan=1sd {FEW}", 2, "not finite"),
    "a strength of nan": ("edit sg2_w {}/me.png --directions {}/pose.npy --edit pose=nansd {FEW}", 2, "NAME=AMOUNT"),
    "a strength without end": (
        "edit sg2_w {}/me.png --directions {}/pose.npy --edit pose=" + "9" * 400 + "sd {FEW}", 2, "at most 100"
    ),
    "a strength far outside": (
        "edit sg2_w {}/me.png --directions {}/pose.npy --edit pose=-5000sd {FEW}", 2, "at most 100"
    ),
    "an unknown attribute": (
        "edit sg2_w {}/me.png --directions {}/pose.npy --edit smile=1sd {FEW}", 2, "unknown direction 'smile'"
    ),
    "names that are equal": ("score {}/twice {}/targets metrics=[mse]", 2, "a.jpg: another image has that name"),
    "a metric of sets for pairs": ("score {}/images {}/targets metrics=[rank1_sface]", 2, "no metric of single images"),
    "no folder of targets": ("score {}/images {}/nowhere", 2, "nowhere is none"),
    "results among photographs": ("bench {}/images --out {}/images/out", 2, "lies in"),
    "results are the photographs": ("bench {}/images --out {}/images", 2, "lies in"),
    "no photographs": ("bench {}/nowhere", 2, "is not a folder"),
}  # fmt: skip


@pytest.mark.parametrize("report", ERRORS)
def test_a_mistake_is_one_line(report: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, code, said = ERRORS[report]
    words = [word for part in text.split() for word in (FEW if part == "{FEW}" else [part.format(*[files] * 2)])]
    assert main(words if "--out" in words else [*words, "--out", str(tmp_path / "out")]) == code
    printed = capsys.readouterr().err
    assert said in printed and "Traceback" not in printed, printed
    assert len([line for line in printed.splitlines() if line.startswith("error: ")]) == 1


def in_a_panorama(image: Image.Image, path: Path) -> None:
    wide = Image.new("RGB", (9000, 500), "grey")
    wide.paste(image, (6000, 100))
    wide.save(path)


# How a picture is written, and by how much its target may differ from the original's: on average, of 255 levels.
PICTURES: dict[str, tuple[Writer, float]] = {
    "a b.png": (lambda image, path: image.save(path), 0),
    "Größe😀.png": (lambda image, path: image.save(path), 0),
    "new\nline.png": (lambda image, path: image.save(path), 0),
    "-rf.png": (lambda image, path: image.save(path), 0),
    "rgba.png": (lambda image, path: image.convert("RGBA").save(path), 0),
    "animated.png": (lambda image, path: image.save(path, save_all=True, append_images=[image.rotate(90)]), 0),
    "moving.webp": (
        lambda image, path: image.save(path, save_all=True, append_images=[image.rotate(90)], quality=95), 6
    ),
    "pages.tif": (lambda image, path: image.save(path, save_all=True, append_images=[image.rotate(90)]), 0),
    "phone.jpg": (lambda image, path: image.save(path, "MPO", save_all=True, append_images=[image], quality=95), 3),
    "cmyk.jpg": (lambda image, path: image.convert("CMYK").save(path, quality=95), 3),
    "palette.gif": (lambda image, path: image.quantize(64).save(path), 8),
    "broken-exif.jpg": (lambda image, path: image.save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", quality=95), 3),
    "panorama.png": (in_a_panorama, 6),
}  # fmt: skip
TURNS = [None, 0, 3, 1, 5, 2, 6, 4]  # of Image.Transpose, by EXIF's orientation less 1


def test_pictures_of_all_kinds_are_cut_alike(portrait: Image.Image, tmp_path: Path) -> None:
    bounds = {name: bound for name, (_, bound) in PICTURES.items()}
    for name, (write, _) in PICTURES.items():
        write(portrait, tmp_path / name)
    for number, turn in enumerate(TURNS, start=1):
        exif = Image.Exif()
        exif[0x0112] = number
        turned = portrait if turn is None else portrait.transpose(Image.Transpose(turn))
        turned.save(tmp_path / f"exif{number}.png", exif=exif)
        bounds[f"exif{number}.png"] = 0
    files = [str(tmp_path / name) for name in bounds]
    assert main(["invert", "sg2_w", *files, "--out", str(tmp_path / "out"), *FEW]) == 0
    wanted = np.asarray(alignment.align(portrait, alignment.find_face(portrait), 64), float)
    for name, bound in bounds.items():
        target = read_rgb(tmp_path / "out" / safe_name(Path(name).stem) / "target.png")
        assert np.abs(np.asarray(target, float) - wanted).mean() <= bound, name
