"""Batch normalisation over the batches of all processes, so that N of them train as one with their images.

torch's SyncBatchNorm does the same on GPUs and refuses CPUs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed import get_world_size, is_available, is_initialized
from torch.distributed.nn.functional import all_reduce


class SharedBatchNorm(nn.BatchNorm2d):
    """As its base; the mean and variance of a training batch [N, C, H, W] are those of all processes' batches.

    All processes have to bring equally many values.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and is_available() and is_initialized() and get_world_size() > 1):
            return super().forward(input)
        world = get_world_size()
        mean = all_reduce(input.mean(dim=(0, 2, 3))) / world
        centred = input - mean[:, None, None]
        variance = all_reduce(centred.square().mean(dim=(0, 2, 3))) / world
        with torch.no_grad():
            count = world * input.numel() / input.shape[1]
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None and self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / max(1, count - 1), self.momentum)
        normal = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


def share_batch_norms(module: nn.Module) -> None:
    """Turn the batch normalisations of a module into shared ones, in place; names and weights stay."""
    for layer in module.modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = SharedBatchNorm
