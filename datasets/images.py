"""Reading and writing single images: any file becomes 8-bit RGB, any tensor in [-1, 1] becomes a PNG."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from inversion_bench.files import atomic

# What Pillow's readers raise on broken files, beside OSError (its own errors are OSErrors too).
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")


class ImageError(ValueError):
    """An image cannot be read; the message names the file, what was found and what to do."""


def read_rgb(path: str | Path) -> Image.Image:
    """The first frame of an image file as 8-bit RGB, rotated by its EXIF orientation.

    Grey, palette, CMYK and 16-bit images (divided by 257) are converted; transparency is composited over white.
    Raises ImageError for a missing, empty, truncated or unknown file.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise ImageError(f"{path}: the file is empty (0 bytes); fetch or export it again")
    return _read(path, str(path))


def read_rgb_bytes(data: bytes, name: str) -> Image.Image:
    """The same for an encoded image in memory; name: what messages call it."""
    return _read(io.BytesIO(data), name)


def _read(source: Path | io.BytesIO, name: str) -> Image.Image:
    try:
        with Image.open(source) as image:
            image.load()
            if 0 in image.size:
                raise ImageError(f"{name}: the image is {image.width}x{image.height} px; export it again")
            if image.mode == "F":
                raise ImageError(f"{name}: floating-point pixels have no standard range; export 8 or 16 bits")
            return _to_rgb(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: too large to be read ({error}); reduce it first") from error
    except _BROKEN as error:
        raise ImageError(
            f"{name}: not a readable image ({type(error).__name__}: {error}); expected a complete PNG, JPEG, WebP "
            "or the like: fetch or export it again"
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        scaled = np.clip(np.rint(np.asarray(image).astype(np.float64) / 257), 0, 255).astype(np.uint8)
        return Image.fromarray(scaled).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert("RGB")


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as float32 [3, H, W] in [-1, 1]."""
    if image.mode != "RGB":
        raise ValueError(f"expected an RGB image, found mode {image.mode}; read it with read_rgb")
    pixels = torch.from_numpy(np.array(image))  # [H, W, 3]
    return pixels.permute(2, 0, 1).float() / 127.5 - 1


def to_image(tensor: Tensor) -> Image.Image:
    """A tensor [3, H, W] as an 8-bit RGB image: clamped to [-1, 1], rounded half up.

    Raises ValueError for another shape and for NaN.
    """
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise ValueError(f"expected a tensor [3, H, W], found {list(tensor.shape)}")
    values = tensor.detach().cpu().double()
    if values.isnan().any():
        raise ValueError("expected values in [-1, 1], found NaN; the image's computation diverged")
    levels = (values.clamp(-1, 1) * 127.5 + 128).clamp(0, 255).byte()
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def save_png(image: Image.Image, path: str | Path) -> None:
    """Write a PNG atomically; its folder is made."""
    with atomic(path) as temporary:
        image.save(temporary, format="PNG")


def pixel_sha256(image: Image.Image) -> str:
    """SHA-256 of an RGB image's size and pixels: unlike the file's, it does not depend on the PNG encoder."""
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height}\n".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()
