"""Published numbers: reports/published.yaml as separate tables, with source and recipe in the caption.

They were measured with other images, generators and metrics than a run's, so nothing is marked as best, and the caption
says so. published_comparison.py compares the numbers whose recipe agrees with a run's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from reports.table import Cell, Column, Row, Table

PATH = Path(__file__).parent / "published.yaml"
WARNING = "Published numbers under another recipe, for orientation only: they are not comparable with this run's."


@cache
def _all() -> Mapping[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(PATH)))


def names() -> list[str]:
    return list(_all())


def entry(name: str) -> Mapping[str, Any]:
    """The entry of a table in published.yaml."""
    return cast(Mapping[str, Any], _all()[name])


def table(name: str) -> Table:
    """A published table; cells are printed as in the source, without intervals."""
    entry = _all()[name]
    columns = tuple(
        Column(metric, one["title"], one["direction"], str(one.get("unit", "")))
        for metric, one in entry["columns"].items()
    )
    rows = tuple(Row(method, (method,), tuple(map(cell, values))) for method, values in entry["rows"].items())
    keys = {"Source": "source", "Obtained": "via", "Images": "images", "Recipe": "recipe"}
    parts = [WARNING, *(f"{title}: {entry[key]}." for title, key in keys.items()), entry.get("warning", "")]
    caption = " ".join(parts).strip()
    title = f"{entry['title']} (published, another recipe)"
    return Table("published", "", "", title, caption, ("method",), columns, rows, intervals=False)


def cell(text: str | None, reason: str = "the source gives no number") -> Cell:
    """A number as a cell, or n/a with the reason."""
    return Cell(value=float(text), text=text) if text is not None else Cell(reason=reason)
