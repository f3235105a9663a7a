"""Inverting: every missing image of every stage run, through Lightning's `Trainer.predict`, each persisted at once.

All ways to run a suite come through here, and share its images by the claims of benchmarks/engine/queue.py.
"""

from __future__ import annotations

import json
import logging
import math
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter
from safetensors import SafetensorError
from torch.utils.data import DataLoader, IterableDataset

from benchmarks.engine.claims import Claims, Presence, Watch
from benchmarks.engine.machine import commit, device_name, peak_memory_mb
from benchmarks.engine.measure import measure_inline
from benchmarks.engine.plan import StageRun
from benchmarks.engine.queue import Attempts, Hand, Watchdog, Work, hand_size
from benchmarks.engine.run import Run
from benchmarks.engine.store import Row, finite, write_atomically
from datasets.images import ImageError
from datasets.module import ImageDataModule
from methods.base import Inversion, Method, Outcome

Resume = Literal["missing", "failed", "all", "none"]
BEFORE = "the stage before"  # begins the reason of an image that a stage never saw
NOT_KEPT = "not kept"  # in rows of images whose own generator weights were thrown away: nothing can go on from them


@dataclass(frozen=True)
class Shard:
    """Every `of`-th image from `index` on (0 <= index < of)."""

    index: int = 0
    of: int = 1

    def take(self, groups: Sequence[list[str]]) -> list[str]:
        return [image for group in groups[self.index :: self.of] for image in group]


def group_size(stage_run: StageRun) -> int:
    return stage_run.stage.cls.group_size(stage_run.stage.config)


def wanted(run: Run, stage_run: StageRun, resume: Resume, shard: Shard) -> list[str]:
    """Images of the shard that still have to be done; groups that share a generator are done as a whole."""
    ids, size = run.plan.manifests[stage_run.dataset].ids, group_size(stage_run)
    # In units that hold whole groups of every stage: a shard has the same images in a stage run and in its parent.
    unit = math.lcm(*(group_size(each) for each in run.plan.stage_runs))
    mine = shard.take([ids[i : i + unit] for i in range(0, len(ids), unit)])
    rows = run.rows(stage_run)
    parents = run.store(stage_run.parent).rows() if stage_run.parent else {}

    def due(image: str) -> bool:
        row = rows.get(image)
        if resume == "all" or row is None:
            return True
        if row["status"] == "ok":
            unmeasured = resume == "failed" and any(score["status"] == "failed" for score in row["scores"])
            return unmeasured or (row.get("weights") == NOT_KEPT and run.plan.feeds(stage_run.key))
        late = row["reason"].startswith(BEFORE) and parents.get(image, row)["status"] == "ok"
        return resume == "failed" or late

    if resume == "none":
        return []
    missing = [image for image in mine if due(image)]
    if size == 1:
        return missing
    places = {image: place for place, image in enumerate(mine)}
    touched = {places[image] // size for image in missing}
    return [image for i, image in enumerate(mine) if i // size in touched]


_NOTHING: dict[str, Any] = {"ids": [], "images": torch.empty(0, 3, 1, 1), "failures": {}}


class _Batches(IterableDataset):
    """Hands of a stage run as batches with the parent stage run's inversions; failures go on as failures."""

    def __init__(self, hands: Iterator[Hand], most: int, run: Run, stage_run: StageRun):
        self.hands, self.most, self.run, self.dataset = hands, most, run, stage_run.dataset
        self.parent = run.store(stage_run.parent) if stage_run.parent else None

    def __len__(self) -> int:
        """At most. Without it Lightning claims the next hand before it has finished one."""
        return self.most

    def __iter__(self) -> Iterator[dict[str, Any]]:
        manifest = self.run.plan.manifests[self.dataset]
        parent_rows = self.parent.rows() if self.parent else {}
        for hand in self.hands:
            failures, found, inits = dict(hand.failures), [], []
            for image in hand.images:
                row = parent_rows.get(image)
                if self.parent is None:
                    found.append(image)
                elif row is None or row["status"] != "ok":
                    failures[image] = f"{BEFORE} failed: {row['reason']}" if row else f"{BEFORE} is missing"
                else:
                    try:
                        inits.append(self.parent.load(image, f"{self.dataset}/{image}"))
                        found.append(image)
                    except (OSError, SafetensorError, ImageError, KeyError) as error:
                        failures[image] = f"{BEFORE} cannot be read ({error}); run with --resume all"
            data = ImageDataModule(manifest, found, max(1, len(found)))
            data.prepare_data()
            for batch in data.predict_dataloader() if found else [_NOTHING]:
                kept = [init for init, image in zip(inits, found, strict=False) if image in batch["ids"]]
                yield {
                    "images": batch["images"],
                    "ids": [f"{self.dataset}/{image}" for image in batch["ids"]],
                    "init": Inversion.concatenate(kept) if kept else None,
                    "failures": failures | batch["failures"],
                }


class _Writer(BasePredictionWriter):
    """Persists each batch as it ends, then lets go of its images."""

    def __init__(self, run: Run, work: Work, facts: dict[str, Any], dog: Watchdog):
        super().__init__(write_interval="batch")
        self.run, self.stage_run, self.work, self.facts, self.dog = run, work.stage_run, work, facts, dog
        self.store = run.store(work.stage_run)
        self.lines = self.store.writer()

    def on_predict_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.dog.start(len(batch["ids"]))

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
        rows: list[Row] = []
        try:
            rows.extend(self._rows(prediction, batch, memory))
        finally:
            # One wait for the disk a batch; what was saved before an error is said, too.
            if rows:
                self.lines.append(*rows)
        self.dog.stop()
        self.work.done([*(key.split("/", 1)[1] for key in prediction.seconds), *batch["failures"]])

    def _rows(self, prediction: Outcome, batch: dict[str, Any], memory: float | None) -> Iterator[Row]:
        """Save each image of a batch; its row once it is saved."""
        inversion = prediction.inversion
        for n in range(len(inversion) if inversion is not None else 0):
            assert inversion is not None
            one = inversion[n : n + 1]
            image = one.ids[0].split("/", 1)[1]
            # The inversion is worth keeping where a measurement of it fails.
            with torch.inference_mode(False), torch.no_grad():
                scores = [asdict(score) for score in measure_inline(self.run, self.stage_run, one)]
            keep = self.run.plan.keeps_weights(self.stage_run, image)
            self.store.save(image, one, keep)
            seconds = prediction.seconds[one.ids[0]]
            more = {} if keep or one.weights[0] is None else {"weights": NOT_KEPT}
            yield self._row(image, "ok", "", seconds, memory, int(one.steps[0]), scores, more)
        for key, reason in prediction.failures.items():
            yield self._row(key.split("/", 1)[1], "failed", reason, prediction.seconds[key], memory, 0, [])
        for image, reason in batch["failures"].items():
            yield self._row(image, "failed", reason, 0.0, None, 0, [])

    def _row(
        self, image: str, status: str, reason: str, seconds: float, memory: float | None, steps: int, scores: list[Row],
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Row:  # fmt: skip
        row = {
            "image": image,
            "status": status,
            "reason": reason,
            "seconds": round(seconds, 6),
            "peak_memory_mb": memory,
            "steps": steps,
            "scores": scores,
            "attempt": self.work.attempts.count.get(image, 0) + 1,
            **self.facts,
            **more,
        }
        if status == "ok":
            row["bytes"] = self.store.sizes(image)
        return row


@dataclass(frozen=True)
class Duty:
    """How a process takes part in a run. name: of the worker, given by whoever watches it. workers: how many there are.
    timeout: seconds for an image before the process ends itself, 0 for ever. before: file of `save_before`, for workers
    that begin at different times; "" for images as they are when this one begins."""

    name: str = ""
    workers: int = 1
    timeout: float = 0.0
    before: str = ""


ALONE = Duty()


def save_before(run: Run, resume: Resume, path: Path) -> None:
    """Write down what a run has to do, so that workers that begin later do not take its own results for old ones."""
    found = {}
    for stage_run in run.plan.stage_runs:
        count = Attempts(run.store(stage_run).row_files()).refresh()
        found[stage_run.key] = {image: count.get(image, 0) for image in wanted(run, stage_run, resume, Shard())}
    write_atomically(path, json.dumps(found).encode())


def invert(
    run: Run, resume: Resume, shard: Shard, progress: bool = True, duty: Duty = ALONE, pause: float = 0.5
) -> int:
    """Run every stage run of the plan for the shard; returns the number of images attempted.

    Shares the images with whoever else works in the folder, and waits for what others hold, as they may die.
    """
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    done = 0
    presence = Presence(run.out, duty.name)
    works = _works(run, resume, shard, duty, presence)
    runner = _Runner(run, duty, Watchdog(duty.timeout, presence.ended), progress)
    try:
        while left := [work for work in works if work.left()]:
            count = sum(runner.predict(work) for work in left)
            done += count
            if not count:
                time.sleep(pause)
        return done
    finally:
        for work in works:
            work.claims.give_back()
        presence.close()


def _works(run: Run, resume: Resume, shard: Shard, duty: Duty, presence: Presence) -> list[Work]:
    told = json.loads(Path(duty.before).read_text()) if duty.before else None
    watch = Watch(run.out)
    works: dict[str, Work] = {}
    for stage_run in run.plan.stage_runs:
        store, size = run.store(stage_run), group_size(stage_run)
        describe(run, stage_run)
        attempts = Attempts(store.row_files())
        # Counted first: what a peer finishes in between is then seen as done, not as what was there before.
        count = dict(attempts.refresh())
        todo = list(told[stage_run.key]) if told else wanted(run, stage_run, resume, shard)
        before = told[stage_run.key] if told else {image: count.get(image, 0) for image in todo}
        units = [todo[i : i + size] for i in range(0, len(todo), size)]
        parent = works[stage_run.parent] if stage_run.parent else None
        works[stage_run.key] = Work(
            stage_run, units, before, attempts, Claims(run.out, stage_run.key, presence, watch), parent
        )
    return list(works.values())


@dataclass
class _Runner:
    """Runs passes over stage runs; builds a stage once, and only when there is something for it to do."""

    run: Run
    duty: Duty
    dog: Watchdog
    progress: bool
    methods: dict[str, Method] = field(default_factory=dict)

    def predict(self, work: Work) -> int:
        """One pass over a stage run; returns the number of images attempted."""
        stage_run, size = work.stage_run, group_size(work.stage_run)
        # A group a batch, so that an image that drops out never moves others into another group.
        most = size if size > 1 else self.run.plan.suite.batch_size
        together = stage_run.stage.cls.parallel_images(stage_run.stage.config)
        hands = work.hands(hand_size(most, max(size, together), self.duty.workers))
        first = next(hands, None)
        if first is None:
            return 0
        count = 0

        def counted() -> Iterator[Hand]:
            nonlocal count
            for hand in chain([first], hands):
                count += len(hand.images) + len(hand.failures)
                yield hand

        if stage_run.key not in self.methods:
            self.methods = {stage_run.key: stage_run.stage.build(self.run.plan.generator, stage_run.seed)}
        self._trainer(counted(), work, most)
        return count

    def _trainer(self, hands: Iterator[Hand], work: Work, batch: int) -> None:
        stage_run = work.stage_run
        facts = {
            "device": device_name(self.run.device),
            "precision": "float32",
            "batch_size": batch,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "commit": commit(),
        }
        trainer = pl.Trainer(
            accelerator=self.run.device.type,
            devices=1 if self.run.device.index is None else [self.run.device.index],
            logger=False,
            inference_mode=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=self.progress and sys.stderr.isatty(),
            callbacks=[_Writer(self.run, work, facts, self.dog)],
        )
        batches = _Batches(hands, sum(map(len, work.units)), self.run, stage_run)
        loader = DataLoader(batches, batch_size=None)
        on_interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.predict(self.methods[stage_run.key], loader, return_predictions=False)
        except SystemExit as stop:
            # What Lightning makes of an interrupt; it also goes on ignoring the signal.
            signal.signal(signal.SIGINT, on_interrupt)
            raise KeyboardInterrupt from stop
        finally:
            self.dog.stop()
            self.run.generator.to(self.run.device)  # Lightning moves it to the CPU


def describe(run: Run, stage_run: StageRun) -> None:
    """Leave in the stage run's folder what it is, for people and for tools that merge runs."""
    path = run.store(stage_run).folder / "stage.json"
    what = {
        "key": stage_run.key,
        "stages": [stage.identity() for stage in stage_run.stages],
        "dataset": stage_run.dataset,
        "seed": stage_run.seed,
        "generator": run.plan.generator_hash,
        "parent": stage_run.parent,
    }
    text = (json.dumps(what, indent=1, sort_keys=True) + "\n").encode()
    if not path.exists() or path.read_bytes() != text:  # torn by a power cut
        write_atomically(path, text)
