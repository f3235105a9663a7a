"""Tables as LaTeX: a document of booktabs tables that compiles on its own; single tables can be copied into a paper.

A metric takes two columns, `r@{\\,}l`: the number flush right, its interval flush left, so that decimals are aligned.
Numbers are written as siunitx's `\\num{...}` and follow its settings; where siunitx is not installed, the document
defines the macro itself. Needs booktabs, geometry and graphicx.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from reports.table import EQUIVALENT, Cell, Column, Row, Table, bounded, common, count, letter, measured, number

# More metrics than this do not fit the width of a page: the table continues below with the next ones.
PANEL, PANEL_WITHOUT_INTERVALS = 4, 9
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
\usepackage[a4paper,GEOMETRY]{geometry}
\usepackage{booktabs,graphicx}
\IfFileExists{siunitx.sty}{\usepackage{siunitx}\sisetup{detect-all,retain-explicit-plus}}{}
\providecommand{\num}[2][]{\printsigned#2\relax}
\def\printsigned#1#2\relax{\if-#1\textminus\else#1\fi#2}
FIT\begin{document}
"""
# A table that is wider than its place is scaled down; box 0 is TeX's own for such uses.
_FIT = r"""\providecommand{\fit}[1]{\sbox0{#1}%
  \ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi}
"""


@dataclass(frozen=True)
class Page:
    """How tables stand on an A4 page in footnote size; its capacity was measured by compiling.

    Attributes:
        geometry: of the page.
        place: where tables may stand, as LaTeX says it.
        lines: that fit.
        characters: of a line of text.
        across: metrics side by side; 0 for as many as there is room for.
        scaled: whether a table that is too wide is scaled down.
        caption: its width, in parts of the line's; the rest is for "Table 1:".
    """

    geometry: str
    place: str
    lines: int
    characters: int
    across: int = 0
    scaled: bool = False
    caption: float = 0.92

    @property
    def head(self) -> str:
        return _HEAD.replace("GEOMETRY", self.geometry).replace("FIT", _FIT if self.scaled else "")


SHEETS = Page("landscape,margin=15mm", "p", 46, 155)
# What a paper has on one page: two data sets side by side, with the numbers of the paper and the recipes below.
PAPER = Page("margin=13mm", "!h", 76, 110, across=14, scaled=True)
COLUMN = Page("", "t", 55, 60, across=3, scaled=True, caption=0.8)


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


def document(tables: Iterable[Table], page: Page = SHEETS) -> str:
    """A complete document of the tables and of their metrics' recipes."""
    tables = list(tables)
    between = "\\clearpage\n" if page is SHEETS else ""
    return page.head + between.join([*(table(each, page) for each in tables), recipes(tables)]) + "\\end{document}\n"


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
    """The same for one column of a paper in two columns: means alone, scaled to its width where they are wider."""
    needs = "% \\usepackage{booktabs,graphicx,textcomp} and siunitx, or \\newcommand{\\num}[1]{#1}\n"
    return needs + _FIT + table(replace(value, intervals=False, caption=""), COLUMN)


def table(value: Table, page: Page = SHEETS) -> str:
    """A table environment with caption, label, dagger and footnotes; long tables continue in further environments."""
    notes = []
    if any(cell.partial for _, _, cell in value.cells()):
        notes.append(rf"\textdagger{{}} {escape(value.dagger)}")
    notes += [rf"\textsuperscript{{{letter(index)}}} {escape(text)}" for index, text in enumerate(value.reasons())]
    pages: list[list[str]] = [[]]
    left = page.lines - _lines(_caption(value), page)
    for indices in _panels(value, page.across):
        for rows in _pieces(value.rows, page.lines // 2):
            body = _panel(value, indices, rows)
            used = body.count("\n") + 1
            if used > left and pages[-1]:
                pages.append([])
                left = page.lines
            pages[-1].append(body)
            left -= used
    if sum(_lines(note, page) for note in notes) > left and len(pages[-1]) > 1:
        pages.append([pages[-1].pop()])
    return "".join(_page(value, page, pages, index, notes) for index in range(len(pages)))


def _lines(text: str, page: Page) -> int:
    return -(-len(text) // page.characters)


def _page(value: Table, page: Page, pages: Sequence[Sequence[str]], index: int, notes: Sequence[str]) -> str:
    # LaTeX measures a caption on one line, which may not exceed 16,384 pt; a box of fixed width avoids that.
    box = rf"\protect\parbox[t]{{{page.caption}\linewidth}}{{\footnotesize {escape(_caption(value))}}}"
    head = (
        r"Table~\thetable{} (continued)\par\medskip"
        if index
        else rf"\caption[{{{escape(value.title)}}}]{{{box}}}\label{{tab:{label(value)}}}\medskip"
    )
    foot = [rf"\par\smallskip{{\scriptsize {note}}}" for note in notes if index == len(pages) - 1]
    bodies = [rf"\fit{{{body}}}" for body in pages[index]] if page.scaled else pages[index]
    body = [head, "\n\n\\medskip\n".join(bodies), *foot]
    narrow = [r"\setlength{\tabcolsep}{3pt}"] if page.scaled else []
    begin = [rf"\begin{{table}}[{page.place}]", r"\centering", r"\footnotesize", *narrow]
    return "\n".join([*begin, *body, r"\end{table}", ""])


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


def _pieces(rows: Sequence[Row], most: int) -> Iterator[list[Row]]:
    """Rows that are printed on one page: complete bands where they fit, at most so many."""
    piece: list[Row] = []
    for _, members in groupby(rows, key=lambda row: row.band):
        band = list(members)
        if piece and len(piece) + len(band) > most:
            yield piece
            piece = []
        while len(band) > most:
            yield band[:most]
            band = band[most:]
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
