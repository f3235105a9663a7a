"""Published numbers are compared with measured ones where the recipe agrees; a warning says where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.engine.config import load_suite
from benchmarks.engine.export import note_of
from benchmarks.errors import ConfigError
from methods.registry import load_pipeline
from metrics import registry
from reports import build, latex, markdown, published, published_comparison
from reports.frame import Results, check
from tests.unit.simulated_run import lose, rows, run_json, write

LEVELS = {"e4e": 0.21, "pti": 0.09, "mine": 0.5}
NAMES = ("lpips_alex_256", "mse_256", "psnr_256", "fid_inception_torchfidelity_1024")


def simulated(n: int = 8, **changes: Any) -> tuple[dict[str, Any], Any]:
    """A run of CelebA-HQ by two published methods and one that is not, with all of NAMES but the last."""
    frame = rows(n, LEVELS)
    frame = frame[frame["metric"] != "gain_b"].replace({"faces": "celeba_hq", "standard": "reconstruction"})
    parts = [frame[frame["metric"] != "error_a"]]
    for name in NAMES[:3]:
        parts.append(frame[frame["metric"] == "error_a"].assign(metric=name, metric_version=1))
    run = run_json(n, {name: {"title": f"Title of {name}"} for name in LEVELS})
    run["datasets"] = {"celeba_hq": run["datasets"]["faces"]}
    infos = (registry.find(name).info for name in NAMES[:3])
    run["metrics"] = {i.name: {"title": i.title, "direction": i.direction, "digits": i.digits, "version": 1,
                               "recipe": "a recipe"} for i in infos}  # fmt: skip
    run["generator"] = {"name": "stylegan2_ffhq", "sha256": "00ff"}
    run["config"] = {"published": ["pti_paper", "sfe_paper", "ganinverter_readme", "hyperinverter_zoo", "sfe_cars"]}

    return run | changes, pd.concat(parts, ignore_index=True)


def results(**changes: Any) -> Results:
    run, frame = simulated(**changes)
    return check(Path(), run, frame)


def test_agreeing_numbers_share_a_table_with_the_runs_own() -> None:
    (table,) = published_comparison.tables(results())
    assert [row.method for row in table.rows] == ["e4e", "pti"], "a method without published numbers has no row"
    titles = [registry.find(name).info.title for name in NAMES[:2]]
    sides = ["this run", "SFE 2024", "GANInverter 2023"]
    assert [(c.group, c.title) for c in table.columns] == [(title, side) for title in titles for side in sides]
    own, sfe, inverter = table.rows[0].cells[:3]
    assert own.value == pytest.approx(0.21, abs=0.05) and own.low is not None and not own.mark and own.n == 8
    assert (sfe.text, inverter.text) == (".199", ".1974")
    # GANInverter's PTI is another method: no number of it stands in PTI's row.
    assert table.rows[1].cells[1].text == ".085" and table.rows[1].cells[2].value is None
    text = markdown.table(table)
    assert "| .199 |" in text and "published over 2824 images, this run has 8" in text and "**" not in text
    assert latex.document([table])


def test_what_does_not_agree_is_warned_of() -> None:
    (listing,) = published_comparison.warnings(results())
    said = {(source.split(",")[0], numbers): why for source, numbers, why in listing.rows}
    assert "another LPIPS" in said["PTI 2021", "LPIPS (not AlexNet at 256 px)"]
    assert "3.01 dB low" in said["GANInverter 2023", "PSNR (3.01 dB low)"]
    assert "neither early stop nor regulariser" in said["GANInverter 2023", "row PTI"]
    assert "pytorch-fid" in said["SFE 2024", "FID"]
    assert "is not measured in this run" in said["HyperInverter 2022", "FID"]
    assert said["HyperInverter 2022", "all rows"] == "none of its methods is in this run"
    assert "stanford_cars, which is not in this run" in said["SFE 2024", "all"]


def test_another_generator_or_no_published_table_gives_no_comparison() -> None:
    other = results(generator={"name": "celeba64"})
    assert published_comparison.tables(other) == []
    assert all(
        "this run: celeba64" in why or "stanford_cars" in why
        for _, _, why in published_comparison.warnings(other)[0].rows
    )
    plain = results(config={})
    assert published_comparison.tables(plain) == [] and published_comparison.warnings(plain) == []


def test_the_report_has_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.figures, "draw", lambda *_: [])
    run, frame = simulated()
    lose(frame, "e4e", lambda image: image == "im000", "no face")
    write(tmp_path, frame, run)
    build.build(tmp_path)
    text = (tmp_path / "report" / "tables.md").read_text()
    assert "## Comparison with published numbers: Faces (n = 8)" in text
    assert "## Published numbers that are not compared" in text
    assert "another LPIPS: .40 for e4e" in text
    assert "published" in (tmp_path / "report" / "tables.csv").read_text()


def test_every_published_column_agrees_with_a_metric_or_says_how_it_differs() -> None:
    for name in published.names():
        entry = published.entry(name)
        assert entry["short"] and entry["dataset"] and entry["generator"]
        for column, each in entry["columns"].items():
            assert ("metric" in each) != ("differs" in each), (name, column)
            if "metric" in each:
                assert registry.find(each["metric"]).info.direction == each["direction"], (name, column)
        for row, method in entry.get("methods", {}).items():
            assert row in entry["rows"] and load_pipeline(method).name == method
        assert set(entry.get("other_methods", {})) <= set(entry["rows"]) - set(entry.get("methods", {}))


def test_suites_name_published_tables() -> None:
    assert "ganinverter_readme" in load_suite("celeba-hq").published and not load_suite("celeba-hq-ood").published
    with pytest.raises(ConfigError, match=r"no published table 'sfe_papr': did you mean 'sfe_paper'"):
        load_suite("celeba-hq", ["published=[sfe_papr]"])


def test_published_weights_are_not_called_trained_here() -> None:
    own, theirs = (
        load_pipeline("e4e", settings).stages[0] for settings in ({}, load_suite("celeba-hq").stage_settings)
    )
    assert note_of(own) == "re-implemented and trained by this suite"
    assert note_of(theirs) == "published weights (e4e_ffhq_encode) in a network of this suite"
