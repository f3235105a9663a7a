"""BiSeNet against its authors' code on synthetic weights, and the region parser on top of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from metrics import regions
from metrics.networks import bisenet
from tests import parity


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "79999_iter.pth"
    torch.save(parity.synthetic_state(parity.key_shapes("bisenet_19", "")), path)
    return path


def normalised(pixels: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] as the network reads it; the authors' input is rounded so, too."""
    images = pixels.permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (bisenet.MEAN, bisenet.STD))
    return (images - mean) / std


def test_names_and_shapes_equal_the_inventory_in_its_order() -> None:
    found = {key: list(value.shape) for key, value in bisenet.BiSeNet().state_dict().items()}
    wanted = parity.key_shapes("bisenet_19", "")
    assert found == wanted and list(found) == list(wanted)


@pytest.mark.parametrize("size", ["512", "256x320"])
def test_scores_and_classes_equal_the_authors(weights: Path, size: str) -> None:
    case, network = parity.Case("bisenet"), bisenet.load_bisenet(weights)
    x = normalised(case[f"in_u8_{size}"])
    with torch.no_grad():
        double = network.double()(x.double())
        single = network.float()(x)
    for k, (exact, rounded) in enumerate(zip(double, single, strict=True)):
        info = case.meta["outputs"][f"logits{k}_{size}"]
        step = exact.shape[-1] // case[f"out_logits{k}_{size}_f64"].shape[-1]
        wanted = case[f"out_logits{k}_{size}_f64"]
        torch.testing.assert_close(exact[..., ::step, ::step], wanted, rtol=0, atol=1e-9 * info["absmax"])
        tolerance = 20 * info["f32_vs_f64_max"]
        for part, stored in ((rounded[..., ::16, ::16], "s"), (rounded[..., :16, :16], "c")):
            torch.testing.assert_close(part.double(), case[f"out_logits{k}_{size}_{stored}"], rtol=0, atol=tolerance)
    wanted = case[f"out_parsing_{size}"]
    assert torch.equal(double[0].argmax(dim=1).to(wanted.dtype), wanted)


def test_parse_reads_the_suites_images_at_512_px(weights: Path) -> None:
    case, network = parity.Case("bisenet"), bisenet.load_bisenet(weights)
    images = case["in_u8_512"].permute(0, 3, 1, 2).double() / 127.5 - 1
    wanted = case["out_parsing_512"]
    assert torch.equal(network.double().parse(images).to(wanted.dtype), wanted)


class Painted(nn.Module):
    """Stands for the network: the left half is skin, the lower right quarter hair, the rest a hat."""

    def __init__(self, empty: bool = False):
        super().__init__()
        self.empty = empty

    def parse(self, images: Tensor) -> Tensor:
        classes = torch.full((len(images), bisenet.SIDE, bisenet.SIDE), 18)
        if not self.empty:
            classes[:, :, :256] = 1
            classes[:, 256:, 256:] = 17
        return classes


def test_the_region_is_face_and_hair_at_the_images_size() -> None:
    masks, reasons = regions.parse_classes(torch.zeros(2, 3, 64, 64), Painted())
    wanted = torch.ones(64, 64)
    wanted[:32, 32:] = 0
    assert reasons == ("", "") and torch.equal(masks[1, 0], wanted)
    # 5 px: the middle row and column take their pixels' share
    masks, _ = regions.parse_classes(torch.zeros(1, 3, 5, 5), Painted())
    assert masks.shape == (1, 1, 5, 5) and float(masks[0, 0, 0, 2]) == pytest.approx(0.5, abs=0.01)
    masks, _ = regions.parse_classes(torch.zeros(1, 3, 1024, 1024), Painted())
    assert masks.shape == (1, 1, 1024, 1024) and float(masks.mean()) == pytest.approx(0.75, abs=1e-3)


def test_neither_face_nor_hair_is_a_reason_and_an_empty_mask() -> None:
    masks, reasons = regions.parse_classes(torch.zeros(1, 3, 64, 64), Painted(empty=True))
    assert not masks.any() and "no face" in reasons[0]


def test_the_classes_of_the_region_are_the_stated_ones() -> None:
    assert bisenet.FACE == (1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13) and bisenet.HAIR == (17,)
    recipe = regions.load_parser("bisenet").recipe
    assert "1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13" in recipe and "17" in recipe and "512" in recipe


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"other\.pth: another network.* expected 79999_iter\.pth"):
        bisenet.load_bisenet(path)
    torch.save(nn.Linear(1, 1), path)  # a whole module, not its tensors
    with pytest.raises(ValueError, match=r"another network: it holds weight, bias; .* expected 79999"):
        bisenet.load_bisenet(path)
    path.write_text(json.dumps({}))
    with pytest.raises(ValueError, match=r"other\.pth: .*79999_iter"):
        bisenet.load_bisenet(path)


def test_missing_says_how_to_get_the_weights_and_the_parser_uses_them_once_there(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("INVERSION_BENCH_WEIGHTS", str(tmp_path))
    assert regions.missing("landmark_ellipse") is None
    reason = regions.missing("bisenet")
    assert reason is not None and "79999_iter.pth" in reason and "INVERSION_BENCH_WEIGHTS" in reason
    (tmp_path / "79999_iter.pth").symlink_to(weights)
    assert regions.missing("bisenet") is None
    regions.bisenet_network.cache_clear()
    try:
        images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
        masks, reasons = regions.load_parser("bisenet")(images)
    finally:
        regions.bisenet_network.cache_clear()  # the next test has other weights, or none
    classes = bisenet.load_bisenet(weights).parse(images)
    inside = torch.isin(classes, torch.tensor(bisenet.FACE + bisenet.HAIR)).float()
    assert reasons == ("",) and float(masks.mean()) == pytest.approx(float(inside.mean()), abs=1e-6)
