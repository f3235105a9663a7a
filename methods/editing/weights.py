"""Learned directions on disk: safetensors whose header tells what each means and which generator they are for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from datasets.checkpoints import describe, read_safetensors, reading
from inversion_bench.files import atomic
from methods.editing.directions import Direction
from methods.editing.readers import Components
from methods.generators.fingerprint import fingerprint
from methods.generators.stylegan2 import Generator

FOLDER = Path(__file__).parent / "weights"
_PCA = ("mean", "axes", "spreads")


def save_directions(
    path: Path,
    generator: Generator,
    directions: Mapping[str, Direction],
    components: Components,
    card: Mapping[str, str],
) -> None:
    """Write directions and principal components of W, float32."""
    tensors: dict[str, Tensor] = {f"direction.{name}": d.vector.contiguous() for name, d in directions.items()}
    tensors |= {f"pca.{part}": getattr(components, part).contiguous() for part in _PCA}
    meaning = {
        name: {"attribute": d.attribute, "slope": d.slope, "unit": d.unit, "source": d.source, "kept": d.kept}
        for name, d in directions.items()
    }
    header = {"directions": json.dumps(meaning), "generator": fingerprint(generator), **card}
    with atomic(path) as temporary:
        save_file(tensors, temporary, header)


def load_directions(path: Path | None, generator: Generator) -> dict[str, Direction]:
    """Directions by name, in the file's order; `path` None: those that the suite carries for this generator.

    Raises FileNotFoundError, or ValueError that names the file, what was found and the fix.
    """
    file = bundled(generator) if path is None else path
    header, tensors = _read(file)
    _check_generator(file, header["generator"], generator)
    directions = {}
    with reading(file, "directions"):
        meanings = json.loads(header["directions"]).items()
        stored = [(name, meaning, tensors[f"direction.{name}"]) for name, meaning in meanings]
    for name, meaning, vector in stored:
        if vector.shape != (generator.num_ws, generator.w_dim):
            raise ValueError(
                f"{file}: direction {name!r} is {list(vector.shape)}, this generator's are "
                f"{[generator.num_ws, generator.w_dim]}"
            )
        directions[name] = Direction(name, vector=vector, **meaning)
    return directions


def load_components(path: Path | None, generator: Generator) -> Components:
    """The principal components of W in the same file; arguments and errors as `load_directions`."""
    file = bundled(generator) if path is None else path
    header, tensors = _read(file)
    _check_generator(file, header["generator"], generator)
    return Components(*(tensors[f"pca.{part}"] for part in _PCA))


def bundled(generator: Generator) -> Path:
    """The file that the suite carries for a generator; FileNotFoundError says how to make one."""
    files = sorted(FOLDER.glob("directions-*.safetensors"))
    wanted = fingerprint(generator)
    for file in files:
        if _read(file)[0]["generator"] == wanted:
            return file
    raise FileNotFoundError(
        f"no directions for the generator {wanted[:12]}: the suite carries "
        f"{', '.join(file.name for file in files) or 'none'}; `python -m benchmarks train directions generator=...` "
        "learns them, and the file can be named"
    )


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.exists():
        raise FileNotFoundError(f"no file of directions {path}; `python -m benchmarks train directions` makes one")
    tensors, header = read_safetensors(path)
    if not {"directions", "generator"} <= set(header):
        raise ValueError(
            f"{path}: no directions of this suite (no `directions` in its header); found {describe(tensors)}"
        )
    return header, tensors


def _check_generator(path: Path, learned_on: str, generator: Generator) -> None:
    own = fingerprint(generator)
    if learned_on != own:
        raise ValueError(
            f"{path}: learned on the generator {learned_on[:12]}, this one is {own[:12]}; learn them again with "
            "`python -m benchmarks train directions generator=...`"
        )
