"""Stages and pipelines by name.

A new stage is its file and one line here; a new pipeline is one YAML file in methods/configs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from methods.base import Method
from methods.generators.stylegan2 import Generator

CONFIGS = Path(__file__).parent / "configs"

STAGES = {
    "w_optimization": "methods.latent_optimization:WOptimization",
    "w_plus_optimization": "methods.latent_optimization:WPlusOptimization",
    "psp": "methods.encoders.psp:PSp",
    "e4e": "methods.encoders.e4e:E4e",
    "restyle_psp": "methods.encoders.restyle:ReStylePsp",
    "restyle_e4e": "methods.encoders.restyle:ReStyleE4e",
    "interestyle": "methods.encoders.interestyle:IntereStyle",
    "hyperstyle_w_encoder": "methods.encoders.w_encoder:HyperStyleW",
    "hyperstyle": "methods.hypernetworks.stage:HyperStyle",
    "pivotal_tuning": "methods.pivotal_tuning:PivotalTuning",
    "lane_pivotal_tuning": "methods.lane_pivotal_tuning:LanePivotalTuning",
    "fast_pivotal_tuning": "methods.fast_pivotal_tuning:FastPivotalTuning",
}


@dataclass(frozen=True)
class StageSpec:
    """A stage and its resolved settings (the stage's own frozen Config)."""

    name: str
    config: Any

    @property
    def cls(self) -> type[Method]:
        return stage_class(self.name)

    def build(self, generator: Generator, seed: int) -> Method:
        return self.cls(generator, self.config, seed)

    def identity(self) -> dict[str, Any]:
        """What the stage's results depend on, as plain data."""
        parts = {"stage": self.name, "version": self.cls.info.version, "config": asdict(self.config)}
        trained = self.cls.weights_hash(self.config)
        return parts | ({"weights": trained} if trained else {})


@dataclass(frozen=True)
class PipelineSpec:
    """A method as tables know it: a name and its stages."""

    name: str
    title: str
    stages: tuple[StageSpec, ...]
    note: str = ""


@dataclass
class _PipelineFile:
    name: str = ""
    title: str = ""
    note: str = ""
    stages: list[dict[str, Any]] = field(default_factory=list)


def did_you_mean(word: str, known: Any) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def stage_class(name: str) -> type[Method]:
    if name not in STAGES:
        raise ValueError(f"unknown stage {name!r}: {did_you_mean(name, STAGES)}known: {', '.join(STAGES)}")
    module, attribute = STAGES[name].split(":")
    return getattr(import_module(module), attribute)


def pipeline_names() -> list[str]:
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def load_pipeline(name: str, settings: dict[str, dict[str, Any]] | None = None) -> PipelineSpec:
    """The pipeline of methods/configs/<name>.yaml with every stage's settings resolved.

    settings: by stage name, what a suite sets for all its pipelines; the pipeline's own settings win over it.
    Raises ValueError for an unknown pipeline, stage or setting, with the near miss.
    """
    path = CONFIGS / f"{name}.yaml"
    if not path.exists():
        known = pipeline_names()
        raise ValueError(f"unknown method {name!r}: {did_you_mean(name, known)}known: {', '.join(known)}")
    try:
        raw = OmegaConf.merge(OmegaConf.structured(_PipelineFile), OmegaConf.load(path))
    except OmegaConfBaseException as error:
        raise ValueError(f"{path}: {error}") from error
    file: Any = OmegaConf.to_object(raw)
    if not file.stages:
        raise ValueError(f"{path}: a pipeline needs at least one stage")
    stages = []
    for entry in file.stages:
        entry = dict(entry)
        stage = entry.pop("name")
        stages.append(resolve_stage(stage, (settings or {}).get(stage, {}), entry, where=f"{path.name}, stage {stage}"))
    return PipelineSpec(file.name or name, file.title or name, tuple(stages), file.note)


def resolve_stage(name: str, *overrides: dict[str, Any], where: str = "") -> StageSpec:
    """A stage with its Config; later overrides win, nested keys may be dotted. A wrong key is an error."""
    cls = stage_class(name)
    config = OmegaConf.structured(cls.Config)
    for layer in overrides:
        flat = [f"{key}={_literal(value)}" for key, value in flatten(layer).items()]
        try:
            config = OmegaConf.merge(config, OmegaConf.from_dotlist(flat))
        except OmegaConfBaseException as error:
            keys = list(flatten(asdict(cls.Config())))
            wrong = next((k for k in flatten(layer) if k not in keys), "")
            hint = f"{wrong!r} is no setting of it: {did_you_mean(wrong, keys)}" if wrong else f"{error} "
            raise ValueError(f"{where or name}: {hint}known: {', '.join(keys)}") from error
    return StageSpec(name, OmegaConf.to_object(config))


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _literal(value: Any) -> str:
    return "null" if value is None else str(value)
