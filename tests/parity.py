"""Access to the reference outputs of the authors' code; tests skip where the files are absent."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from methods.generators.readers import build, config_from_state, from_state
from methods.generators.stylegan2 import Generator

ROOT = Path(__file__).parents[2] / "shared" / "reference" / "parity"


def require() -> None:
    if not ROOT.exists():
        pytest.skip("the reference outputs (../shared/reference/parity) are not in this checkout")


def synth() -> Any:
    require()
    sys.path.insert(0, str(ROOT / "tools"))
    import synth as module

    return module


def plainfeat() -> Any:
    require()
    sys.path.insert(0, str(ROOT / "tools"))
    import plainfeat as module

    return module


class Case:
    """One npz: `case["in_z"]` as a double tensor, `case.meta`."""

    def __init__(self, name: str):
        require()
        self.name = name
        self.arrays = np.load(ROOT / "refs" / f"{name}.npz")
        self.meta = json.loads(str(self.arrays["meta"]))

    def __getitem__(self, key: str) -> Tensor:
        array = self.arrays[key]
        return torch.from_numpy(array).double() if array.dtype.kind == "f" else torch.from_numpy(array)

    def _largest(self, name: str) -> float:
        """Of the whole output; large pictures are stored as samples with (mean, standard deviation, largest)."""
        if f"out_{name}" in self.arrays:
            return float(self[f"out_{name}"].abs().max())
        return float(self[f"out_{name}_stats"][2])

    def assert_close(self, name: str, value: Tensor, relative: float = 1e-9, first: int | None = None) -> None:
        """Compare with the float64 twin (sampled as stored), or with float32 at its stated tolerance.

        Of a whole picture whose corner is stored, the corner too: there borders show, which a sample may miss.
        first: how many of the stored images the value holds, if not all.
        """
        value = value.detach().double()
        stored = next(key for end in ("_f64", "", "_s") if (key := f"out_{name}{end}") in self.arrays)
        wanted = self[stored]
        wanted = wanted if first is None else wanted[:first]
        floor = self.meta["outputs"][name].get("f32_vs_f64_max") or 0
        single = max(20 * floor, 5e-6 * self._largest(name))
        tolerance = relative * self._largest(name) if stored.endswith("_f64") else single
        whole = value.shape != wanted.shape and value.ndim >= 2
        step = value.shape[-1] // wanted.shape[-1] if whole else 1
        self._compare(name, value[..., ::step, ::step] if whole else value, wanted, tolerance)
        if whole and f"out_{name}_c" in self.arrays:
            corner = self[f"out_{name}_c"][:first]
            self._compare(f"{name}_c", value[..., : corner.shape[-2], : corner.shape[-1]], corner, single)

    def assert_equal(self, name: str, value: Tensor) -> None:
        """Compare 8-bit values, every one; they have to be the same."""
        self._compare(name, value.double(), self[f"out_{name}"].double(), 0)

    def _compare(self, name: str, value: Tensor, wanted: Tensor, tolerance: float) -> None:
        assert value.shape == wanted.shape, (name, value.shape, wanted.shape)
        difference = float((value - wanted).abs().max())
        if log := os.environ.get("PARITY_LOG"):  # docs/official.md's table is made of it
            with Path(log).open("a", encoding="utf-8") as file:
                file.write(json.dumps([self.name, name, difference, tolerance]) + "\n")
        assert difference <= tolerance, f"{name}: differs by {difference:.3g}, allowed {tolerance:.3g}"


def key_shapes(inventory: str, group: str) -> dict[str, list[int]]:
    require()
    groups = json.loads((ROOT / "keys" / f"{inventory}.json").read_text())["groups"]
    return {key: shape for key, (shape, _) in groups[group].items()}


def synthetic_state(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """Weights by the rule, with the lines that came later; no earlier network's tensors meet those."""
    synth()
    import synth2

    state: dict[str, Tensor] = synth2.synthetic_state2(shapes)
    return state


def picture(name: str, height: int = 256, width: int = 256) -> Tensor:
    """An image of the cases' recipes in [-1, 1], [1, 3, height, width]."""
    return torch.from_numpy(synth().to_pm1(synth().synthetic_image_u8(name, height, width))).double()


def noise(name: str, *shape: int, times: float = 1.0) -> Tensor:
    """Normal numbers of the cases' recipes, which multiply in float32."""
    return torch.from_numpy(np.float32(times) * synth().synthetic_noise(name, shape)).double()


def decoder_256() -> Generator:
    """The generator of 256 px in published files (`decoder.`), frozen, in double; its mean of W is zero."""
    shapes = key_shapes("rosinality_256_cm2", "g_ema")
    state = synthetic_state({f"decoder.{key}": shape for key, shape in shapes.items()})
    own = {key.removeprefix("decoder."): value for key, value in state.items()}
    return from_state(own, torch.zeros(512), Path("case")).double().requires_grad_(False)


def rosinality(inventory: str) -> Generator:
    """A generator of synthetic weights in double, by the names of its inventory; its mean of W is zero."""
    state = synthetic_state(key_shapes(inventory, "g_ema"))
    config = config_from_state(state, Path(inventory))
    return build(config, state | {"latent_avg": torch.zeros(config.w_dim)}, Path(inventory)).double()
