"""FID after an edit: which images stand on which side, and the value by torch-fidelity."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.protocols.editing import sets
from benchmarks.protocols.editing.store import EditStore, cut, side_by_side
from datasets.base import Manifest, Record
from datasets.images import read_rgb, save_png, to_image, to_tensor
from methods.editing.directions import Direction
from methods.editing.images import tiles
from metrics import set_distances
from metrics.base import Undefined
from metrics.edit_fid import Toward, parse
from metrics.editing import SHEET, STEP

DIRECTIONS = {name: Direction(name, name, torch.zeros(1, 2), 1.0, "", "") for name in ("smile", "age")}
SIDE, WIDTH = 16, 3


def test_text_says_edit_and_label() -> None:
    known = {"joy": "smile", "age": "age"}
    assert parse("joy=Smiling", known) == Toward("smile", 1, "Smiling", True)
    assert parse("-joy = -Smiling", known) == Toward("smile", -1, "Smiling", False)
    assert parse("age=-Young", known).name == "edit_fid_age_more"
    for text in ("joy", "hat=Hat", "joy=-", "joy=A=B"):
        with pytest.raises(ValueError, match=r"expected \[-\]DIRECTION=\[-\]LABEL with a direction of joy, age"):
            parse(text, known)
    less = parse("-joy=-Smiling", known)
    assert [less.leads_to({"Smiling": n}) for n in (0, 1)] == [True, False] and less.leads_to({}) is None
    assert "label no Smiling" in less.info().recipe and "smile by -1.5" in less.info().recipe


def pictures(count: int, seed: int) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


@pytest.fixture
def real(tmp_path: Path) -> Manifest:
    """Sixty images, every other one with the label."""
    records = []
    for n, image in enumerate(pictures(60, 0)):
        save_png(to_image(image), tmp_path / f"{n}.png")
        records.append(Record(f"i{n}", f"{n}.png", "", {"Smiling": n % 2}))
    return Manifest("faces", "Faces", 1, "", SIDE, "", "in", tmp_path, tuple(records))


def features(images: Tensor) -> Tensor:
    return images.mean(dim=(2, 3)).double() * 50


@pytest.mark.parametrize("text", ["smile=Smiling", "-smile=-Smiling"])
def test_the_value_is_torch_fidelitys(text: str, real: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = pytest.importorskip("torch_fidelity.metric_fid")
    monkeypatch.setattr(sets, "LEAST_FRECHET", 20)
    monkeypatch.setattr(sets.Labelled, "__init__", _labelled)
    (toward,) = sets.towards([text], DIRECTIONS, [real]).values()
    edited = [record for record in real.records if toward.leads_to(record.labels) is False][:25]
    store, sheet = EditStore(real.root, "key"), tiles(DIRECTIONS, SHEET)
    place = next(n for n, tile in enumerate(sheet) if (tile.attribute, tile.strength) == ("smile", toward.sign * STEP))
    store.folder.mkdir(parents=True)
    for n, record in enumerate(edited):
        save_png(side_by_side(pictures(len(sheet), 100 + n)), store.sheet(record.id))
    distances = sets.Distances(DIRECTIONS, real, real, "ffhq", torch.device("cpu"))
    found = distances.of(toward, store, [record.id for record in edited])
    theirs = [to_tensor(read_rgb(real.root / f"{n}.png")) for n in range(int(toward.present), 60, 2)]
    ours = [cut(store.sheet(record.id))[place] for record in edited]
    stats = [metric.fid_features_to_statistics(features(torch.stack(side))) for side in (ours, theirs)]
    known = metric.fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    assert len(found) == 25 and sum(found) / 25 == pytest.approx(known, rel=1e-5)
    with pytest.raises(Undefined, match="at least 20 edited images, found 3"):
        distances.of(toward, store, [record.id for record in edited[:3]])


def _labelled(self: sets.Labelled, manifest: Manifest, device: torch.device) -> None:
    self.manifest, self.device, self.network, self._known = manifest, device, features, {}


def test_a_label_that_no_image_has_is_named(real: Manifest) -> None:
    with pytest.raises(ValueError, match="no image has a label 'Young'; known: Smiling; celeba_hq has CelebA's"):
        sets.towards(["age=-Young"], DIRECTIONS, [real])


def test_influences_to_a_reference_spread_as_the_jackknife() -> None:
    stream = torch.Generator().manual_seed(0)
    a, b = torch.randn(400, 3, generator=stream).double(), torch.randn(500, 3, generator=stream).double() * 1.4 + 0.3
    found = set_distances.frechet_to(a, b)
    keep = ~torch.eye(len(a), dtype=torch.bool)
    without = torch.stack([set_distances.frechet_to(a[rows], b).mean() for rows in keep])
    pseudo = len(a) * found.mean() - (len(a) - 1) * without
    assert float(torch.corrcoef(torch.stack([found, pseudo]))[0, 1]) > 0.999
    assert float(found.std()) == pytest.approx(float(pseudo.std()), rel=0.05)
    exact = set_distances.frechet_distance(*set_distances.moments(a), *set_distances.moments(b))
    assert float(found.mean()) == pytest.approx(float(exact))
