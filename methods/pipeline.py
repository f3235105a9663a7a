"""Stages in a row: each is fed the inversion of the one before."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from methods.base import Inversion, Method, MethodInfo
from methods.generators.stylegan2 import Generator
from methods.registry import PipelineSpec


class Pipeline(Method):
    """A whole method, for use without the harness: `Pipeline(generator, load_pipeline("pti")).invert(images, ids)`.

    The harness itself runs stage by stage, so that pipelines share what their beginnings have in common.
    """

    def __init__(self, generator: Generator, spec: PipelineSpec, seed: int = 0):
        super().__init__(generator, config=spec, seed=seed)
        self.stages = [stage.build(generator, seed) for stage in spec.stages]
        first, last = self.stages[0].info, self.stages[-1].info
        self.info = MethodInfo(  # type: ignore[misc]  # one description an instance
            name=spec.name,
            title=spec.title,
            version=last.version,
            paper="; ".join(stage.info.paper for stage in self.stages),
            year=max(stage.info.year for stage in self.stages),
            code="; ".join(stage.info.code for stage in self.stages),
            licence="; ".join(dict.fromkeys(stage.info.licence for stage in self.stages)),
            space=last.space if not last.refines else first.space,
            refines=first.refines,
        )

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        for stage in self.stages:
            stage.check(images, ids, init)
            init = stage.invert(images, ids, init)
        assert init is not None
        return init
