"""Pickles of plain data, read without running code: only the globals listed here are allowed."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np


class UnsafePickleError(ValueError):
    """A pickle names a global that is not plain data."""


def _numpy_reconstruct(*args: Any) -> Any:
    return np._core.multiarray._reconstruct(*args)  # type: ignore[attr-defined]


_NUMPY_GLOBALS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _numpy_reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _numpy_reconstruct,
    ("collections", "OrderedDict"): OrderedDict,
}


class Number:
    """The type of a numpy scalar by its name; numpy is not called with content of the file."""

    def __init__(self, name: str, *_: bool):
        if name not in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
            raise UnsafePickleError(f"refused numpy type {name!r}")
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "="

    def read(self, raw: bytes) -> Any:
        return np.frombuffer(raw, np.dtype(self.order + self.name))[0].item()


def number(kind: Number, raw: bytes) -> Any:
    """A pickled numpy scalar as a Python number."""
    if not isinstance(kind, Number) or not isinstance(raw, bytes):
        raise UnsafePickleError("refused a numpy scalar that is not one number")
    return kind.read(raw)


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NUMPY_GLOBALS[module, name]
        except KeyError:
            allowed = ", ".join(f"{m}.{n}" for m, n in _NUMPY_GLOBALS)
            raise UnsafePickleError(f"refused global {module}.{name}; only these are read: {allowed}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafePickleError(f"refused persistent reference {pid!r}")


def load_numpy_pickle(path: Path) -> Any:
    """Containers of numpy arrays. Raises UnsafePickleError with the file and the refused global."""
    try:
        return _NumpyUnpickler(io.BytesIO(path.read_bytes())).load()
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}") from None
    except (pickle.UnpicklingError, EOFError, IndexError, ValueError) as error:
        raise ValueError(f"{path}: not a readable pickle of numpy arrays ({error})") from error
