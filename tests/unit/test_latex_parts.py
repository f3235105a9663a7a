"""What a paper takes from a report: tables to input, tables for one column, references."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from reports import bibliography, latex, layout
from reports.frame import check, read
from reports.summary import as_json, failed, headline, summary
from reports.tabulate import means, paired
from tests.unit.simulated_run import lose, rows, run_json, write

ROOT = Path(__file__).parents[2]
PAPER = r"""\documentclass[twocolumn]{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs,graphicx,textcomp}
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
    run = run_json(12)
    long = {"title": "Frechet distance (AlexNet) of an error with a long name"}
    run["metrics"] = run["metrics"] | {"error_a": run["metrics"]["error_a"] | long}
    results = read(write(tmp_path / "run", rows(12), run))
    (tmp_path / "wide.tex").write_text(latex.part(means(results, "faces", "standard")))
    (tmp_path / "column.tex").write_text(latex.column_wide(summary(results)))
    (tmp_path / "references.bib").write_text("\n".join(bibliography.entries().values()))
    (tmp_path / "paper.tex").write_text(PAPER)
    for command in (
        ["pdflatex", "-halt-on-error", "paper"],
        ["bibtex", "paper"],
        ["pdflatex", "-halt-on-error", "paper"],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert "Overfull" not in log.partition("(./column.tex")[2], "a table for one column is wider than it"


@pytest.mark.slow
@pytest.mark.parametrize("name", layout.layout_names())
def test_the_layout_of_a_paper_is_one_page(tmp_path: Path, name: str) -> None:
    """Fifteen methods on four data sets, one of them without edits, as the largest suite has."""
    command = shutil.which("pdflatex") or shutil.which("tectonic")
    if command is None:
        pytest.skip("neither pdflatex nor tectonic is installed")
    arranged = layout.load(name)[1]
    wanted = {one.metric: one for group in arranged.groups for one in group.columns}
    methods = {f"m{place}": 0.3 + place / 50 for place in range(15)}
    base = rows(12, methods)
    base = base[base["metric"] == "error_a"]
    run = run_json(12, {one: {"title": f"ReStyle (e4e) + PTI {one}"} for one in methods})
    sets = {f"set_{n}": f"A set with a long name {n}, and what is in it" for n in range(4)}
    run["datasets"] = {one: run["datasets"]["faces"] | {"title": title} for one, title in sets.items()}
    recipe = (
        "features of a network with its authors' linear heads, at the images' own resolution, values in [-1, 1]; " * 2
    )
    about = {"direction": "lower", "version": 1, "recipe": recipe}
    run["metrics"] = {metric: {"title": metric} | about for metric in wanted}
    frame = pd.concat(
        base.assign(dataset=dataset, metric=metric, metric_version=1, protocol=one.protocol or "reconstruction")
        for dataset in sets
        for metric, one in wanted.items()
        if not (one.protocol and dataset == "set_3")
    )
    tables = layout.arrange(check(tmp_path, run, frame), arranged)
    edits = sum(bool(one.protocol) for one in wanted.values())
    assert len(tables[0].columns) == 4 * len(wanted) - edits and not tables[0].reasons()
    (tmp_path / "paper.tex").write_text(latex.document(tables, latex.PAPER), encoding="utf-8")
    more = ["-halt-on-error", "-interaction=nonstopmode"] if command.endswith("pdflatex") else ["--keep-logs"]
    done = subprocess.run([command, *more, "paper.tex"], cwd=tmp_path, capture_output=True)
    log = (tmp_path / "paper.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0 and "Overfull" not in log, log[-2000:]
    assert "(1 page," in log.replace("\n", ""), re.findall(r"Output written.*", log)


def test_summary_of_a_run(tmp_path: Path) -> None:
    frame = rows(12)
    lose(frame, "twin", lambda image: image == "im003", "it broke off")
    lose(frame, "fine", lambda image: image == "im004", "not run yet", "missing")
    results = read(write(tmp_path, frame, run_json(12)))
    table = summary(results)
    assert [column.name for column in table.columns] == ["error_a", "gain_b"] and not table.intervals
    assert failed(results) == {"twin": 1}, "what has not been run yet is not a failure"
    assert as_json(results)["results"]["faces"]["plain"]["error_a"]["n"] == 10
    assert headline(["gain_b", "other"], results.metrics) == ("gain_b",)
    assert headline([], ["a", "b", "c", "d"]) == ("a", "b", "c")
