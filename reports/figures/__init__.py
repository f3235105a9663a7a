"""Figures of a run as PNG and PDF, reproducible to the byte."""

from reports.figures.charts import differences, distributions, front, quality_over_seconds, scatter
from reports.figures.draw import Choice, draw
from reports.figures.images import choose_images, error_maps, grid
from reports.figures.style import COLOURS, MARKERS, save

__all__ = [
    "COLOURS", "MARKERS", "Choice", "choose_images", "differences", "distributions", "draw", "error_maps", "front",
    "grid", "quality_over_seconds", "save", "scatter",
]  # fmt: skip
