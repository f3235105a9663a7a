"""`python -m benchmarks.perf.celeba_hq GPU.jsonl`: what the suite celeba-hq costs on the GPU of a measurement.

GPU.jsonl is what `benchmarks.perf.gpu` wrote. Methods, steps and batches are those of the suite; no weights are needed.
Prints Markdown for docs/scale.md, in float32 and with `tf32=true`: the stages as measured, then time and memory of the
methods. A row that is absent, skipped or an error makes "not measured" of all that depends on it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from math import isnan, nan
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmarks.engine.config import load_suite
from datasets.celeba_hq import TEST_COUNT
from methods.checkpoints.encoders import ITERATIONS
from methods.hypernetworks.network import STEPS
from methods.registry import StageSpec, load_pipeline

GPUS, PRECISIONS = (1, 8, 64), ("float32", "TF32")
ABSENT = "not measured"
ROWS = (  # "part: title" of the suite's own form; of two for one batch, the first counts
    r"projection: (?P<what>W): (?P<tf32>TF32 \+ )?scaled maps",  # what a GPU computes where codes alone are optimised
    r"(?:projection|tuning): (?P<what>W\+?|with(?:out)? locality): (?:suite|(?P<tf32>TF32))",
    r"memory: (?:tuning )?(?P<what>.+), batch (?P<batch>\d+)",
    r"encoders: (?:float32|(?P<tf32>TF32)), (?P<what>contiguous), batch (?P<batch>\d+)",
    r"encoders: (?P<what>\w+), (?:float32|(?P<tf32>TF32)), batch (?P<batch>\d+)",
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
            return Work("contiguous", size, renders=True)
        case "restyle_psp" | "restyle_e4e":
            return Work("restyle_psp", size, (config.iterations or ITERATIONS) / ITERATIONS, renders=True)
        case "hyperstyle":
            return Work("hyperstyle", size, config.steps / STEPS)
    return Work(f"{stage.name}, which has no rows")


class Measured:
    """The rows of ROWS in one precision, by batch."""

    def __init__(self, rows: pd.DataFrame, precision: str):
        chosen = rows[rows.tf32.notna() == (precision == "TF32")]
        self.rows = chosen.drop_duplicates(["what", "batch"]).sort_values("batch").set_index("batch")

    def of(self, work: Work, column: str) -> pd.Series[float]:
        """The "ms" of a step of the whole batch, or the "MiB", by batch up to the stage's own."""
        return self.rows.loc[self.rows.what == work.what, column].dropna().astype(float).loc[: work.batch]

    def seconds(self, stages: Iterable[StageSpec]) -> float:
        """Of an image, at the largest measured batches up to the stages' own; NaN where one is absent."""
        total = 0.0
        for work in map(work_of, stages):
            ms = self.of(work, "ms")
            total += work.steps * ms.iloc[-1] / ms.index[-1] / 1000 if len(ms) else nan
            total += self.rendering() * work.renders
        return total

    def rendering(self) -> float:
        """Seconds of an image at most: steps of ReStyle and of tuning render one, too. NaN where both are absent."""
        ms = pd.concat([self.of(Work("restyle_psp"), "ms") / ITERATIONS, self.of(Work("without locality"), "ms")])
        return float(ms.min()) / 1000

    def memory(self, stages: Iterable[StageSpec]) -> float:
        """MiB at most, at the batches of `seconds`."""
        peaks = [self.of(work, "MiB") for work in map(work_of, stages)]
        return max(float(peak.iloc[-1]) for peak in peaks) if all(map(len, peaks)) else nan


def read(path: Path) -> tuple[str, dict[str, Measured]]:
    """The device of a file, and its rows by precision. Raises ValueError where they are not of one device."""
    try:
        found = pd.read_json(path, lines=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}; expected the gpu.jsonl of benchmarks.perf.gpu") from error
    found = found.reindex(columns=["part", "title", "ms", "MiB", "device"]).dropna(subset=["ms"])
    found = found.drop_duplicates(["part", "title"], keep="last")  # of a part that was measured twice
    devices = sorted(set(found.device.dropna()))
    if len(devices) != 1:
        raise ValueError(f"{path}: expected measured rows of one device, found {', '.join(devices) or 'none'}")
    names = found.part + ": " + found.title
    rows = pd.concat([names.str.extract(f"^{pattern}$").join(found[["ms", "MiB"]]) for pattern in ROWS])
    rows = rows.dropna(subset=["what"]).assign(batch=lambda t: t.batch.astype(float).fillna(1).astype(int))
    return devices[0], {precision: Measured(rows, precision) for precision in PRECISIONS}


def report(path: Path) -> Iterator[str]:
    """The text, a paragraph or table at a time. Raises ValueError as `read`."""
    (device, both), suite = read(path), load_suite("celeba-hq")
    methods = [load_pipeline(name, suite.stage_settings) for name in suite.methods]
    rendering = " and ".join(f"{figure(1000 * one.rendering())} ms ({name})" for name, one in both.items())
    yield f"{device}. An encoder's image takes at most {rendering} to render, beside its network."
    users: dict[Work, dict[str, None]] = {}
    for stage in (stage for method in methods for stage in method.stages):
        users.setdefault(work_of(stage), {})[f"`{stage.name}`"] = None
    columns = [(name, one, column) for column in ("ms", "MiB") for name, one in both.items()]
    lines = [
        (", ".join(names), figure(work.steps), str(work.batch), *(by_batch(one.of(work, c)) for _, one, c in columns))
        for work, names in users.items()
    ]
    yield grid(("stages", "steps", "own batch", *(f"{c}, {name}" for name, _, c in columns)), lines)

    for name, one in both.items():
        known = [method.stages for method in methods if not isnan(one.seconds(method.stages))]
        once = dict.fromkeys(stages[:end] for stages in known for end in range(1, len(stages) + 1))
        lines = [
            (method.title, *times(one.seconds(method.stages)), figure(one.memory(method.stages))) for method in methods
        ]
        title = f"the {len(known)} that are measured" if len(known) < len(methods) else f"all {len(known)}"
        lines.append((f"{title}, what they share once", *times(one.seconds(stages[-1] for stages in once)), ""))
        yield grid((name, "s / image", *(f"hours, GPUs: {count}" for count in GPUS), "MiB at most"), lines)


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
