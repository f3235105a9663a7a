"""Reading pickles without running them: only data-building globals that are named here can be reached."""

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
    """Containers of plain numpy arrays from `path`. Raises UnsafePickleError, naming the file and the global."""
    try:
        return _NumpyUnpickler(io.BytesIO(path.read_bytes())).load()
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}") from None
    except (pickle.UnpicklingError, EOFError, IndexError, ValueError) as error:
        raise ValueError(f"{path}: not a readable pickle of numpy arrays ({error})") from error
