"""`python -m benchmarks.perf.gpu --device cuda --seconds 100 --out FOLDER`: correctness and speed on a bare GPU.

Parts, the most valuable first: ceiling (rates of the card), numbers (CPU against GPU), tuning (a step of pivotal tuning
in the released code's form, in the suite's, and with each lever of benchmarks/perf/levers.py), projection (W and W+),
encoders, busy (the GPU's share of a step), memory (batches that fit); whole (PTI of one image). Each has a share of the
time; what does not fit is listed as skipped. Rows go to FOLDER/gpu.jsonl as soon as they are measured.

Weights are random, of the official shapes: config-f at --resolution, IR-SE50 encoders, and LPIPS-VGG16 for the
projector's network. On a CPU the networks have a sixteenth of the width: a rehearsal, not a measurement.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.engine.machine import pick_device
from benchmarks.perf import plain
from benchmarks.perf.gpu_encoders import encoders
from benchmarks.perf.kernels import profiled
from benchmarks.perf.levers import CUDA_ONLY, tf32
from benchmarks.perf.recorder import Bench, floor, form, relative, summary
from benchmarks.perf.synthetic import inputs, random_generator, random_lpips
from methods import features
from methods.base import Inversion, Method
from methods.generators import load_generator
from methods.generators.stylegan2 import Generator
from methods.optimization.stage import LatentOptimizationConfig, WOptimization, WPlusOptimization
from methods.tuning import stage as tuning_stage
from methods.tuning.locality import LocalityConfig
from methods.tuning.stage import PivotalTuning, PivotalTuningConfig
from methods.tuning.tune import tunable
from metrics.networks import load_identity

SHARES = {"ceiling": 2, "numbers": 13, "tuning": 46, "projection": 20, "encoders": 14, "busy": 7, "memory": 13}
OPTIONAL = {"compiled": 100, "whole": 40}  # minutes, and half of one: only where --part asks for them
RELEASED, SUITE = ("plain", "Adam of today"), ()
TF32, BF16 = (*RELEASED, "TF32"), ("bf16 maps", "TF32", "fused Adam", "channels_last")
TUNING = (  # levers of a tuning step, combined by row: whether with locality, and the rows
    (True, (SUITE, RELEASED, TF32, ("TF32",))),
    (False, (SUITE, RELEASED, TF32, ("TF32",))),
    (True, (("no graphs",), ("scaled maps",), ("TF32", "scaled maps"), ("bf16 maps, grouped", "TF32"),
            ("cudnn.benchmark",), ("cudnn.benchmark", "TF32"), ("channels_last", "TF32"), (*RELEASED, "one by one"))),
    (False, (("no graphs",), ("scaled maps",), ("TF32", "scaled maps"), ("bf16 maps, grouped", "TF32"),
             ("cudnn.benchmark",), ("bf16 autocast",), ("fp16 autocast",), ("plain", "Adam in a loop"))),
)  # fmt: skip
PROJECTION = (SUITE, RELEASED, TF32, ("TF32",), ("no graphs",), ("scaled maps",), ("TF32", "scaled maps"),
              ("bf16 maps, grouped", "TF32"), ("cudnn.benchmark",), ("channels_last", "TF32"))  # fmt: skip
COMPILED = (("compiled", "fused Adam"), ("compiled", *BF16))


def ceiling(bench: Bench, until: float) -> None:
    """Copy of a large tensor (bytes read and written), products of random matrices."""
    cuda = bench.device.type == "cuda"
    values = torch.randn(2**28 if cuda else 2**22, device=bench.device)
    target = torch.empty_like(values)
    moved = 2 * values.numel() * 4

    def copied() -> dict[str, Any]:
        ms = bench.timed(lambda: target.copy_(values))
        return {"ms": ms, "GB/s": moved / statistics.median(ms) / 1e6}

    def product(dtype: torch.dtype, allowed: bool) -> dict[str, Any]:
        side = 8192 if cuda else 512
        a, b = (torch.randn(side, side, device=bench.device).to(dtype) for _ in range(2))
        with tf32(allowed):
            ms = bench.timed(lambda: a @ b)
        return {"ms": ms, "TFLOP/s": 2 * side**3 / statistics.median(ms) / 1e9}

    bench.attempt("copy", until, copied)
    bench.attempt("product, float32", until, lambda: product(torch.float32, False))
    if cuda:
        bench.attempt("product, TF32", until, lambda: product(torch.float32, True))
        bench.attempt("product, bf16", until, lambda: product(torch.bfloat16, False))


def numbers(bench: Bench, until: float, width: int) -> None:
    """The same computation on the CPU and on the device: the largest difference relative to the largest value."""
    try:
        small, name = load_generator("celeba64"), "celeba64"
    except (OSError, ValueError):
        small, name = random_generator(64, width), "64 px, random"
    large = random_generator(256, width)
    images, codes = inputs(small, 2)
    faces, pivots = inputs(large, 2)
    tuning = PivotalTuningConfig(steps=10, stop_lpips=0.0)
    search = LatentOptimizationConfig(steps=20, features="lpips_alex", batch_size=2)

    def synthesis(generator: Generator, latent: Tensor) -> Callable[[torch.device], Tensor]:
        return lambda d: copy.deepcopy(generator).to(d).synthesis(latent.to(d))

    def stage(kind: type[Method], config: Any) -> Callable[[torch.device], Tensor]:
        def run(d: torch.device) -> Tensor:
            with torch.enable_grad():
                return kind(copy.deepcopy(small).to(d), config).invert(images.to(d), codes.ids, codes.to(d)).image

        return run

    cases: dict[str, Callable[[torch.device], Tensor]] = {
        f"synthesis, {name}": synthesis(small, codes.latent),
        "synthesis, config-f 256 px": synthesis(large, pivots.latent),
        "LPIPS-AlexNet, 256 px": lambda d: features.perceptual("lpips_alex").to(d)(faces.to(d), faces.flip(0).to(d)),
        "SFace": lambda d: (net := load_identity("sface").to(d)).embed(net.crop(faces.to(d))),
        f"W, 20 steps, {name}": stage(WOptimization, search),
        f"tuning, 10 steps, {name}": stage(PivotalTuning, tuning),
    }
    for title, case in cases.items():

        def compared(case: Callable[[torch.device], Tensor] = case) -> dict[str, Any]:
            with torch.no_grad():
                expected = case(torch.device("cpu"))
                with tf32(False):
                    first = case(bench.device)
                    found = {"difference": relative(first, expected), "again": relative(case(bench.device), first)}
                if bench.device.type == "cuda":
                    with tf32(True):
                        found["difference, TF32"] = relative(case(bench.device), expected)
            return found

        bench.attempt(title, until, compared)


def tuning_of(bench: Bench, generator: Generator, locality: bool, steps: int = 0, batch: int = 1) -> PivotalTuning:
    config = PivotalTuningConfig(
        steps=steps or bench.warm + bench.repeat,
        stop_lpips=0.0,
        batch_size=batch,
        locality=LocalityConfig(weight=float(locality)),
    )
    return PivotalTuning(generator, config)


def tuning(bench: Bench, until: float, generator: Generator, forms: Sequence[Any] = TUNING) -> None:
    """Steps of pivotal tuning on one image; "change": of the tuned generator's image from the suite's."""
    targets, init = inputs(generator, 1)
    own = sum(value.numel() for _, value in tunable(generator))
    for locality, rows in forms:
        name = "with locality" if locality else "without locality"

        def make(steps: int, locality: bool = locality) -> Callable[[], object]:
            return partial(form, (), tuning_of(bench, generator, locality, steps), targets, init)

        if SUITE in rows:
            bench.attempt(f"floor, {name}", until, partial(floor, bench, make, own))
        compare(bench, until, name, tuning_of(bench, generator, locality), targets, init, rows)


def compare(
    bench: Bench, until: float, name: str, stage: Method, images: Tensor, init: Inversion, forms: Sequence[Any]
) -> None:
    """A row for each combination of levers, with the change of the result from that of the suite's own form."""
    for levers in forms:
        title = f"{name}: {' + '.join(levers) or 'suite'}"
        if bench.device.type != "cuda" and (only := [lever for lever in levers if lever in CUDA_ONLY]):
            bench.add(title, skipped=f"{only[0]} needs a GPU")
            continue

        def one(levers: Sequence[str] = levers) -> dict[str, Any]:
            with tf32(False):
                row = bench.steps(levers, stage, images, init)
            result = row.pop("result")
            if not levers:
                bench.expected[name] = result
            return {**row, "change": relative(result, bench.expected[name])} if name in bench.expected else row

        bench.attempt(title, until, one)


def projection(bench: Bench, until: float, generator: Generator) -> None:
    """Steps in W and W+ on one image, with LPIPS-VGG16 of random weights."""
    targets, init = inputs(generator, 1)
    with stand_in("vgg", features):
        for name, kind, forms in (("W", WOptimization, PROJECTION), ("W+", WPlusOptimization, PROJECTION[:4])):

            def made(steps: int, kind: type[Method] = kind) -> Method:
                return kind(generator, LatentOptimizationConfig(steps=steps, batch_size=1))

            def make(steps: int, made: Callable[[int], Method] = made) -> Callable[[], object]:
                return partial(form, (), made(steps), targets, init)

            if kind is WOptimization:
                bench.attempt("floor, W", until, partial(floor, bench, make, 0))
            compare(bench, until, name, made(bench.warm + bench.repeat), targets, init, forms)


def busy(bench: Bench, until: float, generator: Generator) -> None:
    """The share of a tuning step in which the GPU computes or copies, and its longest kernels."""
    targets, init = inputs(generator, 1)
    for locality, levers in ((True, ()), (True, ("TF32",)), (False, ()), (True, RELEASED)):
        name = f"{'with' if locality else 'without'} locality: {' + '.join(levers) or 'suite'}"
        if bench.device.type != "cuda":
            bench.add(name, skipped="needs a GPU")
            continue
        with tf32(False):
            stage = tuning_of(bench, generator, locality)
            bench.attempt(name, until, partial(profiled, bench, levers, stage, targets, init, name))


def memory(bench: Bench, until: float, generator: Generator) -> None:
    """Peak memory of batches; ms are those of a step of the whole batch."""
    short = replace(bench, repeat=3)
    for batch in (4, 1, 2):
        targets, init = inputs(generator, batch)
        for locality in (True, False):
            stage = tuning_of(short, generator, locality, batch=batch)
            title = f"tuning {'with' if locality else 'without'} locality, batch {batch}"
            bench.attempt(title, until, partial(without_result, short, stage, targets, init))
        with stand_in("vgg", features):
            search = WOptimization(generator, LatentOptimizationConfig(steps=short.warm + 3, batch_size=2 * batch))
            both = inputs(generator, 2 * batch)
            bench.attempt(f"W, batch {2 * batch}", until, partial(without_result, short, search, *both))


def whole(bench: Bench, until: float, generator: Generator) -> None:
    """PTI of one image at its published numbers of steps: W, then tuning with locality."""
    targets, _ = inputs(generator, 1)

    def run(allowed: bool) -> dict[str, Any]:
        with tf32(allowed), stand_in("vgg", features):
            start, ids = bench.seconds(), ("synthetic/0",)
            pivot = WOptimization(generator, LatentOptimizationConfig(batch_size=1)).invert(targets, ids)
            between = bench.seconds()
            PivotalTuning(generator, PivotalTuningConfig(stop_lpips=0.0)).invert(targets, ids, pivot)
            return {"seconds": bench.seconds() - start, "seconds of W": between - start}

    for allowed in (True, False):
        bench.attempt(f"PTI of one image, 450 + 350 steps{', TF32' * allowed}", until, partial(run, allowed))


def without_result(bench: Bench, stage: Method, images: Tensor, init: Inversion) -> dict[str, Any]:
    with tf32(False):
        row = bench.steps((), stage, images, init)
    del row["result"]
    return row


@contextmanager
def stand_in(net: str, *modules: Any) -> Iterator[None]:
    """LPIPS of random weights in place of every network that these modules ask for."""
    network = random_lpips(net)
    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(patch.object(module, "perceptual", lambda _: network))
        yield


def absent_alex() -> AbstractContextManager[None]:
    """A stand-in for LPIPS-AlexNet where its weights are absent."""
    try:
        features.perceptual("lpips_alex")
    except Exception as error:
        print(f"LPIPS-AlexNet has random weights: {type(error).__name__}: {error}", flush=True)
        return stand_in("alex", features, tuning_stage, plain)
    return nullcontext()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--out", type=Path, required=True, help="folder of gpu.jsonl")
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--part", choices=[*SHARES, *OPTIONAL], action="append", help="may be repeated (default: all)")
    options = parser.parse_args(arguments)
    end = time.perf_counter() + options.seconds
    device = pick_device(options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    shares = {name: share for name, share in (SHARES | OPTIONAL).items() if name in (options.part or SHARES)}
    cuda = device.type == "cuda"
    bench = Bench(device, options.out / "gpu.jsonl", end, shares, *(() if cuda else (1, 2)))
    width = 1 if cuda else 16
    if not cuda:
        torch.set_num_threads(1)
    print(
        f"{torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, {options}", flush=True
    )
    generator = random_generator(options.resolution, width).to(device)
    actions: dict[str, Callable[[Bench, float], None]] = {
        "ceiling": ceiling,
        "numbers": partial(numbers, width=width),
        "tuning": partial(tuning, generator=generator),
        "projection": partial(projection, generator=generator),
        "encoders": partial(encoders, generator=generator, width=width),
        "busy": partial(busy, generator=generator),
        "memory": partial(memory, generator=generator),
        "whole": partial(whole, generator=generator),
        "compiled": partial(tuning, generator=generator, forms=((False, COMPILED), (True, COMPILED))),
    }
    with absent_alex():
        for name in shares:
            until = bench.begin(name)
            start = time.perf_counter()
            try:
                actions[name](bench, until)
            except Exception as error:
                bench.add("the part", error=f"{type(error).__name__}: {error}"[:300])
            bench.add("the part", seconds=time.perf_counter() - start)
    summary(bench.rows)


if __name__ == "__main__":
    main()
