"""`load_generator`: what is read, and what a wrong, broken or hostile file is answered with."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from methods.generators import Generator, load_generator, save_generator
from methods.generators.fingerprint import fingerprint

State = dict[str, Tensor]
CONFIG = {"resolution": 64, "channels": [16, 16, 8, 8, 8], "z_dim": 16, "w_dim": 16, "mapping_layers": 2}


@pytest.fixture(scope="module")
def toy() -> Generator:
    return load_generator("toy")


@pytest.fixture
def state(toy) -> State:
    return {key: value.clone().contiguous() for key, value in toy.state_dict().items()}


def checkpoint(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def refused(path: Path) -> str:
    """The message; it names the file, as every refusal has to."""
    with pytest.raises(ValueError) as caught:
        load_generator(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def without_mean(state: State) -> State:
    return {key: value for key, value in state.items() if key != "latent_avg"}


def test_loaded_generator_is_frozen_and_repeatable(toy):
    assert not toy.training and not any(p.requires_grad for p in toy.parameters())
    torch.manual_seed(123)
    drawn = torch.rand(3)
    torch.manual_seed(123)
    again = load_generator("toy")
    assert torch.equal(torch.rand(3), drawn), "loading must not draw from the caller's stream"
    assert fingerprint(again) == fingerprint(toy)


def test_unknown_name_and_suffix(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no generator 'toi'.*toy"):
        load_generator("toi")
    save_generator(load_generator("toy"), tmp_path / "g.onnx")
    assert load_generator(tmp_path / "g.onnx").resolution == 64, "the suffix says nothing"


@pytest.mark.parametrize("shape", [(16,), (10, 16), (1, 16)])
def test_config_f_round_trip(shape, toy, state, tmp_path):
    """latent_avg is one row in pSp's files and one a layer in e4e's."""
    mean = torch.arange(16.0)
    content = {"g_ema": without_mean(state), "latent_avg": mean.expand(shape).clone()}
    found = load_generator(checkpoint(tmp_path / "g.pt", content))
    assert found.config == toy.config and torch.equal(found.latent_avg, mean)
    w = torch.randn(2, toy.num_ws, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(found.synthesis(w), toy.synthesis(w))


def test_state_without_wrapper_and_without_filters_is_read(toy, state, tmp_path):
    bare = {key: value for key, value in state.items() if not key.endswith(".kernel")}
    assert fingerprint(load_generator(checkpoint(tmp_path / "g.pt", bare))) == fingerprint(toy)


def test_missing_mean_is_recomputed_the_same_each_time(toy, state, tmp_path):
    path = checkpoint(tmp_path / "g.pt", {"g_ema": without_mean(state)})
    torch.manual_seed(1)
    first = load_generator(path).latent_avg
    torch.manual_seed(2)
    assert torch.equal(load_generator(path).latent_avg, first)
    # Over 10,000 latents: within a few standard errors of the mean over others.
    others = toy.style(torch.randn(4000, 16, generator=torch.Generator().manual_seed(9)))
    assert bool(((first - others.mean(0)).abs() < 5 * others.std(0) / 4000**0.5).all())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("to_rgb1.bias"), "lacks to_rgb1.bias (1)"),
        (lambda s: s.update(surplus=torch.zeros(1)), "has unexpected surplus (1)"),
        (
            lambda s: s.update({"to_rgb1.bias": torch.zeros(1, 4, 1, 1)}),
            "to_rgb1.bias [1, 4, 1, 1] instead of [1, 3, 1, 1]",
        ),
        (lambda s: s["to_rgb1.bias"].fill_(float("nan")), "is not finite in to_rgb1.bias"),
        (lambda s: s["latent_avg"].fill_(float("inf")), "is not finite in latent_avg"),
        (lambda s: s.pop("style.1.weight"), "holds no config-f generator"),
        (lambda s: s.clear(), "holds no config-f generator"),
    ],
)
def test_what_is_wrong_in_a_checkpoint_is_named(change: Callable, said, state, tmp_path):
    change(state)
    assert said in refused(checkpoint(tmp_path / "g.pt", {"g_ema": state}))


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {"epoch": 3}, 5, None])
def test_other_content_is_no_generator(content, tmp_path):
    refused(checkpoint(tmp_path / "g.pt", content))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["g_ema"].pop("conv1.conv.weight"),
        lambda c: c["g_ema"].pop("convs.3.conv.weight"),
        lambda c: c["g_ema"].update({"to_rgb1.bias": "text"}),
        lambda c: c.update(latent_avg=torch.zeros(7)),
        lambda c: c.update(latent_avg="text"),
        lambda c: c.update(g_ema=None),
    ],
)
def test_odd_checkpoint_is_refused_by_name(change: Callable, state, tmp_path):
    content = {"g_ema": state, "latent_avg": torch.zeros(16)}
    change(content)
    refused(checkpoint(tmp_path / "g.pt", content))


class Hostile:
    """Unpickled by a trusting reader, it runs a command."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.mark}'",)


@pytest.mark.parametrize("old_format", [False, True])
def test_hostile_checkpoint_executes_nothing(old_format, state, tmp_path):
    mark = tmp_path / "executed"
    content = {"g_ema": state, "opts": Hostile(mark)}
    torch.save(content, tmp_path / "g.pt", _use_new_zipfile_serialization=not old_format)
    said = refused(tmp_path / "g.pt")
    assert f"not a checkpoint of plain tensors (it names the code {os.name}.system, which is not run)" in said
    assert not mark.exists()
    torch.load(tmp_path / "g.pt", weights_only=False)
    assert mark.exists(), "the file of this test is harmless, so it proves nothing"


def test_weights_without_our_header_are_read_as_config_f(toy, state, tmp_path):
    save_file(state, tmp_path / "g.safetensors")
    assert fingerprint(load_generator(tmp_path / "g.safetensors")) == fingerprint(toy)


def test_save_and_load(toy, tmp_path):
    path = tmp_path / "sub" / "g.safetensors"
    save_generator(toy, path, card={"data": "none"})
    found = load_generator(path)
    assert found.config == toy.config and fingerprint(found) == fingerprint(toy)


def test_half_precision_round_trip(toy, tmp_path):
    save_generator(toy, tmp_path / "h.safetensors", half=True)
    save_generator(toy, tmp_path / "g.safetensors")
    assert (tmp_path / "h.safetensors").stat().st_size < 0.6 * (tmp_path / "g.safetensors").stat().st_size
    found = load_generator(tmp_path / "h.safetensors")
    for key, value in toy.state_dict().items():
        other = found.state_dict()[key]
        assert other.dtype == torch.float32 and torch.equal(other, value if "kernel" in key else value.half().float())


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"config": json.dumps({**CONFIG, "channels": [16, 16, 8, 8, 4]})}, "has wrong shapes convs.6"),
        ({"config": json.dumps({**CONFIG, "w_dim": 32})}, "has wrong shapes"),
        ({"config": json.dumps({**CONFIG, "mapping_layers": 3})}, "lacks style.3.bias"),
        ({"config": json.dumps({**CONFIG, "mapping_layers": 1})}, "has unexpected style.2.bias"),
    ],
)
def test_foreign_or_lying_header_is_named(metadata, said, state, tmp_path):
    save_file(state, tmp_path / "g.safetensors", metadata=metadata)
    assert said in refused(tmp_path / "g.safetensors")


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        '{"resolution": 64}',
        json.dumps({**CONFIG, "surplus": 1}),
        json.dumps({**CONFIG, "resolution": 48}),
        json.dumps({**CONFIG, "resolution": "64"}),
    ],
)
def test_odd_header_is_refused_by_name(config, state, tmp_path):
    save_file(state, tmp_path / "g.safetensors", metadata={"config": config})
    refused(tmp_path / "g.safetensors")


@pytest.mark.parametrize("content", [b"", b"no header", struct.pack("<Q", 10**12) + b"{}"])
def test_broken_safetensors_is_named(content, tmp_path):
    (tmp_path / "g.safetensors").write_bytes(content)
    refused(tmp_path / "g.safetensors")
