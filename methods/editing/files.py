"""Directions by name from any file of the field: `open_directions` is the one door."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from datasets.checkpoints import header, read_checkpoint
from inversion_bench.registry import unknown
from methods.editing.directions import Direction
from methods.editing.readers import Components, components_of, read_direction
from methods.editing.weights import bundled, load_components, load_directions
from methods.generators.stylegan2 import Generator

_COMPONENT = re.compile(r"pca(\d+)(?:\[(\d+):(\d+)\])?")  # pca0, pca0[2:6]


class Directions(Mapping[str, Direction]):
    """Directions by name; principal components of W by names such as `pca0`, or `pca0[2:6]` for four W+ layers."""

    def __init__(self, generator: Generator, named: Mapping[str, Direction], components: Components | None = None):
        self.generator, self.named, self.components = generator, dict(named), components

    def __getitem__(self, name: str) -> Direction:
        """Raises KeyError for an unknown name, and ValueError for a component or layers that are not there."""
        if name in self.named:
            return self.named[name]
        match = _COMPONENT.fullmatch(name)
        if match is None or self.components is None:
            raise unknown("direction", name, self)
        start, end = (int(match[2]), int(match[3])) if match[2] else (0, None)
        return self.components.direction(self.generator, int(match[1]), start, end)

    def __iter__(self) -> Iterator[str]:
        yield from self.named
        yield from (f"pca{n}" for n in range(len(self.components.axes) if self.components else 0))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def open_directions(path: Path | None, generator: Generator) -> Directions:
    """The directions in a file.

    Args:
        path: of this suite's directions, of InterFaceGAN's (one, named after the file) or of GANSpace's components,
            whatever its suffix; None for those that the suite carries for this generator.
        generator: whose codes they move.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is something else, or for another generator; the message names the file and the fix.
    """
    file = bundled(generator) if path is None else path.expanduser()
    if not file.exists():
        raise FileNotFoundError(f"no file of directions {file}; `python -m benchmarks train directions` makes one")
    if "directions" in header(file):
        return Directions(generator, load_directions(file, generator), load_components(file, generator))
    content = read_checkpoint(file)
    if isinstance(content, dict) and "comp" in content:
        components = components_of(content, file)
        if len(components.mean) != generator.w_dim:
            raise ValueError(
                f"{file}: components of {len(components.mean)} numbers, this generator's codes have {generator.w_dim}"
            )
        return Directions(generator, {}, components)
    if torch.is_tensor(content):
        direction = read_direction(file, generator)
        return Directions(generator, {direction.name: direction})
    read_direction(file, generator)  # raises, as it is none
    raise AssertionError(f"{file}: neither directions nor components")
