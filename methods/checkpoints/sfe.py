"""StyleFeatureEditor as its authors publish it: `load_sfe` reads the inverter's file and the editor's.

A file holds `state_dict`: `encoder.*`, which is the inverter in sfe_inverter_light.pt and the editor in
sfe_editor_light.pt, `inverter.*` in the latter, and a discriminator, which is left out. Generator and e4e are files of
their own. Format: ControlGenAI/StyleFeatureEditor@00996c3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from datasets.checkpoints import assemble, describe, part, read_checkpoint, reading, tensors
from methods.feature_space.sfe_networks import Inverter, Sfe, SfeConfig, check_entry
from methods.generators.stylegan2 import Generator

SIDE = 256  # of the images that the released networks see


def load_sfe(path: str | Path, generator: Generator) -> Sfe:
    """The networks of sfe_editor_light.pt in eval mode, float32, frozen. Nothing in the file is run.

    Raises FileNotFoundError, or ValueError that names the file, what was found and the fix.
    """
    path = Path(path).expanduser()
    state = _read(path)
    with reading(path, "StyleFeatureEditor"):
        inverter = part(state, "inverter.")
        if not inverter:
            raise ValueError(
                f"{path}: holds no inverter (no tensor below `inverter.`), as sfe_inverter_light.pt; edits need "
                "sfe_editor_light.pt, which has the editor, too"
            )
        named = {f"inverter.{key}": value for key, value in inverter.items()}
        named |= {f"editor.{key}": value for key, value in part(state, "encoder.").items()}
        config = _shape(inverter, path)
        check_entry(config, generator)
        return assemble(path, partial(Sfe, config), named).to(memory_format=torch.channels_last)


def load_inverter(path: str | Path, generator: Generator) -> Inverter:
    """The inverter of either file, by itself; as `load_sfe`."""
    path = Path(path).expanduser()
    state = _read(path)
    with reading(path, "StyleFeatureEditor"):
        weights = part(state, "inverter.") or part(state, "encoder.")
        config = _shape(weights, path)
        check_entry(config, generator)
        return assemble(path, partial(Inverter, config), weights).to(memory_format=torch.channels_last)


def _read(path: Path) -> dict[str, Tensor]:
    checkpoint = read_checkpoint(path)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(f"{path}: a file of StyleFeatureEditor holds state_dict; found {describe(checkpoint)}")
    state = tensors(checkpoint["state_dict"], path, "state_dict")
    extra = [key for key in state if not key.startswith(("encoder.", "inverter.", "discriminator."))]
    if extra:
        raise ValueError(f"{path}: has unexpected {', '.join(extra[:4])} ({len(extra)})")
    return state


def _shape(weights: Mapping[str, Tensor], path: Path) -> SfeConfig:
    """What network the tensors are of; whether all of them fit is checked afterwards."""

    def size(key: str, dim: int) -> int:
        if key not in weights or weights[key].ndim <= dim:
            raise ValueError(f"{path}: no inverter that is known: lacks {key}; it begins {list(weights)[:3]}")
        return weights[key].shape[dim]

    def count(pattern: str) -> int:
        return len({match[1] for key in weights if (match := re.match(pattern, key))})

    widths = tuple(size(f"fs_backbone.block_{n}.0.conv2.weight", 0) for n in range(1, 5))
    return SfeConfig(
        resolution=SIDE,
        num_ws=count(r"fs_backbone\.styles\.(\d+)\."),
        w_dim=size("fs_backbone.styles.0.weight", 0),
        maps=size("fs_backbone.content_layer.4.weight", 0),
        units=tuple(count(rf"fs_backbone\.block_{n}\.(\d+)\.") for n in range(1, 5)),
        widths=widths,
        content=size("fs_backbone.content_layer.1.weight", 0),
        pool=round((size("fs_backbone.styles.0.weight", 1) / sum(widths)) ** 0.5),
        blocks=count(r"fuser\.body\.(\d+)\."),
        hidden=size("fuser.body.0.body.1.weight", 0),
    )
