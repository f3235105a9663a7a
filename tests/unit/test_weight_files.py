"""What lies under the name of weights: each kind of file is read, or answered by what it is and the way on."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from datasets import file_kinds
from datasets.checkpoints import read_checkpoint
from methods.checkpoints.encoders import load_encoder
from methods.checkpoints.hfgi import load_hfgi
from methods.checkpoints.hyperstyle import load_hyperstyle
from methods.checkpoints.sfe import load_sfe
from methods.checkpoints.styleres import load_styleres
from methods.editing.files import open_directions
from methods.editing.readers import read_direction
from methods.encoders import weights as own_encoders
from methods.encoders.designs import DESIGNS
from methods.encoders.weights import save_encoder, toy_encoder
from methods.generators import Generator, load_generator, save_generator
from methods.generators.fingerprint import fingerprint
from methods.tuning.deltas import load_delta
from metrics.networks.lpips import load_lpips
from metrics.networks.sface import load_sface

PAGE = b"<!DOCTYPE html><html><head><title>Quota exceeded</title></head><body>Too many users</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:c9edeb\nsize 133857609"


def archive(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name, content in names.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as bundle:
        bundle.addfile(tarfile.TarInfo("g.pt"))
    return buffer.getvalue()


def saved(content: Any, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **settings)
    return buffer.getvalue()


def script() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


WHOLE = saved({"g_ema": torch.zeros(4000)})
NOT_WEIGHTS: dict[str, tuple[bytes, str]] = {
    "page": (PAGE, r"a web page \('Quota exceeded'\), not weights: the download failed"),
    "page after a mark": (b"\xef\xbb\xbf\n <html><body>no</body>", "a web page, not weights"),
    "pointer": (POINTER, "a Git LFS pointer, not the file: run `git lfs pull`"),
    "empty": (b"", r"empty \(0 bytes\): fetch it again"),
    "cut torch file": (WHOLE[:2000], r"a zip file whose end is missing \(2000 bytes\): fetch it again"),
    "cut safetensors": (save({"a": torch.zeros(9)})[:40], "safetensors whose end is missing"),
    "long header": (struct.pack("<Q", 10**7) + b"{}", "safetensors whose end is missing"),
    "zeros": (bytes(5000), "zeros: an unfinished download"),
    "gz": (gzip.compress(b"x"), "a gzip archive: unpack it"),
    "tar": (tar(), "a tar archive: unpack it"),
    "zip of weights": (archive({"ffhq.pt": b"x", "LICENSE": b"y"}), r"a zip archive \(ffhq\.pt, LICENSE\): unpack it"),
    "npz": (archive({"w.npy": b"x"}), r"NumPy arrays \(\.npz\)"),
    "script": (script(), r"a TorchScript program, whose code is not run: save its state_dict\(\)"),
    "h5": (b"\x89HDF\r\n\x1a\n" + bytes(90), r"an HDF5 file, as Keras \(\.h5\) writes it"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x05" + bytes(range(60)), "an ONNX graph"),
    "png": (b"\x89PNG\r\n\x1a\n", r"a picture \(PNG\), not weights"),
    "json": (b'{"error": "not found"}', 'a text, not weights; it begins \'{"error"'),
    "unknown": (b"\x01\x02\x03\x04" * 9, "no kind of weights that is known; it begins 01 02 03 04"),
    "lone tensorflow": (
        b"\x80\x03cdnnlib.tflib.network\nNetwork\n.",
        r"TensorFlow network: convert it with legacy\.py",
    ),
}
DOORS: dict[str, Callable[[Path], Any]] = {
    "generator": load_generator,
    "published encoder": load_encoder,
    "published hypernetwork": lambda path: load_hyperstyle(path, None),
    "published HFGI": lambda path: load_hfgi(path, load_generator("toy")),
    "published StyleRes": lambda path: load_styleres(path, load_generator("toy")),
    "published StyleFeatureEditor": lambda path: load_sfe(path, load_generator("toy")),
    "own encoder": lambda path: own_encoders.load_encoder(path, DESIGNS["psp"], load_generator("toy")),
    "directions": lambda path: open_directions(path, load_generator("toy")),
    "one direction": lambda path: read_direction(path, load_generator("toy")),
    "delta": lambda path: load_delta(path, load_generator("toy")),
    "LPIPS": lambda path: load_lpips("alex", path),
    "SFace": load_sface,
}


@pytest.mark.parametrize("suffix", ["pt", "pkl", "safetensors"])
@pytest.mark.parametrize("kind", NOT_WEIGHTS)
def test_what_is_no_weights_is_named(kind: str, suffix: str, tmp_path: Path) -> None:
    content, said = NOT_WEIGHTS[kind]
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"weights\.{suffix}: .*{said}"):
        load_generator(path)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", ["page", "pointer", "empty", "cut torch file", "h5"])
def test_every_door_says_the_same(door: str, kind: str, tmp_path: Path) -> None:
    content, said = NOT_WEIGHTS[kind]
    (tmp_path / "weights.bin").write_bytes(content)
    with pytest.raises(ValueError, match=rf"weights\.bin: {said}"):
        DOORS[door](tmp_path / "weights.bin")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a folder, not a file"):
        load_generator(tmp_path)


@pytest.fixture(scope="module")
def toy() -> Generator:
    return load_generator("toy")


def test_kinds_by_first_bytes(toy: Generator, tmp_path: Path) -> None:
    path = tmp_path / "w"
    for content, kind in (
        (saved(torch.ones(1)), "torch"),
        (saved(torch.ones(1), _use_new_zipfile_serialization=False), "torch"),
        (pickle.dumps({}), "pickle"),
        (save({"a": torch.ones(1)}), "safetensors"),
    ):
        path.write_bytes(content)
        assert file_kinds.identify(path) == kind


@pytest.mark.parametrize("length", [int.from_bytes(b"\x80\x02", "little"), int.from_bytes(b"PK", "little")])
def test_a_header_may_be_as_long_as_another_kind_begins(length: int, tmp_path: Path) -> None:
    bare = int.from_bytes(save({"a": torch.ones(1)}, {"note": ""})[:8], "little")
    content = save({"a": torch.ones(1)}, {"note": "x" * (length - bare)})
    assert int.from_bytes(content[:8], "little") == length
    (tmp_path / "w").write_bytes(content)
    assert file_kinds.identify(tmp_path / "w") == "safetensors"


def test_one_byte_is_no_pickle(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"\x80")
    with pytest.raises(ValueError, match="no kind of weights that is known"):
        file_kinds.identify(tmp_path / "w")


class Whole(torch.nn.Module):
    """A module that somebody saved as a whole; its class is in no file of ours."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        for name, value in state.items():
            *above, last = name.split(".")
            part: torch.nn.Module = self
            for word in above:
                if word not in part._modules:
                    part.add_module(word, torch.nn.Module())
                part = part.get_submodule(word)
            part.register_buffer(last, value)
        self.activation = torch.nn.ReLU()


def generator_files(toy: Generator) -> dict[str, Any]:
    state = {key: value.clone() for key, value in toy.state_dict().items() if key != "latent_avg"}
    parallel = {f"module.{key}": value for key, value in state.items()}
    quiet = {key: value for key, value in state.items() if not key.startswith("noises.")}
    return {
        "g_ema": {"g_ema": state},
        "parallel": {"g_ema": parallel},
        "lightning": {"state_dict": {f"g_ema.{key}": value for key, value in state.items()}, "epoch": 3,
                      "pytorch-lightning_version": "2.0"},
        "both": {"g": {key: value + 1 for key, value in state.items()}, "g_ema": state, "d": {}},
        "g alone": {"g": state, "d": {}},
        "G_ema": {"G_ema": state},
        "none beside g": {"G": state, "G_ema": None},
        "decoder": {"state_dict": {f"decoder.{key}": value for key, value in state.items()}},
        "no noise maps": {"g_ema": quiet},
        "whole module": Whole(state),
        "whole module in a dictionary": {"G_ema": Whole(state)},
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*latent_avg")
@pytest.mark.parametrize("form", generator_files(load_generator("toy")))
def test_generators_are_found_wherever_they_lie(
    form: str, toy: Generator, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    torch.save(generator_files(toy)[form] | {"latent_avg": toy.latent_avg} if form != "whole module" else
               generator_files(toy)[form], tmp_path / "g.pt")  # fmt: skip
    found = load_generator(tmp_path / "g.pt")
    assert torch.equal(found.convs[0].conv.weight, toy.convs[0].conv.weight)
    said = " ".join(str(warning.message) for warning in recwarn)
    assert ("no moving average" in said) == (form in ("g alone", "none beside g"))
    assert ("has no noise maps; 9 are drawn with seed 0" in said) == (form == "no noise maps")
    if form != "no noise maps":
        assert torch.equal(found.noises.noise_3, toy.noises.noise_3)


def grey(channels: int) -> dict[str, Any]:
    return {
        "synthesis.b4.const": torch.zeros(16, 4, 4), "synthesis.b4.conv1.weight": torch.zeros(16, 16, 3, 3),
        "synthesis.b4.torgb.weight": torch.zeros(channels, 16, 1, 1), "synthesis.b4.torgb.bias": torch.zeros(channels),
        "synthesis.b8.conv1.weight": torch.zeros(16, 16, 3, 3), "mapping.fc0.weight": torch.zeros(64, 64),
        "synthesis.b8.torgb.weight": torch.zeros(channels, 16, 1, 1),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (grey(1), r"its images have 1 channel; 3 \(RGB\) are read"),
        (grey(3) | {"mapping.embed.weight": torch.zeros(64, 10)}, r"conditional generator \(c_dim 10\)"),
        ({"G_ema": {"synthesis.L0_36_512.weight": torch.zeros(2), "synthesis.input.freqs": torch.zeros(2)}},
         "found a StyleGAN3 generator .*only StyleGAN2's are read"),
        ({"state_dict": {"encoder.input_layer.0.weight": torch.zeros(2)}}, "found an encoder of pSp's or e4e's kind"),
        ({"state_dict": {"hypernet.body.0.weight": torch.zeros(2)}}, "found a HyperStyle hypernetwork"),
        ({"state_dict": {"grid_align.conv_layer1.0.weight": torch.zeros(2)}}, "found HFGI's networks"),
        ({"synthesis.b64.modify_feature_gates.down1.bias": torch.zeros(2)}, "found StyleRes"),
        ({"state_dict": {"inverter.fuser.conv.bias": torch.zeros(2)}}, "found StyleFeatureEditor"),
        ({"mean": torch.zeros(1, 16), "comp": torch.zeros(2, 1, 16), "std": torch.zeros(2)}, "GANSpace's components"),
        (torch.zeros(1, 512), r"found one tensor \[1, 512\]"),
        ({"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]}, "the state of an optimizer"),
        ({"b4.fromrgb.weight": torch.zeros(2)}, "found a discriminator"),
        ((1, 2, 3), "looked for g_ema, G_ema, .* found a sequence of 3 without names"),
        ({"G": 1, "D": None, "G_ema": None}, "found G, D, G_ema"),
    ],
)  # fmt: skip
def test_what_is_no_generator_is_described(content: Any, said: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "g.pt")
    with pytest.raises(ValueError, match=rf"g\.pt: .*{said}"):
        load_generator(tmp_path / "g.pt")
    (tmp_path / "g.pkl").write_bytes(pickle.dumps(content) if not torch.is_tensor(content) else saved(content))


def test_a_generator_is_no_encoder_and_an_encoder_no_direction(toy: Generator, tmp_path: Path) -> None:
    torch.save({"g_ema": toy.state_dict()}, tmp_path / "g.pt")
    torch.save({"state_dict": {"encoder.input_layer.0.weight": torch.zeros(2)}}, tmp_path / "e.pt")
    save_generator(toy, tmp_path / "own.safetensors")
    for door, file, said in (
        ("published encoder", "g.pt", "found a StyleGAN2 generator; `generator=FILE` takes it"),
        ("published hypernetwork", "e.pt", r"no hypernetwork .*found an encoder"),
        ("published hypernetwork", "g.pt", "found a StyleGAN2 generator"),
        ("own encoder", "own.safetensors", "no encoder of this suite; found a StyleGAN2 generator"),
        ("directions", "g.pt", "expected one array, found a StyleGAN2 generator"),
        ("directions", "e.pt", "expected one array, found an encoder"),
        ("delta", "own.safetensors", "made for generator None"),
        ("LPIPS", "g.pt", "g_ema is not a tensor"),
        ("SFace", "own.safetensors", "another network: it holds a StyleGAN2 generator"),
    ):
        with pytest.raises(ValueError, match=rf"{file}: .*{said}"):
            DOORS[door](tmp_path / file)


def test_components_are_directions_by_name(toy: Generator, tmp_path: Path) -> None:
    axes = torch.eye(toy.w_dim)[:, None]
    torch.save({"mean": torch.zeros(1, toy.w_dim), "comp": axes, "std": torch.ones(toy.w_dim)}, tmp_path / "pca")
    found = open_directions(tmp_path / "pca", toy)
    assert found["pca0"].vector.any(dim=1).all() and list(found)[:2] == ["pca0", "pca1"]
    assert found["pca3[2:6]"].vector.any(dim=1).tolist() == [2 <= n < 6 for n in range(toy.num_ws)]
    torch.save({"mean": torch.zeros(1, 8), "comp": torch.eye(8)[:, None], "std": torch.ones(8)}, tmp_path / "narrow")
    with pytest.raises(ValueError, match="narrow: components of 8 numbers, this generator's codes have 16"):
        open_directions(tmp_path / "narrow", toy)
    for name, said in (("pca99", "component 99: there are 16"), ("pca0[2:99]", "layers 2 to 99"), ("pac0", "pca0")):
        with pytest.raises((ValueError, KeyError), match=said):
            found[name]


def test_claims_are_compared_with_what_is_there(toy: Generator, tmp_path: Path) -> None:
    """A small file that says it holds gigabytes is refused before memory is taken, and so is a header that lies."""
    path = tmp_path / "w.pt"
    torch.save({"g_ema": {"input.input": torch.zeros(1).expand(2**30, 1)}}, path)
    assert path.stat().st_size < 10_000
    with pytest.raises(ValueError, match=r"w\.pt: g_ema\.input\.input claims 1,073,741,824 numbers"):
        read_checkpoint(path)
    encoder = toy_encoder(DESIGNS["psp"], toy)
    for change in ({"num_ws": 100_000}, {"units": [10**9, 1, 1, 1]}, {"resolution": 2**20}):
        save_encoder(encoder, toy, tmp_path / "e.safetensors", half=False, card={})
        state = {k: v.contiguous() for k, v in encoder.state_dict().items() if "num_batches" not in k}
        shape = vars(encoder.config) | change
        facts = {"encoder": json.dumps(shape), "generator": fingerprint(toy)}
        save_file(state, tmp_path / "e.safetensors", facts)
        begin = time.perf_counter()
        with pytest.raises(ValueError, match=r"e\.safetensors: .*says .* layers at .* px"):
            own_encoders.load_encoder(tmp_path / "e.safetensors", DESIGNS["psp"], toy)
        assert time.perf_counter() - begin < 5


def test_own_encoders_with_holes_are_refused(toy: Generator, tmp_path: Path) -> None:
    encoder = toy_encoder(DESIGNS["psp"], toy)
    next(encoder.parameters()).data.fill_(torch.nan)
    save_encoder(encoder, toy, tmp_path / "e.safetensors", half=False, card={})
    with pytest.raises(ValueError, match=r"e\.safetensors: .*not finite"):
        own_encoders.load_encoder(tmp_path / "e.safetensors", DESIGNS["psp"], toy)


@pytest.mark.parametrize("mean", [torch.zeros(()), torch.zeros(0), torch.zeros(2, 0), torch.zeros(32), "text"])
def test_odd_means_are_refused(mean: Any, toy: Generator, tmp_path: Path) -> None:
    state = {key: value for key, value in toy.state_dict().items() if key != "latent_avg"}
    torch.save({"g_ema": state, "latent_avg": mean}, tmp_path / "g.pt")
    with pytest.raises(ValueError, match=r"g\.pt: .*latent_avg"):
        load_generator(tmp_path / "g.pt")


@pytest.mark.parametrize("key", ["conv1.conv.weight", "style.1.weight", "to_rgbs.0.bias", "convs.1.conv.weight"])
def test_scalars_in_place_of_weights_are_refused(key: str, toy: Generator, tmp_path: Path) -> None:
    torch.save({"g_ema": toy.state_dict() | {key: torch.tensor(1.0)}}, tmp_path / "g.pt")
    with pytest.raises(ValueError, match=r"g\.pt: "):
        load_generator(tmp_path / "g.pt")


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def test_options_are_data_and_code_is_not_run(toy: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = toy.state_dict()
    torch.save({"g_ema": state, "args": Whole({}), "path": Path("x"), "device": torch.device("cpu")}, "g.pt")
    assert fingerprint(load_generator("g.pt")) == fingerprint(toy)
    for content in ({"g_ema": state, "args": Hostile()}, {"g_ema": Whole({"a": torch.ones(1)}), "x": [Hostile()]}):
        torch.save(content, "h.pt")
        with pytest.raises(ValueError, match=r"h\.pt: not a checkpoint of plain tensors"):
            load_generator("h.pt")
    assert not Path("ran").exists()


def test_arrays_of_numpy_are_directions(toy: Generator, tmp_path: Path) -> None:
    np.save(tmp_path / "smile_boundary.npy", np.ones((1, toy.w_dim), np.float32))
    (tmp_path / "smile_boundary.npy").rename(tmp_path / "smile_boundary")
    assert list(open_directions(tmp_path / "smile_boundary", toy)) == ["smile"]
