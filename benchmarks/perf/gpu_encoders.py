"""Encoders and refinement networks of official shapes on a GPU: the part "encoders" of `benchmarks.perf.gpu`."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.perf.levers import CHANNELS_LAST, tf32
from benchmarks.perf.recorder import Bench, floor, relative
from benchmarks.perf.synthetic import inputs
from methods.encoders.designs import DESIGNS
from methods.encoders.encoder import Encoder, refine
from methods.encoders.networks import EncoderConfig
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.network import STEPS, HypernetConfig, Hypernetwork
from methods.hypernetworks.refine import last_step
from methods.replay import Replay

RESTYLE_STEPS = 5  # of the released encoders


def encoders(bench: Bench, until: float, generator: Generator, width: int) -> None:
    """A forward pass of e4e's network, which is pSp's, too; "change": from float32 in the contiguous layout.

    Then ReStyle and HyperStyle with all their steps, which render at the generator's resolution between them.
    """
    torch.manual_seed(0)
    cuda = bench.device.type == "cuda"
    config = EncoderConfig() if cuda else EncoderConfig(64, widths=(8, 16, 32, 32), style_width=512 // width)
    with torch.device(bench.device):
        encoder = Encoder(DESIGNS["e4e"], config).eval().requires_grad_(False)
        images = torch.rand(8, 3, config.resolution, config.resolution) * 2 - 1
    expected: dict[int, Tensor] = {}

    def make(steps: int) -> Callable[[], object]:
        return lambda: [encoder(images) for _ in range(steps)]

    bench.attempt("floor, batch 8", until, partial(floor, bench, make, 0))
    layouts = (("contiguous", torch.contiguous_format), ("channels_last", CHANNELS_LAST))

    def passes(order: str, layout: torch.memory_format) -> None:
        for precision in ("float32", "TF32", "bf16")[:: 1 if cuda else 2]:
            network = copy.deepcopy(encoder).to(memory_format=layout)
            network = network.to(torch.bfloat16) if precision == "bf16" else network
            for batch in (1, 8):
                x = images[:batch].to(network.latent_avg.dtype).contiguous(memory_format=layout)
                for captured in (False, True)[: 1 + cuda]:
                    title = f"{precision}, {order}, batch {batch}{', graph' * captured}"
                    bench.attempt(title, until, partial(one_pass, bench, network, x, captured, precision, expected))

    passes(*layouts[0])
    few = replace(bench, warm=1, repeat=5)
    for name, make_run, batches in (("restyle_psp", restyle, (1, 8)), ("hyperstyle", hyperstyle, (4, 1))):
        for batch in batches:
            for precision in ("float32", "TF32")[: 1 + cuda]:
                action = partial(several_steps, few, make_run, generator, width, batch, precision)
                bench.attempt(f"{name}, {precision}, batch {batch}", until, action)
    passes(*layouts[1])


def one_pass(
    bench: Bench, network: Encoder, x: Tensor, captured: bool, precision: str, expected: dict[int, Tensor]
) -> dict[str, Any]:
    """A forward pass; captured: as a CUDA graph, which is recorded while the bench warms up."""
    device = x.device if captured else torch.device("cpu")  # on which nothing is recorded
    action = Replay(partial(network, x), device)
    with torch.inference_mode(), tf32(precision == "TF32"), bench.measured() as used:
        ms = bench.timed(action)
        if captured and action.graph is None:
            raise RuntimeError("the pass was not recorded")
        result = action()
        change = relative(result, expected.setdefault(len(x), result))
    return {"ms": ms, **used, "change": change}


def several_steps(
    bench: Bench,
    make: Callable[[Generator, int, int], Callable[[], object]],
    generator: Generator,
    width: int,
    batch: int,
    precision: str,
) -> dict[str, Any]:
    action = make(generator, width, batch)
    with torch.no_grad(), tf32(precision == "TF32"), bench.measured() as used:
        ms = bench.timed(action)
    return {"ms": ms, **used}


def restyle(generator: Generator, width: int, batch: int) -> Callable[[], object]:
    """All steps of ReStyle (pSp) on a batch."""
    sizes: dict[str, Any] = {} if width == 1 else {"resolution": 64, "widths": (8, 16, 32, 32)}
    config = EncoderConfig(**sizes, style_width=generator.w_dim, w_dim=generator.w_dim, num_ws=generator.num_ws,
                           channels=6)  # fmt: skip
    with torch.device(generator.latent_avg.device):
        encoder = Encoder(DESIGNS["restyle_psp"], config).eval().requires_grad_(False)
    images = encoder.set_average_image(generator).preprocess(inputs(generator, batch)[0])
    return lambda: deque(refine(encoder, generator, [images] * RESTYLE_STEPS), maxlen=1)


def hyperstyle(generator: Generator, width: int, batch: int) -> Callable[[], object]:
    """All steps of HyperStyle's network on a batch, from given codes."""
    sizes: dict[str, Any] = {}
    if width > 1:
        sizes = {"resolution": 64, "widths": (8, 16, 32, 32), "shared_width": 8, "own_width": 16, "code": 32}
    with torch.device(generator.latent_avg.device):
        hypernet = Hypernetwork(HypernetConfig(generator.config.channels, **sizes)).eval().requires_grad_(False)
    images, init = inputs(generator, batch)
    target = hypernet.preprocess(images)
    return lambda: last_step(hypernet, generator, target, init, STEPS, batch)
