"""A sequence of stages, each of which starts from the inversion of the stage before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from methods.base import Inversion, Method, MethodInfo
from methods.generators.stylegan2 import Generator
from methods.registry import PipelineSpec


class Pipeline(Method):
    """A method for use without the harness: `Pipeline(generator, load_pipeline("pti")).invert(images, ids)`.

    Its stages are submodules that share one generator. The harness runs stage by stage, so that pipelines share the
    results of the stages with which they begin. Short batches are not padded: one image costs what one image costs.
    """

    pads = False

    def __init__(self, generator: Generator, spec: PipelineSpec, seed: int = 0):
        super().__init__(generator, config=spec, seed=seed)
        stages = [stage.build(generator, seed) for stage in spec.stages]
        self.stages = nn.ModuleList(stages)
        first, last = stages[0].info, stages[-1].info
        self.info = MethodInfo(  # type: ignore[misc]  # one description an instance
            name=spec.name,
            title=spec.title,
            version=last.version,
            paper="; ".join(stage.info.paper for stage in stages),
            year=max(stage.info.year for stage in stages),
            code="; ".join(stage.info.code for stage in stages),
            licence="; ".join(dict.fromkeys(stage.info.licence for stage in stages)),
            space=last.space if not last.refines else first.space,
            refines=first.refines,
        )

    @classmethod
    def group_size(cls, config: PipelineSpec) -> int:
        return math.lcm(*(stage.cls.group_size(stage.config) for stage in config.stages))

    @classmethod
    def parallel_images(cls, config: PipelineSpec) -> int:
        return max(stage.cls.parallel_images(stage.config) for stage in config.stages)

    @classmethod
    def assets(cls, config: PipelineSpec) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for stage in config.stages for name in stage.cls.assets(stage.config)))

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        for stage in cast(list[Method], list(self.stages)):
            stage.pads = self.pads
            stage.check(images, ids, init)
            init = stage.invert(images, ids, init)
        assert init is not None
        return init
