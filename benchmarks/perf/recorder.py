"""What `benchmarks.perf.gpu` measures with: rows on disk, times between events of a device, memory, bytes moved."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.engine.machine import device_name
from benchmarks.perf import plain
from benchmarks.perf.levers import LEVERS
from benchmarks.perf.profile import flops
from methods.base import Inversion, Method

RELEASED = "plain + Adam of today"  # the levers that make the released code's form


@dataclass
class Bench:
    """Where is measured and how much, and the rows so far.

    out: the file of rows, JSON lines. end: when all is over, by time.perf_counter. shares: of the time, by part, in
    order. warm, repeat: steps before and of a measurement. expected: results of the suite's
    own form.
    """

    device: torch.device
    out: Path
    end: float
    shares: Mapping[str, float]
    warm: int = 5
    repeat: int = 10
    rows: list[dict[str, Any]] = field(default_factory=list)
    expected: dict[str, Tensor] = field(default_factory=dict)
    part: str = ""

    def begin(self, part: str) -> float:
        """Names the part; returns when its time is over: its share of what is left, with what others left over."""
        self.part = part
        left = [self.shares[name] for name in list(self.shares)[list(self.shares).index(part) :]]
        return time.perf_counter() + max(0.0, self.end - time.perf_counter()) * left[0] / sum(left)

    def add(self, title: str, **values: Any) -> None:
        """Writes and prints a row. ms: a list of milliseconds, kept as median, minimum and maximum."""
        if ms := values.pop("ms", None):
            values = {"ms": statistics.median(ms), "from": min(ms), "to": max(ms), **values}
        row = {"part": self.part, "title": title, **values, "device": device_name(self.device)}
        self.rows.append(row)
        with self.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        shown = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
        print(f"{self.part:10} {title}: {shown}", flush=True)

    def attempt(self, title: str, until: float, action: Callable[[], dict[str, Any]]) -> None:
        """The row of an action, or why there is none; an error ends this row only."""
        if time.perf_counter() > until:
            self.add(title, skipped="no time left")
            return
        try:
            self.add(title, **action())
        except Exception as error:
            self.add(title, error=f"{type(error).__name__}: {error}"[:300])
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def seconds(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def measured(self) -> Iterator[dict[str, Any]]:
        """Peak memory of the block: MiB that torch allocated on the GPU, what was there before included."""
        used: dict[str, Any] = {}
        if self.device.type != "cuda":
            yield used
            return
        torch.cuda.reset_peak_memory_stats()
        yield used
        used["MiB"] = round(torch.cuda.max_memory_allocated() / 2**20)

    def mark(self) -> Any:
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, marks: Sequence[Any]) -> list[float]:
        """Milliseconds between marks, without the first ones."""
        self.seconds()
        pairs = pairwise(marks)
        all_ = [a.elapsed_time(b) if self.device.type == "cuda" else 1000 * (b - a) for a, b in pairs]
        return all_[-self.repeat :]

    def timed(self, action: Callable[[], object]) -> list[float]:
        for _ in range(self.warm):
            action()
        marks = [self.mark()]
        for _ in range(self.repeat):
            action()
            marks.append(self.mark())
        return self.between(marks)

    def steps(self, levers: Sequence[str], stage: Method, images: Tensor, init: Inversion) -> dict[str, Any]:
        """Milliseconds between the optimizer's steps of a stage, and its images as "result"."""
        marks: list[Any] = []
        with applied(levers), self.measured() as used:
            handle = register_optimizer_step_post_hook(lambda *_: marks.append(self.mark()))
            try:
                result = form(levers, stage, images, init).image
            finally:
                handle.remove()
        return {"ms": self.between(marks), **used, "result": result}


def form(levers: Sequence[str], stage: Method, images: Tensor, init: Inversion) -> Inversion:
    """The stage's result, in the released code's form where "plain" is among the levers."""
    start = init if stage.info.refines else None
    if "plain" in levers:
        return plain.invert(stage, images, init.ids, start)
    return stage.invert(images, init.ids, start)


@contextmanager
def applied(levers: Sequence[str]) -> Iterator[None]:
    with ExitStack() as stack:
        for name in LEVERS:  # in the order that they are to be combined in
            if name in levers:
                stack.enter_context(LEVERS[name]())
        yield


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference over the largest value of b."""
    return float((a.cpu().double() - b.cpu().double()).abs().max() / b.cpu().double().abs().max())


class Traffic(TorchDispatchMode):
    """Counts bytes that operations read and write: of all, and of the convolutions alone (everything else fused)."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given, made = ([v for v in tree_leaves(tree) if isinstance(v, Tensor)] for tree in ((args, kwargs), out))
        stored = {v.untyped_storage().data_ptr() for v in given}
        new = [v for v in made if v.untyped_storage().data_ptr() not in stored]
        if new or func._schema.is_mutable:  # else a view
            size = sum(v.numel() * v.element_size() for v in (*given, *made))
            self.bytes["all"] += size
            self.bytes["convolutions"] += size * ("convolution" in func.__name__)
        return out


def floor(bench: Bench, make: Callable[[int], Callable[[], object]], parameters: int) -> dict[str, Any]:
    """Operations and bytes of a step, and the time that they take at the rates of the ceiling.

    Bytes are those of the convolutions' inputs and outputs and of Adam, 28 a parameter; "eager": of all operations.
    """
    counts = []
    for steps in (1, 2):
        traffic = Traffic()
        action = make(steps)

        def run(action: Callable[[], object] = action, traffic: Traffic = traffic) -> object:
            with traffic:
                return action()

        counts.append((flops(run), traffic.bytes["convolutions"], traffic.bytes["all"]))
    work, fewest, eager = (b - a for a, b in zip(*counts, strict=True))
    rates = {row["title"]: row for row in bench.rows if row["part"] == "ceiling"}
    found = {"GFLOP": work / 1e9, "GB": (fewest + 28 * parameters) / 1e9, "GB, eager": eager / 1e9}
    if bandwidth := rates.get("copy", {}).get("GB/s"):
        found |= {"ms by bytes": found["GB"] / bandwidth * 1000, "ms by bytes, eager": eager / bandwidth / 1e6}
    for title in ("product, float32", "product, TF32", "product, bf16"):
        if rate := rates.get(title, {}).get("TFLOP/s"):
            found[f"ms by {title}"] = work / rate / 1e9
    return found


def summary(recorded: Sequence[Mapping[str, Any]]) -> None:
    """The released code's form, the suite's, and the three fastest, by what was compared."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in recorded:
        if row["part"] in ("tuning", "projection") and "ms" in row:
            groups.setdefault(row["title"].partition(": ")[0], []).append(row)
    print("\n| what | form | ms | MiB | released form / this | change |\n| :-- | :-- |" + " --: |" * 4)
    for name, rows in groups.items():
        released = next((row["ms"] for row in rows if row["title"].endswith(RELEASED)), float("nan"))
        fastest = sorted(rows, key=lambda row: float(row["ms"]))[:3]
        for row in [r for r in rows if r in fastest or r["title"].endswith((": suite", RELEASED))]:
            shown = (row["title"].partition(": ")[2], f"{row['ms']:.4g}", row.get("MiB", ""))
            change = f"{row['change']:.2g}" if "change" in row else ""
            print("| " + " | ".join(map(str, (name, *shown, f"{released / row['ms']:.2f}", change))) + " |")
