"""What a suite will cost before it runs: seconds and memory of its stages, as earlier runs measured them.

DIR/inversions/<key>/stage.json, rows-*.jsonl   what each stage took, read for the estimates of the same folder
DIR/work/phases.jsonl                           what editing and scoring took, a line each time
benchmarks/suites/costs.json                    the same of shipped suites, written by benchmarks/perf/costs.py
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine.plan import Plan, StageRun, digest
from benchmarks.engine.run import Run
from benchmarks.engine.store import read_lines

SHIPPED = Path(__file__).parents[1] / "suites" / "costs.json"
BYTES_A_PIXEL = 2.0  # of a stored image: a PNG of a face takes about two thirds of its three bytes


@dataclass(frozen=True)
class Cost:
    """What an item of a kind takes. kind: a stage and its settings, "editing" or "scoring"; memory: MiB of a worker."""

    device: str
    generator: str
    kind: str
    seconds: float
    memory: float
    items: int


@dataclass(frozen=True)
class Estimate:
    """Of a whole run. seconds: on one worker, by phase; unknown: stages that nobody has measured yet; rough: whether
    other settings or generators stand in for some stages; memory and disk in bytes."""

    seconds: Mapping[str, float]
    unknown: tuple[str, ...]
    rough: bool
    memory: float
    disk: float


def kind_of(identity: Mapping[str, Any]) -> str:
    """A stage with its settings as one word; weights do not change what it takes."""
    return f"{identity['stage']}:{digest(identity['config'])[:8]}"


class Costs:
    """Costs by device, generator and kind; of several of the same kind, the mean over their items."""

    def __init__(self, costs: Iterable[Cost] = ()):
        self.costs = list(costs)

    def find(self, device: str, generator: str, kind: str) -> tuple[Cost, bool] | None:
        """The nearest cost, and whether it is of this generator and these settings; None where nothing is known."""
        name = kind.partition(":")[0]
        here = [cost for cost in self.costs if cost.device == device]
        levels = (
            [cost for cost in here if (cost.generator, cost.kind) == (generator, kind)],
            [cost for cost in here if cost.kind == kind],
            [cost for cost in here if cost.kind.partition(":")[0] == name],
        )
        for level, costs in enumerate(levels):
            if items := sum(cost.items for cost in costs):
                seconds = sum(cost.seconds * cost.items for cost in costs) / items
                memory = max(cost.memory for cost in costs)
                return Cost(device, generator, kind, seconds, memory, items), level == 0
        return None

    def __add__(self, other: Costs) -> Costs:
        return Costs([*self.costs, *other.costs])


def shipped() -> Costs:
    return Costs(Cost(**entry) for entry in json.loads(SHIPPED.read_text())) if SHIPPED.exists() else Costs()


def measured(out: Path) -> Costs:
    """What a folder of results has measured; a run of other devices or generators in it is told apart."""
    return Costs(_measured(out))


def _measured(out: Path) -> Iterator[Cost]:
    for path in sorted(out.glob("inversions/*/stage.json")):
        try:
            stage = json.loads(path.read_bytes())
        except ValueError:
            continue  # torn by a power cut
        by_device = defaultdict(list)
        for row in read_lines(sorted(path.parent.glob("rows-*.jsonl"))):
            if row["status"] == "ok":
                by_device[row["provenance"]["device"]].append((row["seconds"], row["peak_memory_mb"] or 0.0))
        for device, rows in by_device.items():
            seconds, memory = zip(*rows, strict=True)
            yield Cost(device, stage["generator"], kind_of(stage["stages"][-1]), sum(seconds) / len(rows),
                       max(memory), len(rows))  # fmt: skip
    for row in read_lines([path for path in [out / "work" / "phases.jsonl"] if path.exists()]):
        yield Cost(**row)


def estimate(run: Run, pending: Mapping[str, int], more: Mapping[str, int], device: str) -> Estimate:
    """What is left to do of a run.

    Args:
        run: the run.
        pending: images that are to be inverted, by stage run.
        more: edited images and scores that are to be made, as "editing" and "scoring".
        device: the name of the device, as rows have it.
    """
    known, plan = measured(run.out) + shipped(), run.plan
    seconds: dict[str, float] = {"inverting": 0.0}
    unknown, rough, memory = [], False, 0.0
    for stage_run in plan.stage_runs:
        nearest = known.find(device, plan.generator_hash, kind_of(stage_run.stage.identity()))
        if nearest is None:
            unknown += [stage_run.stage.name] * bool(pending[stage_run.key])
            continue
        cost, exact = nearest
        seconds["inverting"] += cost.seconds * pending[stage_run.key]
        rough, memory = rough or not exact, max(memory, cost.memory)
    for phase, items in more.items():
        if nearest := known.find(device, plan.generator_hash, phase):
            seconds[phase] = nearest[0].seconds * items
    disk = sum(_bytes(plan, stage_run, count) for stage_run in plan.stage_runs if (count := pending[stage_run.key]))
    return Estimate(seconds, tuple(dict.fromkeys(unknown)), rough, memory * 2**20, disk)


def _bytes(plan: Plan, stage_run: StageRun, count: int) -> float:
    """Of the stored images, codes and tuned weights of a stage run."""
    generator = plan.generator
    picture, code = BYTES_A_PIXEL * generator.resolution**2, 4.0 * generator.num_ws * generator.w_dim
    weights = sum(4.0 * parameter.numel() for parameter in generator.parameters())
    tunes = any(stage.name == "pivotal_tuning" or stage.cls.info.refines for stage in stage_run.stages)
    manifest = plan.manifests[stage_run.dataset]
    kept = sum(plan.keeps_weights(stage_run, image) for image in manifest.ids) / max(1, len(manifest.ids)) * tunes
    return count * (picture + code + kept * weights)


def dumps(costs: Costs) -> str:
    """The text of benchmarks/suites/costs.json: a line a cost."""
    groups = sorted({(cost.device, cost.generator, cost.kind) for cost in costs.costs})
    lines = []
    for device, generator, kind in groups:
        nearest = costs.find(device, generator, kind)
        assert nearest is not None
        entry = asdict(nearest[0])
        entry |= {"seconds": float(f"{entry['seconds']:.3g}"), "memory": round(entry["memory"])}
        lines.append(json.dumps(entry))
    return "[\n " + ",\n ".join(lines) + "\n]\n"
