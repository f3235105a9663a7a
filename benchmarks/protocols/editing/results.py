"""From what was read of edited pictures to rows of the tables, and the curves that figures draw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from benchmarks.engine.plan import Plan
from benchmarks.engine.run import Run
from benchmarks.engine.store import Row
from benchmarks.protocols.editing import sets as editing_sets
from benchmarks.protocols.editing.measure import EditStore, from_row
from benchmarks.protocols.editing.plan import Editing
from methods.editing.pictures import tiles
from metrics.base import MetricInfo
from metrics.edit_protocol import AGAIN, EDITING, LINES, infos, values
from metrics.editing import identity_at, path

NOT_YET = "not edited yet"
CURVES = {"dataset": "str", "method": "str", "image": "str", "attribute": "str", "effect": "float64",
          "identity": "float64"}  # fmt: skip
LEVELS = 12  # effects of a curve to either side


def metrics(plan: Plan) -> dict[str, list[MetricInfo]]:
    """The metrics of each protocol of editing; none for a suite that does not edit."""
    return infos(plan.editing.targets) if plan.editing else {}


def describe(editing: Editing) -> dict[str, Any]:
    """What figures of edited pictures have to know: the attributes, and what stands where in a sheet."""
    return {
        "attributes": [
            {"name": t.name, "title": t.title, "unit": t.unit, "slope": t.slope, "reach": t.reach}
            for t in editing.targets
        ],
        "sheet": [[tile.attribute, tile.strength] for tile in tiles(editing.directions)],
        "digest": editing.digest,
    }


class StageRunEdits:
    """What is known of one stage run."""

    def __init__(self, run: Run, key: str):
        self.key = key
        assert run.plan.editing is not None
        self.editing, self.dataset = run.plan.editing, run.plan.stage_run(key).dataset
        self.rows = EditStore(run.out, key).rows(run.plan.editing.digest)
        self.sets = editing_sets.read(run, key)

    def states(self, image: str) -> Iterator[tuple[str, MetricInfo, Row]]:
        """Protocol, metric, and value or status and reason, of every metric that is about the image."""
        for protocol, about in infos(self.editing.targets).items():
            if image in self.editing.images[self.dataset]:
                if protocol == AGAIN and not self._again(image):
                    continue
                found = self._values(protocol, image)
                for info in about:
                    value, status, reason = found.get(info.name, (None, "failed", self._why(protocol, image)))
                    yield (
                        protocol,
                        info,
                        {"value": value} if value is not None else {"status": status, "reason": reason},
                    )

    def _again(self, image: str) -> bool:
        return self.key in self.editing.again_keys and image in self.editing.again[self.dataset]

    def _part(self, protocol: str, image: str) -> dict[str, Any]:
        name = {AGAIN: "again", LINES: "line"}.get(protocol, "edits")
        part: dict[str, Any] = self.rows.get(image, {}).get(name, {"reason": NOT_YET})
        return part

    def _why(self, protocol: str, image: str) -> str:
        return str(self._part(protocol, image).get("reason", "the measurement is not finite"))

    def _values(self, protocol: str, image: str) -> dict[str, tuple[float | None, str, str]]:
        part = self._part(protocol, image)
        if "reason" in part:
            return {}
        found: dict[str, tuple[float | None, str, str]] = {}
        if protocol == LINES:
            found = {name: (value, "failed", "the measurement is not finite") for name, value in part.items()}
        elif protocol == AGAIN:
            # None is what a method that tunes the generator has no value of.
            found = {name: (value, "skipped", "the code of a tuned generator is no code of the shared one")
                     for name, value in part.items()}  # fmt: skip
        else:
            for name, (value, reason) in values(from_row(part), self.editing.targets).items():
                found[name] = value, "failed", reason
        for name, numbers in self.sets.items():
            if (name == "edit_frechet_alex") == (protocol == EDITING):
                number = numbers.get(image, "the set's distance is not computed yet")
                found[name] = (None, "failed", number) if isinstance(number, str) else (number, "ok", "")
        return found

    def curves(self, method: str) -> Iterator[tuple[Any, ...]]:
        """Rows of CURVES: the identity of every image at equal effects; NaN where an effect is not reached."""
        for image in self.editing.images[self.dataset]:
            part = self._part(EDITING, image)
            if "reason" in part:
                continue
            edits = from_row(part)
            for target in self.editing.targets:
                if math.isnan(edits.target_values[target.name]):
                    continue
                for level in range(-LEVELS, LEVELS + 1):
                    effect = target.reach * level / LEVELS
                    identity = identity_at(*path(edits, target.name, 1 if level >= 0 else -1), abs(effect))
                    yield self.dataset, method, image, target.name, effect, identity


def curves(run: Run) -> pd.DataFrame:
    """The curves whose areas are the identity at equal effect."""
    rows = [row for (method, _), key in run.plan.leaf.items() if run.plan.editing and key in run.plan.editing.keys
            for row in StageRunEdits(run, key).curves(method)]  # fmt: skip
    return pd.DataFrame(rows, columns=list(CURVES)).astype(CURVES)
