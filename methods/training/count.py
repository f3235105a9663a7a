"""Counts that are part of a training's state."""

from __future__ import annotations

import torch
from torch import nn


class Count(nn.Module):
    """An integer in a module's state that stays off the device: reading a buffer on a GPU waits for all its work."""

    def __init__(self) -> None:
        super().__init__()
        self.value = 0

    def __int__(self) -> int:
        return self.value

    def __iadd__(self, more: int) -> Count:
        self.value += more
        return self

    def get_extra_state(self) -> torch.Tensor:
        return torch.tensor(self.value)

    def set_extra_state(self, state: torch.Tensor) -> None:
        self.value = int(state)
