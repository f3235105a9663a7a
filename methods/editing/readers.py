"""The field's files of directions, in the suite's unit of strength.

InterFaceGAN: `.pt` of PTI and e4e, [1, w_dim] of length 1 or [1, num_ws, w_dim] whose every layer has it; `.npy`
boundaries of the Feature-Style encoder, [1, num_ws w_dim] of length 1 over all layers. GANSpace: `.pt` with mean
[1, w_dim], comp [K, 1, w_dim] and std [K]. However long a vector is, `in_strengths` gives it the same step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datasets.checkpoints import describe, read_checkpoint, reading
from methods.editing.directions import Direction, in_strengths
from methods.generators.stylegan2 import Generator


@dataclass(frozen=True)
class Components:
    """Principal components of W: mean [w_dim], axes [K, w_dim] of length 1, spreads [K] (standard deviations)."""

    mean: Tensor
    axes: Tensor
    spreads: Tensor

    def direction(self, generator: Generator, index: int, start: int = 0, end: int | None = None) -> Direction:
        """Component `index` in layers start to end - 1 as a direction. Raises ValueError for what is not there."""
        self._check(index, start, end, generator.num_ws)
        layers = torch.zeros(generator.num_ws, generator.w_dim)
        layers[start:end] = self.axes[index]
        stop = generator.num_ws if end is None else end
        name = f"pca{index}" + ("" if (start, stop) == (0, generator.num_ws) else f"[{start}:{stop}]")
        return Direction(name, "", in_strengths(layers, generator), source="principal component of W (GANSpace)")

    def moved_to(self, latent: Tensor, index: int, start: int, end: int, place: float) -> Tensor:
        """GANSpace's own edit: latents [N, L, w_dim] whose layers start to end - 1 are moved so that layer 0 would
        stand `place` standard deviations along the component.

        It is absolute, where every other edit here is relative. The coordinate is layer 0's for all layers, as in the
        released code (omertov/encoder4editing, editings/ganspace.py), also where the layers differ.
        """
        self._check(index, start, end, latent.shape[1])
        axis, spread = self.axes[index].to(latent), float(self.spreads[index])
        coordinate = (latent[:, 0] - self.mean.to(latent)) @ axis / spread  # [N]
        moved = latent.clone()
        moved[:, start:end] += ((place - coordinate) * spread)[:, None, None] * axis
        return moved

    def _check(self, index: int, start: int, end: int | None, layers: int) -> None:
        if not 0 <= index < len(self.axes):
            raise ValueError(f"component {index}: there are {len(self.axes)}, from 0 on")
        if not 0 <= start < (layers if end is None else end) <= layers:
            raise ValueError(f"layers {start} to {end}: the latents have {layers}")


def read_direction(path: Path, generator: Generator) -> Direction:
    """An InterFaceGAN direction (.pt or .npy) for this generator, named after the file.

    Nothing in the file is run. Raises FileNotFoundError, or ValueError that names the file and what was found.
    """
    raw = read_checkpoint(path)
    if not torch.is_tensor(raw):
        raise ValueError(f"{path}: expected one array, found {describe(raw)}")
    return _direction(path, raw.float(), generator)


def _direction(path: Path, raw: Tensor, generator: Generator) -> Direction:
    layers, width = generator.num_ws, generator.w_dim
    shapes: dict[tuple[int, ...], tuple[int, ...]] = {
        (1, width): (width,),
        (width,): (width,),
        (1, layers, width): (layers, width),
        (layers, width): (layers, width),
        (1, layers * width): (layers, width),
    }
    if tuple(raw.shape) not in shapes:
        raise ValueError(
            f"{path}: a direction for this generator is [1, {width}], [1, {layers}, {width}] or [1, {layers * width}], "
            f"found {list(raw.shape)}; it was made for another one"
        )
    try:
        vector = in_strengths(raw.reshape(shapes[tuple(raw.shape)]), generator)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Direction(path.stem.removesuffix("_boundary"), "", vector, source=f"file {path.name}")


def components_of(stored: Any, path: Path) -> Components:
    """GANSpace's components, as e4e and PTI ship them, in a file's content. Raises ValueError that names the file."""
    if not isinstance(stored, dict) or not {"mean", "comp", "std"} <= set(stored):
        raise ValueError(
            f"{path}: GANSpace's components are a dictionary of mean, comp and std, found {describe(stored)}"
        )
    with reading(path, "components"):
        mean, axes, spreads = (torch.as_tensor(stored[key]).float() for key in ("mean", "comp", "std"))
        width = axes.shape[-1]
        if axes.numel() != spreads.numel() * width or mean.numel() != width or not axes.numel():
            found = f"mean {list(mean.shape)}, comp {list(axes.shape)}, std {list(spreads.shape)}"
            raise ValueError(f"{path}: expected mean [1, W], comp [K, 1, W] and std [K], found {found}")
        if not all(bool(part.isfinite().all()) for part in (mean, axes, spreads)):
            raise ValueError(f"{path}: its components are not finite")
    return Components(mean.reshape(width), axes.reshape(-1, width), spreads.reshape(-1))
