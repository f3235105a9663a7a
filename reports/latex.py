"""Tables as LaTeX: one document of booktabs tables that compiles as it is; each table can be copied into a paper.

A metric takes two columns, `r@{\\,}l`: the number to the right, its interval to the left, so that the decimals of a
column stand below each other. Numbers are written as siunitx's `\\num{...}`: with siunitx they follow its settings, and
where it is not installed the document defines the macro itself. Needs booktabs and geometry.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from reports.table import Cell, Column, Row, Table, bounded, common, count, letter, measured, number

# More metrics than this do not fit the width of a page: the table goes on below with the next ones.
PANEL, PANEL_WITHOUT_INTERVALS = 4, 9
# What fits a landscape A4 page in footnote size, found by compiling: lines, and characters of running text in a line.
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
    """Plain text for LaTeX. Letters outside Latin-1 that pdfTeX's fonts lack are written as their code point."""
    line = " ".join("".join(char if char.isprintable() else " " for char in unicodedata.normalize("NFC", text)).split())
    return "".join(_character(char) for char in line)


def _character(char: str) -> str:
    if char in _SPECIAL:
        return _SPECIAL[char]
    if " " <= char <= "~" or "À" <= char <= "ÿ":
        return char
    return f"{{[}}U+{ord(char):04X}{{]}}"


def document(tables: Iterable[Table]) -> str:
    """A complete document of the tables, in order, and of their metrics' recipes."""
    tables = list(tables)
    return _HEAD + "\\clearpage\n".join([*map(table, tables), recipes(tables)]) + "\\end{document}\n"


def recipes(tables: Iterable[Table]) -> str:
    """The metrics that the captions name, with version and recipe: a list to \\input where a paper wants it."""
    columns = measured(tables)
    if not columns:
        return ""
    named = (rf"\textbf{{{escape(each.title)} v{each.version}:}} {escape(each.recipe)}." for each in columns)
    lines = (rf"\par\smallskip\noindent {text}" for text in (*named, *map(escape, common(columns))))
    return "\n".join([r"{\footnotesize\sloppy", *lines, r"\par}", ""])


def _caption(value: Table) -> str:
    """What is said above a table, with the versions of its metrics; their recipes are a list of their own."""
    named = "; ".join(f"{each.title} v{each.version}" for each in measured([value]))
    return value.text + (f" Metrics: {named}." if named else "")


def table(value: Table) -> str:
    """A table environment with caption, dagger and footnotes; what is too long for a page goes on in a next one."""
    notes = []
    if any(cell.partial for _, _, cell in value.cells()):
        notes.append(rf"\textdagger{{}} {escape(value.dagger)}")
    notes += [rf"\textsuperscript{{{letter(place)}}} {escape(text)}" for place, text in enumerate(value.reasons())]
    pages: list[list[str]] = [[]]
    left = LINES - _lines(_caption(value))
    for places in _panels(value):
        for rows in _pieces(value.rows):
            body = _panel(value, places, rows)
            used = body.count("\n") + 1
            if used > left and pages[-1]:
                pages.append([])
                left = LINES
            pages[-1].append(body)
            left -= used
    if sum(map(_lines, notes)) > left and len(pages[-1]) > 1:
        pages.append([pages[-1].pop()])
    return "".join(_page(value, pages, place, notes) for place in range(len(pages)))


def _lines(text: str) -> int:
    return -(-len(text) // CHARACTERS)


def _page(value: Table, pages: Sequence[Sequence[str]], place: int, notes: Sequence[str]) -> str:
    # LaTeX sets a caption on one line to measure it, and no line may be longer than 16,384 pt: what a layout says may
    # be. In a box of fixed width it never comes to that.
    box = rf"\protect\parbox[t]{{.92\linewidth}}{{\footnotesize {escape(_caption(value))}}}"
    head = (
        r"Table~\thetable{} (continued)\par\medskip"
        if place
        else rf"\caption[{{{escape(value.title)}}}]{{{box}}}\medskip"
    )
    return "\n".join(
        [
            r"\begin{table}[p]",
            r"\centering",
            r"\footnotesize",
            head,
            "\n\n\\medskip\n".join(pages[place]),
            *(rf"\par\smallskip{{\scriptsize {note}}}" for note in notes if place == len(pages) - 1),
            r"\end{table}",
            "",
        ]
    )


def _panels(value: Table) -> Iterator[list[int]]:
    """Places of the columns that stand side by side; a group of columns is kept together where it fits."""
    size = PANEL if value.intervals else PANEL_WITHOUT_INTERVALS
    panel: list[int] = []
    for _, found in groupby(range(len(value.columns)), key=lambda place: value.columns[place].group):
        group = list(found)
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
    """Rows that stand on one page: whole bands where they fit, never more than half a page's lines."""
    piece: list[Row] = []
    for _, found in groupby(rows, key=lambda row: row.band):
        band = list(found)
        if piece and len(piece) + len(band) > LINES // 2:
            yield piece
            piece = []
        while len(band) > LINES // 2:
            yield band[: LINES // 2]
            band = band[LINES // 2 :]
        piece += band
    if piece:
        yield piece


def _panel(value: Table, places: Sequence[int], rows: Sequence[Row]) -> str:
    columns = [value.columns[place] for place in places]
    reasons = value.reasons()
    header = [escape(text) for text in value.headers] + [
        rf"\multicolumn{{2}}{{c}}{{{_heading(column)}}}" for column in columns
    ]
    lines: list[str] = []
    for band, found in groupby(rows, key=lambda row: row.band):
        if band:
            lines += [r"\addlinespace"] * bool(lines)
            lines.append(rf"\multicolumn{{{len(value.headers) + 2 * len(columns)}}}{{l}}{{\itshape {escape(band)}}} \\")
        lines += [_line(value, row, places, reasons) for row in found]
    layout = "l" * len(value.headers) + r"r@{\,}l" * len(columns)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{layout}}}",
            r"\toprule",
            *_spanners(len(value.headers), columns),
            " & ".join(header) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _spanners(labels: int, columns: Sequence[Column]) -> Iterator[str]:
    """The line of column groups and the rules below them; nothing where no column has a group."""
    if not any(column.group for column in columns):
        return
    cells, rules, start = [""] * labels, [], labels + 1
    for group, found in groupby(columns, key=lambda column: column.group):
        width = 2 * len(list(found))
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    yield " & ".join(cells) + r" \\"
    yield "".join(rules)


def _heading(column: Column) -> str:
    return f"{escape(column.heading)} {escape(column.arrow)}"


def _line(value: Table, row: Row, places: Sequence[int], reasons: Sequence[str]) -> str:
    cells = [_cell(value, value.columns[place], row.cells[place], reasons) for place in places]
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
    behind = [r"\textsuperscript{\textdagger}"] if cell.partial else []
    if bounded(value, cell):
        bounds = ", ".join(
            _number(bound, column.digits, signed) for bound in (cell.low, cell.high) if bound is not None
        )
        behind.append(rf"{{\scriptsize {{[}}{bounds}{{]}}}}")
    if said := count(value, cell):
        behind.append(rf"{{\scriptsize {escape(said)}}}")
    return f"{text} & {' '.join(behind)}"


def _number(value: float, digits: int, signed: bool) -> str:
    return rf"\num{{{number(value, digits, signed)}}}"
