"""StyleRes's files against the authors' outputs and key inventories, and what is refused of them, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from methods.checkpoints.styleres import load_styleres
from methods.encoders import load_encoder
from methods.feature_maps import FeatureEdit, change_of
from methods.feature_space import styleres, weights
from methods.feature_space.styleres import StyleRes, StyleResStageConfig
from methods.feature_space.styleres_network import StyleResConfig
from methods.generators import Generator, GeneratorConfig, load_generator
from tests import parity
from tests.parity import Case, key_shapes, noise

CASE = "styleres_64_e32"
OWN = "synthesis.b64.modify_feature_"


def rule(key: str, shape: list[int]) -> Tensor:
    """A weight by the reference's rule."""
    parity.synth()
    import synth2

    return torch.from_numpy(synth2.synthetic_array_styleres(key, shape))


def encoder_zeros() -> dict[str, Tensor]:
    """e4e's tensors without values: expanded zeros keep files small."""
    shapes = key_shapes("e4e_ffhq_encode", "state_dict")
    names = {key: shape for key, shape in shapes.items() if key.startswith("encoder.")}
    return {key.removeprefix("encoder."): torch.zeros(()).expand(shape) for key, shape in names.items()}


def written(path: Path, inventory: str = "styleres_1024", **changes: Any) -> Path:
    """A file without values; a change of None takes a tensor of the generator out."""
    state: dict[str, Any] = {
        key: rule(key, shape) if key.endswith("resample_filter") else torch.zeros(()).expand(shape)
        for key, shape in key_shapes(inventory, "generator_smooth").items()
    }
    kept = {key: value for key, value in (state | changes).items() if value is not None}
    torch.save({"e4e": encoder_zeros(), "latent_avg": torch.ones(512), "generator_smooth": kept}, path)
    return path


@pytest.mark.slow  # 120 million weights in double precision
def test_inversion_and_edit_are_the_authors(tmp_path: Path) -> None:
    case, path = Case(CASE), tmp_path / "s.pth"
    state = {key: rule(key, shape) for key, shape in key_shapes(CASE, "generator_smooth").items()}
    torch.save({"e4e": encoder_zeros(), "latent_avg": torch.ones(512), "generator_smooth": state}, path)
    generator = load_generator(path).double()
    assert generator.config.conv_clamp == 256 and torch.equal(generator.w_mean, state["mapping.w_avg"].double())
    w0 = noise(f"{CASE}.latents", 1, 10, 512)
    w1 = w0 + 1.5 * noise(f"{CASE}.step", 1, 1, 512)
    reference = weights.reference(str(path), "styleres", generator)
    networks = weights.network_of(reference, "styleres", generator, styleres.read).double()
    layer = networks.shape.layer
    with torch.no_grad():
        own = generator.feature_map(w0, layer)
        case.assert_close("F_w", own[:, :16])
        aligned = networks.alignment(noise(f"{CASE}.c1", 1, 256, 32, 32), own)
        case.assert_close("alignment", aligned[:, :16])
        residual = networks.extraction(aligned)
        case.assert_close("extraction", residual[:, :16])
        edit = FeatureEdit(layer, "add", {"residual": residual}, "styleres", reference)
        for name, w, plain in (("inv", w0, "img_plain"), ("edit", w1, "img_plain_edit")):
            own = generator.feature_map(w, layer)
            delta, gate = networks.gates(own, residual)
            case.assert_close(f"{name}_delta", delta[:, :16])
            case.assert_close(f"{name}_gate", gate)
            at = edit.at(w, generator)
            case.assert_close(f"{name}_fused", at(own)[:, :16])
            case.assert_close(f"img_{name}", generator.synthesis(w, change=change_of([at])))
            case.assert_close(plain, generator.synthesis(w))


@pytest.mark.parametrize(("inventory", "side"), [("styleres_1024", 1024), ("styleres_256", 256)])
def test_files_are_read_by_their_names(inventory: str, side: int, tmp_path: Path) -> None:
    path = written(tmp_path / "s.pth", inventory)
    widths = (512,) * 5 + (8,) * 4
    tiny = Generator(GeneratorConfig(side, widths[: side.bit_length() - 2], 8, 512, 1)).eval()
    networks = load_styleres(path, tiny)
    assert networks.shape == StyleResConfig()
    listed = {key.removeprefix(OWN): shape for key, shape in key_shapes(inventory, "generator_smooth").items()
              if key.startswith(OWN) and "dconv3" not in key}  # fmt: skip
    found = {key: list(value.shape) for key, value in networks.state_dict().items() if not key.startswith("encoder.")}
    assert found == listed
    assert type(StyleRes(tiny, StyleResStageConfig(str(path))).networks) is type(networks)
    encoder = load_encoder(path, "e4e", Generator(GeneratorConfig(1024, widths, 8, 512, 1)).eval()).encoder
    assert encoder.design.deltas and torch.equal(encoder.latent_avg, torch.ones(18, 512))


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    tiny, path = Generator(GeneratorConfig(64, (512,) * 5, 8, 8, 1)).eval(), tmp_path / "s.pth"
    bias = f"{OWN}gates.down1.bias"
    for changes, said in (
        ({bias: None}, r"s\.pth: lacks gates\.down1\.bias \(1\)"),
        ({f"{OWN}more": torch.zeros(1)}, r"s\.pth: has unexpected more"),
        ({bias: torch.zeros(3)}, r"has wrong shapes gates\.down1\.bias \[3\] instead of \[256\]"),
        ({bias: torch.full((256,), torch.nan)}, r"is not finite in gates\.down1\.bias"),
        ({"synthesis.b32.modify_feature_more": torch.zeros(1)}, "has 2 blocks with networks of StyleRes"),
        ({f"{OWN}alignment.first_layer.weight": None}, "no networks of StyleRes that are known: at 64 px"),
    ):
        with pytest.raises(ValueError, match=said):
            load_styleres(written(path, **changes), tiny)
    with pytest.raises(ValueError, match=r"s\.pth: no StyleRes .*changes a map of 512 channels at 64 px, the .*have 8"):
        load_styleres(written(path), Generator(GeneratorConfig(64, (8,) * 5, 8, 8, 1)))
    for content, said in (
        ({"weights": 1}, "holds e4e, latent_avg and generator_smooth; found weights"),
        ({"state_dict": {"encoder.input_layer.0.weight": torch.zeros(2)}}, "found an encoder of pSp's or e4e's kind"),
        ({"e4e": {}, "generator_smooth": {"synthesis.b4.const": torch.zeros(2)}},
         "has 0 blocks.*found a StyleGAN2-ADA generator"),
    ):  # fmt: skip
        torch.save(content, path)
        with pytest.raises(ValueError, match=said):
            load_styleres(path, tiny)
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        load_styleres(tmp_path / "none.pth", tiny)
