"""Reading and writing single images: any file becomes 8-bit RGB, any tensor in [-1, 1] becomes a PNG."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor
from torch.nn import functional as F

from inversion_bench.files import write_bytes
from inversion_bench.names import shown
from inversion_bench.pictures import HEAD, TooLargeError, open_picture, problem

# What Pillow's readers raise on broken files, beside OSError (its own errors are OSErrors too).
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)
# Of PNG files: filters, then codes for runs and frequent bytes. Longer repetitions, which zlib otherwise looks for, are
# rare in filtered photographs: at 1024 px files are no larger than at the usual level 6, in a quarter of its time.
COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")


class ImageError(ValueError):
    """An image cannot be read; the message names the file, what was found and what to do."""


def read_rgb(path: str | Path) -> Image.Image:
    """The first frame of an image file as 8-bit RGB, rotated by its EXIF orientation.

    Grey, palette, CMYK and 16-bit images (divided by 257) are converted, colours by an embedded profile; transparency
    is composited over white. Whole numbers of 32 bits and floating-point pixels have no known range and are refused,
    as are images of more than `inversion_bench.pictures.MOST_PIXELS`. Raises ImageError for these and for a missing,
    empty, truncated or unknown file.
    """
    name = shown(path)
    try:
        if os.path.isdir(path):
            raise ImageError(f"{name}: a folder, not a file; name the images in it")
        if not os.path.isfile(path):
            raise ImageError(f"{name}: no such file; check the path")
        with open(path, "rb") as handle:
            return _read(handle, name)
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror or error})") from error


def read_rgb_bytes(data: bytes, name: str) -> Image.Image:
    """The same for an encoded image in memory; name: what messages call it."""
    return _read(io.BytesIO(data), name)


def _read(source: BinaryIO, name: str) -> Image.Image:
    head = source.read(HEAD)
    source.seek(0)
    if not head:
        raise ImageError(f"{name}: the file is empty (0 bytes); fetch or export it again")
    if reason := problem(head):
        raise ImageError(f"{name}: not a readable image; {reason}")
    try:
        with open_picture(source) as image:
            if image.mode == "F":
                raise ImageError(f"{name}: floating-point pixels have no standard range; export 8 or 16 bits")
            if image.mode == "I" and image.format == "TIFF":
                raise ImageError(f"{name}: whole numbers of 32 bits have no standard range; export 8 or 16 bits")
            if 0 in image.size:
                raise ImageError(f"{name}: the image is {image.width}x{image.height} px; export it again")
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image)
    except ImageError:
        raise
    except (TooLargeError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: too large to be read: {error}") from error
    except _BROKEN as error:
        raise ImageError(
            f"{name}: not a readable image ({type(error).__name__}: {error}); expected a complete PNG, JPEG, WebP "
            "or the like: fetch or export it again"
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        levels = np.asarray(image).clip(0, 65535).astype(np.uint32)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    image = _in_srgb(image)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert("RGB")


def _in_srgb(image: Image.Image) -> Image.Image:
    """The image in sRGB by its embedded profile (Display P3, Adobe RGB, CMYK), as viewers show it.

    A profile that is broken or of another kind of pixels is ignored.
    """
    if not (data := image.info.get("icc_profile")):
        return image
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return image
    assert converted is not None  # it is, where it is not made in place
    return converted


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as float32 [3, H, W] in [-1, 1]."""
    if image.mode != "RGB":
        raise ValueError(f"expected an RGB image, found mode {image.mode}; read it with read_rgb")
    pixels = torch.from_numpy(np.array(image))  # [H, W, 3]
    return pixels.permute(2, 0, 1).float().div_(127.5).sub_(1)


def to_batch(pictures: Sequence[Image.Image]) -> Tensor:
    """RGB images of one size as float32 [N, 3, H, W] in [-1, 1], in fewer steps than one by one."""
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)
    return pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(127.5).sub_(1)


def to_image(tensor: Tensor) -> Image.Image:
    """A tensor [3, H, W] as an 8-bit RGB image: clamped to [-1, 1], rounded half up.

    Raises ValueError for another shape and for NaN.
    """
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise ValueError(f"expected a tensor [3, H, W], found {list(tensor.shape)}")
    pixels = tensor.detach().permute(1, 2, 0)
    values = pixels.to("cpu", torch.float64, memory_format=torch.contiguous_format).clamp(-1, 1)
    if values.sum().isnan():  # of values within limits: if and only if one of them is
        raise ValueError("expected values in [-1, 1], found NaN; the image's computation diverged")
    return Image.fromarray(values.mul_(127.5).add_(128).byte().numpy())


def resized(images: Tensor, height: int, width: int = 0) -> Tensor:
    """Images [N, C, H, W] at another size, square by default: bilinear with antialiasing, as Pillow resizes.

    Images of that size stay as they are.
    """
    size = (height, width or height)
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)


def encoded_png(image: Image.Image) -> bytes:
    """An image as the bytes of a PNG file."""
    data = io.BytesIO()
    image.save(data, format="PNG", **COMPRESSION)
    return data.getvalue()


def save_png(image: Image.Image, path: str | Path) -> None:
    """Write a PNG atomically; its folder is made."""
    write_bytes(path, encoded_png(image))


def pixel_sha256(image: Image.Image) -> str:
    """SHA-256 of an RGB image's size and pixels: unlike the file's, it does not depend on the PNG encoder."""
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height}\n".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()
