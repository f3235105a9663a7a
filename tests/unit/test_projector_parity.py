"""The projector and pivotal tuning against the released PTI code on synthetic weights (float64 twins)."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import Tensor

from methods.generators.stylegan2 import Generator
from methods.optimization.projector import ProjectorConfig, projection, w_statistics
from tests import parity
from tests.unit.test_generator_parity import ada


class StoredDraws:
    """The random numbers that the reference run drew."""

    def __init__(self, case: parity.Case, generator: Generator):
        names = [k for k in case.arrays.files if k.startswith("in_noise_init_")]
        # Config-f order is coarse to fine, as named in the stored arrays.
        self.maps = [case[name][None, None] for name in names]
        self.w_noise = case["in_w_noise"]
        assert [m.shape for m in self.maps] == [b.shape for b in generator.noise_buffers()]

    def noise_map(self, index: int, shape: tuple[int, ...]) -> Tensor:
        return self.maps[index]

    def perturbation(self, step: int, shape: tuple[int, ...]) -> Tensor:
        return self.w_noise[step].reshape(shape)


CASES = {
    "proj_w_450": (ProjectorConfig(), False),
    "proj_wplus_450": (ProjectorConfig(), True),
    "proj_nv_1000": (ProjectorConfig(steps=1000, lr=0.1, w_avg_samples=10_000), False),
}


@pytest.mark.parametrize("name", CASES)
def test_projector(name: str) -> None:
    case = parity.Case(name)
    config, per_layer = CASES[name]
    g = ada("ada_small_64")
    feat = parity.plainfeat().feat
    target = (case["in_target"] * (2 / 255) - 1)[None]

    def features(images: Tensor) -> Tensor:
        return feat((images + 1) * (255 / 2))

    steps = list(islice(projection(g, target, features, config, StoredDraws(case, g), per_layer), 5))
    case.assert_close("dist", torch.cat([s.distance for s in steps]), 1e-8)
    case.assert_close("loss", torch.cat([s.loss for s in steps]), 1e-8)
    if name == "proj_nv_1000":
        case.assert_close("w_steps", torch.cat([s.w[:, 0] for s in steps]), 1e-8)
    else:
        # The released code repeats w 18 times whatever the generator; one row says it all.
        final = steps[-1].w.expand(-1, 18, -1) if not per_layer else steps[-1].w
        case.assert_close("w_final", final, 1e-8)
        mean, deviation = w_statistics(g, config.w_avg_samples, config.w_avg_seed)
        case.assert_close("w_avg", mean.reshape(1, 1, -1))
        case.assert_close("w_std", deviation)
    maps = [k.removeprefix("in_noise_init_") for k in case.arrays.files if k.startswith("in_noise_init_")]
    for stored, found in zip(maps, steps[-1].noise, strict=True):
        if f"noise_{stored}" not in case.meta["outputs"]:
            continue  # the largest maps are not among the stored outputs
        case.assert_close(f"noise_{stored}", found[0, 0], 1e-7)
