"""Files of `torch.save`, read as tensors and plain values without running code.

`torch.load(weights_only=True)` restricts the pickle. This module also refuses tar archives (which old releases of torch
read without restriction) and zips whose members point outside or are compressed. Options of trainings (argparse's
Namespace, paths) and numpy scalars are read as plain values.
"""

from __future__ import annotations

import argparse
import io
import re
import tarfile
import zipfile
from typing import Any

import torch

from datasets.archives import UnsafeArchiveError, check_member
from datasets.pickles import Number, number


def _path(*parts: str) -> str:
    return "/".join(map(str, parts))


PATHS = [
    (module, name)
    for module in ("pathlib", "pathlib._local")
    for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")
]
# Data that training code stores with weights, by their names in the files.
_PLAIN: list[Any] = [
    argparse.Namespace,
    (Number, "numpy.dtype"),
    (number, "numpy.core.multiarray.scalar"),
    (number, "numpy._core.multiarray.scalar"),
    *((_path, f"{module}.{name}") for module, name in PATHS),
]


def load_plain(handle: Any, name: str) -> Any:
    """The content of a seekable binary stream of `torch.save`. Raises ValueError with the reason of a refusal."""
    if tarfile.is_tarfile(handle):
        raise ValueError("a tar archive, which is not read")
    handle.seek(0)
    if zipfile.is_zipfile(handle):
        check_zip(handle, name)
    handle.seek(0)
    try:
        with torch.serialization.safe_globals(_PLAIN):
            return torch.load(handle, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for broken or unsafe files
        raise ValueError(_reason(error)) from error


def check_zip(handle: Any, name: str) -> None:
    """Raises UnsafeArchiveError for members that point outside or are packed: torch writes plain ones."""
    with zipfile.ZipFile(handle) as bundle:
        for info in bundle.infolist():
            check_member(name, info.filename)
            if info.compress_type != zipfile.ZIP_STORED:
                raise UnsafeArchiveError(f"{name}: member {info.filename!r} is packed; torch writes plain members")


def _reason(error: Exception) -> str:
    """The reason that torch gives, without its advice on how to run the file's code."""
    code = re.search(r"GLOBAL (\S+) (?:was not an allowed global|whose module)", str(error))
    if code:
        return f"it names the code {code[1]}, which is not run"
    last = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
    return last[1] if last else str(error).splitlines()[0] if str(error) else type(error).__name__


def load_plain_bytes(blob: bytes, name: str) -> Any:
    """`load_plain` of bytes."""
    return load_plain(io.BytesIO(blob), name)
