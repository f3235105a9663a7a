"""The rule by which default settings are chosen, on a run whose points are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.perf import settings
from tests.unit import simulated_run

# LPIPS, identity and seconds of each candidate; the points are (-LPIPS + identity) / 2 / 0.005 - seconds.
CANDIDATES = {
    "sg2_w@steps=1": (0.30, 0.10, 1.0),  # -21
    "sg2_w@steps=2": (0.28, 0.11, 2.0),  # -19
    "sg2_w@steps=9": (0.27, 0.115, 9.0),  # -24.5
}


def written(folder: Path, last: float | None = None) -> Path:
    """The run of CANDIDATES. last: another time of the last one."""
    names = {"error_a": "lpips_vgg", "gain_b": "id_sface", "seconds": "cpu_seconds"}
    methods = dict.fromkeys(CANDIDATES, 0.0) | {"alone": 0.0}
    frame = simulated_run.rows(6, methods)
    frame["metric"] = frame["metric"].replace(names)
    frame["protocol"] = "reconstruction"
    frame = frame[frame["metric"] != "peak_memory_mb"]
    for method, values in CANDIDATES.items():
        for metric, value in zip(names.values(), values, strict=True):
            chosen = (frame["method"] == method) & (frame["metric"] == metric)
            frame.loc[chosen, "value"] = last if last and (value == 9.0) else value
    locality = frame[frame["metric"] == "lpips_vgg"].assign(
        metric="change_far_lpips", protocol="locality", status="skipped", value=float("nan"), reason="not tuned",
        metric_version=1,
    )  # fmt: skip
    frame = simulated_run.pd.concat([frame, locality], ignore_index=True)
    run = simulated_run.run_json(6, {name: {"title": name, "year": 2020, "stages": ["w"]} for name in methods})
    metrics = {names[name]: info for name, info in simulated_run.METRICS.items()}
    run["metrics"] = metrics | {"change_far_lpips": {**metrics["lpips_vgg"], "title": "Change far", "version": 1}}
    return simulated_run.write(folder, frame, run)


@pytest.mark.parametrize(("last", "choice"), [(None, "steps=2"), (3.0, "steps=9")])
def test_a_second_has_to_bring_a_margin(
    tmp_path: Path, last: float | None, choice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings.main([str(written(tmp_path / "run", last))]) == 0
    said = capsys.readouterr().out
    assert f"Chosen: `sg2_w@{choice}`" in said and "alone" not in said and "Change far" not in said
    assert r"| \-19.0 |" in said and "6 images" in said


def test_candidates_without_values_are_no_choice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "run")
    frame = simulated_run.pd.read_parquet(folder / "results.parquet")
    simulated_run.lose(frame, "sg2_w@steps=9", lambda image: image == "im003", "no reason")
    frame.to_parquet(folder / "results.parquet")
    for run, text in ((folder, "missing for images of sg2_w@steps=9; finish the run first"), (tmp_path, "run.json")):
        with pytest.raises(SystemExit, match="2"):
            settings.main([str(run)])
        assert text in capsys.readouterr().err
