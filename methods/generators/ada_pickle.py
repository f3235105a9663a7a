"""StyleGAN2-ADA's .pkl files, read without running anything in them.

NVlabs/stylegan2-ada-pytorch (d72cc7d, torch_utils/persistence.py) pickles networks together with the source text of
their classes, which its own loader executes. Here a network becomes a `Record`, its class name and attributes; the
source is never looked at, and every global that data of this kind does not need is refused by its name.
"""

from __future__ import annotations

import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from datasets.checkpoints import load_plain_bytes
from datasets.pickles import Number, UnsafePickleError, number

_DEPTH = 16  # modules within modules; a generator has four levels


@dataclass(frozen=True)
class Record:
    """A pickled module: its class's name, and its attributes as they were stored."""

    class_name: str
    state: Mapping[str, Any]

    def __setstate__(self, state: Any) -> None:
        raise UnsafePickleError("refused to change a module after it was made")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that still lies in its blob; only those of the generator are unpacked."""

    blob: bytes
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: Any) -> None:
        raise UnsafePickleError("refused to change a tensor after it was made")

    def unpack(self) -> Tensor:
        storage = load_plain_bytes(self.blob, "a tensor's storage")
        if not isinstance(storage, torch.TypedStorage):
            raise ValueError(f"a tensor's storage holds {type(storage).__name__}")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "TypedStorage is deprecated")
            data = torch.empty(0, dtype=storage.dtype).set_(storage.untyped())
        if prod(self.size) > len(data):  # strides of 0 would make a huge tensor of few numbers
            raise ValueError(f"a tensor of shape {list(self.size)} over {len(data)} numbers")
        return data.as_strided(self.size, self.stride, self.offset).clone()


class _Call:
    """An allowed function, as the pickle sees it: it can be called and cannot be changed."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise UnsafePickleError("refused to change a function")


def _record(meta: Any) -> Record:
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("state"), dict):
        raise UnsafePickleError("a persistent object without class and state")
    return Record(str(meta.get("class_name")), meta["state"])


def _tensor(blob: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> StoredTensor:
    numbers = (offset, *size, *stride)
    if not isinstance(blob, bytes) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise UnsafePickleError(f"a tensor of offset, shape and strides {offset}, {size}, {stride}")
    return StoredTensor(blob, offset, tuple(size), tuple(stride))


def _first(value: Any, *_: Any) -> Any:
    return value


# Classes are those that neither instances nor the pickle can change; everything else is wrapped.
_GLOBALS: dict[tuple[str, str], Any] = {
    ("builtins", "set"): set,
    ("collections", "OrderedDict"): OrderedDict,
    ("dnnlib.util", "EasyDict"): dict,
    ("numpy", "dtype"): _Call(Number),
    ("numpy.core.multiarray", "scalar"): _Call(number),
    ("numpy._core.multiarray", "scalar"): _Call(number),
    ("torch._utils", "_rebuild_parameter"): _Call(_first),
    ("torch._utils", "_rebuild_tensor_v2"): _Call(_tensor),
    ("torch.storage", "_load_from_bytes"): _Call(_first),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _Call(_record),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _GLOBALS[module, name]
        except KeyError:
            hint = ""
            if module.startswith("dnnlib.tflib"):
                hint = "; a TensorFlow network: convert it with legacy.py of NVlabs/stylegan2-ada-pytorch"
            raise UnsafePickleError(f"refused global {module}.{name}{hint}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafePickleError(f"refused persistent reference {str(pid)[:80]!r}")


def read_networks(handle: BinaryIO) -> dict[str, Any]:
    """The pickle's content by name (G, D, G_ema, ...); networks as Records. Raises ValueError and UnsafePickleError."""
    try:
        content = _Unpickler(handle).load()
    except UnsafePickleError:
        raise
    except Exception as error:  # a torn or crafted pickle can raise nearly anything
        raise ValueError(f"not a readable pickle ({type(error).__name__}: {error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"expected a pickled dict with G_ema, found {type(content).__name__}")
    return content


def read_generator(path: Path) -> tuple[dict[str, Tensor], float | None]:
    """State dict of G_ema under StyleGAN2-ADA's names, and the bound on its layers' outputs (conv_clamp).

    Raises ValueError that names the file and what was refused or found.
    """
    try:
        with path.open("rb") as handle:
            content = read_networks(handle)
        record = content.get("G_ema")
        if not isinstance(record, Record):
            raise ValueError(f"holds no network G_ema; found {', '.join(map(str, content)) or 'nothing'}")
        modules = dict(_modules(record))
        state = {
            f"{prefix}{name}": value.unpack()
            for prefix, module in modules.items()
            for part in ("_parameters", "_buffers")
            for name, value in module.state.get(part, {}).items()
            if isinstance(value, StoredTensor)
        }
        for prefix, module in modules.items():
            _check_kind(prefix, module.state)
        clamps = {module.state["conv_clamp"] for module in modules.values() if "conv_clamp" in module.state}
        if len(clamps) > 1:
            raise ValueError(f"layers with different conv_clamp: {sorted(clamps, key=str)}; one for all is read")
        return state, clamps.pop() if clamps else None
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}") from None
    except (ValueError, TypeError, AttributeError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: no StyleGAN2-ADA generator that can be read ({error})") from error


def _check_kind(prefix: str, attributes: Mapping[str, Any]) -> None:
    """Raises ValueError for a layer that its arguments made another function than the one that is built here."""
    linear = prefix.endswith(("affine.", "embed."))
    expected = {
        "architecture": "skip",
        "activation": "linear" if linear else "lrelu",
        "bias_gain": 0.01 if prefix.startswith("mapping.fc") else 1,  # the learning rate's multiplier
        "use_noise": True,
        "img_channels": 3,
    }
    for name, wanted in expected.items():
        if name in attributes and attributes[name] != wanted:
            raise ValueError(f"{prefix}{name} is {attributes[name]!r}; only {wanted!r} is read")


def _modules(record: Record, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Record]]:
    """The module and all below it, each with the prefix of its tensors' names."""
    if depth > _DEPTH:
        raise ValueError(f"modules nest deeper than {_DEPTH} levels")
    yield prefix, record
    for name, child in record.state.get("_modules", {}).items():
        if not isinstance(child, Record):
            raise ValueError(f"{prefix}{name} is no module but {type(child).__name__}")
        yield from _modules(child, f"{prefix}{name}.", depth + 1)
