"""The protocols of editing, from a run to its rows, tables and pictures."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn.functional import adaptive_avg_pool2d

from benchmarks.cli import main
from benchmarks.engine.claims import machine
from benchmarks.engine.config import load_suite
from benchmarks.engine.generate import pending
from benchmarks.engine.plan import expand
from benchmarks.engine.run import Run
from benchmarks.engine.store import InversionStore, read_lines
from benchmarks.protocols.editing import sets
from benchmarks.protocols.editing.protocol import Editing
from benchmarks.protocols.editing.store import EditStore, cut
from datasets import assets
from datasets.celeba_hq import ATTRIBUTES
from datasets.images import read_rgb, to_tensor
from methods.editing.directions import Direction, in_strengths
from methods.editing.images import tiles
from methods.editing.readers import Components
from methods.editing.weights import save_directions
from methods.generators import load_generator
from metrics import attributes
from metrics.edit_protocol import TABLES
from metrics.editing import SHEET, STEP
from metrics.networks.sface import SFace
from tests.drawn_faces import face_picture
from tests.integration.tiny_suite import quick_report, tables

pytestmark = pytest.mark.assets

IMAGES = 2
SUITE = """
base: smoke
name: edits
methods: [sg2_w, pti]
datasets:
  - {name: folder, limit: 2, options: {path: PATH/faces, align: false}}
protocols:
  reconstruction: {metrics: [mse]}
  editing: {images: 2, directions: [light, warm], source: PATH/directions.safetensors, reinversion_images: 1}
stage_settings:
  w_optimization: {steps: 2}
  pivotal_tuning: {steps: 2}
"""

FID = """datasets:
  - {name: celeba_hq, options: {path: PATH/hq, split: all, resolution: 64, attributes: [Smiling]}}
protocols:
  reconstruction: {metrics: [mse]}
  editing: {images: 8, directions: [light, warm], source: WORLD/directions.safetensors,
            fid: [light=Smiling, -warm=-Smiling]}
stage_settings:
  w_optimization: {steps: 2}
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Twenty drawn faces, two of them edited, and two directions of the toy generator.

    Identity is of averages of pixels: SFace takes most of the time, and tests of its own have it.
    """
    root = tmp_path_factory.mktemp("world")
    (root / "cache").mkdir()
    for needed in ("lpips_alex", "sface"):
        assets.ensure(needed)
    (root / "cache" / "assets").symlink_to(assets.cache_dir() / "assets")
    (root / "faces").mkdir()
    for n in range(20):
        shades = (0.5 - 0.02 * n, 0.1 - 0.012 * n, -0.1 + 0.02 * (n % 3))  # MTCNN finds them
        face_picture(shades).save(root / "faces" / f"f{n:02}.png")
    generator = load_generator("toy")
    draws = torch.randn(2, generator.w_dim, generator=torch.Generator().manual_seed(0))
    made = [
        Direction(name, attribute, in_strengths(raw, generator), slope, "%", "test")
        for name, attribute, raw, slope in (("light", "brightness", draws[0], 2.0), ("warm", "warmth", draws[1], -3.0))
    ]
    axes = torch.eye(generator.w_dim)[:2]
    parts = Components(torch.zeros(generator.w_dim), axes, torch.ones(2))
    save_directions(root / "directions.safetensors", generator, {d.name: d for d in made}, parts, {"name": "test"})
    (root / "edits.yaml").write_text(SUITE.replace("PATH", str(root)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INVERSION_BENCH_CACHE", str(root / "cache"))
        patch.setattr(SFace, "forward", lambda _, crops: adaptive_avg_pool2d(crops, (6, 7)).flatten(1))
        quick_report(patch)
        yield str(root / "edits.yaml")


@pytest.fixture(scope="module")
def reference(suite, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    assert main(["run", suite, "--out", str(out)]) == 0
    return out


def rows_of(out: Path) -> pd.DataFrame:
    rows = pd.read_parquet(out / "results.parquet")
    return rows[rows["protocol"].isin(TABLES)]


def test_rows_of_every_protocol(reference):
    rows = rows_of(reference)
    counts = rows.groupby("protocol")["image"].nunique().to_dict()
    assert counts == {name: 1 if name == "reinversion" else IMAGES for name in TABLES}
    skipped = (rows["method"] == "pti") & (rows["metric"] == "edit_lec_latent")
    assert skipped.sum() == 1 and (rows[skipped]["status"] == "skipped").all()
    few = rows["metric"].isin(["edit_frechet_alex", "interpolation_frechet_alex"])
    assert few.any() and (rows[few]["status"] == "undefined").all()
    assert set(rows[few]["reason"]) == {f"a Frechet distance needs at least 50 {what}, found {IMAGES}"
                                        for what in ("edited images", "interpolations")}  # fmt: skip
    far = rows["metric"].str.startswith("edit_still_") & (rows["status"] == "undefined")
    assert rows.loc[far, "reason"].str.contains("brightness: an effect of .* is not reached").all()
    bad = rows[~skipped & ~few & ~far & (rows["status"] != "ok")]
    assert bad.empty, bad[["metric", "reason"]].drop_duplicates()
    text = (reference / "report" / "tables.md").read_text()
    for name in TABLES:
        assert f"protocol {name}".replace("_", "\\_") in text


def test_effects_are_what_the_stored_pictures_show(reference, suite):
    plan = expand(load_suite(suite))
    rows = rows_of(reference)
    for method in ("sg2_w", "pti"):
        key = plan.leaf[method, "folder", 0]
        sheet, store = tiles(plan.protocol("editing").directions, SHEET), EditStore(reference, key)
        for image in plan.protocol("editing").images["folder"]:
            pictures = cut(store.sheet(image))
            assert len(pictures) == len(sheet) == 2 * 4 + 2
            inverted = to_tensor(read_rgb(InversionStore(reference, key).picture(image)))[None]
            values = attributes.predict(["brightness"], torch.cat([inverted, pictures]))
            change = values["brightness"][1:] - values["brightness"][0]
            wanted = [tile.strength / STEP * float(change[n]) for n, tile in enumerate(sheet)
                      if tile.attribute == "brightness" and abs(tile.strength) == STEP]  # fmt: skip
            found = rows[(rows["method"] == method) & (rows["image"] == image)]
            value = found[found["metric"] == "edit_effect_brightness"]["value"].item()
            assert value == pytest.approx(np.mean(wanted), abs=0.01)


def test_what_is_edited_is_not_edited_again(reference, suite, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    plan = expand(load_suite(suite))
    assert not pending(Run(plan, out))
    monkeypatch.setattr(Editing, "generate", lambda *_: pytest.fail("edited again"))
    assert main(["run", suite, "--out", str(out)]) == 0
    assert tables(out) == tables(reference)


@pytest.mark.slow
def test_new_inversions_by_shards_are_edited_again_and_give_the_same_tables(reference, suite, tmp_path):
    out, plan = tmp_path / "out", expand(load_suite(suite))
    shutil.copytree(reference, out)
    key, digest = plan.leaf["pti", "folder", 0], plan.protocol("editing").digest
    # Rows of an older version count nanoseconds: here of a clock that has jumped back since.
    for path in EditStore(out, key).row_files().paths():
        rows = [row | {"made": row["made"] + time.time_ns() * 2} for row in read_lines([path])]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = {image: row["made"] for image, row in EditStore(out, key).rows(digest).items()}
    for shard in ("0/2", "1/2"):
        assert main(["run", suite, "--out", str(out), "--shard", shard, "--resume", "all"]) == 0
    after = {image: row["made"] for image, row in EditStore(out, key).rows(digest).items()}
    assert len(before) == IMAGES and all(after[image] > before[image] for image in before)
    assert tables(out) == tables(reference)


@pytest.mark.parametrize(("deaths", "code"), [(1, 0), (4, 1)])
def test_image_at_whose_editing_workers_died(deaths, code, reference, suite, tmp_path):
    out, plan = tmp_path / "out", expand(load_suite(suite))
    shutil.copytree(reference, out)
    key = plan.leaf["sg2_w", "folder", 0]
    shutil.rmtree(out / "edits" / key)
    claims = out / "work" / "claims" / f"edits-{key}"
    claims.mkdir(exist_ok=True)
    image = plan.protocol("editing").images["folder"][0]
    for number in range(1, deaths + 1):
        (claims / f"{image}.{number}").write_text(json.dumps({"worker": f"gone{number}", "machine": machine()}))
    assert main(["run", suite, "--out", str(out)]) == code
    # Distances of sets want more pictures than are left.
    failed = rows_of(out).query("status == 'failed' and not metric.str.contains('frechet')")
    assert set(failed["image"]) == ({image} if code else set()) and not list(claims.iterdir())
    assert failed["reason"].str.contains("the worker died 4 times at this image: it was killed").all()
    assert code or tables(out) == tables(reference)


def test_weights_that_are_gone_are_failures_with_a_reason(reference, suite, tmp_path, monkeypatch):
    monkeypatch.setattr(InversionStore, "complete", lambda *_: True)  # files of another size pass for torn ones
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    plan = expand(load_suite(suite))
    store = InversionStore(out, plan.leaf["pti", "folder", 0])
    for image in store.rows():
        with safe_open(store.latent(image), framework="pt") as handle:
            metadata = handle.metadata()
        tensors = load_file(store.latent(image))
        assert any(name.startswith("weights.") for name in tensors)
        save_file({"latent": tensors["latent"]}, store.latent(image), metadata)
    shutil.rmtree(out / "edits")
    assert main(["run", suite, "--out", str(out)]) == 1
    failed = rows_of(out).query("status == 'failed'")
    assert set(failed["method"]) == {"pti"}
    row = next(iter(EditStore(out, store.folder.name).rows(plan.protocol("editing").digest).values()))
    assert "tuned weights" in row["edits"]["reason"], json.dumps(row)


def test_a_part_of_the_methods_may_be_run(suite, tmp_path):
    settings = ["methods=[sg2_w]", "protocols.editing.reinversion_methods=[sg2_w, psp]"]
    plan = expand(load_suite(suite, settings))
    assert plan.protocol("editing").reinversion_keys == (plan.leaf["sg2_w", "folder", 0],)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("protocols.editing.directions=[ligth]", "did you mean 'light'"),
        ("editing.again_methods=[sg2w]", "did you mean 'sg2_w'"),
        ("protocols.editing.source=nowhere.safetensors", "no file of directions nowhere.safetensors"),
    ],
)
def test_wrong_names_start_nothing(suite, setting, said, tmp_path, capsys):
    assert main(["run", suite, setting, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


def test_fid_after_an_edit_is_of_the_images_without_the_label(suite, tmp_path, monkeypatch):
    """CelebA-HQ as a folder of eight drawn faces, every other one with the label; two numbers as features."""
    faces = sorted((Path(suite).parent / "faces").iterdir())[:8]
    (tmp_path / "hq").mkdir()
    for n, face in enumerate(faces):
        shutil.copy(face, tmp_path / "hq" / f"{n}.png")
    lines = ["8", "Smiling", *(f"{n}.jpg {1 if n % 2 else -1}" for n in range(8))]
    (tmp_path / "hq" / ATTRIBUTES).write_text("\n".join(lines))
    text = Path(suite).read_text().split("datasets:")[0].replace("[sg2_w, pti]", "[sg2_w]") + FID
    (tmp_path / "fid.yaml").write_text(text.replace("PATH", str(tmp_path)).replace("WORLD", str(Path(suite).parent)))

    def labelled(self, manifest, device):
        self.manifest, self.device, self._known = manifest, device, {}
        self.network = lambda images: images.mean(dim=(2, 3))[:, :2]

    monkeypatch.setattr(sets.Labelled, "__init__", labelled)
    monkeypatch.setattr(sets, "LEAST_FRECHET", 3)
    monkeypatch.setattr(Editing, "missing", lambda _: {})
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "fid.yaml"), "--out", str(out)]) == 0
    rows = pd.read_parquet(out / "results.parquet")
    rows = rows[rows["metric"].str.startswith("edit_fid_")]
    images = rows.groupby("protocol")["image"].agg(list).to_dict()
    assert images == {
        "edit_fid_brightness_more": ["00000", "00002", "00004", "00006"],
        "edit_fid_warmth_less": ["00001", "00003", "00005", "00007"],
    }
    assert (rows["status"] == "ok").all() and rows.groupby("protocol")["value"].mean().min() > 0
    said = (out / "report" / "tables.md").read_text()
    assert "FID to Smiling" in said and "FID to no Smiling" in said
    with pytest.raises(SystemExit, match="2"):
        raise SystemExit(main(["plan", str(tmp_path / "fid.yaml"), "protocols.editing.fid=[light=Young]"]))
