"""CUDA graphs of the parts of a training step whose shapes never change: one launch instead of hundreds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn


class _Part(nn.Module):
    """A function, with the module whose parameters get gradients through it."""

    def __init__(self, module: nn.Module, function: Callable[..., Tensor]):
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def captured(module: nn.Module, function: Callable[..., Tensor], *inputs: Tensor) -> Callable[..., Tensor]:
    """The function as one CUDA graph forward and one backward, differentiable once.

    A result holds until the next call: a part that is called twice before its backward needs two graphs.

    Args:
        module: has the parameters that the function uses. Those that require a gradient now get one.
        function: of tensors alone, with random numbers of the default stream only.
        inputs: tensors of the shapes, devices and `requires_grad` of all later calls.
    """
    graphed: Any = torch.cuda.make_graphed_callables(_Part(module, function), inputs, allow_unused_input=True)
    return cast(Callable[..., Tensor], graphed)
