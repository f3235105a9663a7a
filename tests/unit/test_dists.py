"""DISTS against torchmetrics' network, and what it is for: textures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchmetrics.functional.image import dists as theirs

from metrics import registry
from metrics.networks.dists import Dists, load_dists
from tests.unit.test_lpips import pairs

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def network() -> Dists:
    return load_dists()


def test_values_are_those_of_torchmetrics(network: Dists, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network on the same trunk, which it would download."""
    pool = nn.MaxPool2d(2)  # not used by it either
    layers = [layer for k, part in enumerate(network.slices) for layer in ([pool] * bool(k) + list(part))]
    monkeypatch.setattr(theirs, "vgg16", lambda **_: SimpleNamespace(features=nn.Sequential(*layers)))
    known = theirs.DISTSNetwork().double()
    ours = network.double()
    a, b = (torch.cat(side).double() for side in zip(*pairs().values(), strict=True))
    wanted = known((a + 1) / 2, (b + 1) / 2).detach()
    # ImageNet's means and deviations, as LPIPS has them for [-1, 1], are rounded to float32.
    torch.testing.assert_close(ours(a, b), wanted, rtol=1e-7, atol=0)
    assert float(wanted.min()) > 0.1 and float(ours(a, a).max()) < 1e-12
    network.float()


def test_the_same_texture_elsewhere_is_near(network: Dists) -> None:
    """Another draw of a texture is nearer than a blurred one; for the squared error it is the other way round."""
    stream = torch.Generator().manual_seed(0)
    texture, again = (torch.rand(2, 1, 3, 64, 64, generator=stream) * 2 - 1) * 0.8
    blurred = nn.functional.avg_pool2d(texture, 3, stride=1, padding=1)
    assert float(network(texture, again)) < float(network(texture, blurred))
    assert float((texture - again).square().mean()) > float((texture - blurred).square().mean())


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"alpha": torch.ones(1, 3, 1, 1)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt.*beta"):
        load_dists(tmp_path / "other.pt")
    assert registry.find("dists").info.direction == "lower"
