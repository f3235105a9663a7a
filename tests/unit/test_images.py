"""Every kind of bad or odd picture file, and the way between pictures and tensors."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from datasets import folder, images
from inversion_bench import pictures


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
        "folder.png": "a folder, not a file",
    }.items():
        with pytest.raises(images.ImageError, match=found) as caught:
            images.read_rgb(tmp_path / name)
        assert name in str(caught.value)


def test_cmyk(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    assert images.read_rgb(tmp_path / "a.tif").getpixel((3, 3)) == (255, 0, 0)


def bgr_profile() -> bytes:
    """An ICC profile whose red is sRGB's blue, and its blue sRGB's red."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace(b"rXYZ", b"swap", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"swap", b"bXYZ", 1)
    return data.replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_embedded_profiles_are_kept_to(tmp_path, mode):
    red = Image.new("RGB", (8, 8), (255, 0, 0)).convert(mode)
    red.save(tmp_path / "a.png", icc_profile=bgr_profile())
    assert np.allclose(images.read_rgb(tmp_path / "a.png").getpixel((0, 0)), (0, 0, 255), atol=2)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"nonsense" * 20, srgb[:300]):
        red.save(tmp_path / "a.png", icc_profile=profile)
        assert images.read_rgb(tmp_path / "a.png").getpixel((0, 0)) == (255, 0, 0)


def test_profiles_of_another_kind_of_pixels_are_ignored(tmp_path):
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg", icc_profile=bgr_profile())
    Image.new("L", (8, 8), 99).save(tmp_path / "b.png", icc_profile=bgr_profile())
    assert images.read_rgb(tmp_path / "a.jpg").getpixel((0, 0)) == (255, 255, 255)
    assert images.read_rgb(tmp_path / "b.png").getpixel((0, 0)) == (99, 99, 99)


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
    monkeypatch.setattr(pictures, "MOST_PIXELS", 100)
    with pytest.raises(images.ImageError, match="too large"):
        images.read_rgb(tmp_path / "a.png")


def test_tensor_round_trip_keeps_every_level():
    ramp = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, axis=-1)
    tensor = images.to_tensor(Image.fromarray(ramp))
    assert tensor.dtype == torch.float32 and tensor.shape == (3, 16, 16)
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert np.array_equal(images.to_image(tensor), ramp)


def test_a_batch_is_its_images_one_by_one():
    stream = np.random.default_rng(0)
    pictures = [Image.fromarray(stream.integers(0, 256, (5, 7, 3), dtype=np.uint8)) for _ in range(3)]
    batch = images.to_batch(pictures)
    assert batch.is_contiguous(), "networks' last digits depend on it"
    assert torch.equal(batch, torch.stack([images.to_tensor(picture) for picture in pictures]))


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

    def torn(self, file, format, **options):
        file.write(b"half")
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


def heic() -> bytes:
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run showpage\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (EPS, "EPS or PostScript, which is a program"),
        (b"\xc5\xd0\xd3\xc6" + bytes(40) + EPS, "EPS or PostScript"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<svg xmlns=''/>", "SVG"),
        (b"8BPS" + bytes(40), "a Photoshop file"),
        (b"\0\0\0\x18ftypisom" + bytes(40), "a film"),
        (b"/* XPM */ static char", "not a readable image"),  # a format that Pillow reads and that is not listed
    ],
)
def test_only_listed_formats_are_opened(tmp_path, content, said, monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_: pytest.fail("a program was started"))
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(images.ImageError, match=rf"a\.png: .*{said}"):
        images.read_rgb(tmp_path / "a.png")


@pytest.mark.skipif("HEIF" in pictures.formats(), reason="pillow-heif is here")
def test_heic_names_the_package(tmp_path):
    (tmp_path / "a.jpg").write_bytes(heic())
    with pytest.raises(images.ImageError, match="HEIC: `pip install pillow-heif` reads it, or export JPEG"):
        images.read_rgb(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000", "WEBP"])
def test_formats_of_phones_and_cameras_are_read(tmp_path, kind):
    if kind not in pictures.formats():
        pytest.skip(f"this Pillow has no {kind}")
    Image.new("RGB", (32, 32), (200, 10, 10)).save(tmp_path / "a", format=kind)
    assert abs(images.read_rgb(tmp_path / "a").getpixel((16, 16))[0] - 200) < 6


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    """A PNG whose header says 30,000 x 30,000 px."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    with pytest.raises(images.ImageError, match=r"a\.png: too large to be read"):
        images.read_rgb(tmp_path / "a.png")


def test_whole_numbers_of_unknown_range_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(images.ImageError, match="32 bits have no standard range"):
        images.read_rgb(tmp_path / "a.tif")


def test_names_that_no_system_takes_are_refused(tmp_path):
    for name in ("a" * 300 + ".png", "a\0.png", os.fsdecode(b"\xff.png")):
        with pytest.raises(images.ImageError) as caught:
            images.read_rgb(tmp_path / name)
        str(caught.value).encode()


def test_folders_name_what_they_leave_out(tmp_path):
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    picture = Image.new("RGB", (16, 16))
    for name, kind in (("one.JPG", "JPEG"), ("two.jpe", "JPEG"), ("four.jp2", "JPEG2000"), ("five", "JPEG")):
        picture.save(root / name, kind)
    picture.save(root / "sub" / "nine.odd", "PNG")
    (root / "six.heic").write_bytes(heic())
    (root / "notes.txt").write_text("no image")
    (root / ".hidden.png").write_bytes(b"")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "eight.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(root / "pipe.png")
    picture.save(os.fsencode(root) + b"/\xff-odd.png", "PNG")
    picture.save(root / f"{'l' * 250}.png", "PNG")
    found = folder.build(str(root), align=False, resolution=16)
    assert not found.failures and len(found.ids) == 7 and {"one", "two", "four", "five", "sub_nine"} <= set(found.ids)
    said = " ".join(found.left_out)
    assert "notes.txt (no image)" in said and "pipe.png (no regular file)" in said
    assert "linked (a link to a folder" in said and "eight.png (a link to nothing)" in said
    assert ("six.heic (HEIC: `pip install pillow-heif`" in said) == ("HEIF" not in pictures.formats())
    assert "hidden" not in said


def test_one_bad_file_is_a_failed_record(tmp_path, monkeypatch):
    for name in ("good", "bad"):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{name}.png")
    real = images.open_picture

    def unreadable(source):
        if source.name.endswith("bad.png"):
            raise PermissionError(13, "Permission denied")
        return real(source)

    monkeypatch.setattr(images, "open_picture", unreadable)
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    found = folder.build(str(tmp_path), align=False, resolution=16)
    assert found.ids == ["good"] and "Permission denied" in found.failures["bad"]
