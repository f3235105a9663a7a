"""Checkpoints as torch writes them, read as plain tensors: nothing in a file is run or written anywhere.

`torch.load(weights_only=True)` restricts the pickle. What it leaves open is closed here: tar archives (old releases of
torch read them through an unrestricted path), zips whose members point outside or are packed, and content that is not
what a reader expects. Beside tensors, files hold what they were trained with: options as argparse's Namespace and
numbers of numpy are read as plain values.
"""

from __future__ import annotations

import argparse
import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from datasets.archives import UnsafeArchiveError, check_member
from datasets.pickles import Number, number

COUNTERS = re.compile(r"(^|\.)num_batches_tracked$")  # older releases of torch wrote none
Network = TypeVar("Network", bound=torch.nn.Module)
# Data that training code puts beside weights, by the names that files give it.
_PLAIN: list[Any] = [
    argparse.Namespace,
    (Number, "numpy.dtype"),
    (number, "numpy.core.multiarray.scalar"),
    (number, "numpy._core.multiarray.scalar"),
]
_PARALLEL = re.compile(r"(^|(?<=\.))module\.")


def read_checkpoint(path: Path) -> Any:
    """The content of a file that `torch.save` wrote, of tensors and plain Python values, on the CPU.

    Raises FileNotFoundError, or ValueError that names the file and what was found in it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with path.open("rb") as handle:
            return load_plain(handle, path.name)
    except ValueError as error:
        raise ValueError(f"{path}: not a checkpoint of plain tensors ({error})") from error


def load_plain(handle: Any, name: str) -> Any:
    """What `torch.save` wrote to a seekable binary stream. Raises ValueError that says what was refused."""
    if tarfile.is_tarfile(handle):
        raise ValueError("a tar archive, which is not read")
    handle.seek(0)
    if zipfile.is_zipfile(handle):
        with zipfile.ZipFile(handle) as bundle:
            for info in bundle.infolist():
                check_member(name, info.filename)
                if info.compress_type != zipfile.ZIP_STORED:
                    raise UnsafeArchiveError(f"{name}: member {info.filename!r} is packed; torch writes plain members")
    handle.seek(0)
    try:
        with torch.serialization.safe_globals(_PLAIN):
            return torch.load(handle, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for broken or unsafe files
        raise ValueError(_reason(error)) from error


def _reason(error: Exception) -> str:
    """What torch found, without its advice on how to run the file's code all the same."""
    code = re.search(r"GLOBAL (\S+) (?:was not an allowed global|whose module)", str(error))
    if code:
        return f"it names the code {code[1]}, which is not run"
    last = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
    return last[1] if last else str(error)


def load_plain_bytes(blob: bytes, name: str) -> Any:
    """The same for bytes."""
    return load_plain(io.BytesIO(blob), name)


def tensors(content: Any, path: Path, entry: str = "") -> dict[str, Tensor]:
    """A state dict, without the `module.` that DataParallel puts into names.

    entry: what part of the file it is, for messages. Raises ValueError where it is anything else.
    """
    where = f"{path}: {entry}" if entry else str(path)
    if not isinstance(content, Mapping):
        raise ValueError(f"{where} is no state dict but of type {type(content).__name__}")
    state: dict[str, Tensor] = {}
    for key, value in content.items():
        name = _PARALLEL.sub("", str(key))
        if not torch.is_tensor(value):
            raise ValueError(f"{where}: {key} is no tensor but of type {type(value).__name__}")
        if name in state:
            raise ValueError(f"{where}: {name} is there twice, with and without DataParallel's prefix")
        state[name] = value
    return state


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix such as "decoder.", without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def check_tensors(
    path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor], optional: Collection[str] = ()
) -> None:
    """Raises ValueError that lists missing, unexpected, misshapen and non-finite tensors, naming the file.

    expected: a network's state dict, which may lie on the meta device. optional: names that a file may lack, besides
    the counters of batch norms.
    """
    missing = sorted(k for k in expected if k not in found and k not in optional and not COUNTERS.search(k))
    extra = sorted(set(found) - set(expected))
    shapes = [
        f"{k} {list(v.shape)} instead of {list(expected[k].shape)}"
        for k, v in found.items()
        if k in expected and v.shape != expected[k].shape
    ]
    broken = [k for k, v in found.items() if not bool(v.isfinite().all())]
    for names, what in (
        (missing, "lacks"),
        (extra, "has unexpected"),
        (shapes, "has wrong shapes"),
        (broken, "is not finite in"),
    ):
        if names:
            raise ValueError(f"{path}: {what} {', '.join(names[:4])}{' ...' if len(names) > 4 else ''} ({len(names)})")


def fill(path: Path, network: torch.nn.Module, found: Mapping[str, Tensor], optional: Collection[str] = ()) -> None:
    """Put a file's tensors into a network as float32, after `check_tensors`."""
    own = network.state_dict()
    check_tensors(path, found, own, optional)
    network.load_state_dict({**own, **{k: v.to(own[k].dtype) for k, v in found.items()}})


def assemble(
    path: Path, build: Callable[[], Network], found: Mapping[str, Tensor], optional: Collection[str] = ()
) -> Network:
    """A network of a file's tensors, float32, in eval mode and frozen; errors as `check_tensors`.

    build: makes the network. It is made without memory first, as drawing random weights to throw them away takes
    seconds; so what it computes for itself (buffers that no file holds) has to be set afterwards.
    """
    with torch.device("meta"):
        network = build()
    own = network.state_dict()
    check_tensors(path, found, own, optional)
    counters = {key: torch.zeros((), dtype=torch.int64) for key in own if COUNTERS.search(key)}
    filled = counters | {key: value.to(own[key].dtype) for key, value in found.items()}
    network.load_state_dict(filled, strict=False, assign=True)
    return network.eval().requires_grad_(False)
