"""The engine's methods and writer under a plain `Trainer.predict`."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytorch_lightning import Trainer

from benchmarks.cli import main
from benchmarks.engine.config import load_suite
from benchmarks.engine.plan import expand
from benchmarks.engine.run import Run
from benchmarks.engine.writer import ResultWriter
from datasets import ImageDataModule
from methods.pipeline import Pipeline
from methods.registry import load_pipeline
from tests.integration.tiny_suite import IMAGES, reference, suite, tables, world

__all__ = ["reference", "suite", "world"]  # fixtures
pytestmark = pytest.mark.assets
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


def test_results_are_those_of_the_engine(suite: str, tmp_path: Path, reference: Path) -> None:
    run = Run(expand(load_suite(suite)), tmp_path)
    settings = run.plan.suite
    pipeline = Pipeline(run.generator, load_pipeline("sg2_w", settings.stage_settings), settings.seed)
    for dataset, manifest in run.plan.manifests.items():
        data = ImageDataModule(manifest, manifest.ids, batch_size=settings.batch_size)
        trainer = Trainer(accelerator="cpu", callbacks=[ResultWriter(run, "sg2_w")], **QUIET)
        trainer.predict(pipeline, data, return_predictions=False)
        key = run.plan.leaf["sg2_w", dataset, 0]
        assert {row.status for row in run.rows(key).values()} == {"ok"}
        other = Run(run.plan, reference).store(key)
        for image in manifest.ids:
            assert run.store(key).picture(image).read_bytes() == other.picture(image).read_bytes()
    before = {image: row.attempt for image, row in run.rows(run.plan.leaf["sg2_w", "folder", 0]).items()}
    # The engine goes on from there: only the tuning is missing.
    assert main(["run", suite, "--out", str(tmp_path)]) == 0 and tables(tmp_path) == tables(reference)
    after = {image: row.attempt for image, row in run.rows(run.plan.leaf["sg2_w", "folder", 0]).items()}
    assert before == after and len(after) == IMAGES


def test_a_method_that_the_suite_does_not_run_is_an_error(suite: str, tmp_path: Path) -> None:
    run = Run(expand(load_suite(suite)), tmp_path)
    with pytest.raises(KeyError, match="suite tiny does not run psp on data set folder"):
        ResultWriter(run, "psp")._writer("folder", 1)
