"""StyleGAN2-ADA's pickles: the network comes out whole, and nothing that a file says is run."""

from __future__ import annotations

import builtins
import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.pickles import UnsafePickleError
from methods.generators import load_generator
from tests import parity
from tests.parity import Case

PROOF = "ran"


def _reconstruct_persistent_obj(meta: Any) -> None:
    raise AssertionError("the released loader, which runs the file's source, was called")


class Persistent:
    """Pickles as StyleGAN2-ADA's networks do: a call of the released loader with class name, source and state."""

    def __init__(self, class_name: str, state: dict[str, Any], source: str = ""):
        self.meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}

    def __reduce__(self):
        return _reconstruct_persistent_obj, (self.meta,)


class Call:
    """Pickles as function(*arguments)."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture(autouse=True)
def released(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of the released code, so that files can be written; reading must not need them."""
    module = types.ModuleType("torch_utils.persistence")
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    monkeypatch.setattr(_reconstruct_persistent_obj, "__module__", "torch_utils.persistence")
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", module)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return parity.synthetic_state(parity.key_shapes("ada_small_64", "G_ema"))


def network(state: dict[str, Tensor], source: str = "", **attributes: Any) -> Persistent:
    """Modules within modules, as the names' dots say."""
    own = {name: value for name, value in state.items() if "." not in name}
    below: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        if "." in name:
            first, _, rest = name.partition(".")
            below.setdefault(first, {})[rest] = value
    buffers = {name: value for name, value in own.items() if name in ("resample_filter", "noise_const", "w_avg")}
    parameters = {name: torch.nn.Parameter(value) for name, value in own.items() if name not in buffers}
    return Persistent("Module", {
        "_parameters": OrderedDict(parameters), "_buffers": buffers,
        "_modules": {name: network(part, source) for name, part in below.items()}, **attributes,
    }, source)  # fmt: skip


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4])
def test_the_network_is_the_authors(protocol: int, state: dict[str, Tensor], tmp_path: Path) -> None:
    source = f"import os\nos.system('touch {tmp_path / PROOF}')\n"
    content = {"G": None, "D": None, "G_ema": network(state, source), "training_set_kwargs": None,
               "augment_pipe": None}  # fmt: skip
    path = write(tmp_path / "ffhq.pkl", content, protocol)
    case, generator = Case("ada_small_64"), load_generator(path).double()
    case.assert_close("w", generator.mapping(case["in_z"])[:, 0])
    case.assert_close("img_ws_const", generator.synthesis(case["in_ws"]))
    assert not (tmp_path / PROOF).exists()


def hostile_blob(tmp_path: Path) -> bytes:
    """What a tensor's storage says of itself is a pickle, too."""
    return pickle.dumps(Call(os.system, f"touch {tmp_path / PROOF}"))


def test_nothing_is_run_wherever_it_hides(state: dict[str, Tensor], tmp_path: Path) -> None:
    call = Call(os.system, f"touch {tmp_path / PROOF}")
    loader = Call(torch.storage._load_from_bytes, hostile_blob(tmp_path))
    tensor = Call(torch._utils._rebuild_tensor_v2, loader, 0, (2,), (1,), False, OrderedDict())
    forms = {
        "in place of the network": ({"G_ema": call}, "refused global"),
        "beside it": ({"G_ema": network(state), "augment_pipe": call}, "refused global"),
        "as an attribute": ({"G_ema": network(state, c_dim=0, hook=call)}, "refused global"),
        "as the state": ({"G_ema": Persistent("Generator", call)}, "refused global"),
        "as a key": ({"G_ema": network(state), Call(builtins.eval, "1"): 0}, "refused global builtins.eval"),
        "by getattr": ({"G_ema": Call(getattr, Call(builtins.__import__, "os"), "system")}, "refused global"),
        "by import": ({"G_ema": Call(builtins.__import__, "os")}, "refused global builtins.__import__"),
        "below a dotted name": ({"G_ema": Call(os.path.join, "a")}, "refused global posixpath.join"),
        "in a tensor": ({"G_ema": network(state | {"mapping.w_avg": tensor})}, "no generator that can be read"),
    }
    for name, (content, said) in forms.items():
        path = tmp_path / "hostile.pkl"
        try:
            write(path, content)
        except (pickle.PicklingError, TypeError):
            pytest.fail(f"{name}: the file could not be written")
        with pytest.raises(ValueError, match=rf"hostile\.pkl: .*{said}"):
            load_generator(path)
        assert not (tmp_path / PROOF).exists(), name


def test_allowed_names_cannot_be_changed_by_the_file(tmp_path: Path) -> None:
    """BUILD sets attributes of what came before it: on an allowed function it would change later calls."""
    head = b"\x80\x04ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
    path = tmp_path / "built.pkl"
    path.write_bytes(head + b"}\x8c\x09_functionK\x01sb.")
    with pytest.raises(UnsafePickleError, match=r"built\.pkl: refused to change a function"):
        load_generator(path)


def test_what_is_wrong_in_a_network_is_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    lacking = {name: value for name, value in state.items() if name != "synthesis.b8.conv0.weight"}
    holed = state | {"synthesis.b8.conv0.bias": torch.full_like(state["synthesis.b8.conv0.bias"], torch.nan)}
    for content, said in (
        ({"D": None}, "looked for g_ema, G_ema, .* found D"),
        ([1, 2], "found a sequence of 2 without names"),
        ({"G_ema": network(lacking)}, r"lacks|no generator|b8\.conv0"),
        ({"G_ema": network(holed)}, "is not finite in"),
        ({"G_ema": network(state | {"synthesis.b8.more": torch.zeros(1)})}, "unexpected|more"),
        ({"G_ema": network(parity.synthetic_state(parity.key_shapes("ada_small_64_cond", "G_ema")))}, "conditional"),
    ):
        with pytest.raises(ValueError, match=rf"wrong\.pkl: .*({said})"):
            load_generator(write(tmp_path / "wrong.pkl", content))
    whole = (write(tmp_path / "wrong.pkl", {"G_ema": network(state)})).read_bytes()
    (tmp_path / "wrong.pkl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"wrong\.pkl"):
        load_generator(tmp_path / "wrong.pkl")


def test_tensorflow_pickles_are_told_how_to_be_converted(tmp_path: Path) -> None:
    (tmp_path / "tf.pkl").write_bytes(b"\x80\x03cdnnlib.tflib.network\nNetwork\n.")
    with pytest.raises(UnsafePickleError, match=r"tf\.pkl: refused global dnnlib\.tflib.*legacy\.py"):
        load_generator(tmp_path / "tf.pkl")


class EasyDict(dict):
    """As dnnlib's: options of the training stand in it."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def test_what_training_left_in_the_file_is_read_over(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options, numbers of numpy under their old name, other networks, and layers' arguments that change nothing."""
    dnnlib = types.ModuleType("dnnlib.util")
    dnnlib.EasyDict = EasyDict
    monkeypatch.setattr(EasyDict, "__module__", "dnnlib.util")
    monkeypatch.setitem(sys.modules, "dnnlib", types.ModuleType("dnnlib"))
    monkeypatch.setitem(sys.modules, "dnnlib.util", dnnlib)
    critic = {"b4.out.weight": torch.zeros(1, 4), "b4.out.bias": torch.zeros(1)}
    arguments = EasyDict(z_dim=64, c_dim=0, w_dim=64, synthesis_kwargs=EasyDict(num_fp16_res=4, conv_clamp=None))
    attributes = {
        "_init_kwargs": arguments,
        "architecture": "skip",
        "num_fp16_res": 4,
        "hooks": OrderedDict(),
        "s": {1},
    }
    content = {
        "G": network(state), "D": network(critic), "G_ema": network(state, **attributes), "augment_pipe": None,
        "training_set_kwargs": EasyDict(path="x.zip", max_size=np.int64(70000), xflip=np.bool_(False)),
    }  # fmt: skip
    for protocol in (3, 4):
        path = write(tmp_path / "ffhq.pkl", content, protocol)
        path.write_bytes(path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
        found = load_generator(path)
        assert found.resolution == 64 and torch.equal(found.latent_avg, state["mapping.w_avg"])


def test_layers_of_another_kind_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    for attributes, said in (
        ({"architecture": "resnet"}, "architecture is 'resnet'; only 'skip' is read"),
        ({"activation": "relu"}, "activation is 'relu'; only 'lrelu' is read"),
        ({"bias_gain": 0.5}, "bias_gain is 0.5; only 1 is read"),
        ({"use_noise": False}, "use_noise is False; only True is read"),
    ):
        with pytest.raises(ValueError, match=rf"kind\.pkl: .*{said}"):
            load_generator(write(tmp_path / "kind.pkl", {"G_ema": network(state, **attributes)}))


def test_a_bound_on_layers_is_the_files(state: dict[str, Tensor], tmp_path: Path) -> None:
    case = Case("ada_small_64_clamp")
    path = write(tmp_path / "clamped.pkl", {"G_ema": network(state, conv_clamp=2.0)})
    found = load_generator(path)
    assert found.config.conv_clamp == 2.0
    case.assert_close("img", found.double().synthesis(case["in_ws"]))


def test_generators_that_pti_tuned_are_read(state: dict[str, Tensor], tmp_path: Path) -> None:
    """PTI saves the whole network by torch.save; StyleGAN3's attributes hold arrays, which are passed over."""
    source = f"import os\nos.system('touch {tmp_path / PROOF}')\n"
    torch.save(network(state, source, conv_clamp=256, sizes=np.array([4, 8])), tmp_path / "model_A_1.pt")
    found = load_generator(tmp_path / "model_A_1.pt")
    assert found.config.conv_clamp == 256 and torch.equal(found.latent_avg, state["mapping.w_avg"])
    torch.testing.assert_close(found.convs[0].conv.weight[0], state["synthesis.b8.conv0.weight"])
    assert not (tmp_path / PROOF).exists()


def test_stylegan3_is_named(tmp_path: Path) -> None:
    layer = Persistent("SynthesisLayer", {"_modules": {}, "_parameters": {}, "_buffers": {}, "in_size": np.array([36])})
    synthesis = Persistent("SynthesisNetwork", {"_modules": {"L0_36_512": layer}, "_parameters": {}, "_buffers": {}})
    whole = Persistent("Generator", {"_modules": {"synthesis": synthesis}, "_parameters": {}, "_buffers": {}})
    path = write(tmp_path / "stylegan3.pkl", {"G": whole, "D": None, "G_ema": whole, "augment_pipe": None})
    with pytest.raises(ValueError, match=r"stylegan3\.pkl: .*found a StyleGAN3 generator .*only StyleGAN2's are read"):
        load_generator(path)
