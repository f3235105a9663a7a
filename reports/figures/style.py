"""The style and output of all figures: reproducible to the byte, legible in print and for colour-blind readers.

Neither the user's matplotlib settings nor pyplot's global state is used. Colours: the palette of Okabe and Ito for
colour-blind readers, without its yellow (too pale in print); markers differ too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from inversion_bench.files import write_bytes
from reports.table import Column

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
ACROSS = 3  # panels side by side
DPI = 200
COLUMN = 3.3  # inches: a column of a paper, for figures of one panel
LETTER = 0.068  # inches: of a title, on average
LEGEND_LINE, LEGEND_ROOM = 0.16, 0.6  # inches: a line of a legend, and what the panels of a figure leave for it
# The last two save time only: titles are not moved away from ticks above an axis, of which there are none, and the
# images of a PDF are not pasted into one of the size of the page.
_STYLE = {"font.family": "DejaVu Sans", "font.size": 7.0, "pdf.fonttype": 42, "axes.grid": True, "grid.alpha": 0.3,
          "axes.axisbelow": True, "axes.titley": 1.0, "image.composite_image": False}  # fmt: skip


def style() -> AbstractContextManager[None]:
    """The context within which figures are made and saved."""
    context: Callable[..., AbstractContextManager[None]] = matplotlib.style.context
    return context(["default", _STYLE])


def colour(index: int) -> str:
    """The colour of a method by its index in the run."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """The marker of a method; seven colours and eight markers (coprime) give 56 distinct pairs."""
    return MARKERS[index % len(MARKERS)]


def panels(number: int, width: float, height: float, extra: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A figure of panels, at most ACROSS side by side; call it within style().

    Args:
        number: of panels.
        width, height: of a panel, in inches; a single one is as wide as a column of a paper.
        extra: height of the figure in addition to its panels, in inches.
    """
    across = min(ACROSS, number)
    down = -(-number // across)
    width = COLUMN if number == 1 else width
    figure = Figure(figsize=(width * across, height * down + extra), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).flatten())
    for axis in axes[number:]:
        axis.set_visible(False)
    return figure, axes[:number]


def legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """One legend for all panels, below them, with as many columns as its longest entry allows."""
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if not handles:
        return
    room = figure.get_figwidth() / (0.35 + 0.055 * max(map(len, handles)))
    across = max(1, int(room))
    rows = -(-len(handles) // across)
    figure.set_figheight(figure.get_figheight() + max(0.0, LEGEND_LINE * rows - LEGEND_ROOM))
    box = figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=across,
                        frameon=False)  # fmt: skip
    for text in box.get_texts():
        text.set_parse_math(False)


def title(figure: Figure, text: str) -> None:
    """The title of a figure, in lines that fit its width."""
    figure.suptitle(wrap(text, int(figure.get_figwidth() / LETTER)), parse_math=False)


def heading(column: Column) -> str:
    """A metric's title with unit and direction."""
    return f"{column.heading} {column.arrow}"


def wrap(text: str, width: int = 16) -> str:
    """Text in lines of at most `width` characters, broken at spaces where possible."""
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


def save(figure: Figure, path: Path, kinds: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Write path + .png and .pdf, or one of them, atomically and without a date; returns the paths."""
    written = []
    undated = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
    with style():
        FigureCanvasAgg(figure)
        figure.set_dpi(DPI)
        if engine := figure.get_layout_engine():  # once: with an engine, matplotlib draws twice for every file
            engine.execute(figure)
            figure.set_layout_engine(None)
        for suffix in kinds:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix, dpi=DPI, metadata=undated[suffix])
            target = path.with_name(f"{path.name}.{suffix}")
            write_bytes(target, buffer.getvalue())
            written.append(target)
    return written


def plain(texts: Sequence[str]) -> list[str]:
    """Tick labels with escaped dollar signs, which would start a formula."""
    return [text.replace("$", r"\$") for text in texts]
