"""What a file of weights is, by its first bytes: the suffix says what somebody hoped that it was.

Downloads of the field leave web pages, Git LFS pointers, half a file or an archive under the name of weights.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Literal

Kind = Literal["safetensors", "torch", "pickle", "numpy"]
AGAIN = "fetch it again"
_HEAD = 4096  # bytes that are looked at
_MAX_HEADER = 100_000_000  # bytes of a safetensors header, as the library has it
# First bytes of what is not read, with what it is and the way on.
_OTHER: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file: run `git lfs pull` in its repository"),
    (b"\x1f\x8b", "a gzip archive: unpack it and name the file inside"),
    (b"BZh", "a bzip2 archive: unpack it and name the file inside"),
    (b"\xfd7zXZ", "an xz archive: unpack it and name the file inside"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it and name the file inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and name the file inside"),
    (b"Rar!", "a RAR archive: unpack it and name the file inside"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras (.h5) writes it: only weights of PyTorch are read"),
    (b"GGUF", "a GGUF file: only weights of PyTorch are read"),
    (b"\x89PNG", "a picture (PNG), not weights: check the path"),
    (b"\xff\xd8\xff", "a picture (JPEG), not weights: check the path"),
    (b"%PDF", "a PDF document, not weights: check the path"),
)


class FileKindError(ValueError):
    """A file is nothing that weights are read from; the message names the file, what it is and the way on."""


def identify(path: Path) -> Kind:
    """The kind of a file that weights can be read from.

    Args:
        path: of the file.

    Returns:
        "safetensors", "torch" (of `torch.save`, the present form and the old one), "pickle" or "numpy" (one array).

    Raises:
        FileNotFoundError: there is no such file.
        FileKindError: it is something else, empty or cut short.
    """
    if path.is_dir():
        raise FileKindError(f"{path}: a folder, not a file: name the file of weights in it")
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(_HEAD)
    if not head:
        raise FileKindError(f"{path}: empty (0 bytes): {AGAIN}")
    length = int.from_bytes(head[:8], "little")  # whose bytes may be those of another kind
    if head[8:9] == b"{" and length <= _MAX_HEADER:
        if 8 + length > size:
            raise FileKindError(f"{path}: safetensors whose end is missing ({size} bytes): {AGAIN}")
        return "safetensors"
    for begin, what in _OTHER:
        if head.startswith(begin):
            raise FileKindError(f"{path}: {what}")
    if head.startswith(b"PK"):
        return _zip(path)
    if head.startswith(b"\x93NUMPY"):
        return "numpy"
    if re.match(rb"\x80[\x02-\x05]", head):
        # Before 1.6, torch.save wrote pickles of which the first is this number.
        return "torch" if b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" in head[:16] else "pickle"
    raise FileKindError(f"{path}: {_guess(head)}")


def _zip(path: Path) -> Kind:
    if not zipfile.is_zipfile(path):
        raise FileKindError(f"{path}: a zip file whose end is missing ({path.stat().st_size} bytes): {AGAIN}")
    with zipfile.ZipFile(path) as bundle:
        names = bundle.namelist()
    if any(name.endswith("constants.pkl") for name in names) and any("/code/" in name for name in names):
        raise FileKindError(f"{path}: a TorchScript program, whose code is not run: save its state_dict() instead")
    if any(re.fullmatch(r"[^/]*/?data\.pkl", name) for name in names):
        return "torch"
    if names and all(name.endswith(".npy") for name in names):
        raise FileKindError(f"{path}: NumPy arrays (.npz), not weights of PyTorch: save one array as .npy")
    listed = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    raise FileKindError(f"{path}: a zip archive ({listed or 'empty'}): unpack it and name the file inside")


def _guess(head: bytes) -> str:
    """What else a file may be."""
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if re.match(rb"<(!doctype html|html|head|\?xml|!--|body)", text):
        title = re.search(rb"<title>\s*(.*?)\s*</title>", head, re.DOTALL | re.IGNORECASE)
        shown = f" ({title[1].decode(errors='replace')[:80]!r})" if title else ""
        return f"a web page{shown}, not weights: the download failed; open its address in a browser and {AGAIN}"
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it and name the file inside"
    if head[:1] == b"\x08" and (b"onnx" in head.lower() or b"pytorch" in head[:64].lower()):
        return "an ONNX graph: only weights of PyTorch are read"
    if b"tensorflow" in head.lower() or head[4:8] == b"TFL3" or b"saved_model" in head:
        return "a TensorFlow file: only weights of PyTorch are read"
    if not head.strip(b"\0"):
        return f"zeros: an unfinished download: {AGAIN}"
    if re.fullmatch(rb"[\t\n\r\x20-\x7e]+", head):
        return f"a text, not weights; it begins {head[:40].decode()!r}: {AGAIN}"
    return f"no kind of weights that is known; it begins {head[:8].hex(' ')}: {AGAIN}"
