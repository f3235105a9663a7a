"""`python -m benchmarks.perf.official`: tuning and encoding at official widths, in turns with the released code's form.

One process and one thread on a CPU, config-f with random weights; processor seconds of a step (an image of an encoder).
The released form is benchmarks/perf/plain.py with today's default Adam. Run it on idle cores: what else runs there
slows both down, but not by the same factor.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook

from benchmarks.engine.allocator import keep_freed_memory
from benchmarks.engine.machine import device_name
from benchmarks.perf.recorder import applied, form
from benchmarks.perf.stages import spread
from benchmarks.perf.synthetic import inputs, random_generator
from methods.encoders.designs import DESIGNS
from methods.encoders.encoder import Encoder
from methods.encoders.networks import EncoderConfig
from methods.generators.convolution import convolution, doubling_convolution
from methods.tuning.locality import LocalityConfig
from methods.tuning.stage import PivotalTuning, PivotalTuningConfig

RELEASED = ("plain", "Adam of today")
PARTS = ("convolutions", "tuning", "encoder")
# Inputs, outputs, side: config-f's at 64 and 256 px, and narrower ones, where PyTorch's own are taken.
SHAPES = ((512, 512, 16), (512, 512, 32), (512, 512, 64), (256, 256, 128), (128, 128, 256), (64, 64, 256))
SHAPES_UP = ((512, 512, 8), (512, 512, 16), (512, 512, 32), (512, 256, 64), (256, 128, 128))


def steps(levers: Sequence[str], stage: PivotalTuning, images: Tensor, *init: object) -> list[float]:
    """Processor seconds between the optimizer's steps."""
    marks: list[float] = []
    handle = register_optimizer_step_post_hook(lambda *_: marks.append(time.process_time()))
    try:
        with applied(levers):
            form(levers, stage, images, *init)  # type: ignore[arg-type]
    finally:
        handle.remove()
    return [b - a for a, b in pairwise(marks)]


def tuning(resolution: int, repeats: int, count: int) -> None:
    """Steps of pivotal tuning; several images at a time against one by one."""
    generator = random_generator(resolution)
    print("\n| tuning | suite, s / image and step | released form | released / suite |\n| :-- |" + " --: |" * 3)
    for batch in (1, count):
        images, init = inputs(generator, batch)
        for weight in (0.0, 1.0):
            settings = {"steps": 3, "stop_lpips": 0.0, "locality": LocalityConfig(weight=weight)}
            alone, several = (PivotalTuning(generator, PivotalTuningConfig(**settings, batch_size=n))  # type: ignore[arg-type]
                              for n in (1, batch))  # fmt: skip
            own: list[float] = []
            released: list[float] = []
            for _ in range(repeats):
                own += [s / batch for s in steps((), several, images, init)]
                released += steps(RELEASED, alone, images[:1], init[:1])
            ratio = sorted(released)[len(released) // 2] / sorted(own)[len(own) // 2]
            title = f"{resolution} px, {'with' if weight else 'without'} locality, {batch} at a time"
            print(f"| {title} | {spread(own)} | {spread(released)} | {ratio:.2f} |", flush=True)


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def encoder(repeats: int, count: int) -> None:
    """A forward pass of e4e's network; the released code's maps are contiguous, and images come one by one."""
    torch.manual_seed(0)
    own = Encoder(DESIGNS["e4e"], EncoderConfig()).eval().requires_grad_(False)
    released = Encoder(DESIGNS["e4e"], EncoderConfig()).eval().requires_grad_(False)
    released.to(memory_format=torch.contiguous_format)
    images = torch.rand(count, 3, 256, 256) * 2 - 1
    print("\n| encoder | suite, s / image | released form | released / suite |\n| :-- |" + " --: |" * 3)
    for batch in (1, count):
        turns = [
            (seconds(lambda: own(images[:batch])) / batch, seconds(lambda: released(images[:1])))  # noqa: B023
            for _ in range(1 + repeats)
        ][1:]
        a, b = ([turn[i] for turn in turns] for i in (0, 1))
        ratios = [y / x for x, y in turns]
        print(f"| e4e, {batch} at a time | {spread(a)} | {spread(b)} | {spread(ratios)} |", flush=True)


def convolutions(repeats: int) -> None:
    """Forward and backward pass of a convolution: PyTorch's in both layouts, and what the suite chooses."""
    print("\n| convolution | contiguous, s | channels-last | suite | contiguous / suite |\n| :-- |" + " --: |" * 4)
    same = ("3x3", partial(F.conv2d, padding=1), convolution, SHAPES)
    up = ("doubling", lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), stride=2), doubling_convolution, SHAPES_UP)
    for kind, torchs, ours, shapes in (same, up):
        for inputs_, outputs, side in shapes:
            x = torch.randn(1, inputs_, side, side)
            weight = (torch.randn(outputs, inputs_, 3, 3) / (9 * inputs_) ** 0.5).requires_grad_(True)
            last = x.contiguous(memory_format=torch.channels_last)
            taken = []
            for function, maps in ((torchs, x), (torchs, last), (ours, last)):
                leaf = maps.clone(memory_format=torch.preserve_format).requires_grad_(True)
                gradient = torch.randn_like(function(leaf, weight))

                def run(f: Callable[..., Tensor] = function, x: Tensor = leaf, g: Tensor = gradient) -> None:
                    torch.autograd.grad(f(x, weight), (x, weight), g)  # noqa: B023

                taken.append(sorted(seconds(run) for _ in range(1 + repeats))[:-1])
            ratio = taken[0][len(taken[0]) // 2] / taken[2][len(taken[2]) // 2]
            title = f"{kind}, {inputs_} to {outputs} maps of {side} px"
            print(f"| {title} | {' | '.join(map(spread, taken))} | {ratio:.2f} |", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.official", description=__doc__)
    parser.add_argument("--resolution", type=int, action="append", help="may be repeated (default: 64 and 256)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=4, help="at a time, beside one")
    parser.add_argument("--part", choices=PARTS, action="append", help="may be repeated (default: all)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    print(f"{device_name(torch.device('cpu'))}, 1 thread, torch {torch.__version__}, {options.repeats} repeats")
    parts = options.part or PARTS
    if "convolutions" in parts:
        convolutions(options.repeats)
    for resolution in options.resolution or (64, 256):
        if "tuning" in parts:
            tuning(resolution, options.repeats, options.images)
    if "encoder" in parts:
        encoder(options.repeats, options.images)


if __name__ == "__main__":
    main()
