"""Encoding for the page: data as scripts, names as file names."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reports.table import Cell


def as_script(function: str, *arguments: Any) -> bytes:
    """A call of Bench.function with JSON arguments, as ASCII. Raises ValueError for NaN and infinity.

    The page parses a JSON string: it is several times faster than a JavaScript literal, and __proto__ is a plain key.
    """
    text = ", ".join(
        json.dumps(value) if isinstance(value, int) else f"JSON.parse({json.dumps(_json(value))})"
        for value in arguments
    )
    return f"Bench.{function}({text});\n".encode("ascii")


def packed(values: ArrayLike) -> str:
    """Values [N] as base64 of little-endian float32, NaN where there is none; "" when all are NaN."""
    array = np.asarray(values, dtype="<f4")
    return "" if np.isnan(array).all() else base64.b64encode(array.tobytes()).decode()


def cell(value: Cell) -> list[Any]:
    """A table cell as [mean, low, high, n, expected, mark, reason]; the mean may be None."""
    return [value.value, value.low, value.high, value.n, value.expected, value.mark, value.reason]


def slug(name: str) -> str:
    """A file name that needs no escaping in a URL: the name itself where possible, else with a hash of the name."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60]
    return plain if plain and plain == name else f"{plain or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
