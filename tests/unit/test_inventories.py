"""Every checkpoint whose tensors are listed is read by its names: nothing missing, nothing left over.

Values do not matter here, so that files stay small: a tensor of zeros, expanded to its shape, is stored as one number.
Encoders are in test_encoder_parity.py, identity networks in test_arcface.py, BiSeNet in test_bisenet.py.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.checkpoints import check_tensors, read_checkpoint
from methods.editing.readers import components_of, read_direction
from methods.generators import Generator, GeneratorConfig, load_generator
from methods.generators.ada import config_from_ada, from_ada
from methods.generators.readers import config_from_state
from methods.generators.stylegan2 import official_config
from metrics.networks import load_identity
from metrics.networks.lpips import load_lpips
from tests import parity
from tests.parity import Case, key_shapes
from tests.unit import test_encoder_parity

HERE = Path("inventory")
# Inventory -> side, multiplier of the channels.
ROSINALITY = {
    "rosinality_32_cm2": (32, 2), "rosinality_64_cm1": (64, 1), "rosinality_64_cm2": (64, 2),
    "rosinality_256_cm1": (256, 1), "rosinality_256_cm2": (256, 2), "rosinality_512_cm2": (512, 2),
    "rosinality_1024_cm2": (1024, 2),
}  # fmt: skip
# Inventory -> side, widest channels.
ADA = {"ada_small_64": (64, 64), "ada_full_64": (64, 512), "ada_ffhq_256": (256, 512), "ada_paper256": (256, 512),
       "ada_ffhq_1024": (1024, 512)}  # fmt: skip
ELSEWHERE = {
    "ada_d_ffhq_1024", "ada_small_64_cond", "bisenet_19", "curricularface_ir101", "e4e_w_discriminator",
    "edit_directions", "facenet_vggface2", "hfgi_ffhq", "hyperstyle_ffhq", "hyperstyle_separable_1024",
    "hyperstyle_separable_512", "hyperstyle_size256", "ir_se50", "lpips_alex", "lpips_vgg", "rosinality_d_1024_cm2",
    "sfe_editor_light", "sfe_inverter_light", "styleres_1024", "styleres_256", "styleres_64_e32", "torchvision_alexnet",
    "torchvision_vgg16",
}  # fmt: skip

# Families whose inventories are listed before the suite reads their files.
UNREAD = ("sg3",)


def blank(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """Zeros, apart from the filters, which have to be the true ones."""
    true = parity.synth()
    return {
        key: torch.from_numpy(true.synthetic_array(key, shape)) if key.endswith(("resample_filter", ".kernel"))
        else torch.zeros(()).expand(shape)
        for key, shape in shapes.items()
    }  # fmt: skip


def test_no_inventory_is_left_out() -> None:
    parity.require()
    listed = {path.stem for path in (parity.ROOT / "keys").glob("*.json")}
    listed = {name for name in listed if not name.startswith(UNREAD)}
    assert listed == {*ROSINALITY, *ADA, *ELSEWHERE, *test_encoder_parity.INVENTORIES}


@pytest.mark.parametrize("inventory", ROSINALITY)
def test_config_f_has_the_listed_tensors(inventory: str) -> None:
    shapes = key_shapes(inventory, "g_ema")
    found = config_from_state(blank(shapes), HERE)
    assert found == official_config(*ROSINALITY[inventory])
    with torch.device("meta"):
        state = Generator(found).state_dict()
    assert {k: list(v.shape) for k, v in state.items() if k != "latent_avg"} == shapes
    assert list(state["latent_avg"].shape) == key_shapes(inventory, "")["latent_avg"]


@pytest.mark.parametrize("inventory", ADA)
def test_ada_has_the_listed_tensors(inventory: str) -> None:
    state = blank(key_shapes(inventory, "G_ema"))
    config, converted = config_from_ada(state), from_ada(state)
    assert (config.resolution, max(config.channels)) == ADA[inventory] and config.mapping_layers == 8
    with torch.device("meta"):
        expected = Generator(config).state_dict()
    # Nothing but the filters, which the network makes itself, has no counterpart.
    check_tensors(HERE, converted, expected, optional={key for key in expected if key.endswith(".kernel")})
    filters = sum(key.endswith("resample_filter") for key in state)
    assert len(converted) == len(state) - filters == sum(not key.endswith(".kernel") for key in expected)


def test_conditional_ada_is_refused_with_its_classes() -> None:
    with pytest.raises(ValueError, match=r"conditional generator \(c_dim 10\)"):
        config_from_ada(blank(key_shapes("ada_small_64_cond", "G_ema")))


def test_a_training_dump_gives_its_average_alone(tmp_path: Path) -> None:
    """train.py of config-f saves both networks, optimisers and argparse's options, and no mean of W."""
    shapes = key_shapes("rosinality_32_cm2", "g_ema")
    own = torch.arange(512.0 * 512 * 9).view(1, 512, 512, 3, 3) / 1e6
    weights = blank(shapes) | {"conv1.conv.weight": own}
    content = {
        "g": blank(shapes), "d": blank(key_shapes("rosinality_d_1024_cm2", "d")), "g_ema": weights,
        "g_optim": {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 2e-3}]},
        "args": argparse.Namespace(size=32, channel_multiplier=2), "ada_aug_p": np.float64(0.25),
    }  # fmt: skip
    torch.save(content, tmp_path / "550000.pt")
    with pytest.warns(UserWarning, match="has no mean of W"):
        found = load_generator(tmp_path / "550000.pt")
    assert torch.equal(found.conv1.conv.weight, own)
    assert found.mean_source == "the mean over 10,000 latents of seed 0"


def test_facenet_has_the_listed_tensors(tmp_path: Path) -> None:
    shapes = key_shapes("facenet_vggface2", "")
    counted = {k: v for k, v in blank(shapes).items() if not k.endswith("num_batches_tracked")}  # as old torch wrote
    torch.save(counted, tmp_path / "f.pt")
    found = load_identity("facenet", tmp_path / "f.pt").state_dict()
    kept = {f"module.{key}": shape for key, shape in shapes.items() if not key.startswith("logits.")}
    assert {key: list(value.shape) for key, value in found.items()} == kept


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_is_read_from_each_of_its_files(net: str, tmp_path: Path) -> None:
    """A whole module's state, or the authors' heads with torchvision's trunk: the same distances."""
    trunk_shapes = key_shapes("torchvision_alexnet" if net == "alex" else "torchvision_vgg16", "")
    module_shapes = key_shapes(f"lpips_{net}", "module")
    heads = parity.synthetic_state(key_shapes(f"lpips_{net}", "weights_v0.1_file"))
    features = parity.synthetic_state({k: v for k, v in trunk_shapes.items() if k.startswith("features.")})
    rest = blank({k: v for k, v in trunk_shapes.items() if k not in features})
    torch.save(heads, tmp_path / "heads.pth")
    torch.save(features | rest, tmp_path / "trunk.pth")
    parts = load_lpips(net, tmp_path / "heads.pth", tmp_path / "trunk.pth")
    state = parts.module.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == module_shapes
    torch.save(state, tmp_path / "module.pth")
    whole = load_lpips(net, tmp_path / "module.pth")
    a, b = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(parts(a, b), whole(a, b)) and float(parts(a, b)) > 0
    if net == "alex":
        case = Case("lpips_alex")
        case.assert_close("dist64", whole.double()(case["in_a64"], case["in_b64"]).view(-1, 1, 1, 1))
    torch.save({k: v for k, v in state.items() if k != "net.slice1.0.weight"}, tmp_path / "holed.pth")
    with pytest.raises(ValueError, match=r"holed\.pth: lacks net\.slice1\.0\.weight"):
        load_lpips(net, tmp_path / "holed.pth")
    torch.save(heads | {"lin5.model.1.weight": heads["lin4.model.1.weight"]}, tmp_path / "heads.pth")
    with pytest.raises(ValueError, match=r"heads\.pth: has unexpected lin5"):
        load_lpips(net, tmp_path / "heads.pth", tmp_path / "trunk.pth")


def test_edit_directions_of_every_listed_shape_are_read(tmp_path: Path) -> None:
    parity.require()
    files = json.loads((parity.ROOT / "keys" / "edit_directions.json").read_text())["files"]
    levels = (4,) * 9
    generator = Generator(GeneratorConfig(1024, levels, z_dim=8, w_dim=512, mapping_layers=1)).eval()
    shapes: set[tuple[str, str]] = set()
    for name, about in files.items():
        single = "shape" in about
        shape = json.dumps(about["shape"] if single else {key: part["shape"] for key, part in about.items()})
        if (Path(name).suffix, shape) in shapes:
            continue
        shapes.add((Path(name).suffix, shape))
        path = tmp_path / Path(name).name
        draws = np.random.default_rng(0)
        if not single:
            torch.save({key: torch.from_numpy(draws.normal(size=part["shape"])) for key, part in about.items()}, path)
            found = components_of(read_checkpoint(path), path)
            assert found.mean.shape == (512,) and found.axes.shape == (80, 512) and found.spreads.shape == (80,)
        elif path.suffix == ".npy":
            np.save(path, draws.normal(size=about["shape"]))
            assert read_direction(path, generator).vector.shape == (18, 512)
        else:
            torch.save(torch.from_numpy(draws.normal(size=about["shape"])).float(), path)
            assert read_direction(path, generator).vector.shape == (18, 512)
    assert len(files) == 58 and len(shapes) >= 4
