"""The dashboard's data, without a browser: summaries, names, image files, determinism."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reports import dashboard
from reports.dashboard.images import THUMBNAIL
from reports.dashboard.scripts import as_script, packed, slug
from reports.dashboard.summaries import summary
from reports.frame import Results, read
from reports.listings import listings
from reports.statistics import paired_interval
from reports.tabulate import costs, means
from tests.unit.simulated_run import lose, rows, run_json, write


def show(results: Results, reference: str = "plain") -> Path:
    quality = [means(results, *part) for part in results.parts]
    dear = [costs(results, *part) for part in results.parts]
    return dashboard.write(results, quality, dear, reference, listings(results))


def payload(page: Path, name: str) -> Any:
    """What a data script hands over, read as a browser reads it."""
    text = (page.parent / "dashboard" / "data" / name).read_text(encoding="ascii")
    found = re.fullmatch(r'Bench\.\w+\((?:\d+, )?JSON\.parse\((".*")\)\);\n', text)
    assert found is not None
    return json.loads(json.loads(found[1]))


def said(results: Results, column: int = 0) -> str:
    parts = summary(results, means(results, *results.parts[0]), column)
    return "".join(results.methods[part] if isinstance(part, int) else part for part in parts)


def run(tmp_path: Path, frame: pd.DataFrame, n: int = 12, pictures: int = 0) -> Results:
    return read(write(tmp_path / "run", frame, run_json(n), pictures))


def test_a_summary_names_ties_and_the_first_distinguishable_method(tmp_path: Path) -> None:
    results = run(tmp_path, rows(12))
    text = said(results)
    assert re.match(
        r"(fine has .* is not distinguishable from twin|twin has .* is not distinguishable from fine) at n = \d+: "
        r"the paired",
        text,
    )
    values = results.values("error_a", "faces", "standard")
    best = text.split()[0]
    found = paired_interval(values["plain"].to_numpy(), values[best].to_numpy())
    assert f"plain, is higher by {found.mean:.3f} (95% interval {found.low:.3f} to {found.high:.3f})." in text
    assert "highest mean Gain B" in said(results, 1) and "plain, is lower by" in said(results, 1)


def test_a_summary_without_a_comparison_says_why(tmp_path: Path) -> None:
    assert said(run(tmp_path / "few", rows(5), 5)).startswith("5 images are too few to distinguish methods by Error A")
    frame = rows(12)
    for method in ("fine", "twin"):
        lose(frame, method, lambda image: True, "no weights", "skipped")
    assert said(run(tmp_path / "one", frame)).startswith("plain is the only method with values of Error A")
    lose(frame, "plain", lambda image: True, "no weights", "skipped")
    assert said(run(tmp_path / "none", frame)) == "No method has enough values of Error A to compare."


def test_a_summary_gives_the_number_of_images(tmp_path: Path) -> None:
    frame = rows(12)
    lose(frame, "plain", lambda image: image < "im003", "diverged")
    assert said(run(tmp_path, frame)).endswith("Compared on the 9 of 12 images that all methods have.")


def test_small_differences_get_the_decimals_that_show_them(tmp_path: Path) -> None:
    frame = rows(12)
    chosen = (frame["method"] == "fine") & (frame["metric"] == "error_a")
    twin = (frame["method"] == "twin") & (frame["metric"] == "error_a")
    frame.loc[twin, "value"] = frame.loc[chosen, "value"].to_numpy() + np.linspace(0.0001, 0.0002, 12)
    assert re.search(r"twin, is higher by 0\.0002 \(95% interval 0\.0001 to 0\.0002\)", said(run(tmp_path, frame)))


def test_the_set_holds_every_value_pair_and_reason(tmp_path: Path) -> None:
    frame = rows(12)
    lose(frame, "fine", lambda image: image == "im002", "diverged: loss is nan")
    frame = frame[~((frame["method"] == "twin") & (frame["image"] == "im011"))]
    results = run(tmp_path, frame)
    data = payload(show(results), "set-0.js")
    assert data["images"] == [f"im{place:03}" for place in range(12)]
    stored = np.frombuffer(base64.b64decode(data["values"][0][1]), "<f4")
    expected = results.values("error_a", "faces", "standard")["fine"].to_numpy()
    np.testing.assert_allclose(stored, expected, rtol=1e-6)
    assert np.isnan(stored[2]) and not np.isnan(stored[3])
    values = results.values("error_a", "faces", "standard")[["fine", "plain"]].dropna()
    found = paired_interval(values["fine"].to_numpy(), values["plain"].to_numpy())
    assert data["pairs"][0][0][:3] == pytest.approx([found.mean, found.low, found.high], rel=1e-8)
    assert data["pairs"][0][0][3:] == [11, found.excludes_zero]
    lost = {(group["method"], group["status"]): group for group in data["lost"]}
    assert lost[1, "failed"]["reason"] == "diverged: loss is nan" and lost[1, "failed"]["images"] == [2]
    assert lost[2, "missing"]["images"] == [11]


def test_nothing_of_an_earlier_report_stays_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    results = run(tmp_path, rows(12), pictures=12)
    page = show(results)

    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}

    before = contents()
    stray = page.parent / "dashboard" / "images" / "gone" / "im000" / "old.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"of a method that is no more")
    show(read(results.directory))
    assert contents() == before and not stray.parent.parent.exists()
    assert str(tmp_path).encode() not in b"".join(value for path, value in before.items() if path.suffix != ".parquet")


def test_images_are_links_and_large_ones_get_thumbnails(tmp_path: Path) -> None:
    results = run(tmp_path, rows(12), pictures=12)
    own = results.directory / "images" / "faces" / "im000"
    (own / "plain").mkdir()
    for label in ("smile+10", "smile-2", "smile+1"):
        Image.new("RGB", (16, 16)).save(own / "plain" / f"{label}.png")
    Image.new("RGB", (16, 16)).save(own / "mask.png")
    page = show(results)
    assert (page.parent / "dashboard/images/faces/im000/target.png").stat().st_ino == (own / "target.png").stat().st_ino
    data = payload(page, "set-0.js")
    assert [extra["label"] for extra in data["extras"]] == ["mask", "smile-2", "smile+1", "smile+10"]
    assert [extra["method"] for extra in data["extras"]] == [-1, 0, 0, 0]
    assert data["missing"] == [[], [], [], None]  # target, plain, fine; twin has no pictures at all
    assert not (page.parent / "dashboard/thumbs").exists()
    Image.new("RGB", (THUMBNAIL * 3, THUMBNAIL * 2)).save(own / "target.png")
    page = show(results)
    with Image.open(page.parent / "dashboard/thumbs/faces/im000/target.jpg") as picture:
        assert picture.size == (THUMBNAIL, round(THUMBNAIL * 2 / 3))


def test_names_cannot_lead_out_of_the_run(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    Image.new("RGB", (8, 8)).save(secret / "target.png")
    frame = rows(2).replace({"image": {"im000": "../../../secret"}})
    page = show(run(tmp_path, frame, 2))
    assert not list((page.parent / "dashboard").rglob("*.png"))
    for name in ("../../x", "a/b", "a b", "%2e", "", ".", "ü"):
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", slug(name)), name
    assert slug("sg2_w-1.5") == "sg2_w-1.5" and slug("a b") != slug("a-b")


def test_scripts_are_ascii_json_that_no_name_can_leave() -> None:
    text = as_script("receive", 3, {"__proto__": "</script>\u2028\"'\\ü"}).decode("ascii")
    assert "\n" not in text[:-1]
    argument = re.fullmatch(r"Bench\.receive\(3, JSON\.parse\((.*)\)\);\n", text)
    assert argument is not None
    assert json.loads(json.loads(argument[1])) == {"__proto__": "</script>\u2028\"'\\ü"}
    with pytest.raises(ValueError, match="JSON"):
        as_script("receive", {"a": float("nan")})
    assert packed([np.nan, np.nan]) == ""


def test_a_copy_is_made_where_links_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = run(tmp_path, rows(12), pictures=12)

    def refuse(*paths: Any) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    page = show(results)
    copy, own = (
        page.parent / "dashboard/images/faces/im003/plain.png",
        results.directory / "images/faces/im003/plain.png",
    )
    assert copy.read_bytes() == own.read_bytes() and not copy.samefile(own)
