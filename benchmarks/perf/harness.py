"""`python -m benchmarks.perf.harness`: the overhead of the harness, and the efficiency of several workers.

    (no option)             10,000 images and a method that does nothing: seconds and memory of the harness
    --share METHOD          the overhead in a run of a real method, 100 images of celeba64's openpeople
    --workers 2             a suite with one worker and with several, and their efficiency; needs as many idle cores

Only the method that does nothing (benchmarks/perf/null.py) is specific to it. The rest is the code of `run`: claims,
decoding, rows, images and latents on disk.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.engine.allocator import keep_freed_memory
from benchmarks.engine.config import load_suite
from benchmarks.engine.export import compact
from benchmarks.engine.machine import pick_device, resident_mb
from benchmarks.engine.measure import score
from benchmarks.engine.plan import expand
from benchmarks.engine.run import Run
from benchmarks.engine.runner import invert
from benchmarks.engine.workers import Fleet, execute
from benchmarks.perf.null import Null, null_plan, simulated

MARKS = (1_000, 5_000, 10_000)
ONLY_RECONSTRUCTION = [f"protocols.{name}=null" for name in ("occlusion", "locality", "latent", "editing")]
# A part of celeba64 that takes one worker about two minutes.
PART = ["methods=[sg2_w,pti]", "datasets=[{name: openpeople, limit: 16}]", *ONLY_RECONSTRUCTION]


def own_cost(count: int, side: int, device: torch.device) -> None:
    """Print seconds and memory of a run of `null` at its marks, and of scoring and export.

    Args:
        count: number of images.
        side: in pixels.
        device: of the method, which only moves images; threads read and write beside a GPU.
    """
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "images", Path(folder) / "out"
        root.mkdir()
        run = Run(null_plan(simulated(root, count, side)), out, device)
        wall, spent = time.perf_counter(), time.process_time()
        assert invert(run) == count
        print("| images | ms / image since the row above: wall | processor | peak memory, MiB |")
        print("| --: | --: | --: | --: |")
        last = (0, wall, spent, 0.0)
        for mark in [mark for mark in MARKS if mark < count] + [count]:
            now = next(record for record in Null.passed if record[0] >= mark)
            wall, spent = (1000 * (now[n] - last[n]) / (now[0] - last[0]) for n in (1, 2))
            print(f"| {now[0]:,} | {wall:.2f} | {spent:.2f} | {now[3]:.0f} |")
            last = now
        print("\n| then | seconds | peak memory, MiB |\n| :-- | --: | --: |")
        for step, action in (
            ("run again, nothing is missing", lambda: invert(run)),
            ("score mse", lambda: score(run)),
            ("export rows and images", lambda: compact(run)),
        ):
            start = time.perf_counter()
            action()
            print(f"| {step} | {time.perf_counter() - start:.1f} | {resident_mb():.0f} |")


def share(method: str, count: int) -> None:
    """Print the seconds of the harness in a run of a real method beside the method's own; it is built once in them."""
    suite = load_suite("celeba64", [f"methods=[{method}]", *ONLY_RECONSTRUCTION])
    entry = next(entry for entry in suite.datasets if entry.name == "openpeople")
    plan = expand(replace(suite, datasets=[replace(entry, limit=count, methods=[])]))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(plan, Path(folder))
        wall, spent = time.perf_counter(), time.process_time()
        invert(run)
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
        rows = [row for stage_run in plan.stage_runs for row in run.rows(stage_run).values()]
    print(f"{method}, {count} images")
    for kind, whole, own in (
        ("wall", wall, sum(row.seconds for row in rows)),
        ("processor", spent, sum(row.cpu_seconds or 0 for row in rows)),
    ):
        print(f"{kind}: method {own:.2f} s, harness {whole - own:.2f} s "
              f"({1000 * (whole - own) / count:.1f} ms an image, {(whole - own) / own:.0%} beside it)")  # fmt: skip


def efficiency(suite: str, overrides: list[str], workers: int, repeats: int) -> None:
    """Print seconds of inverting with one worker and with several, as processes of the local executor.

    Args:
        suite: name.
        overrides: settings of the suite.
        workers: number of workers.
        repeats: runs of each.
    """
    plan = expand(load_suite(suite, overrides))
    count = sum(len(plan.manifests[stage_run.dataset].ids) for stage_run in plan.stage_runs)
    print(f"{count} images of {len(plan.stage_runs)} stage runs of {suite}, one thread per worker\n")
    print("| workers | start, s | inverting, s | images / s |\n| --: | --: | --: | --: |")
    walls: dict[int, list[float]] = {number: [] for number in (1, workers)}
    for number in list(walls) * repeats:
        with tempfile.TemporaryDirectory() as folder:
            out, begin = Path(folder), time.time()
            # With a timeout, a single worker is a process of its own, too.
            execute(Run(plan, out), suite, overrides, "missing", Fleet(workers=number, timeout=86_400))
            end = time.time()
            begun = min(path.stat().st_mtime for path in out.glob("inversions/*/stage.json"))
        walls[number].append(end - begun)
        print(f"| {number} | {begun - begin:.1f} | {end - begun:.1f} | {count / (end - begun):.2f} |", flush=True)
    one, several = (statistics.median(seconds) for seconds in walls.values())
    print(f"\nEfficiency of {workers} workers, without start: {one / several / workers:.0%}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.harness", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("overrides", nargs="*", default=PART, help="settings of the suite, for --workers")
    parser.add_argument("--images", type=int, help="default: 10,000 without a method, 100 with --share")
    parser.add_argument("--side", type=int, default=64, help="of the images, in pixels, for a method that does nothing")
    parser.add_argument("--device", default="cpu", help="for a method that does nothing")
    parser.add_argument("--share", metavar="METHOD")
    parser.add_argument("--workers", type=int, metavar="N")
    parser.add_argument("--suite", default="celeba64", help="for --workers")
    parser.add_argument("--repeats", type=int, default=3, help="for --workers")
    options = parser.parse_args(arguments)
    keep_freed_memory()  # as the commands do
    device = pick_device(options.device)
    torch.set_num_threads(1 if device.type == "cpu" else os.cpu_count() or 1)
    if options.workers:
        efficiency(options.suite, options.overrides, options.workers, options.repeats)
    elif options.share:
        share(options.share, options.images or 100)
    else:
        own_cost(options.images or MARKS[-1], options.side, device)


if __name__ == "__main__":
    main()
