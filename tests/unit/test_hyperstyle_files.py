"""HyperStyle's files: what is read of them, and what is refused, by name."""

from __future__ import annotations

import argparse
import copy
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from datasets import checkpoints
from methods.base import Inversion
from methods.generators import Generator, GeneratorConfig, load_generator
from methods.hypernetworks import load_hyperstyle
from methods.hypernetworks.network import HypernetConfig
from methods.hypernetworks.stage import HyperStyle, HyperStyleConfig
from methods.hypernetworks.weights import toy_hypernet
from tests.parity import key_shapes

WIDE = GeneratorConfig(64, (8, 8, 8, 4, 4), 512, 512, 1)  # W as wide as the official W encoder's


@pytest.fixture(scope="module")
def wide() -> Generator:
    torch.manual_seed(4)
    return Generator(WIDE).eval().requires_grad_(False)


def content(generator: Generator, **changes: Tensor | None) -> dict[str, object]:
    """A file's content at a small size; a change of None takes a tensor out."""
    own = {f"hypernet.{key}": value for key, value in toy_hypernet(generator).state_dict().items()}
    own |= {f"decoder.{key}": value for key, value in generator.state_dict().items() if key != "latent_avg"}
    own = {key: value for key, value in (own | changes).items() if value is not None}
    rows = torch.linspace(-1, 1, generator.w_dim).expand(generator.num_ws, -1)
    return {"state_dict": own, "latent_avg": rows, "opts": {"encoder_type": "SharedWeightsHyperNetResNet"}}


def saved(folder: Path, what: object) -> Path:
    torch.save(what, folder / "hyperstyle.pt")
    return folder / "hyperstyle.pt"


def test_a_file_gives_back_its_network(tmp_path: Path, wide: Generator) -> None:
    what = content(wide)
    parallel = {f"module.{key}": value for key, value in what["state_dict"].items()}  # type: ignore[attr-defined]
    path = saved(tmp_path, what | {"state_dict": parallel, "global_step": 3})
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5)) * 2 - 1
    codes = wide.mapping(torch.randn(2, 512, generator=torch.Generator().manual_seed(6)))
    read = load_hyperstyle(path, None)
    found = read.invert(images, 2, codes)
    init = Inversion(("a", "b"), codes, "W", images, torch.zeros(2))
    wanted = HyperStyle(wide, HyperStyleConfig("toy", 2, batch_size=2)).invert(images, ["a", "b"], init)
    assert torch.equal(found.image, wanted.image)
    stage = HyperStyle(wide, HyperStyleConfig(str(path), 2, batch_size=2))
    assert torch.equal(stage.invert(images, ["a", "b"], init).image, wanted.image)
    with pytest.raises(ValueError, match="give load_hyperstyle its w_encoder_path"):
        read.encode(images)
    with pytest.raises(ValueError, match="at least one iteration, found 0"):
        read.invert(images, 0, codes)


def test_the_w_encoder_comes_from_its_own_file_and_starts_from_the_hypernetworks_mean(
    tmp_path: Path, wide: Generator
) -> None:
    shapes = key_shapes("hyperstyle_w_encoder", "state_dict")
    state = {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    state |= {"encoder.linear.bias": torch.arange(512.0)}
    encoder = tmp_path / "w.pt"
    torch.save({"state_dict": state, "latent_avg": torch.full((10, 512), 7.0), "opts": {}}, encoder)
    # Options of cars in either file: both networks see the same.
    read = load_hyperstyle(saved(tmp_path, content(wide) | {"opts": {"dataset_type": "cars_hypernet"}}), encoder)
    assert read.encoder is not None and read.encoder.encoder.wide and read.hypernet.wide
    found = read.encode(torch.zeros(1, 3, 64, 64))
    assert torch.equal(found, (torch.arange(512.0) + torch.linspace(-1, 1, 512)).expand(1, 10, 512))


@pytest.mark.slow
def test_a_file_of_the_official_size_is_read_by_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expanded zeros keep 1.6 billion numbers small; a matrix that all heads share is one."""
    for limit in ("MOST_EXPANDED", "MOST_EXPANDED_IN_ALL"):  # files of others that claim as much are refused
        monkeypatch.setattr(checkpoints, limit, 10**10)
    shapes = key_shapes("hyperstyle_ffhq", "state_dict")
    zero = torch.zeros(())
    state = {f"module.{k}": zero.expand(v) for k, v in shapes.items() if k.startswith("hypernet.")}
    tiny = Generator(GeneratorConfig(1024, (512,) * 5 + (256, 128, 64, 32), 8, 8, 1))
    read = load_hyperstyle(saved(tmp_path, {"state_dict": state, "opts": {}}), None, tiny)
    assert {f"hypernet.{k}": list(v.shape) for k, v in read.hypernet.state_dict().items()} == {
        k: v for k, v in shapes.items() if k.startswith("hypernet.")
    }
    assert read.hypernet.shape == HypernetConfig(layers=tuple(layer.index for layer in HypernetConfig().tuned))


class Touch:
    """Code in a pickle."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch never",)


def test_files_that_do_not_fit_are_named(tmp_path: Path, wide: Generator) -> None:
    head = "hypernet.refinement_blocks.8.output.1"
    for changes, said in (
        ({f"{head}.bias": None}, r"hyperstyle\.pt: lacks refinement_blocks\.8\.output\.1\.bias \(1\)"),
        ({"hypernet.more": torch.zeros(1)}, "has unexpected more"),
        ({"hypernetwork.more": torch.zeros(1)}, r"has unexpected hypernetwork\.more"),
        ({f"{head}.bias": torch.zeros(3)}, r"has wrong shapes refinement_blocks\.8\.output\.1\.bias \[3\] instead of"),
        ({f"{head}.bias": torch.full((32,), torch.inf)}, r"is not finite in refinement_blocks\.8\.output\.1\.bias"),
        ({"hypernet.shared_weight_hypernet.b1": torch.full((72,), torch.nan)}, "is not the shared_weight_hypernet.b1"),
        ({"hypernet.refinement_blocks.2.hypernet.b1": torch.zeros(72)}, r"blocks\.2\.hypernet\.b1 is not the shared_"),
        ({"hypernet.refinement_blocks.99999999.linear.bias": torch.zeros(1)}, r"99999999\] of a generator of 14"),
        ({"hypernet.body.99999999.conv2.weight": torch.zeros(1)}, "its trunk has 5 blocks in 4 stages"),
        ({"hypernet.shared_weight_hypernet.w1": None}, r"lacks shared_weight_hypernet\.w1"),
        ({"decoder.conv1.activate.bias": None}, r"hyperstyle\.pt: lacks conv1\.activate\.bias"),
    ):
        with pytest.raises(ValueError, match=said):
            load_hyperstyle(saved(tmp_path, content(wide, **changes)), None)
    right = content(wide)
    for what, said in (
        ({"weights": 1}, "holds state_dict, latent_avg and opts; found weights"),
        (right | {"opts": argparse.Namespace(encoder_type="SharedSeparable")}, "say encoder_type 'SharedSeparable'"),
        (right | {"opts": 3}, "opts is not a dictionary but of type int"),
        (right | {"latent_avg": "none"}, "latent_avg is not a tensor of finite numbers"),
        (right | {"state_dict": {"encoder.a": torch.zeros(1)}}, "holds no hypernetwork"),
        (right | {"opts": Touch()}, "posix.system"),
    ):
        with pytest.raises(ValueError, match=said):
            load_hyperstyle(saved(tmp_path, what), None)
    assert not Path("never").exists()
    path = saved(tmp_path, right)
    with pytest.raises(ValueError, match=r"made for a generator of 64 px and widths \(8, 8, 8, 4, 4\), this one"):
        load_hyperstyle(path, None, load_generator("toy"))
    other = copy.deepcopy(wide)
    other.convs[0].conv.weight.add_(1)
    with pytest.warns(UserWarning, match="made for another generator"):
        load_hyperstyle(path, None, other)
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        load_hyperstyle(tmp_path / "none.pt", None)


def test_stages_without_weights_say_how_to_get_them() -> None:
    generator = load_generator("toy")
    for config, said in (
        (HyperStyleConfig("elsewhere"), r"weights 'elsewhere'.*train hyperstyle` trains one.*fetch hyperstyle_ffhq`"),
        (HyperStyleConfig("nowhere.pt"), r"weights 'nowhere\.pt': neither a file nor one of .*hyperstyle-celeba64"),
    ):
        with pytest.raises(FileNotFoundError, match=said):
            HyperStyle(generator, config)
        with pytest.raises(FileNotFoundError, match=said):
            HyperStyle.weights_hash(config)
