"""`python -m benchmarks.perf.scoring --device cuda --out FOLDER`: how long scoring CelebA-HQ's 2,824 images takes.

The suite's own scoring (benchmarks/engine/measure.py) over celeba-hq's metrics of single images, on random faces of
--resolution: the bundled generator's, enlarged, with fine noise, so that a detector finds faces and PNG files have a
photograph's size. Networks whose weights are absent have random ones of the same shapes; each has a row that says so.
Rows go to FOLDER/scoring.jsonl one by one; times are wall time, after the first images, which load the networks.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.engine.config import load_suite
from benchmarks.engine.machine import pick_device
from benchmarks.engine.measure import CHUNK, score
from benchmarks.engine.run import Run
from benchmarks.engine.types import Row, Score
from benchmarks.perf.null import null_plan
from benchmarks.perf.recorder import Bench
from benchmarks.perf.synthetic import random_lpips
from benchmarks.protocols import reconstruction
from datasets import assets
from datasets.alignment import NoFaceError, find_face
from datasets.base import Manifest, Record
from datasets.images import pixel_sha256, read_rgb, save_png, to_image
from inversion_bench.errors import SetupError
from methods.base import Inversion
from methods.generators import Generator, load_generator
from metrics import identity, perceptual
from metrics.networks.arcface import CurricularFace

SUITE, IMAGES = "celeba-hq", 2824
WARM, PORTION = 2, CHUNK  # images of the first call of `score`, which is not timed, and of each later one
ALONE = 16  # images whose decoding and detection are timed by themselves
FINE = 0.02  # standard deviation of the fine noise, about 2.5 levels of 255: PNG files take half of their pixels' bytes


def faces(generator: Generator, index: int, side: int) -> tuple[Tensor, Tensor]:
    """A target and a reconstruction [3, side, side] in [-1, 1]: two codes close to one another, each with own noise."""
    stream = torch.Generator().manual_seed(index)
    code = generator.mapping(torch.randn(1, generator.z_dim, generator=stream), truncation=0.7)
    codes = code + 0.05 * torch.randn(2, *code.shape[1:], generator=stream)
    large = F.interpolate(generator.synthesis(codes), size=(side, side), mode="bicubic")
    target, image = (large + FINE * torch.randn(large.shape, generator=stream)).clamp(-1, 1)
    return target, image


@torch.no_grad()
def prepared(folder: Path, count: int, side: int, device: torch.device) -> tuple[Run, list[Row]]:
    """A run of a data set of faces, with all its inversions stored but none of their rows written; and the rows."""
    source, root = load_generator("celeba64"), folder / "targets"
    root.mkdir()
    pairs = [faces(source, n, side) for n in range(count)]

    def saved(n: int) -> Record:
        picture = to_image(pairs[n][0])
        save_png(picture, root / f"{n:06}.png")
        return Record(f"{n:06}", f"{n:06}.png", pixel_sha256(picture))

    def inverted(n: int) -> Row:
        latent, steps = torch.zeros(1, 18, 512), torch.zeros(1, dtype=torch.long)
        inversion = Inversion((f"simulated/{n:06}",), latent, "W+", pairs[n][1][None], steps)
        files, sha256 = store.save(f"{n:06}", inversion, False)
        return Row(f"{n:06}", "ok", 1, files=files, sha256=sha256)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        records = tuple(pool.map(saved, range(count)))
        manifest = Manifest("simulated", "Faces", 1, "as drawn", side, "none", "out", root, records)
        protocols = load_suite(SUITE).protocols
        kept = {name: settings for name, settings in protocols.items() if "reconstruction" in name}
        run = Run(null_plan(manifest, kept), folder / "out", device)
        store = run.store(run.plan.stage_runs[0])
        return run, list(pool.map(inverted, range(count)))


@contextmanager
def weights(bench: Bench) -> Iterator[None]:
    """Random weights in place of those that are absent, with a row for each such network."""
    stand_ins: dict[str, tuple[Any, str, Callable[[], torch.nn.Module]]] = {
        "lpips_alex": (perceptual, "load_lpips", partial(random_lpips, "alex")),
        "lpips_vgg": (perceptual, "load_lpips", partial(random_lpips, "vgg")),
        "curricularface": (identity, "load_identity", CurricularFace),
    }
    with ExitStack() as stack:
        for asset, (module, loader, make) in stand_ins.items():
            try:
                assets.file_of(asset, None)
            except (SetupError, OSError) as error:
                bench.add(asset, weights="random", reason=f"{type(error).__name__}: {error}"[:120])
                load, name = getattr(module, loader), asset.removeprefix("lpips_")

                def either(asked: str, load: Any = load, name: str = name, make: Any = make) -> torch.nn.Module:
                    return make().eval().requires_grad_(False) if asked == name else load(asked)

                stack.enter_context(patch.object(module, loader, either))
        yield


@contextmanager
def timed() -> Iterator[Mapping[str, list[float]]]:
    """Seconds of each metric, image by image. A score is a number, so that a device has done all its work by then."""
    seconds: dict[str, list[float]] = defaultdict(list)
    measure = reconstruction.measure

    def clocked(metric: Any, *rest: Any) -> Score:
        start = time.perf_counter()
        one = measure(metric, *rest)
        seconds[metric.info.name].append(time.perf_counter() - start)
        if one.status not in ("ok", "undefined") and "no face" not in one.reason:
            raise RuntimeError(f"{one.metric}: {one.reason}")
        return one

    with patch.object(reconstruction, "measure", clocked):
        yield seconds


def scored(run: Run, rows: Sequence[Row]) -> int:
    """Write rows of images and score these; the number of scores."""
    run.store(run.plan.stage_runs[0]).writer().append(*(row.to_json() for row in rows))
    return score(run)


def detected(path: Path) -> bool:
    """Whether a face is found as `id_curricularface` looks for one, on the CPU."""
    try:
        find_face(read_rgb(path))
    except NoFaceError:
        return False
    return True


def measure(bench: Bench, run: Run, rows: Sequence[Row]) -> None:
    """Score portions while there is time; a row for each metric, and for all of an image."""
    stage_run, start = run.plan.stage_runs[0], time.perf_counter()
    each = scored(run, rows[:WARM]) // WARM
    bench.add("the first images", images=WARM, seconds=time.perf_counter() - start)
    done, start, shown = 0, time.perf_counter(), rows[WARM:]
    with timed() as seconds:
        while done < len(shown) and (not done or time.perf_counter() < bench.end):
            portion = shown[done : done + PORTION]
            if scored(run, portion) != each * len(portion):
                raise RuntimeError("not every score was computed")
            done += len(portion)
    total = 1000 * (time.perf_counter() - start) / done
    for name, values in seconds.items():
        bench.add(name, ms=[1000 * value for value in values])

    def one_by_one(action: Callable[[str], object]) -> tuple[list[float], list[object]]:
        """Milliseconds and results of some images, in this thread."""
        marks, found = [time.perf_counter()], []
        for row in shown[:ALONE]:
            found.append(action(row.image))
            marks.append(time.perf_counter())
        return [1000 * (b - a) for a, b in pairwise(marks)], found

    ms, _ = one_by_one(lambda name: (run.reconstruction(stage_run, name), run.target(stage_run, name)))
    size = sum(sum(row.files or ()) for row in shown) / len(shown)
    bench.add("decoding image and target", ms=ms, MiB=size / 2**20)
    ms, found = one_by_one(lambda name: detected(run.store(stage_run).picture(name)))
    bench.add("finding a face", ms=ms, found=found.count(True) / len(found))
    metrics = 1000 * sum(map(sum, seconds.values())) / done
    bench.add("an image", total_ms=total, metrics_ms=metrics, rest_ms=total - metrics, images=done, scores=each)
    bench.add(f"{IMAGES:,} images", seconds=total * IMAGES / 1000)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.scoring", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=WARM + PORTION, help="at most")
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=40, help="after which no more images are begun")
    parser.add_argument("--out", type=Path, required=True, help="folder of scoring.jsonl")
    options = parser.parse_args(arguments)
    end = time.perf_counter() + options.seconds
    device = pick_device(options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1 if device.type == "cpu" else os.cpu_count() or 1)  # as `run` does with one worker
    bench = Bench(device, options.out / "scoring.jsonl", end, {"scoring": 1})
    bench.begin("scoring")
    with tempfile.TemporaryDirectory() as folder, weights(bench):
        start = time.perf_counter()
        run, rows = prepared(Path(folder), options.images, options.resolution, device)
        bench.add("images", seconds=time.perf_counter() - start, count=len(rows), resolution=options.resolution)
        measure(bench, run, rows)


if __name__ == "__main__":
    main()
