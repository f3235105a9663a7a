"""CUDA graphs of whole steps, and the kernels of a step: the parts of `benchmarks.perf.gpu` that only a GPU can run."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.profiler import ProfilerActivity, profile

from benchmarks.perf.recorder import Bench, applied, form
from methods.base import Inversion, Method
from methods.encoders.encoder import Encoder
from methods.tuning import stage as tuning_stage
from methods.tuning.locality import neighbour_code
from methods.tuning.stage import PivotalTuning
from methods.tuning.tune import copy_for_tuning, step_losses, tunable


def graphed(bench: Bench, levers: Sequence[str], stage: Method, images: Tensor, init: Inversion) -> dict[str, Any]:
    """As `Bench.steps` for pivotal tuning of one image whose step is a CUDA graph: captured once, then replayed."""
    assert isinstance(stage, PivotalTuning)
    frozen, config, side = stage.generator, stage.config, 3
    marks: list[Any] = []
    with applied(levers), bench.measured() as used:
        tuned = copy_for_tuning(frozen)
        parameters = [value.requires_grad_(True) for _, value in tunable(tuned)]
        optimizer = torch.optim.Adam(parameters, lr=config.lr, capturable=True)
        network = tuning_stage.perceptual(config.network).to(images)
        stream, z = stage.generators_for(images)[0], init.latent.new_empty(1, frozen.z_dim)

        def draw() -> None:
            z.copy_(torch.randn(1, frozen.z_dim, generator=stream))

        def step() -> None:
            codes = init.latent[:0]
            if config.locality.weight:
                codes = neighbour_code(frozen, init.latent, z, config.locality)
            optimizer.zero_grad(set_to_none=True)
            step_losses(frozen, tuned, init.latent, codes, images, network, config)[0].backward()
            optimizer.step()

        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # kernels and the optimizer's state have to exist before a capture
            for _ in range(side):
                draw()
                step()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        for _ in range(config.steps - side):
            draw()
            graph.replay()
            marks.append(bench.mark())
        ms = bench.between(marks)
        with torch.no_grad():
            result = tuned.synthesis(init.latent).clamp(-1, 1)
    return {"ms": ms, **used, "result": result}


def pass_of(network: Encoder, x: Tensor, captured: bool) -> tuple[Callable[[], object], Tensor]:
    """A forward pass as an action, and its result; captured: as a CUDA graph."""
    result = network(x)
    if not captured:
        return lambda: network(x), result
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        result = network(x)
    graph.replay()
    return graph.replay, result


def profiled(
    bench: Bench, levers: Sequence[str], stage: Method, images: Tensor, init: Inversion, name: str, count: int = 5
) -> dict[str, Any]:
    profiler, times, done = profile(activities=[ProfilerActivity.CUDA]), [], Counter[str]()

    def hook(*_: Any) -> None:
        done["steps"] += 1
        if done["steps"] == bench.warm:
            bench.seconds()
            profiler.start()
            times.append(bench.seconds())
        elif done["steps"] == bench.warm + count:
            times.append(bench.seconds())
            profiler.stop()

    handle = register_optimizer_step_post_hook(hook)
    try:
        with applied(levers):
            form(levers, stage, images, init)
    finally:
        handle.remove()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    total, end, kernels = 0.0, 0.0, Counter[str]()
    work = [e for e in events if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    for event in sorted(work, key=lambda e: e["ts"]):
        stop = event["ts"] + event["dur"]
        total += max(0.0, stop - max(end, event["ts"]))
        end = max(end, stop)
        kernels[event["name"][:90]] += event["dur"] / count / 1000
    ms = total / count / 1000
    found = {
        "busy": ms / 1000 * count / (times[1] - times[0]),
        "GPU ms a step": ms,
        "kernels a step": len(work) / count,
    }
    alone = [row["ms"] for row in bench.rows if row["part"] == "tuning" and row["title"] == name and "ms" in row]
    if alone:
        found["of a step without profiler"] = ms / alone[0]
    return {**found, "longest, ms": {k: round(v, 3) for k, v in kernels.most_common(12)}}
