"""The measurement of scoring, on small images and with metrics that need no files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.perf import scoring
from datasets import assets
from inversion_bench.errors import AssetMissingError


def test_scoring_is_measured_without_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = scoring.load_suite("celeba-hq")
    few = {"reconstruction": {"metrics": ["mse_256"]}, "reconstruction_1024": {"protocol": "reconstruction",
           "metrics": ["mse", "lpips_alex"]}, "locality": {}}  # fmt: skip

    def absent(name: str, path: Path | None) -> Path:
        raise AssetMissingError(f"no {name}")

    monkeypatch.setattr(scoring, "load_suite", lambda name: replace(suite, protocols=few))
    monkeypatch.setattr(assets, "file_of", absent)
    scoring.main(["--device", "cpu", "--images", "4", "--resolution", "64", "--out", str(tmp_path)])
    rows = [json.loads(line) for line in (tmp_path / "scoring.jsonl").read_text().splitlines()]
    by_title = {row["title"]: row for row in rows}
    assert by_title["lpips_alex"].keys() >= {"ms", "from", "to"} and by_title["mse_256"]["ms"] > 0
    assert {row["title"] for row in rows if row.get("weights") == "random"} >= {"lpips_alex", "curricularface"}
    image = by_title["an image"]
    assert image["images"] == 2 and image["scores"] == 3
    assert 0 < image["metrics_ms"] < image["total_ms"]
    assert by_title["2,824 images"]["seconds"] == pytest.approx(2.824 * image["total_ms"])
