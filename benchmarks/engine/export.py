"""Compaction: a run's rows as one parquet table, its description as run.json, its images by image."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.engine.measure import stored_scores
from benchmarks.engine.plan import Plan
from benchmarks.engine.run import Run
from benchmarks.engine.store import JsonRow
from benchmarks.engine.types import Provenance, Row
from benchmarks.protocols.base import Need
from datasets import assets
from inversion_bench.files import atomic, write_bytes, write_text
from methods.checkpoints.trained import TOY
from methods.registry import StageSpec, flatten

SCHEMA = {
    "suite": "str", "method": "str", "dataset": "str", "protocol": "str", "seed": "int64", "image": "str",
    "metric": "str", "value": "float64", "status": "str", "reason": "str", "seconds": "float64", "device": "str",
    "precision": "str", "batch_size": "int64", "attempt": "int64", "torch": "str", "commit": "str", "machine": "str",
    "metric_version": "int64", "method_version": "int64",
}  # fmt: skip
COSTS = "reconstruction"  # the table that seconds and memory of inverting are in


def compact(run: Run) -> pd.DataFrame:
    """Write DIR/results.parquet, DIR/run.json, the protocols' own tables and DIR/images; returns the rows."""
    frame = pd.DataFrame(list(_rows(run)), columns=list(SCHEMA)).astype(SCHEMA)
    tables = {"results.parquet": frame}
    for protocol in run.plan.protocols:
        tables |= protocol.tables(run)
    for name, table in tables.items():
        parquet = io.BytesIO()
        table.to_parquet(parquet, index=False)
        write_bytes(run.out / name, parquet.getvalue())
    write_text(run.out / "run.json", json.dumps(describe(run.plan), indent=1, allow_nan=False) + "\n")
    _link_images(run)
    return frame


def _rows(run: Run) -> Iterator[JsonRow]:
    """Rows of results.parquet: the scores and costs of every image, by pipeline and data set."""
    plan = run.plan
    inversions = {stage_run.key: run.rows(stage_run) for stage_run in plan.stage_runs}
    for (method, dataset, seed), key in plan.leaf.items():
        stage_run, lineage = plan.stage_run(key), plan.lineage(key)
        commons: dict[str, JsonRow] = {}
        for record in plan.manifests[dataset].records:
            row = inversions[key].get(record.id)
            status, reason = (row.status, row.reason) if row else ("missing", "not run yet")
            if record.failure:
                status, reason = "failed", record.failure
            spent = [inversions[k][record.id] for k in lineage if record.id in inversions[k]]
            provenance = asdict(row.provenance if row else Provenance())
            commons[record.id] = common = {
                "suite": plan.suite.name, "method": method, "dataset": dataset, "seed": seed,
                "image": record.id, "value": None, "status": status, "reason": reason,
                "seconds": sum(r.seconds for r in spent), "method_version": stage_run.stage.cls.info.version,
                "attempt": row.attempt if row else 0, **provenance,
            }  # fmt: skip
            if status == "ok":
                for name, value in _costs(spent).items():
                    yield common | {"protocol": COSTS, "metric": name, "metric_version": 1, "value": value}
        for protocol in plan.protocols:
            for score in protocol.results(run, stage_run, stored_scores(run, protocol, stage_run, inversions[key])):
                common = commons[score.image]
                state: JsonRow = {"protocol": score.protocol, "metric": score.metric, "metric_version": score.version}
                if common["status"] != "ok" and Need.INLINE in protocol.needs:
                    continue
                if score.metric in plan.skipped:
                    state |= {"status": "skipped", "reason": plan.skipped[score.metric]}
                elif common["status"] == "ok" or score.status == "skipped":
                    state |= {"value": score.value, "status": score.status, "reason": score.reason}
                yield common | state


def _costs(spent: Sequence[Row]) -> dict[str, float]:
    """What an image cost, by metric, from the rows of its stages, the last one first; without what was not measured."""

    def known(name: str) -> list[float]:
        return [value for row in spent if (value := getattr(row, name)) is not None]

    costs = {"seconds": sum(row.seconds for row in spent)}
    if len(cpu := known("cpu_seconds")) == len(spent):
        costs["cpu_seconds"] = sum(cpu)
    for name in ("peak_memory_mb", "load"):
        if values := known(name):
            costs[name] = max(values)
    if spent[0].batch_images:
        costs["batch_images"] = spent[0].batch_images
    return costs


def describe(plan: Plan) -> dict[str, Any]:
    """What a report has to know beyond the rows; the order of keys is the order in tables."""
    methods = {}
    for pipeline in plan.pipelines:
        infos = [stage.cls.info for stage in pipeline.stages]
        methods[pipeline.name] = {
            "title": pipeline.title,
            "paper": "; ".join(info.paper for info in infos),
            "year": max(info.year for info in infos),
            "stages": "; ".join(_settings(stage) for stage in pipeline.stages),
            "identity": [stage.identity() for stage in pipeline.stages],
            "reimplementation": True,
            "note": pipeline.note or "; ".join(dict.fromkeys(map(note_of, pipeline.stages))),
            "space": next(info.space for info in infos if not info.refines),
        }
    datasets = {
        name: {
            "title": m.title,
            "domain": m.domain,
            "scope": asdict(m.scope),
            "notes": m.notes,
            "n": len(m.records),
            "groups": m.groups,
            "licence": m.licence,
            "recipe": m.recipe,
            "key": m.key,
            "protocols": {table: n for protocol in plan.protocols for table, n in protocol.expected(name).items()},
        }
        for name, m in plan.manifests.items()
    }
    more = {key: value for protocol in plan.protocols for key, value in protocol.describe().items()}
    return more | {
        "suite": plan.suite.name,
        "title": plan.suite.title,
        "config": asdict(plan.suite),
        "methods": methods,
        "datasets": datasets,
        "absent": plan.absent,
        "metrics": {info.name: asdict(info) for protocol in plan.protocols for info in protocol.infos()},
        "versions": {name: version(name) for name in ("torch", "pytorch-lightning", "torchmetrics", "lpips")},
        "generator": {"name": plan.suite.generator, "sha256": plan.generator_hash, "scope": asdict(plan.scope)},
    }


def note_of(stage: StageSpec) -> str:
    """Where a stage's method comes from: of published weights, that they are, and not that the suite trained any."""
    weights = str(getattr(stage.config, "weights", ""))
    if weights in assets.registry() or (weights != TOY and Path(weights).suffix not in ("", ".safetensors")):
        return f"published weights ({Path(weights).name}) in a network of this suite"
    return stage.cls.info.note


def _settings(stage: StageSpec) -> str:
    """A stage with what differs from its published settings."""
    published, used = flatten(asdict(stage.cls.Config())), flatten(asdict(stage.config))
    changed = ", ".join(f"{key}={value}" for key, value in used.items() if value != published[key])
    return f"{stage.name} ({changed})" if changed else stage.name


def _link_images(run: Run) -> None:
    """Targets, and of the first seed reconstructions and protocols' images: DIR/images/<data set>/<image>/."""
    for (method, dataset), key in run.plan.shown.items():
        manifest, store, stage_run = run.plan.manifests[dataset], run.store(key), run.plan.stage_run(key)
        for record in manifest.records:
            folder = run.out / "images" / dataset / record.id
            if record.file:
                _link(manifest.root / record.file, folder / "target.png")
            _link(store.picture(record.id), folder / f"{method}.png")
            for protocol in run.plan.protocols:
                for word, path in protocol.images_of(run, stage_run, record.id).items():
                    _link(path, folder / f"{method}.{word}.png")


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy across file systems; an existing newer link of the same file stays."""
    if not source.exists() or (target.exists() and target.samefile(source)):
        return
    with atomic(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
