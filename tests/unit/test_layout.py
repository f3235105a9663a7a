from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from reports import latex, layout, markdown, published, tables_csv
from reports.frame import ReportError, Results, check
from reports.table import Table
from reports.tabulate import means, paired
from tests.unit.simulated_run import METRICS, lose, rows, run_json

COLUMNS = "groups: [{columns: [{metric: error_a}, {metric: gain_b}]}]\n"


def two_sets(n: int = 12, methods: dict[str, float] | None = None) -> Results:
    """The small run on two data sets; the last method is not part of the second, which also measures an edit."""
    frame = rows(n, methods)
    second = frame[frame["method"] != "twin"].assign(dataset="statues")
    edits = frame[(frame["metric"] == "gain_b") & (frame["method"] != "twin")]
    edits = edits.assign(dataset="statues", protocol="editing", metric="edit_c", metric_version=3)
    run = run_json(n, {name: {"title": f"Title of {name}"} for name in methods} if methods else None)
    run["datasets"]["statues"] = {"title": "Statues", "n": n, "recipe": "r2", "key": "k2"}
    run["metrics"] = {**METRICS, "edit_c": {"title": "Edit C", "direction": "higher", "version": 3, "digits": 1}}
    return check(Path(), run, pd.concat([frame, second, edits]))


def arranged(tmp_path: Path, text: str, results: Results | None = None) -> list[Table]:
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    stem, found = layout.load(str(tmp_path / "mine.yaml"))
    assert stem == "mine"
    return layout.arrange(results or two_sets(), found)


def shape(table: Table) -> tuple[list[str], list[str]]:
    return [row.method for row in table.rows], [column.name for column in table.columns]


def test_the_same_numbers_as_the_plain_tables(tmp_path: Path) -> None:
    results = two_sets()
    faces, statues = arranged(tmp_path, COLUMNS, results)
    for table, dataset in ((faces, "faces"), (statues, "statues")):
        plain = means(results, dataset, "standard")
        assert [row.cells for row in table.rows] == [row.cells for row in plain.rows]
    assert shape(faces)[0] == ["plain", "fine", "twin"] and shape(statues)[0] == ["plain", "fine"]
    assert "torch 2.15.0" in faces.caption and "64 px" not in faces.caption
    assert "Metrics: Error A v2; Gain B v1." in latex.table(faces)
    assert "\n| Error A | 64 px, \\[-1, 1\\] | 2 |\n" in markdown.recipes([faces, statues])
    assert "toy (00ff)" in faces.caption and "abc" not in faces.caption and "2026" not in faces.caption


def test_sets_as_bands_of_rows(tmp_path: Path) -> None:
    (table,) = arranged(tmp_path, "split: rows\n" + COLUMNS)
    assert [row.band for row in table.rows] == ["Faces (n = 12)"] * 3 + ["Statues (n = 12)"] * 2
    assert markdown.table(table).count("| *Statues (n = 12)* |  |  |") == 1
    assert latex.table(table).count(r"\itshape") == 2
    lines = list(csv.DictReader(io.StringIO(tables_csv.dumps([table]))))
    assert {(line["dataset"], line["protocol"]) for line in lines} == {("faces", "standard"), ("statues", "standard")}


def test_sets_as_groups_of_columns(tmp_path: Path) -> None:
    (table,) = arranged(tmp_path, "split: columns\n" + COLUMNS)
    assert shape(table) == (["plain", "fine", "twin"], ["error_a", "gain_b", "error_a", "gain_b"])
    assert [column.group for column in table.columns] == ["Faces (n = 12)"] * 2 + ["Statues (n = 12)"] * 2
    assert [cell.reason for cell in table.rows[2].cells] == ["", "", "not run", "not run"]
    assert r"\cmidrule(lr){2-5}\cmidrule(lr){6-9}" in latex.table(table)


def test_names_order_and_rounding(tmp_path: Path) -> None:
    (table,) = arranged(
        tmp_path,
        "methods: [fine, plain]\ndatasets: [statues]\nnames: {fine: F_1, statues: S}\ndigits: 1\nintervals: false\n"
        "title: Mine\ncaption: Read this.\n"
        "groups: [{title: G, columns: [{metric: gain_b, name: Gain, unit: '', digits: 0}, {metric: error_a}]}]\n",
    )
    assert shape(table) == (["fine", "plain"], ["gain_b", "error_a"]) and table.title == "Mine: S (n = 12)"
    text = markdown.table(table)
    assert "| method | G<br>Gain ↑ | G<br>Error A ↓ |" in text and "Read this." in text
    assert re.search(r"\| F\\_1 \| \*\*20\*\* \| \*\*0\.3\*\* \|", text) and "bootstrap interval" not in text
    assert "{[}" not in latex.table(table).split(r"\toprule")[1]


def test_marks_compare_only_the_methods_shown(tmp_path: Path) -> None:
    (table,) = arranged(tmp_path, "datasets: [faces]\nmethods: [plain]\n" + COLUMNS)
    assert [cell.mark for cell in table.rows[0].cells] == ["", ""]
    frame = rows(12)
    lose(frame, "twin", lambda image: image < "im003", "no face")
    shown = arranged(tmp_path, "methods: [plain, fine]\n" + COLUMNS, check(Path(), run_json(12), frame))[0]
    assert {cell.n for row in shown.rows for cell in row.cells} == {12}


def test_what_the_run_lacks_is_a_footnote(tmp_path: Path) -> None:
    (table,) = arranged(
        tmp_path,
        "datasets: [faces]\nmethods: [plain, fien]\n"
        "groups: [{columns: [{metric: error_a}, {metric: error_b}, {metric: edit_c, protocol: editing}]}]\n",
    )
    assert table.reasons() == (
        "the run has no metric error_b (did you mean 'error_a'?)",
        "edit_c was not measured on faces under the protocol editing",
        "the run has no method fien (did you mean 'fine'?)",
    )
    text = markdown.table(table)
    assert text.count("n/a<sup>") == 5 and "<sup>c</sup> the run has no method fien" in text
    assert "error\\_b |" in text  # no arrow: nobody knows which direction is better


def test_optional_groups_are_named_when_they_are_left_out(tmp_path: Path) -> None:
    text = "split: rows\n" + COLUMNS.replace("}]}]", "}]}, {title: Edits, optional: true, columns: [%s]}]")
    (table,) = arranged(tmp_path, text % "{metric: '*', protocol: editing}")
    assert shape(table)[1] == ["error_a", "gain_b", "edit_c"] and "not measured in this run" not in table.caption
    assert [row.cells[2].value is None for row in table.rows] == [True, True, True, False, False]
    (table,) = arranged(tmp_path, text % "{metric: '*', protocol: dancing}")
    assert shape(table)[1] == ["error_a", "gain_b"] and "Edits: not measured in this run." in table.caption


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grups: []\n" + COLUMNS, r"mine\.yaml: 'grups' is not a setting.*did you mean 'groups'"),
        ("split: row\n" + COLUMNS, r"mine\.yaml: split is 'row', expected one of tables, rows, columns"),
        ("title: x\n", "needs at least one"),
        ("groups: [{columns: [{name: x}]}]\n", "names no metric"),
        ("digits: 12\n" + COLUMNS, "expected 0 to 9 decimals, found 12"),
        ("published: [pti_papr]\n" + COLUMNS, "did you mean 'pti_paper'"),
        ("[1, 2", r"mine\.yaml"),
    ],
)
def test_wrong_layouts_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        arranged(tmp_path, text)


def test_an_unknown_layout_lists_the_shipped_ones() -> None:
    with pytest.raises(ReportError, match=r"did you mean 'pti_paper'.*interestyle_paper"):
        layout.load("pti_papers")


def test_shipped_layouts_have_no_silent_hole_on_a_run_of_other_metrics() -> None:
    for name in layout.layout_names():
        table = layout.arrange(two_sets(), layout.load(name)[1])[0]
        assert all(cell.reason for _, _, cell in table.cells() if cell.value is None)
        assert "the run has no metric mse" in table.reasons()
    assert layout.layout_names() == ["interestyle_paper", "pti_paper"]


def test_the_shipped_layouts_show_numbers_where_the_run_has_them() -> None:
    known = layout.load("interestyle_paper")[1]
    names = [each.metric for group in known.groups for each in group.columns]
    frame = rows(8)
    frame = pd.concat([frame[frame["metric"] == "error_a"].assign(metric=name, metric_version=1) for name in names])
    run = run_json(8)
    run["metrics"] = {name: {"title": name, "direction": "lower", "version": 1} for name in names}
    (table,) = layout.arrange(check(Path(), run, frame.assign(protocol="reconstruction")), known)
    assert [column.name for column in table.columns] == names and not table.reasons()
    assert {column.group for column in table.columns} == {
        "Faces (n = 8), interest region", "Faces (n = 8), full image",
    }  # fmt: skip


def test_published_numbers_are_separate_tables_with_source_recipe_and_warning() -> None:
    own, printed = layout.arrange(two_sets(), layout.load("pti_paper")[1])
    assert own.kind == "means" and printed.kind == "published"
    text = markdown.table(printed)
    assert "| PTI | .09 | .014 | .21 | .90 | 14.86 | .90 | .82 |" in text and "**" not in text
    assert "another recipe" in printed.title and "are not comparable with this run" in text
    assert "another LPIPS" in text and "arXiv 2106.05744" in text and "second-hand" in text
    for name in published.names():
        table = published.table(name)
        assert all(len(row.cells) == len(table.columns) for row in table.rows)
        assert all(float(cell.text) == cell.value for _, _, cell in table.cells() if cell.value is not None)
        assert all(cell.reason for _, _, cell in table.cells() if cell.value is None)
        assert "Source: " in table.caption and "Recipe: " in table.caption


def long_tables() -> list[Table]:
    """More methods and metrics than a page holds, with the long recipes that real metrics have."""
    names = {f"m{place}": 0.3 + place / 50 for place in range(50)}
    frame = rows(8, names)
    frame = frame[frame["metric"] == "error_a"]
    metrics = [f"metric_{place}" for place in range(13)]
    lose(frame, "m7", lambda image: image == "im003", "no face in the picture " * 20)
    run = run_json(8, {name: {"title": f"ReStyle-e4e + PTI without {name}"} for name in names})
    recipe = "features of a network with its authors' linear heads, at the images' own resolution, [-1, 1]; " * 3
    run["metrics"] = {
        name: {"title": f"LPIPS (AlexNet), {name}", "direction": "lower", "version": 1, "recipe": recipe}
        for name in metrics
    }
    every = pd.concat([frame.assign(metric=name, metric_version=1) for name in metrics])
    results = check(Path(), run, every)
    return [means(results, "faces", "standard"), paired(results, "faces", "standard", "m0")]


def grammar(text: str) -> list[str]:
    """What a TeX would refuse of the macros that the documents use: environments, braces, columns of every line."""
    problems = []
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            problems.append(f"\\end{{{name}}} closes nothing")
    for body in re.findall(r"\\begin\{tabular\}\{(.*?)\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        wide = len(re.findall(r"[lrc]", body[0].replace(r"@{\,}", "")))
        for line in (line for line in body[1].splitlines() if line.endswith(r"\\")):
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
            if len(re.findall(r"(?<!\\)&", line)) + 1 + spans != wide:
                problems.append(line)
    depth = 0
    for mark in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            problems.append("a brace closes nothing")
    return problems + opened + ["open braces"] * (depth != 0)


@cache
def every_table() -> list[Table]:
    return [*long_tables(), *(t for n in layout.layout_names() for t in layout.arrange(two_sets(), layout.load(n)[1]))]


def test_the_grammar_of_long_tables_and_layouts_is_sound() -> None:
    text = latex.document(every_table())
    assert grammar(text) == []
    assert grammar(text.replace(" & ", " ", 1)) and grammar(text.replace(r"\end{table}", "", 1)) and grammar(text + "{")
    assert text.count("(continued)") >= 4


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed; the grammar is checked above")
def test_long_tables_and_layouts_fit_their_pages(tmp_path: Path) -> None:
    (tmp_path / "tables.tex").write_text(latex.document(every_table()), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path, capture_output=True, env={**os.environ, "max_print_line": "200"},
    )  # fmt: skip
    log = (tmp_path / "tables.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert not re.findall(r".*too large.*|Overfull \\hbox.*", log)


def test_layouts_are_the_same_text_twice_whatever_the_order_of_the_rows() -> None:
    results = two_sets()
    shuffled = check(Path(), results.run, results.rows.sample(frac=1, random_state=3))
    for name in layout.layout_names():
        known = layout.load(name)[1]
        left, right = (latex.document(layout.arrange(each, known)) for each in (results, shuffled))
        assert left == right
