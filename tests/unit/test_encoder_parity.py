"""Encoder networks at the official configuration against the authors' outputs and key inventories."""

from __future__ import annotations

import pytest
import torch

from methods.encoders.backbone import EncoderConfig, base_and_deltas, independent_rows
from methods.encoders.design import Encoder, looks
from methods.encoders.designs import DESIGNS
from methods.encoders.latent_discriminator import LatentDiscriminator
from methods.generators.stylegan2 import Generator, official_config
from tests.parity import Case, key_shapes, synthetic_state

INVENTORIES = {
    "psp": "psp_ffhq_encode",
    "e4e": "e4e_ffhq_encode",
    "restyle_psp": "restyle_psp_ffhq_encode",
    "restyle_e4e": "restyle_e4e_ffhq_encode",
    "interestyle": "interestyle_ffhq",
}


def official(name: str, num_ws: int = 18) -> Encoder:
    """An encoder of the official shape without values."""
    with torch.device("meta"):
        return Encoder(DESIGNS[name], EncoderConfig(channels=6 if DESIGNS[name].iterative else 3, num_ws=num_ws))


def loaded(name: str, case: str) -> Encoder:
    shapes = {k: v for k, v in key_shapes(case, "state_dict").items() if k.startswith("encoder.")}
    encoder = Encoder(DESIGNS[name], EncoderConfig(channels=6 if DESIGNS[name].iterative else 3))
    encoder.load_state_dict(synthetic_state(shapes) | synthetic_state(key_shapes(case, "")))
    return encoder.double().eval()


def images(case: Case) -> torch.Tensor:
    pixels = case["in_image_u8"].permute(0, 3, 1, 2).contiguous()
    return ((pixels.float() / 255 - 0.5) / 0.5).double()


@pytest.mark.parametrize(("name", "inventory", "rows"), [
    *((name, inventory, 18) for name, inventory in INVENTORIES.items()),
    ("e4e", "e4e_size512", 16), ("e4e", "e4e_size256", 14),
])  # fmt: skip
def test_names_and_shapes_are_the_official_ones(name: str, inventory: str, rows: int) -> None:
    wanted = {k: v for k, v in key_shapes(inventory, "state_dict").items() if k.startswith("encoder.")}
    found = {k: list(v.shape) for k, v in official(name, rows).state_dict().items() if k != "latent_avg"}
    assert found == wanted
    assert key_shapes(inventory, "")["latent_avg"] == [rows, 512]


def test_critic_has_the_official_names_and_shapes() -> None:
    found = {k: list(v.shape) for k, v in LatentDiscriminator().state_dict().items()}
    assert found == key_shapes("e4e_w_discriminator", "discriminator_state_dict")


@torch.no_grad()
def test_e4e_gives_the_authors_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("e4e_encoder")
    encoder = loaded("e4e", "e4e_ffhq_encode")
    x = images(case)
    features = encoder.encoder.row_features(x)  # once: the pyramid in double takes most of the time
    case.assert_close("feat_c3", features[0][:, ::16, ::4, ::4])
    monkeypatch.setattr(encoder.encoder, "row_features", lambda _: features)
    case.assert_close("codes", encoder(x))
    case.assert_close("codes_raw", base_and_deltas(encoder.encoder, x))
    for stage in (0, 3, 8):
        case.assert_close(f"codes_raw_stage{stage}", base_and_deltas(encoder.encoder, x, stage)[:1])


@torch.no_grad()
def test_psp_gives_the_authors_codes() -> None:
    case = Case("psp_encoder")
    encoder = loaded("psp", "psp_ffhq_encode")
    x = images(case)
    offsets = independent_rows(encoder.encoder, x)
    case.assert_close("codes_raw", offsets)
    case.assert_close("codes", offsets + encoder.latent_avg)


@pytest.mark.slow
@torch.no_grad()
def test_restyle_gives_the_authors_codes_and_pictures_pass_by_pass() -> None:
    case = Case("restyle_psp")
    inventory = "restyle_psp_ffhq_encode"
    encoder = loaded("restyle_psp", inventory)
    shapes = key_shapes(inventory, "state_dict")
    decoder = {k: v for k, v in synthetic_state(shapes).items() if k.startswith("decoder.")}
    generator = Generator(official_config(1024))
    generator.load_state_dict({k.removeprefix("decoder."): v for k, v in decoder.items()}, strict=False)
    generator.latent_avg.copy_(encoder.latent_avg[0])
    generator.double().eval()
    encoder.look_at(generator)
    case.assert_close("avg_image", encoder.average_image)
    x = images(case)[:1]  # one of two images: a picture of 1024 px in double takes half a minute
    for i, each in enumerate(looks(encoder, generator, [x] * 2)):
        case.assert_close(f"latents_it{i}", each.latent, first=1)
        case.assert_close(f"img_it{i}", each.image, first=1)
