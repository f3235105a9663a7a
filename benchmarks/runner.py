"""Inverting: every missing image of every cell, through Lightning's `Trainer.predict`, each persisted at once."""

from __future__ import annotations

import json
import logging
import math
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter
from safetensors import SafetensorError
from torch.utils.data import DataLoader, IterableDataset

from benchmarks.machine import commit, device_name, peak_memory_mb
from benchmarks.plan import Cell, Plan
from benchmarks.store import CellStore, finite, write_atomically
from datasets.base import ImageDataModule
from datasets.images import ImageError
from methods import inline as inline_metrics
from methods.base import Inversion, Method, Outcome

Resume = Literal["missing", "failed", "all", "none"]
BEFORE = "the stage before"  # begins the reason of an image that a stage never saw


@dataclass(frozen=True)
class Shard:
    """Every `of`-th image from `index` on (0 <= index < of)."""

    index: int = 0
    of: int = 1

    def take(self, groups: Sequence[list[str]]) -> list[str]:
        return [image for group in groups[self.index :: self.of] for image in group]


def group_size(cell: Cell) -> int:
    return cell.stage.cls.group_size(cell.stage.config)


def wanted(cell: Cell, plan: Plan, out: Path, resume: Resume, shard: Shard) -> list[str]:
    """Images of the shard that still have to be done; groups that share a generator are done as a whole."""
    ids, size = plan.manifests[cell.dataset].ids, group_size(cell)
    # In units that hold whole groups of every stage: a shard has the same images in a cell and in its parent.
    unit = math.lcm(*(group_size(each) for each in plan.cells))
    mine = shard.take([ids[i : i + unit] for i in range(0, len(ids), unit)])
    rows = CellStore(out, cell.key).rows()
    parents = CellStore(out, cell.parent).rows() if cell.parent else {}

    def due(image: str) -> bool:
        row = rows.get(image)
        if resume == "all" or row is None:
            return True
        if row["status"] == "ok":
            return False
        late = row["reason"].startswith(BEFORE) and parents.get(image, row)["status"] == "ok"
        return resume == "failed" or late

    if resume == "none":
        return []
    missing = [image for image in mine if due(image)]
    if size == 1:
        return missing
    touched = {mine.index(image) // size for image in missing}
    return [image for i, image in enumerate(mine) if i // size in touched]


class _Batches(IterableDataset):
    """Batches of the manifest's images with the parent cell's inversions; failures go on as failures."""

    def __init__(self, data: ImageDataModule, parent: CellStore | None, dataset: str):
        self.data, self.parent, self.dataset = data, parent, dataset

    def __iter__(self) -> Iterator[dict[str, Any]]:
        parent_rows = self.parent.rows() if self.parent else {}
        for batch in self.data.predict_dataloader():
            failures = dict(batch["failures"])
            keep, inits = [], []
            for n, image in enumerate(batch["ids"]):
                row = parent_rows.get(image)
                if self.parent is None:
                    keep.append(n)
                elif row is None or row["status"] != "ok":
                    failures[image] = f"{BEFORE} failed: {row['reason']}" if row else f"{BEFORE} is missing"
                else:
                    try:
                        inits.append(self.parent.load(image, f"{self.dataset}/{image}"))
                        keep.append(n)
                    except (OSError, SafetensorError, ImageError, KeyError) as error:
                        failures[image] = f"{BEFORE} cannot be read ({error}); run with --resume all"
            yield {
                "images": batch["images"][keep],
                "ids": [f"{self.dataset}/{batch['ids'][n]}" for n in keep],
                "init": Inversion.concatenate(inits) if inits else None,
                "failures": failures,
            }


class _Writer(BasePredictionWriter):
    """Persists each batch as it ends."""

    def __init__(self, cell: Cell, plan: Plan, store: CellStore, attempts: dict[str, int], facts: dict[str, Any]):
        super().__init__(write_interval="batch")
        self.cell, self.plan, self.store, self.attempts, self.facts = cell, plan, store, attempts, facts
        self.lines = store.writer()

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Outcome,
        batch_indices: Sequence[int] | None,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        memory = finite(peak_memory_mb(pl_module.device))
        inversion = prediction.inversion
        for n in range(len(inversion) if inversion is not None else 0):
            assert inversion is not None
            one = inversion[n : n + 1]
            image = one.ids[0].split("/", 1)[1]
            extra: dict[str, Any] = {}
            with torch.inference_mode(False), torch.no_grad():
                for name in self.plan.suite.inline:
                    extra[name] = self._measure(name, one)
            editing = self.plan.editing
            edited = editing is not None and editing.takes(self.cell.key, self.cell.dataset, image)
            self.store.save(image, one, self.plan.suite.save_weights or edited)
            seconds = prediction.seconds[one.ids[0]]
            self._row(image, "ok", "", seconds, memory, int(one.steps[0]), extra)
        for key, reason in prediction.failures.items():
            self._row(key.split("/", 1)[1], "failed", reason, prediction.seconds[key], memory, 0, {})
        for image, reason in batch["failures"].items():
            self._row(image, "failed", reason, 0.0, None, 0, {})

    def _measure(self, name: str, one: Inversion) -> dict[str, float | str | None]:
        """Values by name, or the reason why there are none: the inversion itself is worth keeping."""
        try:
            values = inline_metrics.measure(name, self.plan.generator, one, self.cell.seed)
        except RuntimeError as error:
            return {"reason": f"{type(error).__name__}: {error}"}
        return {key: finite(value) for key, value in values.items()}

    def _row(
        self, image: str, status: str, reason: str, seconds: float, memory: float | None, steps: int, extra: dict
    ) -> None:
        row = {
            "image": image,
            "status": status,
            "reason": reason,
            "seconds": round(seconds, 6),
            "peak_memory_mb": memory,
            "steps": steps,
            "inline": extra,
            "attempt": self.attempts.get(image, 0) + 1,
            **self.facts,
        }
        self.lines.append(row)


def invert(plan: Plan, out: Path, resume: Resume, shard: Shard, progress: bool = True) -> int:
    """Run every cell of the plan for the shard; returns the number of images attempted.

    A cell's parents come before it in the plan, and a shard takes the same images in every cell, so a shard never
    waits for another.
    """
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    done = 0
    for cell in plan.cells:
        store = CellStore(out, cell.key)
        describe(cell, plan, store)
        todo = wanted(cell, plan, out, resume, shard)
        if not todo:
            continue
        method = cell.stage.build(plan.generator, cell.seed)
        _predict(method, cell, plan, out, store, todo, progress)
        done += len(todo)
    return done


def _predict(
    method: Method, cell: Cell, plan: Plan, out: Path, store: CellStore, todo: list[str], progress: bool
) -> None:
    size = group_size(cell)
    # A group a batch, so that an image that drops out never moves others into another group.
    batch = size if size > 1 else plan.suite.batch_size
    data = ImageDataModule(plan.manifests[cell.dataset], todo, batch)
    data.prepare_data()
    data.setup("predict")
    parent = CellStore(out, cell.parent) if cell.parent else None
    attempts = {image: row["attempt"] for image, row in store.rows().items()}
    facts = {
        "device": device_name(),
        "precision": "float32",
        "batch_size": batch,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "commit": commit(),
    }
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        logger=False,
        inference_mode=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=progress and sys.stderr.isatty(),
        callbacks=[_Writer(cell, plan, store, attempts, facts)],
    )
    loader = DataLoader(_Batches(data, parent, cell.dataset), batch_size=None)
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.predict(method, loader, return_predictions=False)
    except SystemExit as stop:
        # What Lightning makes of an interrupt; it also goes on ignoring the signal.
        signal.signal(signal.SIGINT, on_interrupt)
        raise KeyboardInterrupt from stop


def describe(cell: Cell, plan: Plan, store: CellStore) -> None:
    """Leave in the cell's folder what it is, for people and for tools that merge runs."""
    path = store.folder / "cell.json"
    if path.exists():
        return
    what = {
        "key": cell.key,
        "stages": [stage.identity() for stage in cell.stages],
        "dataset": cell.dataset,
        "seed": cell.seed,
        "generator": plan.generator_hash,
        "parent": cell.parent,
    }
    write_atomically(path, (json.dumps(what, indent=1, sort_keys=True) + "\n").encode())
