"""The protocol `occluded` from the pictures of a run to its rows and tables."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.cli import main
from benchmarks.engine import plan as planning
from benchmarks.engine.config import load_suite
from benchmarks.engine.export import compact, describe
from benchmarks.engine.measure import score
from benchmarks.engine.plan import Plan, expand
from benchmarks.engine.run import Run
from benchmarks.engine.store import InversionStore
from benchmarks.protocols.occlusion import NO_TWIN
from datasets.base import Manifest, Record
from datasets.images import pixel_sha256, read_rgb, save_png, to_tensor
from metrics.identity import id_sface
from metrics.paired import occlusion_metrics
from metrics.regions import load_parser
from tests.drawn_faces import face_picture
from tests.integration.tiny_suite import reference, suite, world

__all__ = ["reference", "suite", "world"]  # fixtures
pytestmark = pytest.mark.assets

METRICS = [metric.info.name for metric in occlusion_metrics()]
CHANGES = [name for name in METRICS if "change" in name]


def rows_of(frame: pd.DataFrame, protocol: str = "occluded") -> pd.DataFrame:
    return frame[frame["protocol"] == protocol]


def test_rows_and_tables_of_a_run(reference):
    rows = rows_of(pd.read_parquet(reference / "results.parquet"))
    assert set(rows["dataset"]) == {"occluded"} and set(rows["method"]) == {"sg2_w"}
    assert set(rows["metric"]) == set(METRICS) and len(rows) == 2 * len(METRICS)
    assert (rows["status"] == "ok").all() and not rows["image"].str.endswith(".clean").any()
    values = rows.pivot(index="image", columns="metric", values="value")
    assert (values[CHANGES] > 0).all(axis=None), "an object changes the rest of the face"
    text = (reference / "report" / "tables.md").read_text()
    table = next(part for part in text.split("\n## ") if part.splitlines()[0].endswith("protocol occluded"))
    assert "2 images" in table and "n/a" not in table and "†" not in table


def test_values_are_what_the_stored_pictures_give(reference, suite):
    plan = expand(load_suite(suite))
    rows, manifest = rows_of(pd.read_parquet(reference / "results.parquet")), plan.manifests["occluded"]
    store = InversionStore(reference, plan.leaf["sg2_w", "occluded", 0])
    for record in manifest.records:
        if "clean" not in record.labels:
            continue
        clean = manifest.by_id[str(record.labels["clean"])]
        ours, theirs = (to_tensor(read_rgb(store.picture(id))) for id in (record.id, clean.id))
        target = to_tensor(read_rgb(manifest.root / clean.file))
        free = 1 - np.asarray(Image.open(manifest.root / record.mask)).astype(float) / 255
        weight = load_parser("landmark_ellipse")(target[None])[0][0, 0].numpy() * free
        found = rows[rows["image"] == record.id].set_index("metric")["value"]

        def mean(difference: np.ndarray, weight: np.ndarray = weight) -> float:
            return float((weight * difference**2).sum() / (3 * weight.sum()))

        assert found["occlusion_change_mse"] == pytest.approx(mean((ours - theirs).numpy()), rel=1e-4)
        assert found["occlusion_error_mse"] == pytest.approx(mean((ours - target).numpy()), rel=1e-4)
        assert found["occlusion_id_sface"] == pytest.approx(float(id_sface()(ours[None], target[None])), abs=1e-5)


@pytest.fixture
def run(reference, suite, tmp_path):
    """A copy of the run and its plan."""
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    return expand(load_suite(suite)), out


def occluded(plan: Plan) -> list[Record]:
    return [record for record in plan.manifests["occluded"].records if "clean" in record.labels]


def again(plan: Plan, out: Path) -> pd.DataFrame:
    score(Run(plan, out))
    return rows_of(compact(Run(plan, out))).set_index(["image", "metric"])


def test_only_what_is_seen_of_the_face_counts(run, monkeypatch):
    """The occluded inversion is the clean one, except below the object: no change. Then except above: a change."""
    plan, out = run
    monkeypatch.setattr(InversionStore, "complete", lambda *_: True)  # pictures of another size pass for torn ones
    store, record = InversionStore(out, plan.leaf["sg2_w", "occluded", 0]), occluded(plan)[0]
    clean = np.array(read_rgb(store.picture(str(record.labels["clean"]))))
    mask = np.asarray(Image.open(plan.manifests["occluded"].root / record.mask)) > 0
    for place, changed in ((mask, False), (~mask, True)):
        save_png(Image.fromarray(np.where(place[..., None], 255 - clean, clean)), store.picture(record.id))
        rows = again(plan, out)
        assert all((rows.loc[(record.id, name), "value"] > 0) == changed for name in CHANGES)


def test_a_clean_inversion_that_failed_is_the_reason(run):
    plan, out = run
    store, record = InversionStore(out, plan.leaf["sg2_w", "occluded", 0]), occluded(plan)[0]
    clean = str(record.labels["clean"])
    before = rows_of(compact(Run(plan, out))).set_index(["image", "metric"])["value"]
    failed = replace(store.rows()[clean], status="failed", reason="it diverged").to_json()
    for path in store.folder.glob("rows-*.jsonl"):
        kept = [line for line in path.read_text().splitlines() if json.loads(line)["image"] != clean]
        path.write_text("\n".join([*kept, json.dumps(failed)]) + "\n")
    store.picture(clean).unlink()
    rows = again(plan, out)
    for name in METRICS:
        row = rows.loc[(record.id, name)]
        if name in CHANGES:
            assert row["status"] == "blocked"
            assert row["reason"] == "the clean image's inversion failed: it diverged"
        else:
            assert row["value"] == before[record.id, name], "it needs the clean target only"
    assert (rows.loc[occluded(plan)[1].id, "status"] == "ok").all(), "the other pair is not touched"


def test_a_lost_or_changed_mask_is_said(run, monkeypatch, tmp_path):
    plan, out = run
    manifest, record = plan.manifests["occluded"], occluded(plan)[0]
    shutil.copytree(manifest.root, tmp_path / "set")
    moved = replace(manifest, root=tmp_path / "set")
    plan = replace(plan, manifests={**plan.manifests, "occluded": moved})
    shutil.rmtree(out / "scores")
    Image.new("L", (64, 64), 255).save(moved.root / record.mask)
    assert "differ from the manifest" in again(plan, out).loc[(record.id, CHANGES[0]), "reason"]
    (moved.root / record.mask).unlink()
    assert "mask cannot be read" in again(plan, out).loc[(record.id, CHANGES[0]), "reason"]


def natural_set(root: str) -> Manifest:
    records = []
    for n, name in enumerate(("a.clean", "b.clean", "a.natural")):
        picture = face_picture((0.5, 0.1 - 0.2 * (n == 1), -0.1))
        save_png(picture, Path(root) / f"{name}.png")
        labels = {"object": "natural", "clean": "a.clean"} if name == "a.natural" else {}
        records.append(Record(name, f"{name}.png", pixel_sha256(picture), labels))
    return Manifest("occluded", "Natural", 1, "none", 64, "CC0", "in", Path(root), tuple(records))


def test_natural_occlusion_has_a_table_of_its_own(suite, tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    made = natural_set(str(tmp_path / "set"))
    load = planning.datasets_registry.load
    monkeypatch.setattr(
        planning.datasets_registry, "load", lambda name, **o: made if name == "occluded" else load(name, **o)
    )
    out = tmp_path / "out"
    assert main(["run", suite, "workers=1", "datasets[0].limit=1", "--out", str(out), "--shard", "0/2"]) in (0, 1)
    assert main(["run", suite, "workers=1", "datasets[0].limit=1", "--out", str(out), "--shard", "1/2"]) == 0
    plan = expand(load_suite(suite, ["datasets[0].limit=1"]))
    rows = rows_of(compact(Run(plan, out)), "occluded_natural").set_index("metric")
    assert list(rows["image"].unique()) == ["a.natural"] and len(rows) == len(METRICS)
    assert rows.loc["occlusion_id_sface", "status"] == "ok"
    others = rows.drop("occlusion_id_sface")
    assert set(others["status"]) == {"skipped"} and set(others["reason"]) == {NO_TWIN}
    assert describe(plan)["datasets"]["occluded"]["protocols"] == {"occluded_natural": 1}
    assert rows_of(compact(Run(plan, out))).empty


def test_without_the_protocol_there_are_no_such_rows(suite, reference):
    plan = expand(load_suite(suite, ["protocols.occlusion=null"]))
    assert {stage_run.key for stage_run in plan.stage_runs} == {
        path.name for path in (reference / "inversions").iterdir()
    }
    assert not describe(plan)["datasets"]["occluded"]["protocols"]
