"""Files as training code and old releases of torch left them: read as they were meant, or refused by name."""

from __future__ import annotations

import argparse
import os
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.checkpoints import read_checkpoint
from datasets.images import resized
from methods.checkpoints import encoders as published
from methods.encoders import OfficialEncoder, load_encoder
from methods.encoders.encoder import Design, Encoder
from methods.encoders.networks import EncoderConfig, Flat, Pyramid
from methods.generators import load_generator
from methods.generators.stylegan2 import Generator, GeneratorConfig
from methods.resizing import pooled
from tests.parity import key_shapes
from tests.unit.test_encoder_parity import served

MEAN = torch.linspace(-1, 1, 512)
OPTIONS = {"encoder_type": "GradualStyleEncoder", "start_from_latent_avg": True}


ROWS = 4  # of 18: fewer style blocks take less memory


def encoder_state(
    inventory: str = "psp_ffhq_encode", dtype: torch.dtype = torch.float32, rows: int = ROWS
) -> dict[str, Tensor]:
    """Zeros, stored as one number each: every code is then the mean of W."""
    shapes = {k: v for k, v in key_shapes(inventory, "state_dict").items() if k.startswith("encoder.")}
    shapes = {k: v for k, v in shapes.items() if "styles." not in k or int(k.split(".")[2]) < rows}
    return {key: torch.zeros((), dtype=dtype).expand(shape) for key, shape in shapes.items()}


def write(path: Path, old: bool = False, **changes: Any) -> Path:
    content = {"state_dict": encoder_state(), "latent_avg": MEAN.expand(ROWS, 512), "opts": OPTIONS} | changes
    content = {key: value for key, value in content.items() if value is not None}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


class Options:
    """As other repositories keep them: an object of a class that only they have."""

    def __init__(self) -> None:
        self.__dict__ |= OPTIONS


class Called:
    def __reduce__(self) -> tuple[object, tuple[()]]:
        return os.getcwd, ()


TRAINING = {
    "global_step": 300000, "best_val_loss": np.float64(0.25),
    "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
    "discriminator_state_dict": {"mlp.0.weight": torch.zeros(2, 2)},
    "discriminator_optimizer_state_dict": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": []},
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"old": True}, None),
        ({"opts": argparse.Namespace(**OPTIONS)}, None),
        ({"opts": argparse.Namespace(**OPTIONS), "old": True}, None),
        ({"opts": None}, "psp"),
        ({"opts": None}, "GradualStyleEncoder"),
        ({"opts": {"encoder_type": "GradualStyleEncoder"}}, None),  # before start_from_latent_avg was an option
        ({"opts": OPTIONS | {"learn_in_w": False, "output_size": 1024, "seed": np.int64(3)}}, None),
        ({"latent_avg": MEAN}, None),
        ({"latent_avg": MEAN[None].half().float()[0]}, None),
        ({"latent_avg": MEAN[None].bfloat16()}, None),
        (TRAINING, None),
        ({"opts": OPTIONS | {"exp_dir": Path("x")}}, None),
        ({"opts": Options()}, None),
    ],
)
def test_a_file_says_the_same_in_other_forms(changes: dict[str, Any], name: str | None, tmp_path: Path) -> None:
    found = load_encoder(write(tmp_path / "e.pt", **changes), name)
    assert not found.encoder.design.deltas and found.encoder.latent_avg.dtype == torch.float32
    torch.testing.assert_close(found.encoder.latent_avg, MEAN.expand(ROWS, 512), rtol=0, atol=4e-3)


@pytest.mark.parametrize(
    ("form", "dtype"),
    [("module.{}", torch.float16), ("encoder.module.{}", torch.bfloat16), ("module.encoder.{}", torch.float64)],
)
def test_prefixes_and_precisions_of_storage(form: str, dtype: torch.dtype, tmp_path: Path) -> None:
    state = encoder_state(dtype=dtype)
    named = {form.format(key if form == "module.{}" else key.removeprefix("encoder.")): v for key, v in state.items()}
    counted = {key: value for key, value in named.items() if not key.endswith("num_batches_tracked")}
    found = load_encoder(write(tmp_path / "e.pt", state_dict=counted))
    assert {parameter.dtype for parameter in found.encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize("old", [False, True])
def test_tensors_saved_on_a_gpu_come_to_the_cpu(old: bool, tmp_path: Path) -> None:
    path = tmp_path / "pose.pt"
    torch.save(torch.arange(6.0), path, _use_new_zipfile_serialization=not old)
    place, other = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    raw = path.read_bytes()
    assert raw.count(place) == 1
    if old:
        path.write_bytes(raw.replace(place, other))
    else:
        with zipfile.ZipFile(path) as bundle:
            members = {name: bundle.read(name) for name in bundle.namelist()}
        with zipfile.ZipFile(path, "w") as bundle:
            for member, content in members.items():
                bundle.writestr(member, content.replace(place, other) if member.endswith("data.pkl") else content)
    found = read_checkpoint(path)
    assert found.device.type == "cpu" and torch.equal(found, torch.arange(6.0))


def test_codes_that_do_not_start_from_the_mean(tmp_path: Path) -> None:
    found = load_encoder(write(tmp_path / "e.pt", opts=OPTIONS | {"start_from_latent_avg": False}))
    assert not found.encode(torch.zeros(1, 3, 256, 256)).any()


def test_iterative_encoders_look_five_times_and_are_read_strictly(tmp_path: Path) -> None:
    state = encoder_state("restyle_psp_ffhq_encode")
    iterative = {"encoder_type": "BackboneEncoder", "n_iters_per_batch": 1}
    write_it = partial(write, tmp_path / "r.pt", opts=iterative)
    found = load_encoder(write_it(state_dict=state), generator=served(ROWS))
    assert found.encoder.design.iterative and found.encoder.design.iterations == 5
    # The released loader skips what does not fit; here it is named.
    with pytest.raises(ValueError, match=r"r\.pt: has unexpected encoder\.output_layer\.weight"):
        more = {"encoder.output_layer.weight": torch.zeros(1)}
        load_encoder(write_it(state_dict=state | more), generator=served(ROWS))
    with pytest.raises(ValueError, match=r"needs a generator; the file holds none"):
        load_encoder(write_it(state_dict=state))


def decoder() -> dict[str, Tensor]:
    """A slight generator's tensors, as they lie in an encoder's file; without a mean."""
    state = served(ROWS).state_dict()
    return {f"decoder.{key}": value for key, value in state.items() if key != "latent_avg"}


def test_a_mean_that_is_not_there_is_the_decoders(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = write(tmp_path / "e.pt", state_dict=encoder_state() | decoder(), latent_avg=None)
    with pytest.warns(UserWarning, match=r"e\.pt: has no latent_avg; the mean over 10,000 latents of seed 0"):
        found = load_encoder(path)
    assert found.generator is not None
    mean = found.generator.latent_avg
    assert mean.any() and torch.equal(found.encoder.latent_avg, mean.expand(ROWS, 512))


@torch.no_grad()
def test_iterative_encoders_use_the_decoder_of_their_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = encoder_state("restyle_psp_ffhq_encode") | decoder()
    found = load_encoder(write(tmp_path / "r.pt", state_dict=state, opts={"encoder_type": "BackboneEncoder"}))
    steps = found.steps(torch.zeros(1, 3, 256, 256), iterations=2)
    assert torch.equal(steps[1].latent[0], MEAN.expand(ROWS, 512)), "weights of zero move no code"
    drawn = steps[0].image
    assert drawn.shape[-1] == 8 and drawn.any()
    # A generator smaller than the encoder's side is enlarged by repetition, as the authors' pool does.
    wanted = drawn.repeat_interleave(32, dim=2).repeat_interleave(32, dim=3)[0]
    torch.testing.assert_close(found.encoder.average_image, wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_generators_of_other_precision_and_prefix_are_read(dtype: torch.dtype, tmp_path: Path) -> None:
    toy = load_generator("toy")
    state = {f"module.{k}": v.to(dtype) for k, v in toy.state_dict().items() if k != "latent_avg"}
    content = {"g_ema": state, "latent_avg": toy.latent_avg.to(dtype)}
    torch.save(content, tmp_path / "g.pt", _use_new_zipfile_serialization=False)
    found = load_generator(tmp_path / "g.pt")
    assert {value.dtype for value in found.state_dict().values()} == {torch.float32}
    torch.testing.assert_close(found.conv1.conv.weight, toy.conv1.conv.weight, rtol=1e-2, atol=1e-2)


CARS = OPTIONS | {"encoder_type": "Encoder4Editing", "dataset_type": "cars_encode"}


@torch.no_grad()
def test_encoders_of_cars_see_wide_pictures(tmp_path: Path) -> None:
    found = load_encoder(write(tmp_path / "c.pt", opts=CARS))
    assert found.encode(torch.zeros(1, 3, 192, 256)).shape == (1, ROWS, 512)
    shown = found.encoder.preprocess
    wide = torch.rand(1, 3, 192, 256, generator=torch.Generator().manual_seed(0))
    assert shown(wide) is wide
    square = torch.zeros(1, 3, 256, 256)
    square[:, :, 32:224] = wide
    assert torch.equal(shown(square), wide)
    large = square.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(shown(large), shown(large[:, :, 64:448]))
    assert shown(torch.zeros(1, 3, 480, 640)).shape == (1, 3, 192, 256)


def test_cars_with_too_many_rows_use_the_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """e4e's inference drops the last two of 18 rows in such files, whose generator has 16; here the last two of six."""
    assert (published.ALL_LAYERS, published.CARS_LAYERS) == (18, 16)
    monkeypatch.setattr(published, "ALL_LAYERS", 6)
    monkeypatch.setattr(published, "CARS_LAYERS", 4)
    path = write(tmp_path / "c.pt", state_dict=encoder_state(rows=6), latent_avg=MEAN.expand(6, 512), opts=CARS)
    found = load_encoder(path, generator=served(4))
    codes = found.encode(torch.zeros(1, 3, 192, 256))
    assert codes.shape == (1, 4, 512) and torch.equal(codes[0, 3], MEAN)
    with pytest.raises(ValueError, match="serves a generator of 4 layers, this one has 6"):
        load_encoder(path, generator=served(6))


def small(deltas: bool, generator: Generator, wide: bool = False) -> OfficialEncoder:
    """An iterative encoder of random weights for a small generator, as `load_encoder` gives it."""
    shape = {"units": (1, 1, 1, 1), "widths": (8, 8, 8, 8), "style_width": 8}
    config = EncoderConfig(64, 6, generator.num_ws, generator.w_dim, **shape)
    torch.manual_seed(0)
    encoder = Encoder(Design(Flat, deltas=deltas, iterations=3), config).eval().requires_grad_(False)
    encoder.latent_avg.copy_(generator.w_mean.expand_as(encoder.latent_avg))
    encoder.wide = wide
    return OfficialEncoder(encoder, generator, {})


@pytest.mark.parametrize("deltas", [False, True])
@torch.no_grad()
def test_the_first_partner_has_the_modules_own_precision(deltas: bool) -> None:
    """In double all of a pass is double, also the picture that was drawn before the first one."""
    found = small(deltas, load_generator("toy"))
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    single = found.encode(images, iterations=2)
    found = found.double()
    trace = found.trace(images.double(), iterations=2)
    encoder, generator = found.encoder, found.generator
    assert generator is not None and len(trace) == 2 and trace[0].dtype == torch.float64
    partner = pooled(generator.synthesis(encoder.latent_avg[None]), 64)
    first = encoder(images.double(), None, partner)
    assert torch.equal(trace[0], first)
    torch.testing.assert_close(single.double(), trace[1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.float().encode(images, iterations=2), single, rtol=0, atol=0)


@torch.no_grad()
def test_the_first_partner_follows_changed_weights() -> None:
    found = small(False, load_generator("toy"))
    assert found.generator is not None
    before = found.ready().average_image.clone()
    assert found.ready().average_image is found.ready().average_image
    found.generator.to_rgb1.bias.data.add_(1)  # as one loads other weights
    after = found.ready().average_image
    assert not torch.equal(after, before)
    torch.testing.assert_close(after, pooled(found.generator.synthesis(found.encoder.latent_avg[None]), 64)[0])


@torch.no_grad()
def test_images_of_an_encoder_are_checked_and_resized_by_both_sides() -> None:
    found = small(False, load_generator("toy"))
    x = torch.rand(1, 3, 80, 64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(found.encode(x), found.encode(resized(x, 64)))
    for wrong, said in (
        (x[:, :1], r"images must be \[N, 3, H, W\], found \[1, 1, 80, 64\]"),
        (x[0], "images must be"),
        (torch.zeros(1, 6, 64, 64), r"found \[1, 6, 64, 64\]"),
        (x * 255, r"images must lie in \[-1, 1\], found"),
        (x * torch.nan, "images must lie in"),
    ):
        with pytest.raises(ValueError, match=said):
            found.encode(wrong)


@torch.no_grad()
def test_wide_encoders_see_the_middle_of_their_own_images() -> None:
    generator = Generator(GeneratorConfig(128, (8, 8, 8, 8, 8, 8), z_dim=16, w_dim=16, mapping_layers=2)).eval()
    found = small(False, generator, wide=True)
    images = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    steps = found.steps(images, iterations=2)
    encoder = found.encoder
    partner = torch.nn.functional.adaptive_avg_pool2d(steps[0].image[:, :, 16:112], (48, 64))
    again = encoder.latent_avg * 0 + steps[0].latent
    x = torch.cat([images, partner], dim=1)
    codes = torch.stack([style(encoder.encoder.levels(x)[-1]) for style in encoder.encoder.styles], dim=1)
    torch.testing.assert_close(steps[1].latent, again + codes)


def test_unfinished_progressive_training_is_read_by_its_stage(tmp_path: Path) -> None:
    config = EncoderConfig(64, 3, 10, 16, units=(1, 1, 1, 1), widths=(8, 8, 8, 8), style_width=8)
    torch.manual_seed(0)
    encoder = Encoder(Design(Pyramid, deltas=True), config).eval().requires_grad_(False)
    found = OfficialEncoder(encoder, None, {})
    codes = found.encode(torch.rand(1, 3, 64, 64), stage=4)[0]
    assert torch.equal(codes[5:], codes[:1].expand(5, -1)) and not torch.equal(codes[4], codes[0])


def test_code_in_the_options_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"e\.pt: not a checkpoint .*names the code os\.\S*getcwd|posix\.getcwd"):
        load_encoder(write(tmp_path / "e.pt", opts=OPTIONS | {"exp_dir": Called()}))
