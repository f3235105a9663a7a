"""The curves of identity over effect, whose areas are the identity at equal effect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.engine.store import JsonRow
from benchmarks.protocols.editing.store import EDITS, from_row
from metrics.editing import Target, identity_at, path

CURVES = {"dataset": "str", "method": "str", "image": "str", "attribute": "str", "effect": "float64",
          "identity": "float64"}  # fmt: skip
LEVELS = 12  # effects of a curve to either side


def curves(edited: Iterable[tuple[str, str, Mapping[str, JsonRow]]], targets: Sequence[Target]) -> pd.DataFrame:
    """A table of CURVES; the identity is NaN where an effect is not reached.

    Args:
        edited: data set, method, and the readings by image, of every pipeline.
        targets: the edited attributes.
    """
    rows = [(dataset, method, *point) for dataset, method, readings in edited for point in _points(readings, targets)]
    return pd.DataFrame(rows, columns=list(CURVES)).astype(CURVES)


def _points(readings: Mapping[str, JsonRow], targets: Sequence[Target]) -> Iterator[tuple[Any, ...]]:
    for image, row in readings.items():
        if "reason" in row[EDITS]:
            continue
        edits = from_row(row[EDITS])
        for target in targets:
            if math.isnan(edits.target_values[target.name] + edits.inversion.identity):
                continue
            for level in range(-LEVELS, LEVELS + 1):
                effect = target.reach * level / LEVELS
                identity = identity_at(*path(edits, target.name, 1 if level >= 0 else -1), abs(effect), target.reach)
                yield image, target.name, effect, identity
