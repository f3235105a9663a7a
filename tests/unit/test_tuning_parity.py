"""Pivotal tuning against the released PTI code on synthetic weights (float64 twins)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import lpips
import pytest
import torch
from torch import Tensor

from methods.generators.ada import config_f_name
from methods.generators.stylegan2 import Generator
from methods.tuning.locality import LocalityConfig, interpolated_code
from methods.tuning.tune import TuningConfig, TuningStep, copy_for_tuning, tunable, tune_shared
from tests import parity
from tests.unit.test_generator_parity import ada


def synthetic_lpips() -> Callable[[Tensor, Tensor], Tensor]:
    module = lpips.LPIPS(pretrained=False, net="alex", pnet_rand=True, verbose=False).eval().requires_grad_(False)
    shapes = {}
    for key, value in module.state_dict().items():
        if key.startswith("net.slice"):
            shapes[key] = f"features.{key.split('.', 2)[2]}", list(value.shape)
        elif key.startswith("lin") and not key.startswith("lins"):
            shapes[key] = key, list(value.shape)
    made = parity.synthetic_state({name: shape for name, shape in shapes.values()})
    module.load_state_dict({key: made[name] for key, (name, _) in shapes.items()}, strict=False)
    module.double()
    return lambda a, b: module(a, b).flatten()


def plain_lpips(a: Tensor, b: Tensor) -> Tensor:
    return parity.plainfeat().PlainLpips()(a, b).flatten()


def run(
    case: parity.Case, images: int, steps: int, distance: Callable[[Tensor, Tensor], Tensor], locality: bool
) -> tuple[Generator, Generator, Iterator[TuningStep]]:
    frozen = ada("ada_small_64")
    tuned = copy_for_tuning(frozen)
    pivots = torch.cat([case[f"in_pivot_img{i}"] for i in range(images)])
    targets = torch.cat([case[f"in_target_img{i}"] for i in range(images)])
    z = iter(case["in_z_samples"]) if locality else iter(())
    config = TuningConfig(steps=steps, stop_lpips=0.0, locality=LocalityConfig(weight=float(locality)))
    return frozen, tuned, tune_shared(frozen, tuned, pivots, targets, distance, config, lambda: next(z)[None])


RUNS = {
    "pti_plain": (1, 5, "plain", False),
    "pti_locality": (1, 5, "alex", True),
    "pti_multi": (2, 3, "plain", False),
}


@pytest.mark.parametrize("name", RUNS)
def test_pivotal_tuning(name: str) -> None:
    case = parity.Case(name)
    images, steps, network, locality = RUNS[name]
    distance = plain_lpips if network == "plain" else synthetic_lpips()
    frozen, tuned, run_ = run(case, images, steps, distance, locality)
    pivots = torch.cat([case[f"in_pivot_img{i}"] for i in range(images)])
    case.assert_close("first_image", frozen.synthesis(pivots[:1]))
    start = dict(tunable(frozen))
    ours = {str(config_f_name(key)): key for key in case.meta["param_names"]}
    # Weights whose gradients and changes are kept in full: by the authors' name, with ours.
    theirs_kept = [each.removeprefix("grad1_") for each in case.meta["outputs"] if each.startswith("grad1_")]
    kept = {theirs: str(config_f_name(theirs)) for theirs in theirs_kept}
    norms, losses = [], []
    for count, step in enumerate(run_, start=1):
        losses.append([step.total, step.l2, step.lpips, step.locality])
        norms.append([float((p.detach() - start[n]).norm()) for n, p in tunable(tuned)])
        weights = dict(tunable(tuned))
        for theirs, own in kept.items():
            shape = case[f"out_delta1_{theirs}"].shape or (1,)
            if count == 1:
                case.assert_close(f"grad1_{theirs}", weights[own].grad.reshape(shape), 1e-8)
            if f"out_delta{count}_{theirs}" in case.arrays:
                change = (weights[own].detach() - start[own]).reshape(shape)
                case.assert_close(f"delta{count}_{theirs}", change, 1e-5)
    case.assert_close("losses", torch.tensor(losses, dtype=torch.float64), 1e-7)
    case.assert_close("final_image", tuned.synthesis(pivots), 1e-6)
    order = [case.meta["param_names"].index(ours[n]) for n in start]
    found = torch.tensor(norms, dtype=torch.float64)
    wanted = case["out_delta_norms_f64" if "out_delta_norms_f64" in case.arrays else "out_delta_norms"][:, order]
    assert float((found - wanted).abs().max()) <= 1e-6


def test_interpolated_code_matches_the_released_step() -> None:
    case = parity.Case("pti_locality")
    pivot = case["in_pivot_img0"]
    frozen = ada("ada_small_64")
    w = torch.stack([frozen.mapping(z[None], truncation=0.5) for z in case["in_z_samples"]])
    case.assert_close("w_samples", w)
    case.assert_close("w_moved", torch.stack([interpolated_code(pivot, code, 30.0) for code in w]))
