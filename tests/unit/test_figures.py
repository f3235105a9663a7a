from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from reports.figures import Choice, charts, draw, images, save, style
from reports.figures.draw import image_figure
from reports.figures.style import legend, panels, title
from reports.frame import ReportError, Results, check
from reports.tabulate import costs, means, paired
from tests.unit.simulated_run import METRICS, lose, rows, run_json


def results(tmp_path: Path, methods: dict[str, float] | None = None, edits: bool = False) -> Results:
    frame = rows(8, methods)
    run = run_json(8, {name: {"title": f"Title of {name}"} for name in methods} if methods else None)
    if edits:
        more = frame[(frame["metric"] == "gain_b") & (frame["method"] != "twin")]
        frame = pd.concat([frame, more.assign(protocol="editing", metric="edit_c", metric_version=1)])
        run["metrics"] = {**METRICS, "edit_c": {"title": "Edit C", "direction": "higher", "version": 1}}
    return check(tmp_path, run, frame)


def paint(results: Results, image: str, file: str, shade: int, size: tuple[int, int] = (10, 10)) -> Image.Image:
    folder = results.directory / "images" / "faces" / image
    folder.mkdir(parents=True, exist_ok=True)
    made = Image.new("RGB", size, (shade, shade, shade))
    made.save(folder / f"{file}.png")
    return made


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_error_maps_show_the_absolute_error_in_units_of_the_range(tmp_path: Path) -> None:
    found = results(tmp_path)
    paint(found, "im000", "target", 100)
    made = paint(found, "im000", "plain", 100)
    made.paste((227, 227, 227), (0, 0, 5, 10))
    made.save(tmp_path / "images/faces/im000/plain.png")
    paint(found, "im000", "fine", 100, size=(4, 4))  # not the target's size: nothing to compare
    paint(found, "im000", "interest", 255).save(tmp_path / "images/faces/im000/interest.png")
    figure = images.error_maps(found, "faces", ["im000"])
    sheet = figure.axes[0]
    maps = [np.asarray(image.get_array()) for image in sheet.images if np.asarray(image.get_array()).ndim == 2]
    assert len(maps) == 1
    np.testing.assert_allclose(maps[0], np.repeat([[127 / 127.5] * 5 + [0.0] * 5], 10, axis=0))
    assert texts(figure).count("n/a") == 3  # the map of fine; picture and map of twin
    assert not sheet.collections  # a region that is everywhere has no outline
    mask = Image.new("L", (10, 10), 0)
    mask.paste(255, (2, 2, 8, 8))
    mask.save(tmp_path / "images/faces/im000/interest.png")
    outlined = images.error_maps(found, "faces", ["im000"]).axes[0]
    (line,) = [path for collection in outlined.collections for path in collection.get_paths() if len(path.vertices)]
    # In the second column of the second row of tiles, each of them a unit wide.
    assert 1 < line.vertices[:, 0].min() < 1.25 and 1.75 < line.vertices[:, 0].max() < 2
    assert 1 < line.vertices[:, 1].min() < 1.25 and 1.75 < line.vertices[:, 1].max() < 2


def test_pictures_keep_their_shape_and_many_methods_stand_below_each_other(tmp_path: Path) -> None:
    names = {f"m{place}": 0.3 for place in range(14)}
    found = results(tmp_path, names)
    for image in ("im000", "im001"):
        for file in ("target", *names):
            paint(found, image, file, 9, size=(20, 10))
    figure = images.grid(found, "faces", ["im000", "im001"])
    wide, high = figure.get_size_inches()
    assert wide < 7 < high < 14
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    assert (right - left) == pytest.approx(2 * abs(top - bottom))
    few = images.grid(found, "faces", ["im000", "im001"], list(names)[:3])
    assert few.get_size_inches()[0] > few.get_size_inches()[1]
    assert "n/a" not in texts(figure) and "n/a" in texts(images.grid(found, "faces", ["im005"]))
    with pytest.raises(ReportError, match="at least one image"):
        images.error_maps(found, "faces", [])


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    points = {"slow": (9.0, 0.1), "fast": (1.0, 0.5), "bad": (5.0, 0.6), "tie": (1.0, 0.7), "mid": (3.0, 0.5)}
    assert charts.front(points, "lower") == ["fast", "slow"]
    assert charts.front(points, "higher") == ["tie"]
    assert charts.front({}, "lower") == []


def test_the_scatter_sets_the_first_metric_against_those_of_another_protocol(tmp_path: Path) -> None:
    found = results(tmp_path, edits=True)
    quality, edits = (means(found, *part) for part in found.parts)
    figure = charts.scatter(quality, "error_a", edits, found.methods)
    assert figure is not None
    (axis,) = figure.axes
    assert axis.get_xlabel() == "Error A ↓" and axis.get_title() == "Edit C ↑"
    points = {line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines}
    assert points == {
        f" {row.labels[0]}": (quality.rows[place].cells[0].value, row.cells[0].value)
        for place, row in enumerate(edits.rows)
    }
    spans = [np.ptp(path.vertices, axis=0) for collection in axis.collections for path in collection.get_paths()]
    assert sum(span[0] > 0 for span in spans) == sum(span[1] > 0 for span in spans) == 2  # an interval each way
    alone = charts.scatter(quality, "error_a", quality, found.methods)
    assert alone is not None and [axis.get_title() for axis in alone.axes] == ["Gain B (dB) ↑"]


def test_a_method_looks_the_same_in_every_figure(tmp_path: Path) -> None:
    found = results(tmp_path)
    table = paired(found, "faces", "standard", "plain")
    axis = charts.differences(table, found.methods).axes[0]
    looks = [(line.get_color(), line.get_marker()) for line in axis.lines[1:]]  # the first is the line at zero
    assert looks == [(style.colour(place), style.marker(place)) for place in (1, 2)]
    assert [line.get_xdata()[0] for line in axis.lines[1:]] == [row.cells[0].value for row in table.rows]
    assert axis.get_xlabel() == "← better" and texts(axis.figure)[0] == "8/8"
    assert len({(style.colour(place), style.marker(place)) for place in range(56)}) == 56


def test_distributions_show_quartiles_and_each_image(tmp_path: Path) -> None:
    frame = rows(8)
    lose(frame, "twin", lambda image: True, "no face")
    found = check(tmp_path, run_json(8), frame)
    axis = charts.distributions(found, means(found, "faces", "standard")).axes[0]
    values = found.values("error_a", "faces", "standard")
    box = axis.patches[1]
    assert (box.get_x(), box.get_x() + box.get_width()) == pytest.approx(tuple(values["fine"].quantile([0.25, 0.75])))
    assert sorted(axis.lines[0].get_xdata()) == sorted(values["plain"])
    assert len(axis.patches) == 2 and "n/a" in texts(axis.figure)
    assert [label.get_text() for label in axis.get_yticklabels()][1] == "Title of fine"


@pytest.mark.slow
def test_every_figure_is_drawn_whatever_names_are(tmp_path: Path) -> None:
    """test_build_report.py draws most of them, too, and again in another process, with the same bytes."""
    found = results(tmp_path, {"$x_1$": 0.5, "_hidden": 0.3, "a%b": 0.2}, edits=True)
    for image in ("im000", "im001"):
        paint(found, image, "target", 80)
    quality = [means(found, *part) for part in found.parts]
    against = [paired(found, *part, "a%b") for part in found.parts]
    spent = [costs(found, *found.parts[0])]

    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "old.png").write_bytes(b"of an earlier run")
    written = draw(found, quality, against, spent, "a%b", folder)
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    first = {path.name: path.read_bytes() for path in written}
    stems = ("grid_faces", "errors_faces", "quality_faces_standard_cpu_float32_8", "scatter_faces_standard",
             "scatter_faces_editing", "images_faces_standard", "images_faces_editing", "differences_faces_standard",
             "differences_faces_editing")  # fmt: skip
    panels = {f"{kind}_faces_standard_{metric}{end}.pdf" for metric in ("error-a", "gain-b")
              for kind, end in (("quality", "_cpu_float32_8"), ("images", ""), ("differences", ""))}  # fmt: skip
    panels |= {"scatter_faces_standard_gain-b.pdf", "scatter_faces_editing_edit-c.pdf"}
    panels |= {f"{kind}_faces_editing_edit-c.pdf" for kind in ("images", "differences")}
    assert set(first) == {f"{stem}.{suffix}" for stem in stems for suffix in ("png", "pdf")} | panels
    assert all(b"CreationDate" not in data for data in first.values())


def test_chosen_images_and_metric(tmp_path: Path) -> None:
    found = results(tmp_path)
    Choice(("im003",), "gain_b").check(found)
    with pytest.raises(ReportError, match="no image 'im03': did you mean 'im003'"):
        Choice(("im03",)).check(found)
    with pytest.raises(ReportError, match="no metric 'gain': did you mean 'gain_b'"):
        Choice(metric="gain").check(found)
    table = means(found, "faces", "standard")

    def shown(choice: Choice) -> list[str]:
        chosen: list[str] = []

        def note(
            _: Results, dataset: str, images: tuple[str, ...], methods: tuple[str, ...], titles: list[str]
        ) -> Figure:
            assert dataset == "faces" and methods == found.methods and len(titles) == len(images)
            chosen.extend(images)
            return Figure()

        image_figure(found, table, "plain", choice, note, 3)
        return chosen

    values = {metric: found.values(metric, "faces", "standard")["plain"] for metric in ("error_a", "gain_b")}
    assert shown(Choice(("im003", "im001"))) == ["im003", "im001"]
    assert shown(Choice())[0] == values["error_a"].idxmax() and shown(Choice())[2] == values["error_a"].idxmin()
    assert shown(Choice(metric="gain_b"))[0] == values["gain_b"].idxmin()


def test_labels_are_broken_at_spaces_first() -> None:
    assert style.wrap("ReStyle-e4e + PTI") == "ReStyle-e4e +\nPTI"
    assert style.wrap("x" * 20 + " yy\nz", 16) == "x" * 16 + "\nxxxx yy\nz"


def test_files_are_whole_and_say_no_date(tmp_path: Path) -> None:
    figure = Figure()
    png, pdf = save(figure, tmp_path / "empty.v1")
    assert (png.name, pdf.name) == ("empty.v1.png", "empty.v1.pdf") and pdf.read_bytes().startswith(b"%PDF")
    with Image.open(png) as found:
        assert found.info.get("Software") is None


@pytest.mark.parametrize("across", [1, 3])
def test_many_methods_leave_room_for_the_panels(across: int, recwarn: pytest.WarningsRecorder) -> None:
    with style.style():
        figure, axes = panels(across, 2.6, 2.3, 0.9)
        for axis in axes:
            for n in range(28):
                axis.plot([0], [n], label=f"IntereStyle without part {n} + PTI")
        title(figure, "Photographs of people, protocol with a long name, " * 4)
        legend(figure, axes)
        figure.savefig(io.BytesIO(), format="png")
    assert not [each for each in recwarn if "collapsed" in str(each.message)]
    assert all(axis.get_window_extent().height > 100 for axis in axes)
    text = figure.get_suptitle()
    assert text.count("\n") > 0 and figure._suptitle.get_window_extent().x0 >= 0
