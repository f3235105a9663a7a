"""Compaction: the store's rows as one parquet table, its description as run.json, its pictures by image."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.engine.plan import Plan
from benchmarks.engine.run import Run
from benchmarks.engine.score_files import scores
from benchmarks.engine.store import Row, write_atomically
from benchmarks.protocols.editing import results as editing_results
from benchmarks.protocols.editing.measure import EditStore
from benchmarks.protocols.occlusion import inapplicable, pairs, protocol_of
from datasets import assets
from methods import inline as inline_metrics
from methods.encoders.weights import OFFICIAL
from methods.registry import StageSpec, flatten
from metrics import registry as metrics_registry
from metrics.paired import load_protocol

RECONSTRUCTION = "reconstruction"
SCHEMA = {
    "suite": "str", "method": "str", "dataset": "str", "protocol": "str", "seed": "int64", "image": "str",
    "metric": "str", "value": "float64", "status": "str", "reason": "str", "seconds": "float64", "device": "str",
    "precision": "str", "batch_size": "int64", "attempt": "int64", "torch": "str", "commit": "str",
    "metric_version": "int64", "method_version": "int64",
}  # fmt: skip
COST_VERSION = 1


def compact(run: Run) -> pd.DataFrame:
    """Write DIR/results.parquet, DIR/run.json and DIR/images; returns the rows."""
    stores = {stage_run.key: run.rows(stage_run) for stage_run in run.plan.stage_runs}
    rows = list(_rows(run, stores))
    frame = pd.DataFrame(rows, columns=list(SCHEMA)).astype(SCHEMA)
    parquet = io.BytesIO()
    frame.to_parquet(parquet, index=False)
    write_atomically(run.out / "results.parquet", parquet.getvalue())
    text = json.dumps(describe(run), indent=1, allow_nan=False) + "\n"
    write_atomically(run.out / "run.json", text.encode())
    _gather_pictures(run)
    if run.plan.editing:
        curves = io.BytesIO()
        editing_results.curves(run).to_parquet(curves, index=False)
        write_atomically(run.out / "edits.parquet", curves.getvalue())
    return frame


def _lineage(plan: Plan, key: str | None) -> list[str]:
    keys: list[str] = []
    while key:
        keys.append(key)
        key = plan.stage_run(key).parent
    return keys


def _rows(run: Run, stores: dict[str, dict[str, Row]]) -> Iterator[Row]:
    loaded = {name: metrics_registry.find(name) for name in run.plan.suite.metrics}
    for (method, dataset), key in run.plan.leaf.items():
        values = {name: scores(run.out, key, loaded[name]) for name in run.plan.metrics}
        paired = [
            (protocol, metric, scores(run.out, key, metric))
            for protocol in run.plan.suite.protocols
            for metric in load_protocol(protocol)
        ]
        edits = None
        if run.plan.editing and key in run.plan.editing.keys:
            edits = editing_results.StageRunEdits(run, key)
        lineage = _lineage(run.plan, key)
        stage = run.plan.stage_run(key).stage
        for record in run.plan.manifests[dataset].records:
            row = stores[key].get(record.id)
            if record.failure:
                row = {"status": "failed", "reason": record.failure}
            elif row is None:
                row = {"status": "failed", "reason": "not run yet"}
            spent = [stores[k][record.id] for k in lineage if record.id in stores[k]]
            common = {
                "suite": run.plan.suite.name,
                "method": method,
                "dataset": dataset,
                "protocol": RECONSTRUCTION,
                "seed": run.plan.suite.seed,
                "image": record.id,
                "status": row["status"],
                "reason": row["reason"],
                "seconds": sum(r["seconds"] for r in spent),
                "device": row.get("device", ""),
                "precision": row.get("precision", ""),
                "batch_size": row.get("batch_size", 0),
                "attempt": row.get("attempt", 0),
                "torch": row.get("torch", ""),
                "commit": row.get("commit", ""),
                "method_version": stage.cls.info.version,
            }
            ok = row["status"] == "ok"
            for name, metric in loaded.items():
                state = dict(common, metric=name, metric_version=metric.info.version, value=None)
                if name in run.plan.skipped:
                    state |= {"status": "skipped", "reason": run.plan.skipped[name]}
                elif ok:
                    state |= _scored(values[name].get(record.id))
                yield state
            if ok:
                memory = [r["peak_memory_mb"] for r in spent if r["peak_memory_mb"] is not None]
                costs = {"seconds": common["seconds"], "peak_memory_mb": max(memory, default=None)}
                for name, value in costs.items():
                    yield dict(common, metric=name, metric_version=COST_VERSION, value=value)
                for protocol in run.plan.suite.inline:
                    measured = row["inline"].get(protocol)
                    for info in inline_metrics.infos(protocol):
                        state = dict(common, protocol=protocol, metric=info.name, metric_version=info.version)
                        yield state | _inline(measured, info.name)
            for protocol, info, found in edits.states(record.id) if edits else ():
                state = dict(common, protocol=protocol, metric=info.name, metric_version=info.version, value=None)
                yield state | found if ok else state
            if "clean" not in record.labels:
                continue
            for protocol, each, stored in paired:
                info = each.info
                state = dict(common, protocol=protocol_of(protocol, record), metric=info.name, value=None)
                state["metric_version"] = info.version
                if reason := run.plan.skipped.get(info.name) or inapplicable(each, record):
                    state |= {"status": "skipped", "reason": reason}
                elif ok:
                    state |= _scored(stored.get(record.id))
                yield state


def _scored(found: Row | None) -> Row:
    """Value, or status and reason, of an image that a method gave. found: what is stored of its score."""
    found = found or {"value": None, "reason": "not scored yet"}
    return {"value": found["value"]} if found["value"] is not None else {"status": "failed", "reason": found["reason"]}


def _inline(measured: Row | None, name: str) -> Row:
    """Value, status and reason of one inline measurement. measured: what the image's row holds of its kind."""
    if measured is None:
        reason = "not measured when the image was inverted; run with --resume all"
    elif not measured:
        return {"value": None, "status": "skipped", "reason": "the generator is not tuned"}
    elif (value := measured.get(name)) is not None:
        return {"value": value}
    else:
        reason = measured.get("reason", "the measurement is not finite")
    return {"value": None, "status": "failed", "reason": reason}


def describe(run: Run) -> dict[str, Any]:
    """What a report has to know beyond the rows; the order of keys is the order in tables."""
    methods = {}
    for pipeline in run.plan.pipelines:
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
    metrics = {name: asdict(metrics_registry.find(name).info) for name in run.plan.suite.metrics}
    metrics |= {
        metric.info.name: asdict(metric.info) for name in run.plan.suite.protocols for metric in load_protocol(name)
    }
    metrics |= {info.name: asdict(info) for name in run.plan.suite.inline for info in inline_metrics.infos(name)}
    metrics |= {info.name: asdict(info) for about in editing_results.metrics(run.plan).values() for info in about}
    return {
        "suite": run.plan.suite.name,
        "title": run.plan.suite.title,
        "config": asdict(run.plan.suite),
        "methods": methods,
        "datasets": {
            name: {
                "title": m.title,
                "domain": m.domain,
                "n": len(m.records),
                "licence": m.licence,
                "recipe": m.recipe,
                "key": m.key,
                "protocols": Counter(protocol_of(p, record) for p in run.plan.suite.protocols for record in pairs(m))
                | Counter(run.plan.editing.counts(name) if run.plan.editing else {}),
            }
            for name, m in run.plan.manifests.items()
        },
        "metrics": metrics,
        "versions": {name: version(name) for name in ("torch", "pytorch-lightning", "torchmetrics", "lpips")},
        "generator": {"name": run.plan.suite.generator, "sha256": run.plan.generator_hash},
        **({"editing": editing_results.describe(run.plan.editing)} if run.plan.editing else {}),
    }


def note_of(stage: StageSpec) -> str:
    """Where a stage's method comes from: of published weights, that they are, and not that the suite trained any."""
    weights = str(getattr(stage.config, "weights", ""))
    if weights in assets.registry() or weights.endswith(OFFICIAL):
        return f"published weights ({Path(weights).name}) in a network of this suite"
    return stage.cls.info.note


def _settings(stage: StageSpec) -> str:
    """A stage with what differs from its published settings."""
    published, used = flatten(asdict(stage.cls.Config())), flatten(asdict(stage.config))
    changed = ", ".join(f"{key}={value}" for key, value in used.items() if value != published[key])
    return f"{stage.name} ({changed})" if changed else stage.name


def _gather_pictures(run: Run) -> None:
    for (method, dataset), key in run.plan.leaf.items():
        manifest, store = run.plan.manifests[dataset], run.store(key)
        for record in manifest.records:
            folder = run.out / "images" / dataset / record.id
            if record.file:
                _link(manifest.root / record.file, folder / "target.png")
            _link(store.picture(record.id), folder / f"{method}.png")
            if run.plan.editing and run.plan.editing.takes(key, dataset, record.id):
                _link(EditStore(run.out, key).sheet(record.id), folder / f"{method}.edits.png")


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy across file systems; an existing newer link of the same file stays."""
    if not source.exists() or (target.exists() and target.samefile(source)):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
