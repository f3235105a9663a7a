"""Names that become files and folders: safe on every system, or refused."""

from __future__ import annotations

import hashlib
import os
import re

MOST = 120  # bytes of a name; file systems take 255, and a name gets suffixes
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}  # of Windows


def is_safe(name: object) -> bool:
    """Whether a name is a file's name everywhere: letters, digits, `.`, `_`, `-`, and no way out of a folder."""
    return isinstance(name, str) and bool(_SAFE.fullmatch(name)) and _fits(name)


def safe_name(text: str, ascii_only: bool = True) -> str:
    """A text as a file's name; it stays as it is where it can.

    Args:
        text: any text, also a path or a file name that is not UTF-8.
        ascii_only: False keeps letters and digits of all scripts.

    Returns:
        A name of at most MOST bytes, which ends in a hash of the text where what was left is no name.
    """
    slug = re.sub(r"[^A-Za-z0-9._-]+" if ascii_only else r"[^\w.-]+", "_", text).lstrip("._-")
    if slug and _fits(slug):
        return slug
    cut = slug.encode()[: MOST - 20].decode(errors="ignore").rstrip("._-")
    name = f"{cut or 'image'}-{short_hash(text)}"
    return name if _fits(name) else f"image-{name}"


def short_hash(text: str) -> str:
    """Eight hexadecimal digits that tell a text from others, also one that is not UTF-8."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]


def shown(path: object) -> str:
    """A path or text as it can be printed and stored: bytes that are not UTF-8 as escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _fits(name: str) -> bool:
    return (
        len(name.encode("utf-8", "surrogateescape")) <= MOST
        and not name.endswith(".")
        and name.split(".")[0].lower() not in _RESERVED
    )
