from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from reports import latex, markdown, tables_csv
from reports.build import tables_markdown
from reports.frame import Results, check
from reports.listings import listings
from reports.sections import sections
from reports.table import Table, with_unit
from reports.tabulate import means, paired
from tests.unit.simulated_run import METRICS, lose, rows, run_json

SHARED = "Region: an ellipse with many numbers."
LONG = "a recipe that is told at length " * 20


def grouped(frame: pd.DataFrame | None = None) -> Results:
    """The small run with two more metrics, in a section of their own between the others."""
    frame = rows(12) if frame is None else frame
    extra = [frame[frame["metric"] == "error_a"].assign(metric=name, metric_version=4) for name in ("near", "far")]
    run = run_json(12)
    apart = {
        name: {"title": name, "direction": "lower", "version": 4, "recipe": LONG, "shared": SHARED, "group": "region"}
        for name in ("near", "far")
    }
    run["metrics"] = {"error_a": METRICS["error_a"], **apart, "gain_b": METRICS["gain_b"]}
    return check(Path(), run, pd.concat([frame, *extra]))


def shape(table: Table) -> tuple[str, list[str], list[str]]:
    return table.title, [row.method for row in table.rows], [column.name for column in table.columns]


def test_metrics_of_a_group_get_a_table_of_their_own_with_the_same_cells() -> None:
    whole = means(grouped(), "faces", "standard")
    main, region = sections(whole)
    everyone = ["plain", "fine", "twin"]
    assert shape(main) == ("Faces, protocol standard", everyone, ["error_a", "gain_b"])
    assert shape(region) == ("Faces, protocol standard, region", everyone, ["near", "far"])
    assert [row.cells[1:3] for row in whole.rows] == [row.cells for row in region.rows]
    titles = [part.title for part in sections(paired(grouped(), "faces", "standard", "plain"))]
    assert titles == [f"Faces, protocol standard: differences to Title of plain{end}" for end in ("", ", region")]


def test_methods_that_are_not_measured_are_a_sentence_and_failures_stay() -> None:
    frame = rows(12)
    lose(frame, "twin", lambda image: True, "tunes nothing", "skipped")
    lose(frame, "fine", lambda image: True, "out of memory")
    whole = means(grouped(frame), "faces", "standard")
    for table in sections(whole):
        assert [row.method for row in table.rows] == ["plain", "fine"]
        assert table.caption.endswith("Left out, without any value (skipped: tunes nothing): Title of twin.")
        assert table.reasons() == ("12 of 12 images failed: out of memory",)
    assert "tunes nothing" in tables_csv.dumps([whole])
    against = sections(paired(grouped(frame), "faces", "standard", "plain"))[0]
    assert [row.method for row in against.rows] == [
        "fine"
    ] and "(skipped: tunes nothing): Title of twin." in against.text


def test_metrics_that_no_method_has_are_a_sentence_and_gaps_of_some_are_footnotes() -> None:
    frame = rows(12)
    gone = frame["metric"] == "gain_b"
    frame.loc[gone, ["value", "status", "reason"]] = [np.nan, "skipped", "no clean picture"]
    some = (frame["metric"] == "error_a") & (frame["method"] == "twin")
    frame.loc[some, ["value", "status", "reason"]] = [np.nan, "skipped", "no pivot"]
    whole = means(check(Path(), run_json(12), frame), "faces", "standard")
    (table,) = sections(whole)
    assert [column.name for column in table.columns] == ["error_a"] and table.reasons() == ("skipped: no pivot",)
    assert table.caption.endswith("Left out, without any value (skipped: no clean picture): Gain B.")


def test_a_table_that_would_have_nothing_left_stays() -> None:
    frame = rows(12)
    for method in ("plain", "fine", "twin"):
        lose(frame, method, lambda image: True, "no weights", "skipped")
    whole = means(check(Path(), run_json(12), frame), "faces", "standard")
    assert sections(whole) == (whole,)


def test_recipes_are_said_once_and_captions_are_short() -> None:
    results = grouped()
    tables = [part for table in (means(results, "faces", "standard"), paired(results, "faces", "standard", "plain"))
              for part in sections(table)]  # fmt: skip
    text = tables_markdown(results.run, tables, listings(results))
    tex = latex.document(tables)
    for whole in (text, tex):
        assert whole.count(SHARED) == 1 and whole.count(LONG.strip()) == 2
        assert whole.index(LONG.strip()) > max(whole.index(table.title) for table in tables)
    captions = [line for line in text.splitlines() if "Recipes: section Metrics." in line]
    assert len(captions) == 4 and max(map(len, captions)) < 550
    assert tex.count("Metrics: near v4; far v4.") == 2 and latex.recipes(tables) in tex
    assert "| near | a recipe" in text.split("## Metrics")[1]
    assert "section Metrics" not in markdown.table(replace(tables[0], columns=(), rows=()))


def test_a_unit_is_not_said_twice() -> None:
    assert with_unit("Change (LPIPS)", "LPIPS") == "Change (LPIPS)" and with_unit("PSNR", "") == "PSNR"
    assert with_unit("PSNR", "dB") == "PSNR (dB)"


def test_several_seeds_are_averaged_by_image_and_listed() -> None:
    one = rows(12)
    other = one.assign(seed=1)
    other.loc[(other["metric"] == "error_a") & (other["method"] == "plain"), "value"] += 0.2
    results = check(Path(), run_json(12), pd.concat([one, other]))
    single = means(check(Path(), run_json(12), one), "faces", "standard").rows[0].cells[0]
    cell = means(results, "faces", "standard").rows[0].cells[0]
    assert cell.value is not None and single.value is not None
    assert np.isclose(cell.value, single.value + 0.1) and cell.n == 12
    (listing,) = (each for each in listings(results) if each.title == "Means of single seeds")
    first, second = listing.rows[0], listing.rows[1]
    assert first[:4] == ("faces", "Error A", "Title of plain", "2") and first[4] == f"{0.2 / 2**0.5:.4f}"
    assert second[4] == "0.0000" and len(listing.rows) == 6
    assert "Means of single seeds" not in [each.title for each in listings(check(Path(), run_json(12), one))]
