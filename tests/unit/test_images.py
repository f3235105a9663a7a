"""Every kind of bad or odd picture file, and the way between pictures and tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from datasets import images


@pytest.fixture
def photograph() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_rgb_is_read_unchanged(tmp_path, photograph):
    photograph.save(tmp_path / "a.png")
    read = images.read_rgb(tmp_path / "a.png")
    assert read.mode == "RGB" and np.array_equal(read, photograph)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tif", "a.gif"])
def test_truncated(tmp_path, photograph, name):
    photograph.resize((320, 240)).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 3])
    with pytest.raises(images.ImageError, match=f"{name}: not a readable image"):
        images.read_rgb(tmp_path / name)


def test_cut_within_the_header(tmp_path, photograph):
    photograph.save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for length in range(1, 60):
        (tmp_path / "a.png").write_bytes(whole[:length])
        with pytest.raises(images.ImageError, match=r"a\.png"):
            images.read_rgb(tmp_path / "a.png")


def test_missing_empty_text_and_folder(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "folder.png").mkdir()
    for name, found in {
        "missing.png": "no such file",
        "empty.png": "empty",
        "text.png": "not a readable image",
        "folder.png": "no such file",
    }.items():
        with pytest.raises(images.ImageError, match=found) as caught:
            images.read_rgb(tmp_path / name)
        assert name in str(caught.value)


def test_cmyk(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    assert images.read_rgb(tmp_path / "a.tif").getpixel((3, 3)) == (255, 0, 0)


def test_grey_and_bilevel(tmp_path):
    Image.new("L", (8, 8), 77).save(tmp_path / "grey.png")
    Image.new("1", (8, 8), 1).save(tmp_path / "bit.png")
    assert images.read_rgb(tmp_path / "grey.png").getpixel((0, 0)) == (77, 77, 77)
    assert images.read_rgb(tmp_path / "bit.png").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_are_scaled(tmp_path, name):
    levels = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / name)
    assert np.asarray(images.read_rgb(tmp_path / name))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_floating_point_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(images.ImageError, match="floating-point"):
        images.read_rgb(tmp_path / "a.tif")


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert images.read_rgb(tmp_path / "a.gif").getpixel((4, 4)) == (255, 0, 0)


def test_transparency_lies_over_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "rgba.png")
    Image.new("LA", (8, 8), (0, 0)).save(tmp_path / "la.png")
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.putpixel((1, 1), 1)
    palette.save(tmp_path / "p.png", transparency=0)
    for name in ("rgba.png", "la.png", "p.png"):
        assert images.read_rgb(tmp_path / name).getpixel((0, 0)) == (255, 255, 255)
    assert images.read_rgb(tmp_path / "p.png").getpixel((1, 1)) == (10, 20, 30)


def test_exif_orientation(tmp_path):
    image = Image.new("RGB", (8, 4))
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(tmp_path / "a.png", exif=exif)
    turned = images.read_rgb(tmp_path / "a.png")
    assert turned.size == (4, 8) and turned.getpixel((3, 0)) == (255, 0, 0)


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), "blue").save(tmp_path / "a.png")
    assert images.read_rgb(tmp_path / "a.png").getpixel((0, 0)) == (0, 0, 255)


def test_decompression_bomb(tmp_path, monkeypatch):
    Image.new("L", (64, 64)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(images.ImageError, match="too large"):
        images.read_rgb(tmp_path / "a.png")


def test_tensor_round_trip_keeps_every_level():
    ramp = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, axis=-1)
    tensor = images.to_tensor(Image.fromarray(ramp))
    assert tensor.dtype == torch.float32 and tensor.shape == (3, 16, 16)
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert np.array_equal(images.to_image(tensor), ramp)


def test_to_image_clamps_and_rounds_half_up():
    values = torch.tensor([-7.0, 7.0, 0.0, (10.5 / 127.5) - 1, (10.49 / 127.5) - 1], dtype=torch.float64)
    pixels = np.asarray(images.to_image(values.expand(3, 1, 5)))[0, :, 0]
    assert pixels.tolist() == [0, 255, 128, 11, 10]


def test_to_image_refuses_nan_and_shapes():
    with pytest.raises(ValueError, match="NaN"):
        images.to_image(torch.full((3, 2, 2), torch.nan))
    with pytest.raises(ValueError, match=r"\[1, 2, 2\]"):
        images.to_image(torch.zeros(1, 2, 2))
    with pytest.raises(ValueError, match="mode L"):
        images.to_tensor(Image.new("L", (2, 2)))


def test_save_png_is_whole_or_absent(tmp_path, photograph, monkeypatch):
    images.save_png(photograph, tmp_path / "a.png")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    before = (tmp_path / "a.png").read_bytes()

    def torn(self, path, format):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", torn)
    with pytest.raises(OSError, match="disk full"):
        images.save_png(photograph, tmp_path / "a.png")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_pixel_hash_sees_pixels_and_size_only(tmp_path, photograph):
    photograph.save(tmp_path / "a.png", compress_level=0)
    photograph.save(tmp_path / "b.png", compress_level=9)
    same = {images.pixel_sha256(images.read_rgb(tmp_path / name)) for name in ("a.png", "b.png")}
    assert same == {images.pixel_sha256(photograph)}
    assert images.pixel_sha256(Image.new("RGB", (2, 8))) != images.pixel_sha256(Image.new("RGB", (8, 2)))
