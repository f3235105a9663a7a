"""HFGI's networks, and its order of inversion and edit, against the authors' outputs, through a file as theirs."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from torch import Tensor

from methods.checkpoints.hfgi import load_hfgi
from methods.encoders import load_encoder
from methods.feature_maps import FeatureEdit, change_of
from methods.feature_space import hfgi, weights
from methods.feature_space.hfgi_network import HfgiConfig, HfgiNetworks, seen
from methods.generators import Generator, GeneratorConfig
from tests.parity import Case, decoder_256, key_shapes, noise, picture, require, synthetic_state

OWN = ("residue.", "grid_align.")


def listed(*prefixes: str) -> dict[str, list[int]]:
    shapes = key_shapes("hfgi_ffhq", "state_dict")
    return {key: shape for key, shape in shapes.items() if key.startswith(prefixes)}


def test_the_inventory_is_the_authors() -> None:
    with torch.device("meta"):
        networks = HfgiNetworks(HfgiConfig())
    assert {key: list(value.shape) for key, value in networks.state_dict().items()} == listed(*OWN)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the authors' format with the networks alone."""
    require()
    path = tmp_path_factory.mktemp("hfgi") / "ckpt.pt"
    torch.save({"state_dict": synthetic_state(listed(*OWN)), "opts": argparse.Namespace(res_lambda=0.1)}, path)
    return path


@pytest.fixture(scope="module")
def generator() -> Generator:
    return decoder_256()


@pytest.mark.slow  # official widths at 256 px, in double precision
def test_the_networks_give_the_authors_maps(file: Path, generator: Generator) -> None:
    case = Case("hfgi_nets")
    networks = load_hfgi(file, generator).double()
    deepest: list[Tensor] = []
    networks.grid_align.conv_layer4.register_forward_hook(lambda _, __, out: deepest.append(out))
    residual = noise("hfgi_nets.res", 1, 3, 256, 256, times=0.5).requires_grad_(True)
    aligned = networks.grid_align(residual, picture("hfgi_nets.img"))
    change = networks.residue(aligned)
    case.assert_close("aligned", aligned)
    case.assert_close("align_feat4", deepest[0][:, ::4])
    case.assert_close("scale", change["scale"][:, ::16])
    case.assert_close("shift", change["shift"][:, ::16])
    case.assert_close("scale_direct", networks.residue(residual)["scale"][:, ::16])
    (change["scale"].square().mean() + change["shift"].square().mean()).backward()
    case.assert_close("grad_res", residual.grad)


@pytest.mark.slow
def test_the_map_is_changed_where_the_authors_change_it(generator: Generator) -> None:
    case = Case("hfgi_entry_256")
    w = noise("hfgi_entry_256.w", 1, 14, 512, times=0.7).requires_grad_(True)
    change = {
        name: noise(f"hfgi_entry_256.{name}", 1, 512, 64, 64, times=0.5).requires_grad_(True)
        for name in ("scale", "shift")
    }
    image = generator.synthesis(w, change=change_of([FeatureEdit(8, "affine", change)]))
    case.assert_close("img", image)
    image.square().mean().backward()
    case.assert_close("grad_w", w.grad)
    for name, values in change.items():
        case.assert_close(f"grad_{name}", values.grad[:, ::32])  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_inversion_and_edit_are_the_authors(file: Path, generator: Generator) -> None:
    """Their inference script: the details stay, the image that they are aligned with is that of the code at hand."""
    case = Case("hfgi_decoder_256")
    w0 = noise("hfgi_decoder_256.w0", 1, 14, 512, times=0.7)
    step = torch.tensor(2.0) * torch.tensor(0.2) * noise("hfgi_decoder_256.d", 1, 1, 512).float()
    w1 = (w0.float() + step).double()
    target = picture("hfgi_decoder_256.x")
    reference = weights.reference(str(file), "hfgi", generator)
    with torch.no_grad():
        plain = [generator.synthesis(w) for w in (w0, w1)]
        residual = target - seen(plain[0], 256)
        edit = FeatureEdit(8, "affine", {"residual": residual}, "hfgi", reference)
        at = [edit.at(w, generator) for w in (w0, w1)]
        case.assert_close("plain0", plain[0])
        case.assert_close("plain1", plain[1])
        case.assert_close("res", residual)
        networks = weights.network_of(reference, "hfgi", generator, hfgi.read)
        for n in (0, 1):
            case.assert_close(f"aligned{n}", networks.grid_align(residual, seen(plain[n], 256)))
        case.assert_close("scale0", at[0].tensors["scale"][:, ::32])
        case.assert_close("shift1", at[1].tensors["shift"][:, ::32])
        case.assert_close("img0", generator.synthesis(w0, change=change_of([at[0]])))
        case.assert_close("img1_keep", generator.synthesis(w1, change=change_of([at[0]])))
    leaves = {name: value.clone().requires_grad_(True) for name, value in at[1].tensors.items()}
    w1.requires_grad_(True)
    image = generator.synthesis(w1, change=change_of([FeatureEdit(8, "affine", leaves)]))
    case.assert_close("img1", image)
    image.square().mean().backward()
    # The authors' leaves are the float32 run's values, so that these agree to its precision only.
    case.assert_close("grad_w", w1.grad, relative=1e-4)
    for name, values in leaves.items():
        case.assert_close(f"grad_{name}", values.grad[:, ::32], relative=2e-3)  # type: ignore[index]


def test_a_file_of_the_official_size_gives_networks_and_encoder(tmp_path: Path) -> None:
    """Expanded zeros keep 300 million numbers small; e4e's encoder is read from the same file."""
    state = {f"module.{key}": torch.zeros(()).expand(shape) for key, shape in listed(*OWN, "encoder.").items()}
    options = {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True}
    torch.save({"state_dict": state, "latent_avg": torch.ones(18, 512), "opts": options}, tmp_path / "ckpt.pt")
    tiny = Generator(GeneratorConfig(1024, (512,) * 5 + (8,) * 4, 8, 512, 1)).eval()
    assert load_hfgi(tmp_path / "ckpt.pt", tiny).shape == HfgiConfig()
    encoder = load_encoder(tmp_path / "ckpt.pt", "e4e", tiny).encoder
    assert encoder.design.deltas and torch.equal(encoder.latent_avg, torch.ones(18, 512))
    with pytest.raises(ValueError, match=r"ckpt\.pt: no HFGI .*changes a map of 512 channels at 64 px, the .*have 8"):
        load_hfgi(tmp_path / "ckpt.pt", Generator(GeneratorConfig(64, (8,) * 5, 8, 512, 1)))


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    tiny = Generator(GeneratorConfig(64, (512,) * 5, 8, 8, 1)).eval()
    right = {key: torch.zeros(()).expand(shape) for key, shape in listed(*OWN).items()}
    for changes, said in (
        ({"residue.conv_layer1.1.bias": None}, r"ckpt\.pt: lacks residue\.conv_layer1\.1\.bias \(1\)"),
        ({"grid_align.more": torch.zeros(1)}, r"has unexpected grid_align\.more"),
        ({"discriminator.more": torch.zeros(1)}, r"has unexpected discriminator\.more"),
        ({"residue.conv_layer1.1.bias": torch.zeros(3)}, r"has wrong shapes residue\.conv_layer1\.1\.bias \[3\]"),
        ({"residue.conv_layer1.1.bias": torch.full((32,), torch.nan)}, r"is not finite in residue\.conv_layer1\.1"),
    ):
        state = {key: value for key, value in (right | changes).items() if value is not None}
        torch.save({"state_dict": state}, tmp_path / "ckpt.pt")
        with pytest.raises(ValueError, match=said):
            load_hfgi(tmp_path / "ckpt.pt", tiny)
    torch.save({"state_dict": {"encoder.input_layer.0.weight": torch.zeros(2)}}, tmp_path / "ckpt.pt")
    with pytest.raises(ValueError, match=r"no tensor below `residue\.` or `grid_align\.`; found an encoder"):
        load_hfgi(tmp_path / "ckpt.pt", tiny)
    torch.save({"weights": 1}, tmp_path / "ckpt.pt")
    with pytest.raises(ValueError, match="holds state_dict, latent_avg and opts; found weights"):
        load_hfgi(tmp_path / "ckpt.pt", tiny)
