"""The kernels of a step and the share of it in which a GPU is busy: a part of `benchmarks.perf.gpu`."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.profiler import ProfilerActivity, profile

from benchmarks.perf.recorder import Bench, applied, form
from methods.base import Inversion, Method


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
