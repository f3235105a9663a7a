"""Storing inversions: measured while they are in memory, then their files, then one row for each image."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter

from benchmarks.engine.ahead import ahead, threads_beside
from benchmarks.engine.machine import BUSY, Meter, Usage, commit, device_name, machine_name
from benchmarks.engine.measure import measure_inline
from benchmarks.engine.plan import StageRun
from benchmarks.engine.run import Run
from benchmarks.engine.store import Attempts, finite
from benchmarks.engine.types import STORE_VERSION, ImageKey, Provenance, Row, Status
from inversion_bench.files import write_text
from methods.base import Inversion, Outcome

logger = logging.getLogger(__name__)


class InversionWriter:
    """Stores what comes of images of one stage run.

    Args:
        run: the run.
        stage_run: the stage run.
        batch_size: images that are inverted at once, at most.
        attempts: counts the attempts at each image so far.
    """

    def __init__(self, run: Run, stage_run: StageRun, batch_size: int, attempts: Attempts):
        self.run, self.stage_run, self.attempts = run, stage_run, attempts
        self.store = run.store(stage_run)
        self.rows, self._warned = self.store.writer(), False
        device, threads = device_name(run.device), torch.get_num_threads()
        precision = "TF32" if run.plan.suite.tf32 else "float32"
        self.provenance = Provenance(device, precision, batch_size, threads, str(torch.__version__), commit(),
                                     machine_name(threads))  # fmt: skip
        describe(run, stage_run)

    def limit_batches(self, size: int) -> None:
        """Say in rows that a stage computes at most `size` images at once, as there is no memory for more."""
        self.provenance = replace(self.provenance, batch_size=min(size, self.provenance.batch_size))

    def write(self, outcome: Outcome, usage: Usage) -> None:
        """Store a batch and what it used; what was saved before an error gets its row, too."""
        rows: list[Row] = []
        if usage.load > BUSY and not self._warned:
            self._warned = True
            logger.warning("the load is %.1f for each processor: times are longer than on an idle machine", usage.load)
        try:
            for row in self._rows(outcome, usage):
                rows.append(row)
        finally:
            self._append(rows)

    def write_failures(self, reasons: dict[str, str], status: Status = "failed") -> None:
        """Write rows of images that no stage was given. reasons: by image."""
        self._append([self._row(Row(image, status, 0, reason)) for image, reason in reasons.items()])

    def _append(self, rows: Sequence[Row]) -> None:
        if rows:  # in one write, as the disk is waited for
            self.rows.append(*(row.to_json() for row in rows))

    def _row(self, row: Row) -> Row:
        return replace(row, attempt=self.attempts.count.get(row.image, 0) + 1, provenance=self.provenance)

    def _rows(self, outcome: Outcome, usage: Usage) -> Iterator[Row]:
        """Save each image of a batch, in threads beside a GPU; its row once it is saved."""
        count = len(outcome.seconds)
        cpu = finite(round(usage.cpu_seconds / max(1, count), 6))
        used = Row("", "ok", 0, peak_memory_mb=finite(usage.memory), cpu_seconds=cpu, load=finite(usage.load),
                   batch_images=count)  # fmt: skip
        seconds = {name: round(value, 6) for name, value in outcome.seconds.items()}
        batch = outcome.inversion
        each = [batch[n : n + 1] for n in range(len(batch))] if batch is not None else []
        for inversion, saved in zip(each, ahead(each, self._save, threads_beside(self.run.device)), strict=True):
            with torch.inference_mode(False), torch.no_grad():
                scores = tuple(measure_inline(self.run, self.stage_run, inversion))
            steps = int(inversion.steps[0])
            yield self._row(replace(used, seconds=seconds[inversion.ids[0]], steps=steps, scores=scores, **saved))
        for name, reason in outcome.failures.items():
            image = ImageKey.parse(name).image
            yield self._row(replace(used, image=image, status="failed", reason=reason, seconds=seconds[name]))

    def _save(self, inversion: Inversion) -> dict[str, Any]:
        """Save an inversion of length 1; what its row says of the files."""
        image = ImageKey.parse(inversion.ids[0]).image
        keep = self.run.plan.keeps_weights(self.stage_run, image)
        files, sha256 = self.store.save(image, inversion, keep)
        kept = keep or not inversion.more_than_codes
        return {"image": image, "files": files, "sha256": sha256, "weights_kept": kept}


class ResultWriter(BasePredictionWriter):
    """Stores what `Trainer.predict` gets from a pipeline as the results of a method of the suite.

    Args:
        run: the run; its device is the trainer's.
        method: the pipeline's name in the suite.

    Example:
        run = Run(expand(load_suite("celeba64")), Path("runs/mine"))
        pipeline = Pipeline(run.generator, load_pipeline("pti"))
        data = ImageDataModule(run.plan.manifests["openpeople"], ids)
        Trainer(callbacks=[ResultWriter(run, "pti")]).predict(pipeline, data, return_predictions=False)
    """

    def __init__(self, run: Run, method: str):
        super().__init__(write_interval="batch")
        self.run, self.method = run, method
        self._writers: dict[str, InversionWriter] = {}
        self._meter = Meter(run.device)

    def on_predict_batch_start(self, *_: Any, **__: Any) -> None:
        self._meter = Meter(self.run.device)
        self._meter.__enter__()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        pl_module.pads = True  # type: ignore[assignment]  # as in the engine, to the last digit

    def write_on_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, prediction: Outcome,
        batch_indices: Sequence[int] | None, batch: dict[str, Any], batch_idx: int, dataloader_idx: int,
    ) -> None:  # fmt: skip
        self._meter.__exit__()
        names = [*prediction.seconds, *batch["failures"]]
        if not names:
            return
        writer = self._writer(ImageKey.parse(names[0]).dataset, len(names))
        writer.attempts.refresh()
        writer.write(prediction, self._meter.usage)
        writer.write_failures({ImageKey.parse(name).image: reason for name, reason in batch["failures"].items()})

    def _writer(self, dataset: str, batch_size: int) -> InversionWriter:
        if dataset not in self._writers:
            plan = self.run.plan
            if (self.method, dataset) not in plan.shown:
                raise KeyError(f"suite {plan.suite.name} does not run {self.method} on data set {dataset}")
            stage_run = plan.stage_run(plan.shown[self.method, dataset])
            attempts = Attempts(self.run.store(stage_run).row_files())
            self._writers[dataset] = InversionWriter(self.run, stage_run, batch_size, attempts)
        return self._writers[dataset]


def describe(run: Run, stage_run: StageRun) -> None:
    """Write what a stage run is into its folder, for people and for tools that merge runs."""
    path = run.store(stage_run).folder / "stage.json"
    content = {
        "store": STORE_VERSION,
        "key": stage_run.key,
        "stages": [stage.identity() for stage in stage_run.stages],
        "dataset": stage_run.dataset,
        "seed": stage_run.seed,
        "generator": run.plan.generator_hash,
        "parent": stage_run.parent,
    }
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    if not path.exists() or path.read_bytes() != text.encode():  # torn by a power cut
        write_text(path, text)
