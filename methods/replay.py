"""Steps of fixed shapes as CUDA graphs: one launch instead of thousands.

On one H200 a tuning step at 1024 px is 6,000 to 7,000 kernels. The processor takes 84 ms to launch them one by one,
the GPU 52 ms to compute them (without locality; benchmarks/perf/README.md).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

R = TypeVar("R")
EAGER = 3  # calls before the recording: kernels are loaded and chosen in them
log = logging.getLogger(__name__)


def enabled() -> bool:
    """Whether steps are recorded on CUDA; INVERSION_BENCH_GRAPHS=0 turns it off."""
    return os.environ.get("INVERSION_BENCH_GRAPHS", "1") != "0"


class Replay(Generic[R]):
    """A function without arguments that is called many times; on CUDA it is recorded, and then replayed.

    What changes from call to call is copied beforehand into tensors that the function reads (where nothing is recorded
    it may be given others). It draws no random numbers, reads no value back from the device, and moves nothing there.
    What it returns is overwritten by the next call. Elsewhere than on CUDA, and where recording fails, the function
    itself runs.

    Args:
        action: the function.
        device: where it computes.
        parameters: what it computes gradients of. A replay writes them to where they were recorded, and they are given
            back to parameters from which somebody took them (Lightning does before a validation).
    """

    def __init__(self, action: Callable[[], R], device: torch.device, parameters: Sequence[Tensor] = ()):
        self.action, self.left, self.parameters = action, EAGER, parameters
        self.gradients: list[Tensor | None] = []
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" and enabled() else None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.result: R

    @property
    def records(self) -> bool:
        """Whether the function is recorded, or will be."""
        return self.stream is not None

    def __call__(self) -> R:
        if self.stream is None:
            return self.action()
        if self.graph is None and self.left:
            self.left -= 1
            return self._beside()
        if self.graph is None and not self._record():
            return self.action()
        assert self.graph is not None
        self.graph.replay()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        return self.result

    def _beside(self) -> R:
        """The action on the stream that will be recorded, in order with the current one."""
        assert self.stream is not None
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = self.action()
        current.wait_stream(self.stream)
        return result

    def _record(self) -> bool:
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads, which read images ahead, may use the device meanwhile.
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self.result = self.action()
        except torch.OutOfMemoryError:
            raise  # the stage takes smaller batches
        except RuntimeError as error:
            self.stream = None
            log.warning("a step runs kernel by kernel, as it could not be recorded: %s", str(error).splitlines()[0])
            return False
        self.graph, self.gradients = graph, [parameter.grad for parameter in self.parameters]
        return True
