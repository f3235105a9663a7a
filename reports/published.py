"""Numbers that papers print: reports/published.yaml as tables of their own, with source and recipe in the caption.

They were measured on other images, generators and metrics than a run's, so these tables stand apart, nothing is marked
as best, and every caption says so. What agrees with a run is set beside it by reports/beside.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from reports.table import Cell, Column, Row, Table

PATH = Path(__file__).parent / "published.yaml"
WARNING = "Published numbers under another recipe, set beside for orientation: they do not compare with this run's."


@cache
def _all() -> Mapping[str, Any]:
    found: Any = OmegaConf.to_container(OmegaConf.load(PATH))
    return found


def names() -> list[str]:
    return list(_all())


def entry(name: str) -> Mapping[str, Any]:
    """What the file says of a table."""
    found: Mapping[str, Any] = _all()[name]
    return found


def table(name: str) -> Table:
    """A published table; its cells are printed as the source prints them, without intervals."""
    entry = _all()[name]
    columns = tuple(
        Column(metric, each["title"], each["direction"], str(each.get("unit", "")))
        for metric, each in entry["columns"].items()
    )
    rows = tuple(Row(method, (method,), tuple(map(_cell, values))) for method, values in entry["rows"].items())
    said = {
        "Source": entry["source"],
        "How it came here": entry["via"],
        "Images": entry["images"],
        "Recipe": entry["recipe"],
    }
    caption = " ".join(
        [WARNING, *(f"{key}: {value}." for key, value in said.items()), entry.get("warning", "")]
    ).strip()
    title = f"{entry['title']} (published, another recipe)"
    return Table("published", "", "", title, caption, ("method",), columns, rows, intervals=False)


def _cell(text: str | None) -> Cell:
    return Cell(value=float(text), text=text) if text is not None else Cell(reason="the source gives no number")
