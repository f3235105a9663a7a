"""Opening pictures: `open_picture` is the one door. Only formats that it lists are decoded, and none that is too large.

Left to itself Pillow tries every format that it knows, and starts Ghostscript for an EPS file of any name.
"""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
MOST_PIXELS = 100_000_000  # of a picture, checked before it is decoded
HEAD = 64  # bytes that tell a format
_HEIC = "HEIC: `pip install pillow-heif` reads it, or export JPEG"
# First bytes, the format as Pillow calls it ("" for none that is read), and what is said where it is not read.
_SIGNS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "PNG", ""),
    (rb"\xff\xd8\xff", "JPEG", ""),
    (rb"RIFF.{4}WEBP", "WEBP", ""),
    (rb"GIF8[79]a", "GIF", ""),
    (rb"BM.{4}\0{4}", "BMP", ""),
    (rb"II\*\0|MM\0\*", "TIFF", ""),
    (rb"P[1-6]\s", "PPM", ""),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG2000", ""),
    (rb".{4}ftypavi[fs]", "AVIF", "AVIF: Pillow 11.3 reads it, or export PNG"),
    (rb".{4}ftyp(heic|heix|hevc|heim|heis|mif1|msf1)", "HEIF", _HEIC),
    (rb".{4}ftyp", "", "a film: save one picture of it"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "", "JPEG XL: export PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "", "EPS or PostScript, which is a program: export PNG"),
    (rb"8BPS", "", "a Photoshop file: export PNG"),
    (rb"%PDF", "", "a PDF document: export PNG"),
    (rb"version https://git-lfs", "", "a Git LFS pointer, not the file: run `git lfs pull`"),
    (rb"\s*<(!DOCTYPE|html|HTML)", "", "a web page: the download failed, fetch it again"),
    (rb"\s*(<\?xml.*)?<svg", "", "SVG: export PNG"),
)


# The limit below takes the place of the one that Pillow warns of.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class TooLargeError(ValueError):
    """A picture has more pixels than are decoded."""


@cache
def formats() -> tuple[str, ...]:
    """Those of FORMATS that can be decoded here. HEIC needs the package pillow-heif."""
    Image.init()
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def open_picture(source: str | Path | BinaryIO) -> Image.Image:
    """`Image.open` for the listed formats, before any pixel is decoded.

    Args:
        source: a path or a seekable binary stream.

    Returns:
        The picture, to be used in a `with` statement.

    Raises:
        TooLargeError: it has more than MOST_PIXELS pixels.
        OSError: it is of no such format, or cannot be read.
    """
    image = Image.open(source, formats=formats())
    if image.width * image.height > MOST_PIXELS:
        size = f"{image.width}x{image.height}"
        image.close()
        raise TooLargeError(f"{size} px are more than the {MOST_PIXELS // 10**6} million that are read; reduce it")
    return image


def problem(head: bytes) -> str | None:
    """Why a file that begins with these bytes is not read as a picture; None where it is, "" where nothing is known."""
    for sign, name, advice in _SIGNS:
        if re.match(sign, head, re.DOTALL):
            return None if name in formats() else advice or f"{name} cannot be decoded by the installed Pillow"
    return ""
