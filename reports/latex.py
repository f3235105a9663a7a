"""Tables as LaTeX: one document of booktabs tables that compiles as it is; each table can be copied into a paper.

A metric takes two columns, `r@{\\,}l`: the number to the right, its interval to the left, so that the decimals of a
column stand below each other without siunitx. Needs booktabs and geometry.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from reports.table import Cell, Column, Row, Table, count, letter, number

# More metrics than this do not fit the width of a page: the table goes on below with the next ones.
PANEL = 4
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
    """A complete document of the tables, in order."""
    return _HEAD + "\\clearpage\n".join(table(value) for value in tables) + "\\end{document}\n"


def table(value: Table) -> str:
    """A table environment: panels of at most PANEL metrics, caption, dagger and footnotes."""
    notes = []
    if any(cell.partial for _, _, cell in value.cells()):
        notes.append(rf"\textdagger{{}} {escape(value.dagger)}")
    notes += [rf"\textsuperscript{{{letter(place)}}} {escape(text)}" for place, text in enumerate(value.reasons())]
    panels = [_panel(value, range(start, min(start + PANEL, len(value.columns))))
              for start in range(0, len(value.columns), PANEL)]  # fmt: skip
    return "\n".join(
        [
            r"\begin{table}[p]",
            r"\centering",
            rf"\caption{{{escape(value.caption)}}}",
            r"\footnotesize",
            "\n\n\\medskip\n".join(panels),
            *(rf"\par\smallskip{{\scriptsize {note}}}" for note in notes),
            r"\end{table}",
            "",
        ]
    )


def _panel(value: Table, places: range) -> str:
    columns = [value.columns[place] for place in places]
    reasons = value.reasons()
    header = [escape(text) for text in value.headers] + [
        rf"\multicolumn{{2}}{{c}}{{{_heading(column)}}}" for column in columns
    ]
    layout = "l" * len(value.headers) + r"r@{\,}l" * len(columns)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{layout}}}",
            r"\toprule",
            " & ".join(header) + r" \\",
            r"\midrule",
            *(_line(value, row, places, reasons) for row in value.rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _heading(column: Column) -> str:
    unit = f" ({escape(column.unit)})" if column.unit else ""
    return f"{escape(column.title)}{unit} {escape(column.arrow)}"


def _line(value: Table, row: Row, places: range, reasons: Sequence[str]) -> str:
    cells = [_cell(value, value.columns[place], row.cells[place], reasons) for place in places]
    return " & ".join([*(escape(label) for label in row.labels), *cells]) + r" \\"


def _cell(value: Table, column: Column, cell: Cell, reasons: Sequence[str]) -> str:
    if cell.value is None or cell.low is None or cell.high is None:
        return rf"\multicolumn{{2}}{{c}}{{n/a\textsuperscript{{{letter(reasons.index(cell.reason))}}}}}"
    signed = value.kind == "paired"
    text = _number(cell.value, column.digits, signed)
    if cell.mark in ("best", "better"):
        text = rf"\textbf{{{text}}}"
    elif cell.mark == "second":
        text = rf"\underline{{{text}}}"
    bounds = ", ".join(_number(bound, column.digits, signed) for bound in (cell.low, cell.high))
    dagger = r"\textsuperscript{\textdagger}" if cell.partial else ""
    said = count(value, cell)
    return rf"{text} & {dagger}{{\scriptsize {{[}}{bounds}{{]}}{f' {said}' if said else ''}}}"


def _number(value: float, digits: int, signed: bool) -> str:
    return number(value, digits, signed).replace("-", "$-$").replace("+", r"{+}")
