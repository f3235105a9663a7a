"""Tables as LaTeX: a document of booktabs tables that compiles on its own; single tables can be copied into a paper.

A metric takes two columns, `r@{\\,}l`: the number flush right, its interval flush left, so that decimals are aligned.
Numbers are written as siunitx's `\\num{...}` and follow its settings; where siunitx is not installed, the document
defines the macro itself. Needs booktabs and geometry.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from reports.table import EQUIVALENT, Cell, Column, Row, Table, bounded, common, count, letter, measured, number

# More metrics than this do not fit the width of a page: the table continues below with the next ones.
PANEL, PANEL_WITHOUT_INTERVALS, COLUMN = 4, 9, 4
# Capacity of a landscape A4 page in footnote size, measured by compiling: lines, and characters per line of text.
LINES, CHARACTERS = 46, 155
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    "-": "{-}", "[": "{[}", "]": "{]}", "*": "{*}", "µ": r"\textmu{}", "μ": r"\textmu{}", "×": r"$\times$",
    "±": r"$\pm$", "−": "$-$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\rightarrow$", "↓": r"$\downarrow$",
    "↑": r"$\uparrow$", "†": r"\textdagger{}", "°": r"\textdegree{}", "–": "--", "—": "---",
    "’": r"\textquoteright{}",
}  # fmt: skip
_HEAD = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{booktabs}
\IfFileExists{siunitx.sty}{\usepackage{siunitx}\sisetup{detect-all,retain-explicit-plus}}{}
\providecommand{\num}[2][]{\printsigned#2\relax}
\def\printsigned#1#2\relax{\if-#1\textminus\else#1\fi#2}
\begin{document}
"""


def escape(text: str) -> str:
    """Plain text for LaTeX. Letters that pdfTeX's fonts lack (outside Latin-1) are written as their code point."""
    line = " ".join("".join(char if char.isprintable() else " " for char in unicodedata.normalize("NFC", text)).split())
    return "".join(_character(char) for char in line)


def _character(char: str) -> str:
    if char in _SPECIAL:
        return _SPECIAL[char]
    if " " <= char <= "~" or "À" <= char <= "ÿ":
        return char
    return f"{{[}}U+{ord(char):04X}{{]}}"


def document(tables: Iterable[Table]) -> str:
    """A complete document of the tables and of their metrics' recipes."""
    tables = list(tables)
    return _HEAD + "\\clearpage\n".join([*map(table, tables), recipes(tables)]) + "\\end{document}\n"


def recipes(tables: Iterable[Table]) -> str:
    """The metrics that the captions name, with version and recipe: a list to \\input in a paper."""
    columns = measured(tables)
    if not columns:
        return ""
    named = (rf"\textbf{{{escape(one.title)} v{one.version}:}} {escape(one.recipe)}." for one in columns)
    lines = (rf"\par\smallskip\noindent {text}" for text in (*named, *map(escape, common(columns))))
    return "\n".join([r"{\footnotesize\sloppy", *lines, r"\par}", ""])


def _caption(value: Table) -> str:
    """A table's title and caption with the versions of its metrics; their recipes are a separate list."""
    named = "; ".join(f"{one.title} v{one.version}" for one in measured([value]))
    return value.text + (f" Metrics: {named}." if named else "")


def label(value: Table) -> str:
    """What `\\ref` names a table by: its kind, protocol, data set and section, in letters, digits and hyphens."""
    words = [value.kind, value.protocol, value.dataset, *(column.section for column in value.columns[:1])]
    if not (value.protocol or value.dataset):
        words = [value.title.lower()]
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(filter(None, words))).strip("-") or "table"


def part(value: Table) -> str:
    """A table for \\input, with what its document has to load."""
    needs = "% \\usepackage{booktabs,textcomp} and siunitx, or \\newcommand{\\num}[1]{#1}\n"
    about = f"% \\ref{{tab:{label(value)}}}; recipes.tex has the recipes of the metrics\n"
    return needs + about + table(value)


def column_wide(value: Table) -> str:
    """The same for one column of a paper in two columns: means alone, at most COLUMN metrics side by side."""
    return table(replace(value, intervals=False, caption=""), COLUMN)


def table(value: Table, across: int = 0) -> str:
    """A table environment with caption, label, dagger and footnotes; long tables continue in further environments.

    Args:
        value: the table.
        across: metrics side by side; 0 for as many as a landscape page has room for.
    """
    notes = []
    if any(cell.partial for _, _, cell in value.cells()):
        notes.append(rf"\textdagger{{}} {escape(value.dagger)}")
    notes += [rf"\textsuperscript{{{letter(index)}}} {escape(text)}" for index, text in enumerate(value.reasons())]
    pages: list[list[str]] = [[]]
    left = LINES - _lines(_caption(value))
    for indices in _panels(value, across):
        for rows in _pieces(value.rows):
            body = _panel(value, indices, rows)
            used = body.count("\n") + 1
            if used > left and pages[-1]:
                pages.append([])
                left = LINES
            pages[-1].append(body)
            left -= used
    if sum(map(_lines, notes)) > left and len(pages[-1]) > 1:
        pages.append([pages[-1].pop()])
    return "".join(_page(value, pages, index, notes) for index in range(len(pages)))


def _lines(text: str) -> int:
    return -(-len(text) // CHARACTERS)


def _page(value: Table, pages: Sequence[Sequence[str]], index: int, notes: Sequence[str]) -> str:
    # LaTeX measures a caption on one line, which may not exceed 16,384 pt; a box of fixed width avoids that.
    box = rf"\protect\parbox[t]{{.92\linewidth}}{{\footnotesize {escape(_caption(value))}}}"
    head = (
        r"Table~\thetable{} (continued)\par\medskip"
        if index
        else rf"\caption[{{{escape(value.title)}}}]{{{box}}}\label{{tab:{label(value)}}}\medskip"
    )
    foot = [rf"\par\smallskip{{\scriptsize {note}}}" for note in notes if index == len(pages) - 1]
    body = [head, "\n\n\\medskip\n".join(pages[index]), *foot]
    return "\n".join([r"\begin{table}[p]", r"\centering", r"\footnotesize", *body, r"\end{table}", ""])


def _panels(value: Table, across: int = 0) -> Iterator[list[int]]:
    """Indices of the columns that are printed side by side; groups of columns stay together where they fit."""
    size = across or (PANEL if value.intervals else PANEL_WITHOUT_INTERVALS)
    panel: list[int] = []
    for _, members in groupby(range(len(value.columns)), key=lambda index: value.columns[index].group):
        group = list(members)
        if panel and len(panel) + len(group) > size:
            yield panel
            panel = []
        while len(group) > size:
            yield group[:size]
            group = group[size:]
        panel += group
    if panel:
        yield panel


def _pieces(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows that are printed on one page: complete bands where they fit, at most half a page's lines."""
    piece: list[Row] = []
    for _, members in groupby(rows, key=lambda row: row.band):
        band = list(members)
        if piece and len(piece) + len(band) > LINES // 2:
            yield piece
            piece = []
        while len(band) > LINES // 2:
            yield band[: LINES // 2]
            band = band[LINES // 2 :]
        piece += band
    if piece:
        yield piece


def _panel(value: Table, indices: Sequence[int], rows: Sequence[Row]) -> str:
    columns = [value.columns[index] for index in indices]
    reasons = value.reasons()
    header = [escape(text) for text in value.headers] + [
        rf"\multicolumn{{2}}{{c}}{{{_heading(column)}}}" for column in columns
    ]
    lines: list[str] = []
    for band, members in groupby(rows, key=lambda row: row.band):
        if band:
            lines += [r"\addlinespace"] * bool(lines)
            lines.append(rf"\multicolumn{{{len(value.headers) + 2 * len(columns)}}}{{l}}{{\itshape {escape(band)}}} \\")
        lines += [_line(value, row, indices, reasons) for row in members]
    layout = "l" * len(value.headers) + r"r@{\,}l" * len(columns)
    head = [rf"\begin{{tabular}}{{{layout}}}", r"\toprule", *_spanners(len(value.headers), columns)]
    body = [" & ".join(header) + r" \\", r"\midrule", *lines]
    return "\n".join([*head, *body, r"\bottomrule", r"\end{tabular}"])


def _spanners(labels: int, columns: Sequence[Column]) -> Iterator[str]:
    """The header line of column groups and the rules below it; empty where no column has a group."""
    if not any(column.group for column in columns):
        return
    cells, rules, start = [""] * labels, [], labels + 1
    for group, members in groupby(columns, key=lambda column: column.group):
        width = 2 * len(list(members))
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    yield " & ".join(cells) + r" \\"
    yield "".join(rules)


def _heading(column: Column) -> str:
    return f"{escape(column.heading)} {escape(column.arrow)}"


def _line(value: Table, row: Row, indices: Sequence[int], reasons: Sequence[str]) -> str:
    cells = [_cell(value, value.columns[index], row.cells[index], reasons) for index in indices]
    return " & ".join([*(escape(label) for label in row.labels), *cells]) + r" \\"


def _cell(value: Table, column: Column, cell: Cell, reasons: Sequence[str]) -> str:
    if cell.value is None:
        return rf"\multicolumn{{2}}{{c}}{{n/a\textsuperscript{{{letter(reasons.index(cell.reason))}}}}}"
    signed = value.kind == "paired"
    text = escape(cell.text) if cell.text else _number(cell.value, column.digits, signed)
    if cell.mark in ("best", "better"):
        text = rf"\textbf{{{text}}}"
    elif cell.mark == "second":
        text = rf"\underline{{{text}}}"
    suffix = [r"\textsuperscript{\textdagger}"] if cell.partial else []
    if bounded(value, cell):
        pair = (bound for bound in (cell.low, cell.high) if bound is not None)
        bounds = ", ".join(_number(bound, column.digits, signed) for bound in pair)
        suffix.append(rf"{{\scriptsize {{[}}{bounds}{{]}}}}")
    if cell.mark == "equivalent":
        suffix.append(rf"{{\scriptsize {EQUIVALENT}}}")
    if images := count(value, cell):
        suffix.append(rf"{{\scriptsize {escape(images)}}}")
    return f"{text} & {' '.join(suffix)}"


def _number(value: float, digits: int, signed: bool) -> str:
    return rf"\num{{{number(value, digits, signed)}}}"
