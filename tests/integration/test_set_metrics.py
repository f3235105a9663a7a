"""A metric of whole sets through `run`: from the stored pictures to the tables, and where its weights are absent."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from benchmarks.cli import main
from datasets.images import read_rgb, to_tensor
from metrics import registry
from metrics.base import MetricInfo, SetMetric, Undefined
from metrics.set_distances import frechet_influences
from tests.integration.tiny_suite import four_pictures, world  # noqa: F401

FID = "fid_inception_torchfidelity_256"
SUITE = [
    "methods=[sg2_w]",
    "protocols.occlusion=null",
    "datasets=[{name: folder, options: {path: PATH, align: false}}]",
]


def means(images: Tensor) -> Tensor:
    """Features [N, 3] that are known: the means of the colours."""
    return images.mean(dim=(2, 3))


def only_large(images: Tensor) -> Tensor:
    raise Undefined(f"it is defined at 1024 px, these images have {images.shape[-1]}")


def plain() -> SetMetric:
    info = MetricInfo("frechet_plain", "Plain distance", "lower", "", (None, None), 1, "of mean colours", "-", 4)
    return SetMetric(info, "means", lambda: means, frechet_influences)


def undefined() -> SetMetric:
    info = MetricInfo("frechet_large", "Of large pictures", "lower", "", (None, None), 1, "of none", "-", 4)
    return SetMetric(info, "large", lambda: only_large, frechet_influences)


@pytest.fixture
def run(world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    monkeypatch.setitem(registry.METRICS.table, "frechet_plain", f"{__name__}:plain")
    monkeypatch.setitem(registry.METRICS.table, "frechet_large", f"{__name__}:undefined")
    monkeypatch.setenv("INVERSION_BENCH_WEIGHTS", str(tmp_path))
    pictures = four_pictures(world, tmp_path / "pictures")
    settings = [each.replace("PATH", str(pictures)) for each in SUITE]

    def go(*more: str, code: int = 0) -> pd.DataFrame:
        out = tmp_path / "out"
        assert main(["run", str(world / "tiny.yaml"), "--out", str(out), *settings, *more]) == code
        return pd.read_parquet(out / "results.parquet").query("protocol == 'reconstruction'")

    return go


def test_a_sets_number_is_the_mean_of_its_rows(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = run(f"metrics=[mse,frechet_plain,frechet_large,{FID}]").set_index("metric")
    rows = frame.loc["frechet_plain"]
    folders = sorted((tmp_path / "out" / "images" / "folder").iterdir())
    sides = [torch.stack([means(to_tensor(read_rgb(f / name))[None])[0] for f in folders])
             for name in ("sg2_w.png", "target.png")]  # fmt: skip
    assert len(rows) == 4 and set(rows["status"]) == {"ok"}
    assert rows["value"].mean() == pytest.approx(float(frechet_influences(*sides).mean()), rel=1e-5)
    text = (tmp_path / "out" / "report" / "tables.md").read_text()
    assert "Plain distance" in text and f"{rows['value'].mean():.4f}" in text
    real = frame.loc["frechet_plain_real"]
    halves = float(frechet_influences(sides[1][0::2], sides[1][1::2]).mean())
    assert set(real["status"]) == {"ok"} and real["value"].mean() == pytest.approx(halves, rel=1e-5)
    large = frame.loc["frechet_large"]
    assert set(large["value"].isna()) == {True} and "it is defined at 1024 px, these images have 64" in set(
        large["reason"]
    )
    assert set(large["status"]) == {"undefined"}
    absent = frame.loc[FID]
    assert set(absent["status"]) == {"skipped"} and "weights-inception-2015-12-05" in absent["reason"].iloc[0]
    # A second run computes nothing again, and a changed set all of it.
    monkeypatch.setattr("benchmarks.protocols.set_distances._features", lambda *_: pytest.fail("computed again"))
    run("metrics=[frechet_plain]", "--replace")


def test_one_image_is_no_set(run) -> None:
    rows = run("metrics=[frechet_plain]", "datasets[0].limit=1")
    rows = rows[rows["metric"] == "frechet_plain"]
    assert rows["value"].isna().all()
    assert set(rows["reason"]) == {"a distance of sets needs at least 2 images, found 1"}


def test_weights_that_do_not_load_fail_in_the_rows_alone(run, tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity")
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights-inception-2015-12-05-6726825d.pth")
    rows = run(f"metrics=[mse,{FID}]", code=1).set_index("metric")
    assert set(rows.loc["mse", "status"]) == {"ok"}
    assert set(rows.loc[FID, "status"]) == {"failed"}
    assert "not torch-fidelity's Inception" in rows.loc[FID, "reason"].iloc[0]
