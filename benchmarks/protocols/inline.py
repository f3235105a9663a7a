"""Protocols that need an image's own generator, which is in memory only while the image is inverted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from benchmarks.engine.types import Score, Status
from benchmarks.protocols.base import BROKEN, Item, Need, Protocol, score_of, status_of, without_value
from methods.base import Inversion, image_seed
from methods.generators import Generator

if TYPE_CHECKING:
    from benchmarks.engine.plan import StageRun
    from benchmarks.engine.run import Run


class InlineProtocol(Protocol):
    """One table of values of an inversion and the generator. The scores lie in the image's row."""

    needs: ClassVar[Need] = Need.INLINE
    not_yet: ClassVar[Status] = "blocked"
    unscored: ClassVar[str] = "not measured when the image was inverted; run with --resume all"

    @abstractmethod
    def values(self, generator: Generator, inversion: Inversion, seed: int) -> Mapping[str, float | Tensor]:
        """Values by metric.

        Args:
            generator: the shared generator.
            inversion: of length 1, with its tuned weights.
            seed: of the image: it depends on the suite's seed and on the target's pixels.

        Raises:
            SkippedError: the protocol does not apply to the method.
        """

    def items(self, run: Run, stage_run: StageRun) -> list[Item]:
        return []

    def measure(self, run: Run, items: Sequence[Item], device: torch.device) -> Iterable[Score]:
        ((table, infos),) = self.metrics().items()
        for item in items:
            assert item.inversion is not None
            content = run.manifest(item.stage_run).record(item.image).sha256
            try:
                seed = image_seed(item.stage_run.seed, content, self.name)
                values = self.values(run.generator, item.inversion, seed)
            except BROKEN as error:
                yield from (without_value(table, info, item.image, *status_of(error)) for info in infos)
                continue
            yield from (score_of(table, info, item.image, partial(values.__getitem__, info.name)) for info in infos)
