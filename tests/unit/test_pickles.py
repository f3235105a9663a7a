"""Pickles of numpy arrays are read; anything else is refused before it runs."""

from __future__ import annotations

import builtins
import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from datasets.pickles import UnsafePickleError, load_numpy_pickle


class Call:
    """Pickles as function(*arguments)."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(5))  # protocol 5 builds arrays through another global, which is refused
def test_nested_arrays(tmp_path, protocol):
    data = OrderedDict(a={"kernel": np.arange(6.0).reshape(2, 3)}, b=[np.float16([1, 2]), "text", 3])
    if protocol < 3:
        data = {"b": ["text", 3, {"c": (1.5, None)}]}  # older protocols need codecs.encode for the bytes
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    found = load_numpy_pickle(path)
    if protocol >= 3:
        assert np.array_equal(found["a"]["kernel"], data["a"]["kernel"])
        assert found["b"][0].dtype == np.float16
    else:
        assert found == data


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("nest", [lambda x: x, lambda x: {"a": [x]}, lambda x: OrderedDict(a=(1, {"b": x}))])
def test_os_system_is_refused_and_not_run(tmp_path, protocol, nest):
    proof = tmp_path / "ran"
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(nest(Call(os.system, f"touch {proof}")), protocol=protocol))
    with pytest.raises(UnsafePickleError, match=rf"a\.pkl: refused global {os.name}\.system"):
        load_numpy_pickle(path)
    assert not proof.exists()


@pytest.mark.parametrize("function", [builtins.eval, builtins.exec, builtins.getattr, np.load, np.fromfile, io.open])
def test_other_globals_are_refused(tmp_path, function):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([np.zeros(2), Call(function, "1")]))
    with pytest.raises(UnsafePickleError, match="refused global"):
        load_numpy_pickle(path)


def test_dotted_name_below_an_allowed_global(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__base__\x93.")
    with pytest.raises(UnsafePickleError, match=r"numpy\.ndarray\.__base__"):
        load_numpy_pickle(path)


def test_persistent_ids_are_refused(tmp_path):
    class Persistent(pickle.Pickler):
        def persistent_id(self, obj):
            return "storage" if isinstance(obj, bytes) else None

    buffer = io.BytesIO()
    Persistent(buffer).dump({"a": b"x"})
    path = tmp_path / "a.pkl"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(UnsafePickleError, match="persistent reference 'storage'"):
        load_numpy_pickle(path)


@pytest.mark.parametrize("data", [b"", b"hello", pickle.dumps({"a": 1})[:-3]])
def test_torn_pickles(tmp_path, data):
    path = tmp_path / "a.pkl"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.pkl: not a readable pickle"):
        load_numpy_pickle(path)
