"""The generator against the outputs of the authors' code on synthetic weights (float64 twins)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from methods.generators.ada import config_from_ada, from_ada
from methods.generators.readers import build, config_from_state
from methods.generators.stylegan2 import Generator
from tests import parity

HERE = Path("synthetic")


def config_f(case: parity.Case, name: str) -> Generator:
    shapes = (
        case.meta["shapes"]
        if name == "ros_64_small"
        else parity.key_shapes(name.replace("ros_", "rosinality_"), "g_ema")
    )
    shapes = {k: v[0] if isinstance(v[0], list) else v for k, v in shapes.items()}
    state = parity.synthetic_state(shapes)
    state["latent_avg"] = case["in_latent_avg"].float()
    return build(config_from_state(state, HERE), state, HERE).double()


def ada(inventory: str, conv_clamp: float | None = None) -> Generator:
    state = parity.synthetic_state(parity.key_shapes(inventory, "G_ema"))
    return build(config_from_ada(state, conv_clamp), from_ada(state), HERE).double()


SLOW = pytest.mark.slow  # more pixels or official widths, in double precision


@pytest.mark.parametrize(
    "name", ["ros_32_cm2", pytest.param("ros_64_small", marks=SLOW), pytest.param("ros_64_cm2", marks=SLOW)]
)
def test_config_f(name: str) -> None:
    case = parity.Case(name)
    g = config_f(case, name)
    z, z2, w_plus = case["in_z"], case["in_z2"], case["in_wplus"]
    case.assert_close("w_from_z", g.mapping(z)[:, 0])
    case.assert_close("img_z", g(z))
    case.assert_close("img_w", g.synthesis(case["out_w_from_z"][:, None].expand(-1, g.num_ws, -1)))
    case.assert_close("img_wplus", g.synthesis(w_plus))
    case.assert_close("w_trunc", g.mapping(z, truncation=0.7)[:, 0])
    case.assert_close("img_trunc", g(z, truncation=0.7))
    mixed = torch.cat([g.mapping(z)[:, :4], g.mapping(z2)[:, 4:]], dim=1)
    case.assert_close("img_mix", g.synthesis(mixed))
    maps = [
        torch.from_numpy(parity.synth().synthetic_noise(f"{name}.noise{i}", b.shape)).double()
        for i, b in enumerate(g.noise_buffers())
    ]
    case.assert_close("img_noise", g.synthesis(w_plus, maps))
    case.assert_close("img_zeronoise", g.synthesis(w_plus, "none"))


@pytest.mark.slow
@torch.no_grad()
def test_config_f_at_1024_px() -> None:
    case = parity.Case("ros_1024_cm2")
    g = config_f(case, "ros_1024_cm2")
    case.assert_close("w_from_z", g.mapping(case["in_z"])[:, 0])
    case.assert_close("w_trunc", g.mapping(case["in_z"], truncation=0.7)[:, 0])
    case.assert_close("img_wplus", g.synthesis(case["in_wplus"]))


@pytest.mark.parametrize("name", ["ros_64_small", pytest.param("ros_32_cm2", marks=SLOW)])
def test_config_f_gradients(name: str) -> None:
    case = parity.Case(name)
    g = config_f(case, name).requires_grad_(True)
    w_plus = case["in_wplus"].requires_grad_(True)
    g.synthesis(w_plus).square().mean().backward()
    case.assert_close("grad0", w_plus.grad)
    case.assert_close("grad1", g.convs[0].conv.weight.grad[0, :8, :8])
    case.assert_close("grad2", g.to_rgbs[0].conv.modulation.weight.grad[:8, :8])
    case.assert_close("grad3", g.convs[1].noise.weight.grad)


@pytest.mark.parametrize("name", ["ada_small_64", pytest.param("ada_full_64", marks=SLOW)])
def test_ada(name: str) -> None:
    case = parity.Case(name)
    g = ada(name)
    z, w_plus = case["in_z"], case["in_ws"]
    case.assert_close("w", g.mapping(z)[:, 0])
    case.assert_close("w_psi07", g.mapping(z, truncation=0.7)[:, 0])
    case.assert_close("ws_psi05_cut4", g.mapping(z, truncation=0.5, cutoff=4))
    for noise in ("const", "none"):
        case.assert_close(f"img_z_psi07_{noise}", g(z, noise, truncation=0.7))
        case.assert_close(f"img_ws_{noise}", g.synthesis(w_plus, noise))


def test_ada_gradients() -> None:
    case = parity.Case("ada_small_64")
    g = ada("ada_small_64").requires_grad_(True)
    w_plus = case["in_ws"].requires_grad_(True)
    g.synthesis(w_plus).square().mean().backward()
    case.assert_close("grad0", w_plus.grad)
    case.assert_close("grad1", g.convs[0].conv.weight.grad[0, :8, :8])
    case.assert_close("grad2", g.convs[0].noise.weight.grad)
    case.assert_close("grad3", g.to_rgbs[0].conv.modulation.weight.grad[:8, :8])
    case.assert_close("grad4", g.input.input.grad[0, :8])
    case.assert_close("grad5", g.convs[1].activate.bias.grad)


def test_ada_clamp() -> None:
    case = parity.Case("ada_small_64_clamp")
    case.assert_close("img", ada("ada_small_64", conv_clamp=2.0).synthesis(case["in_ws"]))


def test_conditional_generator_is_refused() -> None:
    state = parity.synthetic_state(parity.key_shapes("ada_small_64_cond", "G_ema"))
    with pytest.raises(ValueError, match="conditional generator"):
        config_from_ada(state)
