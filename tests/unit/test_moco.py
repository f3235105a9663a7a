"""MoCo's reader, its crop against the released loss, and the metric of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models import resnet50

from metrics import identity, registry
from metrics.networks import load_identity
from metrics.networks.moco import MoCo
from tests import parity


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """The file's tensors: query and momentum encoders with their projections, the queue, all under DataParallel."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in resnet50(num_classes=128).state_dict().items()}
    del shapes["fc.weight"], shapes["fc.bias"]
    shapes |= {"fc.0.weight": torch.Size((2048, 2048)), "fc.2.weight": torch.Size((128, 2048))}
    stream = torch.Generator().manual_seed(0)
    query = {}
    for key, size in shapes.items():
        drawn = torch.randn(size, generator=stream) * (2 / max(1, size[1:].numel())) ** 0.5
        query[key] = torch.ones(size) if key.endswith("running_var") else drawn
    momentum = {key: torch.zeros(()).expand(size) for key, size in shapes.items()}
    return {
        **{f"module.encoder_q.{key}": value for key, value in query.items()},
        **{f"module.encoder_k.{key}": value for key, value in momentum.items()},
        "module.queue": torch.zeros(1, 1).expand(128, 65536), "module.queue_ptr": torch.zeros(1),
    }  # fmt: skip


def written(path: Path, state: dict[str, Tensor]) -> Path:
    content = {"epoch": 800, "arch": "resnet50", "state_dict": state, "optimizer": {"state": {}, "param_groups": []}}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def test_the_trunk_of_the_query_is_read(state: dict[str, Tensor], tmp_path: Path) -> None:
    network = load_identity("moco", written(tmp_path / "moco.pth.tar", state))
    assert torch.equal(network.state_dict()["resnet.conv1.weight"], state["module.encoder_q.conv1.weight"])
    reference = resnet50(weights=None)
    trunk = {k.removeprefix("module.encoder_q."): v for k, v in state.items() if ".encoder_q." in k and ".fc." not in k}
    missing, unexpected = reference.load_state_dict(trunk, strict=False)
    assert missing == ["fc.weight", "fc.bias"] and not unexpected
    pooled = torch.nn.Sequential(*list(reference.eval().double().children())[:-1])
    images = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(pooled(torch.nn.functional.interpolate(images, size=224)), dim=1)
        found = network.double().embed(network.crop(images))
    torch.testing.assert_close(found, wanted.flatten(1), rtol=0, atol=1e-12)


def test_the_crop_is_the_released_losss() -> None:
    case = parity.Case("preprocess")
    big: Tensor = torch.from_numpy(parity.synth().synthetic_noise("pre.big", (1, 3, 1024, 1024)))
    with torch.device("meta"):
        network = MoCo()
    found = network.crop(big[:, :, :256, :256]).double()
    assert torch.equal(found[..., ::8, ::8], case["out_moco_224_s"])
    assert torch.equal(found[..., :16, :16], case["out_moco_224_c"])
    # Larger pictures are pooled to 256 px first, as the losses see them.
    double = big[:, :, :256, :256].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(network.crop(double).double(), found, rtol=0, atol=1e-6)


def test_other_files_are_refused_by_name(state: dict[str, Tensor], tmp_path: Path) -> None:
    lacking = {key: value for key, value in state.items() if key != "module.encoder_q.layer4.2.bn3.bias"}
    with pytest.raises(ValueError, match=r"m\.tar: lacks resnet\.layer4\.2\.bn3\.bias"):
        load_identity("moco", written(tmp_path / "m.tar", lacking))
    torch.save({"epoch": 3}, tmp_path / "n.tar")
    with pytest.raises(ValueError, match=r"n\.tar: expected state_dict in a file of MoCo, found epoch"):
        load_identity("moco", tmp_path / "n.tar")


def test_the_metric_is_no_identity(state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVERSION_BENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    reason = registry.missing("sim_moco")
    assert reason is not None and "moco_v2_800ep_pretrain.pth.tar" in reason
    written(tmp_path / "moco_v2_800ep_pretrain.pth.tar", state)
    identity._network.cache_clear()
    metric = registry.load("sim_moco")
    assert not metric.info.name.startswith("id_") and metric.info.direction == "higher"
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    values = metric(images, images)
    torch.testing.assert_close(values, torch.ones(2))
    assert bool((metric(images, images.flip(0)) < 1).all())
    identity._network.cache_clear()
