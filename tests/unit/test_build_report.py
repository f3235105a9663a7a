from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from reports import figures
from reports.build import build
from reports.figures import choose_images
from reports.frame import ReportError, read
from tests.unit.simulated_run import lose, rows, run_json, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return small_run(tmp_path / "run")


def small_run(directory: Path, seconds: float = 1.0, titles: dict[str, str] | None = None) -> Path:
    """titles: by method, in place of their own."""
    frame, about = rows(12, seconds=seconds), run_json(12)
    for method, title in (titles or {}).items():
        about["methods"][method]["title"] = title
    lose(frame, "fine", lambda image: image in ("im001", "im002", "im003", "im004"), "diverged: loss is nan")
    return write(directory, frame.sample(frac=1, random_state=int(seconds)), about, pictures=12)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the texts: figures take most of a report's time."""
    monkeypatch.setattr(figures, "draw", lambda *_: [])


def contents(directory: Path) -> dict[str, bytes]:
    folder = directory / "report"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A run with its full report, and what `build` says that it has written. Titles are no markup of figures."""
    titles = {"plain": "$x_1$", "fine": "_hidden", "twin": "a%b"}
    directory = small_run(tmp_path_factory.mktemp("reported") / "run", titles=titles)
    return directory, build(directory)


def test_every_file_is_there_and_nothing_else(reported: tuple[Path, list[Path]]) -> None:
    directory, written = reported
    found = {name for name in contents(directory) if not name.startswith("dashboard/")}
    assert {str(path.relative_to(directory / "report")) for path in written} == found
    part = "faces_standard"
    stems = ["grid_faces", "errors_faces", f"quality_{part}_cpu_float32_8"]
    stems += [f"{kind}_{part}" for kind in ("scatter", "images", "differences")]
    figures = {f"figures/{stem}.{suffix}" for stem in stems for suffix in ("png", "pdf")}
    figures |= {f"figures/panels/{kind}_{part}_{metric}{end}.pdf" for metric in ("error-a", "gain-b")
                for kind, end in (("quality", "_cpu_float32_8"), ("images", ""), ("differences", ""))}  # fmt: skip
    figures |= {f"figures/panels/scatter_{part}_gain-b.pdf"}
    texts = {"tables.md", "tables.tex", "tables.csv", "recipes.tex", "costs.md", "costs.csv", "share.html"}
    tables = {f"latex/{stem}{kind}.tex" for stem in ("summary", "means-standard-faces", "paired-standard-faces")
              for kind in ("", "_column")}  # fmt: skip
    assert found == {"index.html", "latex/references.bib"} | texts | figures | tables
    for path in written:
        assert path.stat().st_size > 0
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert min(picture.size) > 200 and len(set(picture.convert("L").tobytes())) > 8


@pytest.mark.slow
def test_the_same_rows_give_the_same_bytes_in_another_process(reported: tuple[Path, list[Path]]) -> None:
    directory, _ = reported
    first = contents(directory)
    (directory / "report" / "figures" / "grid_gone.png").write_bytes(b"of an earlier run")
    subprocess.run(
        [sys.executable, "-c", "import sys; from reports.build import build; build(sys.argv[1])", str(directory)],
        cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}, check=True,
    )  # fmt: skip
    assert contents(directory) == first


@pytest.mark.usefixtures("no_figures")
def test_timings_and_commits_stay_out_of_the_tables(tmp_path: Path) -> None:
    one, two = small_run(tmp_path / "one", 1.0), small_run(tmp_path / "two", 3.0)
    build(one)
    build(two)
    left, right = contents(one), contents(two)
    for name in ("tables.md", "tables.tex", "recipes.tex", "tables.csv"):
        assert left[name] == right[name], name
    assert left["costs.md"] != right["costs.md"] and b"commit1.0" in left["costs.md"]
    for volatile in (b"commit1.0", b"abc", b"2026-01-01", b"/somewhere"):
        assert volatile not in left["tables.md"]
    assert b"toy.pt" in left["tables.md"] and b"2.15.0" in left["tables.md"]


@pytest.mark.usefixtures("no_figures")
def test_failed_rows_are_reported_with_reason_count_and_first_ids(directory: Path) -> None:
    build(directory)
    text = (directory / "report" / "tables.md").read_text(encoding="utf-8")
    failures = text.split("## Failures")[1].split("## ")[0]
    line = next(line for line in failures.splitlines() if "diverged" in line)
    assert [part.strip() for part in line.strip("|").split("|")] == [
        "faces", "standard", "fine", "failed", "diverged: loss is nan", "all", "4", "im001, im002, im003, ..."
    ]  # fmt: skip
    assert "| faces | Faces | in | 12 | 4 | CC0 | r1 | k |" in text
    assert "(n = 8)" in text and "† mean over the images" in text


@pytest.mark.usefixtures("no_figures")
def test_images_that_were_never_run_are_counted(tmp_path: Path) -> None:
    frame = rows(12)
    frame = frame[~((frame["method"] == "twin") & (frame["image"] > "im009"))]
    build(write(tmp_path, frame, run_json(12)))
    text = (tmp_path / "report" / "tables.md").read_text(encoding="utf-8")
    assert "| faces | standard | twin | missing | not run | all | 2 |  |" in text


@pytest.mark.usefixtures("no_figures")
def test_a_set_where_a_method_is_skipped_as_a_whole(tmp_path: Path) -> None:
    frame = rows(12)
    whole = frame[frame["method"] == "twin"].iloc[[0]]
    whole = whole.assign(image="", metric="", status="skipped", reason="needs a GPU", value=float("nan"))
    frame = frame[frame["method"] != "twin"]
    build(write(tmp_path, pd.concat([frame, whole]), run_json(12)))
    text = (tmp_path / "report" / "tables.md").read_text(encoding="utf-8")
    assert "| faces | standard | twin | skipped | needs a GPU | all | all |  |" in text and "missing" not in text
    assert "Left out, without any value (skipped: needs a GPU): Title of twin." in text and "n/a" not in text


@pytest.mark.usefixtures("no_figures")
def test_a_set_that_some_methods_do_not_run_on_compares_the_others(tmp_path: Path) -> None:
    about = run_json(12)
    about["datasets"]["more"] = {**about["datasets"]["faces"], "title": "More"}
    two = rows(12)[lambda frame: frame["method"] != "plain"].assign(dataset="more")
    build(write(tmp_path, pd.concat([rows(12), two]), about), reference="plain")
    text = (tmp_path / "report" / "tables.md").read_text(encoding="utf-8")
    assert "## Faces, protocol standard: differences to Title of plain\n" in text
    assert "## More, protocol standard: differences to Title of fine\n" in text
    alone = two[two["method"] == "twin"]
    build(write(tmp_path / "alone", pd.concat([rows(12), alone]), about), reference="plain")
    text = (tmp_path / "alone" / "report" / "tables.md").read_text(encoding="utf-8")
    assert "## More, protocol standard\n" in text and "## More, protocol standard: differences" not in text


def test_nothing_is_written_for_an_unknown_reference_or_an_empty_folder(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="reference"):
        build(directory, reference="nobody")
    assert not (directory / "report").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"run\.json"):
        build(tmp_path / "empty")


def test_images_are_chosen_from_worst_to_best(directory: Path) -> None:
    results = read(directory)
    values = results.values("error_a", "faces", "standard")["plain"]
    chosen = choose_images(results, "faces", "standard", 3, metric="error_a", method="plain")
    assert chosen[0] == values.idxmax() and chosen[-1] == values.idxmin()
    assert abs(values.rank()[chosen[1]] - 6.5) <= 1
    assert choose_images(results, "faces", "standard", 3) == ("im000", "im006", "im011")
    assert len(choose_images(results, "faces", "standard", 99)) == 12
    with pytest.raises(ReportError, match="metric"):
        choose_images(results, "faces", "standard", 3, metric="no", method="plain")


@pytest.mark.usefixtures("no_figures")
def test_layouts_are_written_when_they_are_asked_for(directory: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("groups: [{columns: [{metric: gain_b, name: Gain, digits: 0}]}]\n", encoding="utf-8")
    build(directory, layouts=[str(mine), "pti_paper"])
    names = {f"layouts/{stem}.{suffix}" for stem in ("mine", "pti_paper") for suffix in ("md", "tex", "csv")}
    found = contents(directory)
    assert {name for name in found if name.startswith("layouts/")} == names
    assert "## Metrics\n\n| metric | recipe | version |" in found["layouts/mine.md"].decode()
    assert b"| method | Gain (dB) \xe2\x86\x91 |" in found["layouts/mine.md"]
    with pytest.raises(ReportError, match="did you mean 'pti_paper'"):
        build(directory, layouts=["pti_papr"])
    assert contents(directory) == found
    build(directory)
    assert not any(name.startswith("layouts/") for name in contents(directory))
