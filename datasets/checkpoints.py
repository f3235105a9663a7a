"""Checkpoints of torch, read as plain tensors without running code.

`torch.load(weights_only=True)` restricts the pickle. This module also refuses tar archives (which old releases of torch
read without restriction), zips whose members point outside or are compressed, and unexpected content. Options of
trainings (argparse's Namespace) and numpy scalars are read as plain values.
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
# Data that training code stores with weights, by their names in the files.
_PLAIN: list[Any] = [
    argparse.Namespace,
    (Number, "numpy.dtype"),
    (number, "numpy.core.multiarray.scalar"),
    (number, "numpy._core.multiarray.scalar"),
]
_PARALLEL = re.compile(r"(^|(?<=\.))module\.")


def read_checkpoint(path: Path) -> Any:
    """The content of a file of `torch.save`: tensors on the CPU and plain Python values.

    Raises FileNotFoundError, or ValueError that names the file and the reason.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with path.open("rb") as handle:
            return load_plain(handle, path.name)
    except ValueError as error:
        raise ValueError(f"{path}: not a checkpoint of plain tensors ({error})") from error


def load_plain(handle: Any, name: str) -> Any:
    """The content of a seekable binary stream of `torch.save`. Raises ValueError with the reason of a refusal."""
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
    """The reason that torch gives, without its advice on how to run the file's code."""
    code = re.search(r"GLOBAL (\S+) (?:was not an allowed global|whose module)", str(error))
    if code:
        return f"it names the code {code[1]}, which is not run"
    last = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
    return last[1] if last else str(error)


def load_plain_bytes(blob: bytes, name: str) -> Any:
    """`load_plain` of bytes."""
    return load_plain(io.BytesIO(blob), name)


def tensors(content: Any, path: Path, entry: str = "") -> dict[str, Tensor]:
    """A state dict, without the `module.` of DataParallel in its names.

    Args:
        content: of a checkpoint.
        path: of the checkpoint, for messages.
        entry: part of the file, for messages.

    Raises:
        ValueError: content is not a state dict.
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
    """The tensors with a prefix such as "decoder.", which is removed."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def check_tensors(
    path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor], optional: Collection[str] = ()
) -> None:
    """Compare a file's tensors with those of a network.

    Args:
        path: of the file, for messages.
        found: its tensors.
        expected: the state dict of the network, possibly on the meta device.
        optional: names that the file may lack, besides the counters of batch norms.

    Raises:
        ValueError: tensors are missing, unexpected, not finite or of another shape; the message lists them.
    """
    missing = sorted(k for k in expected if k not in found and k not in optional and not COUNTERS.search(k))
    extra = sorted(set(found) - set(expected))
    shapes = [
        f"{k} {list(v.shape)} instead of {list(expected[k].shape)}"
        for k, v in found.items()
        if k in expected and v.shape != expected[k].shape
    ]
    broken = [k for k, v in found.items() if not bool(v.isfinite().all())]
    problems = {"lacks": missing, "has unexpected": extra, "has wrong shapes": shapes, "is not finite in": broken}
    for problem, names in problems.items():
        if names:
            raise ValueError(
                f"{path}: {problem} {', '.join(names[:4])}{' ...' if len(names) > 4 else ''} ({len(names)})"
            )


def fill(path: Path, network: torch.nn.Module, found: Mapping[str, Tensor], optional: Collection[str] = ()) -> None:
    """Load a file's tensors into a network as float32; arguments and errors as of `check_tensors`."""
    own = network.state_dict()
    check_tensors(path, found, own, optional)
    network.load_state_dict({**own, **{k: v.to(own[k].dtype) for k, v in found.items()}})


def assemble(
    path: Path, build: Callable[[], Network], found: Mapping[str, Tensor], optional: Collection[str] = ()
) -> Network:
    """A network with a file's tensors, float32, in eval mode and frozen; arguments and errors as of `check_tensors`.

    `build` makes the network, on the meta device, as random initialisation would take seconds; buffers that no file has
    need to be set afterwards.
    """
    with torch.device("meta"):
        network = build()
    own = network.state_dict()
    check_tensors(path, found, own, optional)
    counters = {key: torch.zeros((), dtype=torch.int64) for key in own if COUNTERS.search(key)}
    filled = counters | {key: value.to(own[key].dtype) for key, value in found.items()}
    network.load_state_dict(filled, strict=False, assign=True)
    return network.eval().requires_grad_(False)
