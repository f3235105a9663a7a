"""The field's attribute networks: files in the released layout load strictly, and the recipes are the released ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet50

from datasets.assets import AssetMissingError
from metrics import attributes
from metrics.networks import attribute_nets as nets

ANGLES = ("yaw", "pitch", "roll")


@pytest.fixture(scope="module")
def hopenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as deep-head-pose writes it: no counts of batches, one head that is never used; only bins 40, 30 and 33
    can win.
    """
    trunk = {key: value for key, value in resnet50(weights=None).state_dict().items() if not key.startswith("fc.")}
    state = {key: value for key, value in trunk.items() if not key.endswith("num_batches_tracked")}
    for angle, place in zip(ANGLES, (40, 30, 33), strict=True):
        bias = torch.zeros(66)
        bias[place] = 1000
        state |= {f"fc_{angle}.weight": torch.zeros(66, 2048), f"fc_{angle}.bias": bias}
    state |= {"fc_finetune.weight": torch.zeros(3, 2051), "fc_finetune.bias": torch.zeros(3)}
    path = tmp_path_factory.mktemp("weights") / "hopenet_robust_alpha1.pkl"
    torch.save(state, path)
    return path


def test_hopenets_angles_are_expectations_over_bins(hopenet: Path) -> None:
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    assert nets.load_hopenet(hopenet)(images).tolist() == [[21.0, -9.0, 0.0]] * 2


def test_the_attribute_uses_the_users_file(hopenet: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from metrics.attributes import official

    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("INVERSION_BENCH_WEIGHTS", str(hopenet.parent))
    official._hopenet.cache_clear()
    found = attributes.predict(["yaw_hopenet", "roll_hopenet"], torch.zeros(3, 3, 64, 64))
    official._hopenet.cache_clear()
    assert found["yaw_hopenet"].tolist() == [21.0] * 3 and found["roll_hopenet"].tolist() == [0.0] * 3


def test_dex_expects_an_age_from_the_released_names(tmp_path: Path) -> None:
    # Expanded tensors keep a file of 134 million weights small.
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    names = [f"conv{b}_{n}" for b, count in enumerate((2, 2, 3, 3, 3), 1) for n in range(1, count + 1)]
    shapes = {name: (out, into, 3, 3) for name, into, out in zip(names, widths[:-1], widths[1:], strict=True)}
    shapes |= {"fc6": (4096, 25088), "fc7": (4096, 4096), "fc8-101": (101, 4096)}
    state = {}
    for place, (name, shape) in enumerate(shapes.items()):
        state |= {f"{name}.weight": torch.tensor(0.01 * place).expand(shape), f"{name}.bias": torch.zeros(shape[0])}
    ages = torch.full((101,), -1000.0)
    ages[[20, 40]] = 0  # as likely 20 as 40
    state |= {"fc8-101.weight": torch.zeros(1).expand(101, 4096), "fc8-101.bias": ages}
    torch.save({"state_dict": state}, tmp_path / "dex.pth")
    loaded = nets.load_dex(tmp_path / "dex.pth")
    assert float(loaded(torch.zeros(1, 3, 32, 32))) == pytest.approx(30.0)
    layers = [part for part in loaded.modules() if isinstance(part, torch.nn.Conv2d | torch.nn.Linear)]
    assert [float(layer.weight.flatten()[0]) for layer in layers[:-1]] == pytest.approx([0.01 * n for n in range(15)])


def test_forty_log_odds_of_celeba(tmp_path: Path) -> None:
    predictor = resnet50(weights=None)
    predictor.fc = torch.nn.Linear(2048, 80)
    with torch.no_grad():
        predictor.fc.weight.zero_()
        predictor.fc.bias.copy_(torch.arange(80.0) ** 2)
    torch.save({"state_dict": predictor.state_dict()}, tmp_path / "attribute_predictor.pt")
    found = nets.load_celeb_attributes(tmp_path / "attribute_predictor.pt")(torch.zeros(1, 3, 32, 32))
    assert found[0].tolist() == pytest.approx([4 * n + 1 for n in range(40)])
    assert len(set(nets.CELEBA)) == 40 and nets.CELEBA.index("Smiling") == 31


def test_other_files_are_refused(hopenet: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"hopenet_robust_alpha1\.pkl: lacks trunk\.fc\.bias, trunk\.fc\.weight"):
        nets.load_celeb_attributes(hopenet)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match=r"list\.pt is not a state dict but of type list"):
        nets.load_dex(tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ValueError, match=r"text\.pt: a text, not weights"):
        nets.load_hopenet(tmp_path / "text.pt")


def test_without_weights_it_says_where_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("INVERSION_BENCH_WEIGHTS", raising=False)
    with pytest.raises(AssetMissingError, match=r"dex_age_classifier\.pth"):
        attributes.predict(["age_dex"], torch.zeros(1, 3, 64, 64))
    assert math.isnan(float(attributes.predict(["yaw"], torch.zeros(1, 3, 64, 64))["yaw"]))
