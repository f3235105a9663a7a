"""Published encoders, read from files of their format, against the authors' outputs and key inventories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from methods.encoders import OfficialEncoder, load_encoder
from methods.encoders.latent_discriminator import LatentDiscriminator
from methods.encoders.networks import base_and_deltas
from methods.generators import Generator, GeneratorConfig, load_generator
from methods.resizing import pooled
from tests import parity
from tests.parity import Case, key_shapes, synthetic_state

# Inventory -> rows of W+.
INVENTORIES = {
    "psp_ffhq_encode": 18, "psp_celebs_seg_to_face": 18, "psp_celebs_sketch_to_face": 18, "psp_backbone_w": 18,
    "psp_backbone_wplus": 18, "e4e_ffhq_encode": 18, "e4e_size512": 16, "e4e_size256": 14, "e4e_single_style": 18,
    "restyle_psp_ffhq_encode": 18, "restyle_psp_fpn_1024": 18, "restyle_psp_fpn_resnet34_512": 16,
    "restyle_psp_resnet34_512": 16, "restyle_e4e_ffhq_encode": 18, "restyle_e4e_resnet34_256": 14,
    "restyle_e4e_resnet34_512": 16, "interestyle_ffhq": 18, "hyperstyle_w_encoder": 18,
}  # fmt: skip

# One of each family; the others only differ in size or in options.
QUICK = ("psp_ffhq_encode", "e4e_size256", "restyle_psp_resnet34_512", "hyperstyle_w_encoder")


def options_of(inventory: str) -> dict[str, object]:
    """What the listing says of the file's options; the encoder's type stands beside them."""
    listing = json.loads((parity.ROOT / "keys" / f"{inventory}.json").read_text())
    options = {key: value for key, (_, value) in listing.get("opts", {}).items()}
    return options | {"encoder_type": listing.get("encoder_type", "WEncoder"), "start_from_latent_avg": True}


def write(path: Path, inventory: str, encoder: dict[str, Tensor], decoder: dict[str, Tensor], mean: Tensor) -> Path:
    torch.save(
        {"state_dict": encoder | decoder, "latent_avg": mean, "opts": options_of(inventory), "global_step": 7}, path
    )
    return path


def loaded(tmp_path: Path, inventory: str) -> OfficialEncoder:
    """The encoder of an official file of synthetic weights, in double; with its decoder where it needs one."""
    needed = ("encoder.", "decoder.") if inventory.startswith("restyle") else ("encoder.",)
    shapes = {k: v for k, v in key_shapes(inventory, "state_dict").items() if k.startswith(needed)}
    mean = synthetic_state(key_shapes(inventory, ""))["latent_avg"]
    return load_encoder(write(tmp_path / f"{inventory}.pt", inventory, synthetic_state(shapes), {}, mean)).double()


def images(case: Case) -> Tensor:
    pixels = case["in_image_u8"].permute(0, 3, 1, 2).contiguous()
    return ((pixels.float() / 255 - 0.5) / 0.5).double()


@pytest.mark.parametrize(
    "inventory", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in INVENTORIES]
)
def test_files_of_every_kind_are_read_by_their_names(inventory: str, tmp_path: Path) -> None:
    parity.require()
    shapes = key_shapes(inventory, "state_dict")
    rows = INVENTORIES[inventory]
    # Expanded tensors keep files of 300 million weights small.
    state = {f"module.{key}": torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    encoders = {key: value for key, value in state.items() if key.startswith("module.encoder.")}
    path = write(tmp_path / "file.pt", inventory, encoders, {}, torch.arange(512.0).expand(rows, 512))
    found = load_encoder(path, generator=served(rows)).encoder
    wanted = {k: v for k, v in shapes.items() if k.startswith("encoder.")}
    assert {k: list(v.shape) for k, v in found.state_dict().items() if k != "latent_avg"} == wanted
    assert found.latent_avg.shape == (rows, 512) and torch.equal(found.latent_avg[-1], torch.arange(512.0))
    assert found.design.iterative == (inventory.startswith(("restyle", "interestyle")))
    assert found.design.deltas == ("e4e" in inventory and "single" not in inventory)


def served(rows: int) -> Generator:
    """A slight generator with so many rows of 512."""
    levels = (rows + 2) // 2 - 1
    return Generator(GeneratorConfig(2 ** (levels + 1), (4,) * levels, z_dim=8, w_dim=512, mapping_layers=1)).eval()


def test_latent_discriminator_has_the_official_names_and_shapes() -> None:
    found = {k: list(v.shape) for k, v in LatentDiscriminator().state_dict().items()}
    assert found == key_shapes("e4e_w_discriminator", "discriminator_state_dict")


@pytest.mark.slow
@torch.no_grad()
def test_e4e_gives_the_authors_codes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case = Case("e4e_encoder")
    found = loaded(tmp_path, "e4e_ffhq_encode")
    network = found.encoder.encoder
    x = images(case)
    levels = network.levels(x)  # once: the trunk in double takes most of the time
    for name, maps in zip(("feat_c1", "feat_c2", "feat_c3"), levels[1:], strict=True):
        case.assert_close(name, maps[:, ::16, ::4, ::4])
    monkeypatch.setattr(network, "levels", lambda _: levels)
    features = network.layer_features(x)
    monkeypatch.setattr(network, "layer_features", lambda _: features)
    codes = found.encode(x)
    case.assert_close("codes", codes)
    case.assert_close("latents", codes[:1])
    case.assert_close("codes_raw", base_and_deltas(network, x))
    for count in (0, 3, 8):
        case.assert_close(f"codes_raw_stage{count}", base_and_deltas(network, x, count)[:1])
    mixed, rows = codes[:1].clone(), [8, 9, 17]
    mixed[:, rows] = 0.25 * case["in_inject"][:, rows] + 0.75 * mixed[:, rows]
    case.assert_close("latents_mask", mixed)


@pytest.mark.slow
@torch.no_grad()
def test_psp_gives_the_authors_codes(tmp_path: Path) -> None:
    case = Case("psp_encoder")
    found = loaded(tmp_path, "psp_ffhq_encode")
    codes = found.encode(images(case))
    case.assert_close("codes", codes)
    case.assert_close("latents", codes[:1])
    case.assert_close("codes_raw", codes - found.encoder.latent_avg)
    zeroed = codes[:1].clone()
    zeroed[:, 8:] = 0  # the reference masks rows 8 to 17 and injects nothing
    case.assert_close("latents_masked_zero", zeroed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["e4e_encoder", "psp_encoder"])
@torch.no_grad()
def test_the_decoder_in_an_encoders_file_draws_the_authors_picture(name: str, tmp_path: Path) -> None:
    case = Case(name)
    inventory = {"e4e_encoder": "e4e_ffhq_encode", "psp_encoder": "psp_ffhq_encode"}[name]
    shapes = {k: v for k, v in key_shapes(inventory, "state_dict").items() if k.startswith("decoder.")}
    mean = synthetic_state(key_shapes(inventory, ""))["latent_avg"]
    path = write(tmp_path / "file.pt", inventory, {}, synthetic_state(shapes), mean)
    generator = load_generator(path).double()
    image = generator.synthesis(case["out_latents_f64"])
    case.assert_close("img256", pooled(image, 256))
    if name == "e4e_encoder":
        case.assert_close("img1024", image)
    else:
        codes = generator.mapping(case["in_z"])
        case.assert_close("latents_from_z", codes)
        case.assert_close("img_from_z", pooled(generator.synthesis(codes), 256))


@pytest.mark.slow
@pytest.mark.timeout(900)  # minutes in double precision, more beside other work
@torch.no_grad()
def test_restyle_gives_the_authors_codes_and_pictures_pass_by_pass(tmp_path: Path) -> None:
    case = Case("restyle_psp")
    found = loaded(tmp_path, "restyle_psp_ffhq_encode")
    case.assert_close("avg_image", found.ready().average_image)
    x = images(case)[:1]  # one of two images: a picture of 1024 px in double takes half a minute
    for i, each in enumerate(found.steps(x, iterations=3)):
        if i == 0:
            case.assert_close("enc_first", each.latent - found.encoder.latent_avg, first=1)
        case.assert_close(f"latents_it{i}", each.latent, first=1)
        case.assert_close(f"img_it{i}", each.image, first=1)


def small(tmp_path: Path, **changes: object) -> Path:
    """A file of pSp's layout without values, with 2 of 18 style blocks: they are most of its weights."""
    shapes = {k: v for k, v in key_shapes("psp_ffhq_encode", "state_dict").items() if k.startswith("encoder.")}
    shapes = {k: v for k, v in shapes.items() if "styles." not in k or int(k.split(".")[2]) < 2}
    content = {
        "state_dict": {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()},
        "latent_avg": torch.zeros(2, 512),
        "opts": {"encoder_type": "GradualStyleEncoder"},
    }
    torch.save(content | changes, tmp_path / "e.pt")
    return tmp_path / "e.pt"


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = torch.load(small(tmp_path))["state_dict"]
    lacking = {key: value for key, value in state.items() if key != "encoder.styles.1.linear.bias"}
    holed = state | {"encoder.latlayer1.bias": torch.full((512,), torch.nan)}
    for changes, name, said in (
        ({"opts": {}}, None, r"e\.pt: its options say encoder_type None.*give name="),
        ({"opts": {"encoder_type": "Encoder4Editing"}}, "psp", "named 'psp', but its options say"),
        ({}, "restyle_psp", "named 'restyle_psp', but its first convolution has 3 channels"),
        ({}, "pspp", "did you mean 'psp'"),
        ({"state_dict": lacking}, None, r"e\.pt: lacks encoder\."),
        ({"state_dict": holed}, None, r"e\.pt: is not finite in encoder\.latlayer1\.bias"),
        ({"state_dict": state | {"encoder.more": torch.zeros(1)}}, None, r"has unexpected encoder\.more"),
        ({"state_dict": {"decoder.a": torch.zeros(1)}}, None, "holds no encoder"),
        ({"latent_avg": torch.zeros(14, 512)}, None, r"latent_avg is \[14, 512\], expected \[2, 512\]"),
        ({"opts": 3}, None, "opts is not a dictionary but of type int"),
    ):
        with pytest.raises(ValueError, match=said):
            load_encoder(small(tmp_path, **changes), name)
    assert load_encoder(small(tmp_path, opts={}), "e4e").encoder.design.deltas
    with pytest.raises(ValueError, match="has one step, found iterations=5"):
        load_encoder(small(tmp_path)).encode(torch.zeros(1, 3, 256, 256), iterations=5)
    with pytest.raises(ValueError, match="no latent_avg and no decoder"):
        load_encoder(small(tmp_path, latent_avg=None, opts={"encoder_type": "Encoder4Editing",
                                                            "start_from_latent_avg": True}))  # fmt: skip
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        load_encoder(tmp_path / "none.pt")
