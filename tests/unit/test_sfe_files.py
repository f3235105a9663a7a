"""StyleFeatureEditor's files against the authors' outputs and key inventories, and what is refused of them, by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from methods.checkpoints.sfe import load_inverter, load_sfe
from methods.feature_space.feature_style_training import drawn
from methods.feature_space.sfe import SfeStageConfig, StyleFeatureEditor, edited
from methods.feature_space.sfe_networks import Inverter, Sfe, SfeConfig
from methods.generators import Generator, GeneratorConfig
from methods.generators.readers import from_state
from tests import parity
from tests.parity import Case, key_shapes, noise, picture, synthetic_state

ROWS, LAYER = 14, 9  # of a 256 px generator; StyleFeatureEditor's map


def rule() -> Any:
    """The reference's weight rule for these networks."""
    parity.synth()
    assert str(parity.ROOT / "tools") in sys.path
    import synth2 as module

    return module


def decoder() -> Generator:
    state = synthetic_state(key_shapes("rosinality_256_cm2", "g_ema"))
    mean = synthetic_state(key_shapes("rosinality_256_cm2", ""))["latent_avg"]
    return from_state(state, mean, Path("decoder")).double().eval().requires_grad_(False)


@pytest.mark.parametrize("file", ["sfe_inverter_light", "sfe_editor_light"])
def test_networks_have_the_listed_tensors(file: str) -> None:
    shapes = key_shapes(file, "state_dict")
    with torch.device("meta"):
        network = Inverter(SfeConfig()) if "inverter" in file else Sfe(SfeConfig())
    found = {key: list(value.shape) for key, value in network.state_dict().items()}
    if "inverter" in file:
        assert {f"encoder.{key}": shape for key, shape in found.items()} == shapes
    else:
        assert {key.replace("editor.", "encoder.", 1): shape for key, shape in found.items()} == shapes


@pytest.mark.slow
def test_the_map_enters_where_the_authors_put_it() -> None:
    case, generator = Case("sfe_entry_256"), decoder()
    w = noise("sfe_entry_256.w", 1, ROWS, 512, times=0.7).requires_grad_(True)
    maps = noise("sfe_entry_256.map", 1, 512, 64, 64, times=0.5).requires_grad_(True)
    image = drawn(generator, w, LAYER, maps)
    case.assert_close("img", image)
    grad_w, grad_map = torch.autograd.grad(image.square().mean(), (w, maps))
    case.assert_close("grad_w", grad_w)
    case.assert_close("grad_map", grad_map[:, ::32])


@pytest.mark.slow
@pytest.mark.timeout(900)  # 160 million weights in double precision
def test_files_give_the_authors_codes_maps_and_pictures(tmp_path: Path) -> None:
    case, edit, generator = Case("sfe_inverter_256"), Case("sfe_edit_256"), decoder()
    shapes = key_shapes("sfe_editor_light", "state_dict")
    heads = tuple(f"inverter.fs_backbone.styles.{n}." for n in range(ROWS, 18))
    state = rule().synthetic_state2({key: shape for key, shape in shapes.items() if not key.startswith(heads)})
    torch.save({"state_dict": state}, tmp_path / "sfe_editor_light.pt")
    del state
    network = load_sfe(tmp_path / "sfe_editor_light.pt", generator).double()
    x = picture("sfe_256.x")
    with torch.no_grad():
        case.assert_close("F_pred", network.inverter.fs_backbone(x)[1][:, ::16])
        w, own, fused = network.inverter(x, generator)
        case.assert_close("w", w)
        case.assert_close("f9", own[:, ::16])
        case.assert_close("F_fused", fused[:, ::16])
        case.assert_close("img_fused", drawn(generator, w, LAYER, fused))
        zero = network.editor(fused, torch.zeros_like(fused))
        case.assert_close("F_zero", zero[:, ::16])
        case.assert_close("img_zero", drawn(generator, w, LAYER, zero))
        pair = noise("sfe_256.we", 1, ROWS, 512, times=0.7)
        step = (2.0 * noise("sfe_256.d", 1, 1, 512, times=0.3)).expand_as(pair)
        edit.assert_close("w", w)
        edit.assert_close("F_fused", fused[:, ::16])
        before, after = (generator.feature_map(codes, LAYER) for codes in (pair, pair + step))
        edit.assert_close("delta", (before - after)[:, ::16])
        moved = edited(network.editor, generator, LAYER, fused, pair, step)
        edit.assert_close("F_edit", moved[:, ::16])
        edit.assert_close("img_edit", drawn(generator, w + step, LAYER, moved))
    # The reference's gradients are at the code of its float32 run.
    leaves = case["out_w"].requires_grad_(True), fused.clone().requires_grad_(True)
    image = drawn(generator, leaves[0], LAYER, leaves[1])
    grad_w, grad_map = torch.autograd.grad(image.square().mean(), leaves)
    for name, value in (("grad_w", grad_w), ("grad_map", grad_map[:, ::32])):
        about = case.meta["outputs"][name]
        case.assert_close(name, value, relative=20 * about["f32_vs_f64_max"] / about["absmax"])


def served() -> Generator:
    """A slight generator that the official networks fit."""
    widths = (4, 4, 4, 4, 512, 4, 4, 4, 4)
    return Generator(GeneratorConfig(1024, widths, z_dim=8, w_dim=512, mapping_layers=1)).eval()


def written(path: Path, file: str = "sfe_editor_light", **changes: Tensor | None) -> Path:
    """A file without values: expanded zeros keep it small; a change of None takes a tensor out."""
    state: dict[str, Tensor | None] = {k: torch.zeros(()).expand(v) for k, v in key_shapes(file, "state_dict").items()}
    torch.save({"state_dict": {k: v for k, v in (state | changes).items() if v is not None}}, path)
    return path


def test_files_are_read_by_their_names(tmp_path: Path) -> None:
    generator = served()
    parallel = written(tmp_path / "e.pt", **{"discriminator.b4.out.bias": torch.zeros(1)})
    assert load_sfe(parallel, generator).shape == SfeConfig()
    inverter = written(tmp_path / "i.pt", "sfe_inverter_light")
    for path in (parallel, inverter):
        assert load_inverter(path, generator).fs_backbone.shape == SfeConfig()
    with pytest.raises(ValueError, match=r"i\.pt: holds no inverter.*edits need sfe_editor_light\.pt"):
        StyleFeatureEditor(generator, SfeStageConfig(str(inverter)))


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    generator, path = served(), tmp_path / "e.pt"
    bias = "inverter.fuser.conv.bias"
    for changes, said in (
        ({bias: None}, r"e\.pt: lacks inverter\.fuser\.conv\.bias \(1\)"),
        ({"encoder.more": torch.zeros(1)}, r"e\.pt: has unexpected editor\.more"),
        ({"decoder.more": torch.zeros(1)}, r"e\.pt: has unexpected decoder\.more"),
        ({bias: torch.zeros(3)}, r"has wrong shapes inverter\.fuser\.conv\.bias \[3\] instead of \[512\]"),
        ({bias: torch.full((512,), torch.nan)}, r"is not finite in inverter\.fuser\.conv\.bias"),
        ({"inverter.fs_backbone.styles.17.weight": None, "inverter.fs_backbone.styles.17.bias": None},
         r"e\.pt: .*made for a generator of 17 layers"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            load_sfe(written(path, **changes), generator)
    torch.save({"weights": 1}, path)
    with pytest.raises(ValueError, match=r"e\.pt: a file of StyleFeatureEditor holds state_dict; found weights"):
        load_sfe(path, generator)
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        load_sfe(tmp_path / "none.pt", generator)
