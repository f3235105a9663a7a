"""What a paper takes from a report: tables to input, tables for one column, references."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports import bibliography, latex
from reports.frame import read
from reports.summary import as_json, failed, headline, summary
from reports.tabulate import means, paired
from tests.unit.simulated_run import lose, rows, run_json, write

ROOT = Path(__file__).parents[2]
PAPER = r"""\documentclass[twocolumn]{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs,textcomp}
\newcommand{\num}[1]{#1}
\begin{document}
Tables \ref{tab:means-standard-faces} and \ref{tab:summary}. \nocite{*}
\input{wide}
\input{column}
\bibliographystyle{plain}\bibliography{references}
\end{document}
"""


def test_every_paper_that_is_named_has_an_entry() -> None:
    named = set()
    for folder in ("methods", "metrics", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            named |= set(bibliography.NUMBER.findall(path.read_text()))
    assert named and named <= set(bibliography.entries())
    keys = [re.match(r"@\w+\{(\w+),", entry)[1] for entry in bibliography.entries().values()]  # type: ignore[index]
    assert len(set(keys)) == len(keys)
    assert all(entry.count("{") == entry.count("}") for entry in bibliography.entries().values())


def test_a_run_cites_what_it_ran(tmp_path: Path) -> None:
    run = run_json(12)
    run["methods"]["plain"]["paper"] = "Roich et al., arXiv 2106.05744; Tov et al., arXiv 2102.02766"
    run["metrics"]["error_a"] = run["metrics"]["error_a"] | {"reference": "Zhang et al., arXiv 1801.03924"}
    found = bibliography.cited(read(write(tmp_path, rows(12), run)))
    assert re.findall(r"@\w+\{(\w+),", found) == ["tov2021designing", "roich2022pivotal", "zhang2018unreasonable"]


def test_tables_to_input_have_labels_and_fit_a_column(tmp_path: Path) -> None:
    results = read(write(tmp_path, rows(12), run_json(12)))
    wide, column = means(results, "faces", "standard"), paired(results, "faces", "standard", "plain")
    assert latex.part(wide).count(r"\label{tab:means-standard-faces}") == 1
    assert latex.label(summary(results)) == "summary" and latex.label(column) == "paired-standard-faces"
    narrow = latex.column_wide(wide)
    assert "{[}" not in narrow.split(r"\toprule")[1] and r"\label{tab:means-standard-faces}" in narrow


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_a_paper_takes_them(tmp_path: Path) -> None:
    results = read(write(tmp_path / "run", rows(12), run_json(12)))
    (tmp_path / "wide.tex").write_text(latex.part(means(results, "faces", "standard")))
    (tmp_path / "column.tex").write_text(latex.column_wide(summary(results)))
    (tmp_path / "references.bib").write_text("\n".join(bibliography.entries().values()))
    (tmp_path / "paper.tex").write_text(PAPER)
    for command in (
        ["pdflatex", "-halt-on-error", "paper"],
        ["bibtex", "paper"],
        ["pdflatex", "-halt-on-error", "paper"],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_summary_of_a_run(tmp_path: Path) -> None:
    frame = rows(12)
    lose(frame, "twin", lambda image: image == "im003", "it broke off")
    lose(frame, "fine", lambda image: image == "im004", "not run yet", "missing")
    results = read(write(tmp_path, frame, run_json(12)))
    table = summary(results)
    assert [column.name for column in table.columns] == ["error_a", "gain_b"] and not table.intervals
    assert failed(results) == {"twin": 1}, "what has not been run yet is no failure"
    assert as_json(results)["results"]["faces"]["plain"]["error_a"]["n"] == 10
    assert headline(["gain_b", "other"], results.metrics) == ("gain_b",)
    assert headline([], ["a", "b", "c", "d"]) == ("a", "b", "c")
