"""`python -m benchmarks.perf.profile`: floating-point operations of all stages, their rate, and a breakdown of time.

One process and one thread on a CPU. FLOPs are counted by torch.utils.flop_counter (convolutions and matrix products, a
multiply-add as two) per image and step; the attainable rate is measured on a large matrix product and a large
convolution. Fractions of time are torch.profiler's self times.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from benchmarks.engine.allocator import keep_freed_memory
from benchmarks.engine.config import load_suite
from benchmarks.engine.machine import device_name
from benchmarks.perf.stages import interleaved, measure_all, metrics, spread, subjects
from methods.generators import load_generator

KINDS = ("convolution", "its gradient", "blur, depthwise", "matrix product", "optimiser", "element by element",
         "copies, layout", "sums", "other")  # fmt: skip
_NAMES = {
    "matrix product": ("mm", "addmm", "bmm", "baddbmm", "linear", "dot"),
    "copies, layout": ("copy_", "clone", "contiguous", "cat", "stack", "fill_", "zero_", "constant_pad_nd", "roll",
                       "_to_copy", "as_strided", "empty", "empty_like", "empty_strided", "expand", "view", "reshape",
                       "_reshape_alias", "_unsafe_view", "transpose", "select", "slice", "slice_backward", "unbind",
                       "select_backward", "split", "narrow", "index", "t", "permute", "unsqueeze", "detach"),
    "sums": ("sum", "mean", "norm", "linalg_vector_norm", "aminmax", "max", "min"),
    "element by element": ("add", "add_", "sub", "mul", "mul_", "div", "div_", "neg", "pow", "sqrt", "rsqrt", "exp",
                           "leaky_relu", "leaky_relu_backward", "relu", "relu_", "threshold_backward", "prelu",
                           "_prelu_kernel", "clamp", "sigmoid", "eq", "isfinite", "abs", "native_batch_norm",
                           "_native_batch_norm_legit_no_training", "square", "sub_", "clamp_min", "where", "lerp",
                           "mse_loss", "mse_loss_backward"),
}  # fmt: skip
_KIND_OF = {f"aten::{name}": kind for kind, names in _NAMES.items() for name in names}


def convolution_backward_flops(
    grad_shape: Any, x_shape: Any, w_shape: Any, _bias: Any, _stride: Any, _padding: Any, _dilation: Any,
    transposed: bool, _output_padding: Any, _groups: int, output_mask: Sequence[bool], out_shape: Any = None,
) -> int:  # fmt: skip
    """Each gradient of a convolution costs as much as the convolution; torch's count ignores groups."""
    forward = conv_flop_count(x_shape, w_shape, grad_shape, transposed)
    return forward * (bool(output_mask[0]) + bool(output_mask[1]))


def flops(action: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products of an action."""
    mapping: dict[Any, Any] = {torch.ops.aten.convolution_backward: convolution_backward_flops}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        action()
    return counter.get_total_flops()


def kind(event: Any) -> str:
    """The kind of an operation of a profile, by its name, the shape of its weight and its callers."""
    above = event.cpu_parent
    while above is not None:
        if above.name.startswith("Optimizer.step"):
            return "optimiser"
        above = above.cpu_parent
    if event.name.startswith("Optimizer.step"):
        return "optimiser"
    name = event.name
    if "conv" in name and name.startswith("aten::"):
        backward = "backward" in name
        shapes = [s for s in (event.input_shapes or [])[1 + backward : 2 + backward] if len(s) == 4]
        if shapes and shapes[0][1] == 1 and shapes[0][0] > 1:
            return "blur, depthwise"
        return "its gradient" if backward else "convolution"
    return _KIND_OF.get(name, "other")


def shares(action: Callable[[], object]) -> dict[str, float]:
    """Fraction of the time of all operations by kind."""
    action()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        action()
    times: Counter[str] = Counter()
    for event in profiled.events() or []:
        times[kind(event)] += event.self_cpu_time_total
    return {kind: times[kind] / times.total() for kind in KINDS}


def attainable(repeats: int) -> tuple[list[float], list[float]]:
    """GFLOP/s of one thread: a matrix product of 2048 x 2048, and a 3x3 convolution of 256 maps of 32 px, 8 images."""
    a, b = torch.randn(2, 2048, 2048).unbind()
    layout = torch.channels_last
    x = torch.randn(8, 256, 32, 32).contiguous(memory_format=layout)
    weight = torch.randn(256, 256, 3, 3).contiguous(memory_format=layout)
    counts = (2 * 2048**3, 2 * 8 * 32 * 32 * prod(weight.shape))
    with torch.no_grad():
        taken = interleaved([lambda: a @ b, lambda: F.conv2d(x, weight, padding=1)], repeats)
    product, convolution = ([n / s / 1e9 for s in t.processor] for n, t in zip(counts, taken, strict=True))
    return product, convolution


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.profile", description=__doc__)
    parser.add_argument("--suite", default="celeba64", help="its generator, settings and data set are used")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6, help="of optimising stages")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    suite = load_suite(options.suite)
    product, convolution = attainable(options.repeats)
    best = max(*product, *convolution)
    print(
        f"{device_name()}, 1 thread, torch {torch.__version__}, {options.images} images. Attainable GFLOP/s: ", end=""
    )
    print(f"matrix product {spread(product)}, convolution {spread(convolution)}\n")
    print(
        "| stage | MFLOP | GFLOP/s | of attainable | " + " | ".join(KINDS) + " |\n| :-- |" + " --: |" * (3 + len(KINDS))
    )
    for subject in subjects(suite, load_generator(suite.generator), options.images, options.steps):
        print(_line(subject.title, subject.run, subject.parts, options.repeats, best), flush=True)
    with torch.no_grad():
        for metric, images, targets in metrics(suite, options.images):
            action = partial(measure_all, metric, images, targets)
            action()  # results of targets are cached, as from the second method on
            if flops(action):
                print(_line(metric.info.name, action, options.images, options.repeats, best), flush=True)


def _line(title: str, action: Callable[[], object], parts: int, repeats: int, best: float) -> str:
    work = flops(action)
    rates = [work / s / 1e9 for s in interleaved([action], repeats)[0].processor]
    middle = sorted(rates)[len(rates) // 2]
    times = shares(action)
    cells = " | ".join(f"{times[kind]:.0%}" for kind in KINDS)
    return f"| {title} | {work / parts / 1e6:.0f} | {spread(rates)} | {middle / best:.0%} | {cells} |"


if __name__ == "__main__":
    main()
