"""`python -m benchmarks.perf.celeba_hq GPU.jsonl`: what the suite celeba-hq costs on the GPU of a measurement.

GPU.jsonl is what `benchmarks.perf.gpu` wrote. Methods, steps and batches are those of the suite; no weights are needed.
Prints Markdown for docs/scale.md: the stages as measured, then time and memory of the methods. A row that is absent,
skipped or an error makes "not measured" of all that depends on it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from math import isnan, nan
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.engine.config import load_suite
from datasets.celeba_hq import TEST_COUNT
from methods.checkpoints.encoders import ITERATIONS
from methods.hypernetworks.network import STEPS
from methods.registry import StageSpec, load_pipeline

GPUS, CARDS = (1, 8, 64), (24, 16, 12)  # how many of the device; GiB of other cards
RESERVE = 1024  # MiB of a card that the rows do not count: CUDA's own, and gaps between tensors
ABSENT = "not measured"
ROWS = (  # "part: title" of the suite's own form in float32; of two for one batch, the first counts
    r"tuning: (?P<what>with(?:out)? locality): suite",
    r"projection: (?P<what>W\+?): suite",
    r"memory: (?:tuning )?(?P<what>.+), batch (?P<batch>\d+)",
    r"encoders: float32, (?P<what>channels_last), batch (?P<batch>\d+)",  # the layout of the stages' encoders
    r"encoders: (?P<what>\w+), float32, batch (?P<batch>\d+)",
)


class Work(NamedTuple):
    """What a stage computes. what: as ROWS have it; batch: images at once; steps: how often what a row has timed;
    renders: whether an image is rendered beside that, which takes an optimiser less than a step and is not counted."""

    what: str
    batch: int = 1
    steps: float = 1
    renders: bool = False


def work_of(stage: StageSpec) -> Work:
    """What a stage computes. Rows of ReStyle and HyperStyle are of all steps as published."""
    config, size = stage.config, stage.config.batch_size
    match stage.name:
        case "w_optimization" | "w_plus_optimization":
            return Work("W" if stage.name == "w_optimization" else "W+", size, config.steps)
        case "pivotal_tuning":
            return Work(f"{'with' if config.locality.weight else 'without'} locality", size, config.steps)
        case "psp" | "e4e" | "hyperstyle_w_encoder":  # the last has fewer heads than the network that is measured
            return Work("channels_last", size, renders=True)
        case "restyle_psp" | "restyle_e4e":
            return Work("restyle_psp", size, (config.iterations or ITERATIONS) / ITERATIONS, renders=True)
        case "hyperstyle":
            return Work("hyperstyle", size, config.steps / STEPS)
    return Work(f"{stage.name}, which has no rows")


class Measured:
    """A file's rows: all, and those of ROWS by batch. Raises ValueError where they are not of one device."""

    def __init__(self, path: Path):
        try:
            found = pd.read_json(path, lines=True)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {error}; expected the gpu.jsonl of benchmarks.perf.gpu") from error
        found = found.reindex(columns=["part", "title", "ms", "MiB", "seconds", "device"])
        found = found.dropna(subset=["ms", "seconds"], how="all")
        self.all = found.drop_duplicates(["part", "title"], keep="last")  # of a part that was measured twice
        self.devices = sorted(set(self.all.device.dropna()))
        if len(self.devices) != 1:
            raise ValueError(f"{path}: expected measured rows of one device, found {', '.join(self.devices) or 'none'}")
        names = self.all.part + ": " + self.all.title
        table = pd.concat([names.str.extract(f"^{pattern}$").join(self.all[["ms", "MiB"]]) for pattern in ROWS])
        table = table.dropna(subset=["what", "ms"]).assign(batch=lambda t: t.batch.astype(float).fillna(1).astype(int))
        self.rows = table.drop_duplicates(["what", "batch"]).sort_values("batch").set_index("batch")

    def of(self, work: Work, column: str) -> pd.Series[float]:
        """The "ms" of a step of the whole batch, or the "MiB", by batch."""
        return self.rows.loc[self.rows.what == work.what, column].dropna().astype(float)

    def seconds(self, stages: Iterable[StageSpec], most: int | None = None) -> float:
        """Of an image, at the largest measured batches up to the stages' own (or `most`); NaN where one is absent."""
        total = 0.0
        for work in map(work_of, stages):
            ms = self.of(work, "ms").loc[: most or work.batch]
            total += work.steps * ms.iloc[-1] / ms.index[-1] / 1000 if len(ms) else nan
            total += self.rendering() * work.renders
        return total

    def rendering(self) -> float:
        """Seconds of an image at most: steps of ReStyle and of tuning render one, too. NaN where both are absent."""
        ms = pd.concat([self.of(Work("restyle_psp"), "ms") / ITERATIONS, self.of(Work("without locality"), "ms")])
        return float(ms[ms.index == 1].min()) / 1000


def fitting(memory: pd.Series[float], card: int) -> str:
    """The largest measured batch on a card of so many GiB. memory: MiB by batch."""
    fit = memory.index[memory + RESERVE <= 1024 * card]
    least = [f"batch {batch} needs {figure(value)} MiB" for batch, value in memory.head(1).items()]
    return str(fit[-1]) if len(fit) else "".join(least) or ABSENT


def report(path: Path) -> Iterator[str]:
    """The text, a paragraph or table at a time. Raises ValueError as `Measured`."""
    measured, suite = Measured(path), load_suite("celeba-hq")
    methods = [load_pipeline(name, suite.stage_settings) for name in suite.methods]
    yield f"{measured.devices[0]}, float32 without TF32; MiB: the most that torch has allocated."
    yield f"An encoder's image takes at most {figure(1000 * measured.rendering())} ms to render, beside its network."
    users: dict[Work, dict[str, None]] = {}
    for stage in (stage for method in methods for stage in method.stages):
        users.setdefault(work_of(stage), {})[f"`{stage.name}`"] = None
    lines = []
    for work, names in users.items():
        ms, memory = measured.of(work, "ms"), measured.of(work, "MiB")
        cards = [fitting(memory, card) for card in CARDS]
        lines.append((", ".join(names), figure(work.steps), str(work.batch), by_batch(ms), by_batch(memory), *cards))
    header = ("stages", "steps", "own batch", "ms a step, by batch", "MiB, by batch")
    yield grid((*header, *(f"batch in {card} GB" for card in CARDS)), lines)

    known = [method for method in methods if not isnan(measured.seconds(method.stages))]
    once = dict.fromkeys(method.stages[:end] for method in known for end in range(1, len(method.stages) + 1))
    lines = []
    for method in methods:
        peaks = [measured.of(work, "MiB").loc[work.batch :].head(1).max() for work in map(work_of, method.stages)]
        lines.append((method.title, *times(measured.seconds(method.stages)), figure(float(np.max(peaks)))))
    name = f"all {len(known)}" if known == methods else f"the {len(known)} that are measured"
    lines.append((f"{name}, what they share once", *times(measured.seconds(stages[-1] for stages in once)), ""))
    yield grid(("method", "s / image", *(f"hours, GPUs: {count}" for count in GPUS), "MiB at most"), lines)
    whole = measured.all[measured.all.part == "pti"].set_index("title").seconds
    for title, seconds in whole.drop("the part", errors="ignore").items():
        by_steps = measured.seconds(load_pipeline("pti").stages, most=1)
        yield f"{title}: {figure(seconds)} s as a whole, {figure(by_steps)} s by its steps."


def times(seconds: float) -> list[str]:
    """Seconds of an image, and hours of the test set on several GPUs that lose nothing in the queue."""
    return [figure(seconds), *(figure(seconds * TEST_COUNT / 3600 / count) for count in GPUS)]


def figure(value: float) -> str:
    return ABSENT if isnan(value) else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def by_batch(values: pd.Series[float]) -> str:
    return "; ".join(f"{batch}: {figure(value)}" for batch, value in values.items()) or ABSENT


def grid(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, [":--", *["--:"] * (len(header) - 1)], *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.celeba_hq", description=__doc__)
    parser.add_argument("rows", type=Path, metavar="GPU.jsonl", help="what benchmarks.perf.gpu wrote")
    try:
        print("\n\n".join(report(parser.parse_args(arguments).rows)))
    except ValueError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
