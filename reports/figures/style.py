"""How every figure looks and is written: the same bytes every time, readable in print and for colour-blind readers.

Nothing of the user's matplotlib settings is used, nor pyplot's global state. Colours: Okabe and Ito's palette,
which colour-blind readers can tell apart, less its yellow (too pale in print); the marker differs too.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.table import Column

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
ACROSS = 3  # panels side by side
_STYLE = {"font.family": "DejaVu Sans", "font.size": 7.0, "pdf.fonttype": 42, "axes.grid": True, "grid.alpha": 0.3,
          "axes.axisbelow": True}  # fmt: skip


def style() -> AbstractContextManager[None]:
    context: Callable[..., AbstractContextManager[None]] = matplotlib.style.context
    return context(["default", _STYLE])


def colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def marker(place: int) -> str:
    """Seven colours and eight markers have no common divisor: 56 methods look different."""
    return MARKERS[place % len(MARKERS)]


def panels(number: int, width: float, height: float, extra: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels of the size in inches, at most ACROSS side by side. Call within style()."""
    across = min(ACROSS, number)
    down = -(-number // across)
    figure = Figure(figsize=(width * across, height * down + extra), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).flatten())
    for axis in axes[number:]:
        axis.set_visible(False)
    return figure, axes[:number]


def legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """One legend of all panels below them, with as many columns as its longest entry leaves room for."""
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if not handles:
        return
    room = figure.get_figwidth() / (0.35 + 0.055 * max(map(len, handles)))
    found = figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=max(1, int(room)), frameon=False
    )
    for text in found.get_texts():
        text.set_parse_math(False)


def heading(column: Column) -> str:
    return f"{column.heading} {column.arrow}"


def wrap(text: str, width: int = 16) -> str:
    """Lines of at most so many characters: broken at spaces where there are any."""
    lines: list[str] = []
    for line in text.splitlines():
        current = ""
        for word in line.split():
            while word:
                gap = " " if current else ""
                if len(current) + len(gap) + len(word) <= width:
                    current, word = current + gap + word, ""
                elif current:
                    lines.append(current)
                    current = ""
                else:
                    lines.append(word[:width])
                    word = word[width:]
        lines += [current] if current else []
    return "\n".join(lines)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write path + .png and .pdf atomically and without a date; returns both."""
    written = []
    for suffix, metadata in (
        ("png", {"Software": None}),
        ("pdf", {"CreationDate": None, "Producer": None, "Creator": None}),
    ):
        buffer = io.BytesIO()
        with style():
            FigureCanvasAgg(figure)
            if suffix == "pdf":
                figure.set_layout_engine("none")  # laid out already, for the PNG
            figure.savefig(buffer, format=suffix, dpi=200, metadata=metadata)
        target = path.with_name(f"{path.name}.{suffix}")
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.write_bytes(buffer.getvalue())
        os.replace(temporary, target)
        written.append(target)
    return written


def plain(texts: Sequence[str]) -> list[str]:
    """Tick labels as they are: a dollar sign would begin a formula."""
    return [text.replace("$", r"\$") for text in texts]
