"""The images that protocols make themselves, after all inverting, through the same work queues as the inversions.

Claims of such work stand beside those of inverting, under the name of the folder of its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.engine.config import BATCH
from benchmarks.engine.plan import StageRun
from benchmarks.engine.queue import Chunk, MadeRows, Worker, WorkQueue, chunk_size
from benchmarks.engine.run import Run
from benchmarks.engine.store import JsonLines
from benchmarks.engine.types import Shard, WorkerOptions
from benchmarks.protocols.base import GeneratingProtocol

ALL, ALONE = Shard(), WorkerOptions()
Part = tuple[GeneratingProtocol, StageRun]


def generate(
    run: Run, shard: Shard = ALL, tick: Callable[[], None] = lambda: None, options: WorkerOptions = ALONE,
    pause: float = 0.5,
) -> int:  # fmt: skip
    """Make and read what is missing; waits for what other workers hold, as they may die.

    Args:
        run: the run.
        shard: the part of the images that is this process's.
        tick: called after every chunk of images.
        options: how this process takes part.
        pause: seconds between polls of what others hold.

    Returns:
        The number of images.
    """
    parts = pending(run, shard)
    if not parts:
        return 0
    with Worker(run.out, options) as worker:
        jobs = []
        for (protocol, stage_run), tasks in parts.items():
            files = protocol.row_files(run, stage_run)
            queue: WorkQueue[Any] = WorkQueue(
                [[task] for task in tasks],
                worker.claims(files.names.name),
                MadeRows(files),
                chunk_size(run.plan.suite.batch_size or BATCH, protocol.parallel_images(stage_run), options.workers),
                lambda task: task.image,
            )
            jobs.append((queue, partial(_process, run, protocol, stage_run, files.writer(), worker)))
        return worker.work(jobs, tick, pause)


def _process(
    run: Run, protocol: GeneratingProtocol, stage_run: StageRun, lines: JsonLines, worker: Worker, chunk: Chunk[Any]
) -> None:
    if chunk.failure:
        reason = f"{chunk.failure}; remove {lines.path.parent} to try again"
        lines.append(*(protocol.failed_row(task, reason) for task in chunk.items))
        return
    with worker.watchdog.watching(len(chunk.items)):
        protocol.generate(run, stage_run, chunk.items, lines)


def pending(run: Run, shard: Shard = ALL) -> dict[Part, list[Any]]:
    """What is to be made and is not made yet, by protocol and stage run."""
    parts = {}
    for protocol in run.plan.protocols:
        if isinstance(protocol, GeneratingProtocol):
            for stage_run in run.plan.stage_runs:
                tasks = {task.image: task for task in protocol.tasks(run, stage_run)}
                mine = shard.take([[image] for image in protocol.chosen(stage_run)])
                if todo := [tasks[image] for image in mine if image in tasks]:
                    parts[protocol, stage_run] = todo
    return parts
