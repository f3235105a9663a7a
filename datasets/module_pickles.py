"""Pickled modules, read as names and tensors without running anything in them.

StyleGAN2-ADA pickles networks with the source text of their classes, which its own loader executes
(NVlabs/stylegan2-ada-pytorch@d72cc7d, torch_utils/persistence.py); PTI saves such a network by `torch.save`, others a
whole `nn.Module`. Here a module becomes a `Record`, its class's name and its attributes. Source is never looked at. No
global of a file is imported: a class that is not known stands for itself by name and holds data; a call is refused.
"""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from datasets.pickles import Number, UnsafePickleError, number
from datasets.torch_files import PATHS, check_zip, load_plain_bytes

# Numbers that a tensor may claim beyond those that a file holds for it (a mean that is expanded to all layers, zeros).
MOST_EXPANDED = 2**27


@dataclass(frozen=True)
class Record:
    """A pickled module: its class's name, and its attributes as they were stored."""

    class_name: str
    state: Mapping[str, Any]

    def __setstate__(self, state: Any) -> None:
        raise UnsafePickleError("refused to change a module after it was made")

    def children(self) -> dict[str, Any]:
        """Parameters, buffers and modules by name; of an object that is not a module, its attributes."""
        if not any(key in self.state for key in ("_parameters", "_buffers", "_modules")):
            return dict(self.state)
        parts = (self.state.get(key) for key in ("_parameters", "_buffers", "_modules"))
        values = {name: value for part in parts if isinstance(part, Mapping) for name, value in part.items()}
        return {name: value.record() if isinstance(value, _Instance) else value for name, value in values.items()}


class _Named(type):
    """A class that a file names. pickle makes its instances by `__new__`; a call is a function in disguise."""

    def __call__(cls, *args: Any, **settings: Any) -> Any:
        raise UnsafePickleError(f"refused global {cls.__module__}.{cls.__qualname__}")


class _Instance:
    """What a file says of an instance of a class that is not known; `plain` makes a Record of it."""

    def __new__(cls, *_: Any) -> _Instance:
        made = super().__new__(cls)
        made.attributes = {}
        return made

    attributes: dict[Any, Any]

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}

    def __setitem__(self, key: Any, value: Any) -> None:  # of a subclass of dict
        self.attributes[key] = value

    def record(self) -> Record:
        return Record(type(self).__qualname__, self.attributes)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that still lies in its file; only those that are needed are unpacked.

    storage: gives its numbers, as a tensor of one dimension.
    """

    storage: Callable[[], Tensor]
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: Any) -> None:
        raise UnsafePickleError("refused to change a tensor after it was made")

    def unpack(self) -> Tensor:
        data = self.storage()
        if prod(self.size) - len(data) > MOST_EXPANDED:  # strides of 0 make a huge tensor of few numbers
            raise ValueError(f"a tensor of shape {list(self.size)} over {len(data)} numbers")
        return data.as_strided(self.size, self.stride, self.offset)


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


def _of_blob(blob: bytes) -> Callable[[], Tensor]:
    if not isinstance(blob, bytes):
        raise UnsafePickleError("a tensor's storage that is no bytes")
    return partial(_unpacked, blob)


def _unpacked(blob: bytes) -> Tensor:
    storage = load_plain_bytes(blob, "a tensor's storage")
    if not isinstance(storage, torch.TypedStorage):
        raise ValueError(f"a tensor's storage holds {type(storage).__name__}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TypedStorage is deprecated")
        return torch.empty(0, dtype=storage.dtype).set_(storage.untyped())


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> StoredTensor:
    numbers = (offset, *size, *stride)
    if not callable(storage) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise UnsafePickleError(f"a tensor of offset, shape and strides {offset}, {size}, {stride}")
    return StoredTensor(storage, offset, tuple(size), tuple(stride))


def _first(value: Any, *_: Any) -> Any:
    return value


def _array(*_: Any) -> _Instance:
    """An array among a module's attributes; its content is not needed."""
    return _Instance()


def _text(*parts: Any) -> str:
    return "/".join(map(str, parts))


def _bytes(text: Any, coding: Any) -> bytes:
    """As old protocols write bytes."""
    if not isinstance(text, str) or coding != "latin1":
        raise UnsafePickleError("refused global _codecs.encode for what is no bytes")
    return text.encode("latin1")


_DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
# Classes are those that neither instances nor the pickle can change; everything else is wrapped.
_GLOBALS: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _Call(_bytes),
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("collections", "OrderedDict"): OrderedDict,
    ("dnnlib.util", "EasyDict"): dict,
    ("numpy", "dtype"): _Call(Number),
    ("numpy.core.multiarray", "scalar"): _Call(number),
    ("numpy._core.multiarray", "scalar"): _Call(number),
    ("numpy.core.multiarray", "_reconstruct"): _Call(_array),
    ("numpy._core.multiarray", "_reconstruct"): _Call(_array),
    ("torch", "Size"): _Call(tuple),
    ("torch", "device"): _Call(_text),
    ("torch._utils", "_rebuild_parameter"): _Call(_first),
    ("torch._utils", "_rebuild_tensor_v2"): _Call(_tensor),
    ("torch.storage", "_load_from_bytes"): _Call(_of_blob),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _Call(_record),
    **{path: _Call(_text) for path in PATHS},
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """members: reads a storage of a zip of `torch.save` by its key; None for a plain pickle."""

    def __init__(self, handle: BinaryIO, members: Callable[[str], bytes] | None = None):
        super().__init__(handle)
        self.members = members
        self.named: dict[tuple[str, str], type] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith(("dnnlib.tflib", "tfutil")):
            raise UnsafePickleError(
                f"refused global {module}.{name}; a TensorFlow network: convert it with legacy.py of "
                "NVlabs/stylegan2-ada-pytorch"
            )
        if (module, name) in _GLOBALS:
            return _GLOBALS[module, name]
        if (module, name) not in self.named:
            self.named[module, name] = _Named(name, (_Instance,), {"__module__": module, "__qualname__": name})
        return self.named[module, name]

    def persistent_load(self, pid: Any) -> Any:
        if self.members is None or not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise UnsafePickleError(f"refused persistent reference {str(pid)[:80]!r}")
        dtype, key = pid[1], str(pid[2])
        if not isinstance(dtype, torch.dtype):
            raise UnsafePickleError(f"refused a storage of {str(dtype)[:80]}")
        return partial(_of_member, self.members, key, dtype)


def _of_member(members: Callable[[str], bytes], key: str, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(bytearray(members(key)), dtype=dtype)


def read_pickle(path: Path) -> Any:
    """The content of a pickle, modules as Records. Raises ValueError or UnsafePickleError, without the file's name."""
    with path.open("rb") as handle:
        return _load(_Unpickler(handle))


def read_torch(path: Path) -> Any:
    """The same of a zip of `torch.save`, with its tensors unpacked where they lie outside of modules."""
    with path.open("rb") as handle:
        check_zip(handle, path.name)
    with zipfile.ZipFile(path) as bundle:
        name = next(name for name in bundle.namelist() if name.endswith("data.pkl"))
        folder = name.removesuffix("data.pkl")

    def member(key: str) -> bytes:
        with zipfile.ZipFile(path) as bundle:
            return bundle.read(f"{folder}data/{key}")

    with zipfile.ZipFile(path) as bundle:
        return _load(_Unpickler(io.BytesIO(bundle.read(name)), member), unpack=True)


def _load(unpickler: _Unpickler, unpack: bool = False) -> Any:
    try:
        return _plain(unpickler.load(), unpack)
    except UnsafePickleError:
        raise
    except Exception as error:  # a torn or crafted pickle can raise nearly anything
        raise ValueError(f"not a readable pickle ({type(error).__name__}: {error})") from error


def _plain(value: Any, unpack: bool, depth: int = 0) -> Any:
    """Containers with Records in place of instances; tensors outside of modules unpacked where that is asked for."""
    if depth > 32:
        raise ValueError("containers nest deeper than 32 levels")
    if isinstance(value, _Instance):
        return value.record()
    if isinstance(value, StoredTensor) and unpack:
        return value.unpack()
    if isinstance(value, dict):
        return {key: _plain(each, unpack, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, unpack, depth + 1) for item in value]
    return value
