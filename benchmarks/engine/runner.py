"""Inverting: every missing image of every stage run, stored as soon as it is there.

All ways to run a suite come through here, and share its images by the claims of benchmarks/engine/queue.py. The same
methods run under Lightning's `Trainer.predict`, see `benchmarks.engine.writer.ResultWriter`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from benchmarks.engine.ahead import ahead, threads_beside
from benchmarks.engine.config import BATCH
from benchmarks.engine.machine import Meter, device_name
from benchmarks.engine.plan import StageRun
from benchmarks.engine.queue import Chunk, Worker, WorkQueue, chunk_size
from benchmarks.engine.run import Run
from benchmarks.engine.store import Attempts
from benchmarks.engine.types import ImageKey, Resume, Row, Shard, WorkerOptions
from benchmarks.engine.writer import InversionWriter, describe
from benchmarks.errors import ConfigError
from datasets.images import ImageError
from datasets.module import collate, load_item, require_root
from inversion_bench.files import write_text
from methods.base import Inversion, Method

ALL, ALONE = Shard(), WorkerOptions()


def invert(
    run: Run, resume: Resume = "missing", shard: Shard = ALL, tick: Callable[[], None] = lambda: None,
    options: WorkerOptions = ALONE, pause: float = 0.5,
) -> int:  # fmt: skip
    """Invert what is pending of every stage run.

    Shares the images with whoever else works in the folder, and waits for what others hold, as they may die.

    Args:
        run: the run; the methods run on its device.
        resume: which images to invert.
        shard: the part of the images that is this process's.
        tick: called after every chunk of images.
        options: how this process takes part.
        pause: seconds between polls of what others hold.

    Returns:
        The number of images attempted.
    """
    with Worker(run.out, options) as worker:
        attempts = _attempts(run, resume, shard, options)
        queues = _queues(run, attempts, worker)
        inverter = _Inverter(run, worker, attempts)
        jobs = [(queues[stage_run.key], partial(inverter.process, stage_run)) for stage_run in run.plan.stage_runs]
        return worker.work(jobs, tick, pause)


class _Inverter:
    """Processes chunks; builds a stage once, and only when there is something for it to do."""

    def __init__(self, run: Run, worker: Worker, attempts: dict[str, Attempts]):
        self.run, self.worker, self.attempts = run, worker, attempts
        self._method: tuple[str, Method] | None = None
        self._writers: dict[str, InversionWriter] = {}

    def process(self, stage_run: StageRun, chunk: Chunk[str]) -> None:
        writer = self._writer(stage_run)
        if chunk.failure:
            reason = f"{chunk.failure}; --resume failed tries it again"
            return writer.write_failures(dict.fromkeys(chunk.items, reason))
        method = self._built(stage_run)
        batch = load_batch(
            self.run, stage_run, chunk.items, self.attempts[stage_run.parent].rows if stage_run.parent else {}
        )
        fixed = method.batch_size
        with self.worker.watchdog.watching(len(batch["ids"])):
            with Meter(self.run.device) as meter:
                outcome = method.predict_step(method.transfer_batch_to_device(batch, self.run.device, 0), 0)
            if method.batch_size < fixed:
                self.run.store(stage_run).limit_batches(device_name(self.run.device), method.batch_size)
                writer.limit_batches(method.batch_size)
            writer.write(outcome, meter.usage)
        writer.write_failures({ImageKey.parse(name).image: reason for name, reason in batch["failures"].items()})
        writer.write_failures(batch["blocked"], "blocked")

    def _built(self, stage_run: StageRun) -> Method:
        """The stage, on the run's device; the last one only is kept."""
        if self._method is None or self._method[0] != stage_run.key:
            self._method = None  # before there are two in memory
            try:
                method = self.run.method(stage_run.stage, stage_run.seed)
            except (ValueError, FileNotFoundError) as error:  # weights that are none, or another generator's
                raise ConfigError(f"{stage_run.stage.name}: {error}") from error
            method.debug = self.worker.options.debug
            if size := self.run.store(stage_run).batch_limit(device_name(self.run.device)):
                method.limit_batches(size)
                self._writer(stage_run).limit_batches(size)
            self._method = stage_run.key, method
        return self._method[1]

    def _writer(self, stage_run: StageRun) -> InversionWriter:
        key = stage_run.key
        if key not in self._writers:
            self._writers[key] = InversionWriter(
                self.run, stage_run, batch_size(self.run, stage_run), self.attempts[key]
            )
        return self._writers[key]


def load_batch(run: Run, stage_run: StageRun, images: list[str], parents: Mapping[str, Row]) -> dict[str, Any]:
    """Targets and inversions by the stage before, as `Method.predict_step` takes them.

    Args:
        run: the run.
        stage_run: the stage run.
        images: what to load.
        parents: the rows of the stage before.

    Returns:
        ids: image keys as text, of the N images that can be inverted.
        images: their targets [N, 3, R, R] in [-1, 1] on the CPU.
        init: their inversions by the stage before, or None for a first stage.
        failures: why other targets cannot be read, by image key.
        blocked: why others have no inversion by the stage before, by image.
    """
    blocked: dict[str, str] = {}
    inits: dict[str, Inversion] = {}
    store = run.store(stage_run.parent) if stage_run.parent else None
    for image in images if store else ():
        assert store is not None
        row, key = parents.get(image), str(ImageKey(stage_run.dataset, image))
        if row is None or (row.status == "ok" and not store.complete(row)):
            blocked[image] = "the stage before is missing"
            continue
        if row.status != "ok":
            blocked[image] = f"the stage before failed: {row.reason}"
            continue
        try:
            inits[key] = store.load(image, key)
        except (OSError, SafetensorError, ImageError, KeyError) as error:
            blocked[image] = f"the stage before cannot be read ({error}); run with --resume all"
    ready = [image for image in images if image not in blocked]
    manifest = run.manifest(stage_run)
    require_root(manifest)
    batch = collate(manifest, list(ahead(ready, partial(load_item, manifest), threads_beside(run.device))))
    init = [inits[key] for key in batch["ids"]] if inits else []
    return {**batch, "init": Inversion.concatenate(init) if init else None, "blocked": blocked}


def group_size(stage_run: StageRun) -> int:
    """Images of a stage run whose results depend on one another."""
    return stage_run.stage.cls.group_size(stage_run.stage.config)


def batch_size(run: Run, stage_run: StageRun) -> int:
    """Images that are inverted at once; a group, so that an image that fails never moves others to another group."""
    size, wanted = group_size(stage_run), run.plan.suite.batch_size
    return size if size > 1 else wanted or getattr(stage_run.stage.config, "batch_size", BATCH)


def pending(run: Run, stage_run: StageRun, resume: Resume, shard: Shard = ALL) -> list[str]:
    """Images of the shard that still have to be inverted; groups that share a generator together."""
    if resume == "none":
        return []
    ids, size = run.manifest(stage_run).ids, group_size(stage_run)
    # In units that hold complete groups of every stage: a shard has the same images in a stage run and in its parent.
    unit = math.lcm(*(group_size(stage_run) for stage_run in run.plan.stage_runs))
    mine = shard.take([ids[i : i + unit] for i in range(0, len(ids), unit)])
    rows = run.rows(stage_run)
    parents = run.rows(stage_run.parent) if stage_run.parent else {}

    def due(image: str) -> bool:
        row = rows.get(image)
        if resume == "all" or row is None:
            return True
        if row.status == "ok":
            unmeasured = resume == "failed" and any(score.status == "failed" for score in row.scores)
            return unmeasured or (not row.weights_kept and run.plan.feeds(stage_run.key))
        unblocked = row.status == "blocked" and image in parents and parents[image].status == "ok"
        return resume == "failed" or unblocked

    groups = [mine[i : i + size] for i in range(0, len(mine), size)]
    return [image for group in groups if any(map(due, group)) for image in group]


def save_planned(run: Run, resume: Resume, path: Path) -> None:
    """Write down what a run has to do, so that workers that begin later do not take its own results for old ones."""
    planned = {}
    for stage_run in run.plan.stage_runs:
        attempts = Attempts(run.store(stage_run).row_files())
        attempts.refresh()
        planned[stage_run.key] = {image: attempts.count.get(image, 0) for image in pending(run, stage_run, resume)}
    write_text(path, json.dumps(planned))


def _attempts(run: Run, resume: Resume, shard: Shard, options: WorkerOptions) -> dict[str, Attempts]:
    """By stage run: the attempts so far, and which images this run has planned to do."""
    planned = json.loads(Path(options.planned).read_text()) if options.planned else None
    attempts: dict[str, Attempts] = {}
    for stage_run in run.plan.stage_runs:
        attempts[stage_run.key] = found = Attempts(run.store(stage_run).row_files())
        # Counted first: what another worker finishes in between is then seen as done, not as what was there before.
        found.refresh()
        if planned:
            found.planned = planned[stage_run.key]
        else:
            count = dict(found.count)
            found.planned = {image: count.get(image, 0) for image in pending(run, stage_run, resume, shard)}
    return attempts


def _queues(run: Run, attempts: Mapping[str, Attempts], worker: Worker) -> dict[str, WorkQueue[str]]:
    """The work queue of every stage run, by key, parents first."""
    queues: dict[str, WorkQueue[str]] = {}
    for stage_run in run.plan.stage_runs:
        describe(run, stage_run)
        images, size = list(attempts[stage_run.key].planned), group_size(stage_run)
        parallel = stage_run.stage.cls.parallel_images(stage_run.stage.config)
        queues[stage_run.key] = WorkQueue(
            [images[i : i + size] for i in range(0, len(images), size)],
            worker.claims(stage_run.key),
            attempts[stage_run.key],
            chunk_size(batch_size(run, stage_run), max(size, parallel), worker.options.workers),
            str,
            attempts[stage_run.parent] if stage_run.parent else None,
        )
    return queues
