"""Plain torch checkpoints -> safetensors, read with `weights_only` so that no code in them runs."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from datasets.checkpoints import read_checkpoint
from inversion_bench.files import atomic


def dcgan_generator(files: list[Path], destination: Path) -> None:
    """`netG_state_dict` of gan-face-generate's checkpoint."""
    checkpoint = read_checkpoint(files[0])
    state = {k: v.contiguous() for k, v in checkpoint["netG_state_dict"].items()}
    with atomic(destination) as temporary:
        save_file(state, temporary)
