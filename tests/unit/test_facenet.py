"""FaceNet's reader against its authors' code on synthetic weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from metrics import registry
from metrics.networks import load_identity
from tests import parity


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    synth = parity.synth()
    listing = json.loads((parity.ROOT / "keys" / "facenet_vggface2.json").read_text())["groups"][""]
    path = tmp_path_factory.mktemp("weights") / "20180402-114759-vggface2.pt"
    torch.save(synth.synthetic_state({key: shape for key, (shape, _) in listing.items()}), path)
    return path


def test_embeddings_equal_the_authors(weights: Path) -> None:
    case = parity.Case("facenet")
    crops = (case["in_u8"].permute(0, 3, 1, 2).double() - 127.5) / 127.5
    network = load_identity("facenet", weights)
    vectors = network.double().embed(crops)
    case.assert_close("emb", vectors)
    case.assert_close("cos", vectors @ vectors.T)
    info = case.meta["outputs"]["emb"]
    tolerance = max(20 * info["f32_vs_f64_max"], 5e-6 * info["absmax"])
    single = network.float().embed(crops.float())
    torch.testing.assert_close(single, case["out_emb"].float(), rtol=0, atol=tolerance)


def test_the_crop_is_the_whole_frame_at_160_px(weights: Path) -> None:
    network = load_identity("facenet", weights)
    crop = network.crop(torch.linspace(-1, 1, 64).expand(1, 3, 64, 64))
    assert crop.shape == (1, 3, 160, 160)
    assert crop[0, 0, 0, 0].item() == pytest.approx(-1) and crop[0, 0, 0, -1].item() == pytest.approx(1)


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"other\.pt: not the weights"):
        load_identity("facenet", path)


def test_missing_says_how_to_get_the_weights_and_sees_them_once_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("INVERSION_BENCH_WEIGHTS", str(tmp_path))
    reason = registry.missing("id_facenet")
    assert reason is not None
    assert "20180402-114759-vggface2.pt" in reason and "INVERSION_BENCH_WEIGHTS" in reason
    (tmp_path / "20180402-114759-vggface2.pt").touch()
    assert registry.missing("id_facenet") is None
