"""Stages and methods by name.

A stage of the suite is its file and one line here; a method is one YAML file in methods/configs, which lists stages.
docs/extending.md: a stage or a method of one's own, outside the repository.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml.error import YAMLError

from inversion_bench.registry import Registry, near_miss

if TYPE_CHECKING:
    from methods.base import Method
    from methods.generators.stylegan2 import Generator

CONFIGS = Path(__file__).parent / "configs"

STAGES: Registry[type[Method]] = Registry(
    "stage",
    {
        "w_optimization": "methods.optimization.stage:WOptimization",
        "w_plus_optimization": "methods.optimization.stage:WPlusOptimization",
        "psp": "methods.encoders.psp:PSp",
        "e4e": "methods.encoders.e4e:E4e",
        "lsap": "methods.encoders.lsap:Lsap",
        "restyle_psp": "methods.encoders.restyle:ReStylePsp",
        "restyle_e4e": "methods.encoders.restyle:ReStyleE4e",
        "interestyle": "methods.encoders.interestyle:IntereStyle",
        "hyperstyle_w_encoder": "methods.encoders.w_encoder:HyperStyleW",
        "hyperstyle": "methods.hypernetworks.stage:HyperStyle",
        "hfgi": "methods.feature_space.hfgi:Hfgi",
        "styleres": "methods.feature_space.styleres:StyleRes",
        "feature_style": "methods.feature_space.feature_style:FeatureStyle",
        "sfe": "methods.feature_space.sfe:StyleFeatureEditor",
        "pivotal_tuning": "methods.tuning.stage:PivotalTuning",
        "dhr": "methods.feature_space.dhr:DomainHybridRefinement",
    },
    "inversion_bench.stages",
)
# A target is a YAML file, a mapping with the same keys, or a stage's class: a method of that stage alone.
METHODS: Registry[Any] = Registry(
    "method",
    {name: str(CONFIGS / f"{name}.yaml") for name in sorted(path.stem for path in CONFIGS.glob("*.yaml"))},
    "inversion_bench.methods",
    aliases={"pti_lanes": "pti_batched"},
)
# Former stages, each with the method whose last stage has its settings now.
FORMER_STAGES = {"lane_pivotal_tuning": "pti_batched", "fast_pivotal_tuning": "pti_fast"}
log = logging.getLogger(__name__)
_SUFFIXES = (".yaml", ".yml")


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
class PipelineFile:
    """A method as it is written. stages: each a mapping with `name` and the settings that differ from its Config."""

    name: str = ""
    title: str = ""
    note: str = ""
    stages: list[dict[str, Any]] = field(default_factory=list)


def stage_class(name: str) -> type[Method]:
    """The class of a stage. Raises UnknownNameError."""
    return STAGES.get(name)


def names() -> list[str]:
    """Names of all methods; imports none."""
    return METHODS.names()


def describe(name: str) -> PipelineFile:
    """A method's title and stages as they are written; builds and imports no stage of the suite's methods.

    Args:
        name: as `names()` lists them, a YAML file, or `package.module:Name` of a stage or of a mapping with a YAML
            file's keys; with settings of its last stage behind it, as `sg2_w_plus@steps=300@lr=0.05`.

    Raises:
        ValueError: the name is unknown (with the near miss), or the file or object is not a method.
    """
    name, *varied = name.split("@")
    target = name if name.endswith(_SUFFIXES) else METHODS.target(name)
    if target.endswith(_SUFFIXES):
        where, short, content = target, Path(target).stem, _load_yaml(target)
    else:
        where, short = target, target.rpartition(":")[2]
        found = METHODS.get(name)
        info = getattr(found, "info", None)  # of a stage's class
        if info is not None:
            content = {"name": info.name, "title": info.title, "note": info.note, "stages": [{"name": target}]}
        else:
            content = found
    try:
        file: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(PipelineFile), content))
    except (OmegaConfBaseException, ValueError, TypeError, AssertionError) as error:
        raise ValueError(f"{where}: {error}") from error
    if not file.stages or not all("name" in stage for stage in file.stages):
        raise ValueError(f"{where}: a pipeline needs at least one stage, and every stage a name")
    file.name, file.title = file.name or short, file.title or file.name or short
    for setting in varied:
        key, _, value = setting.partition("=")
        if not (key and value):
            raise ValueError(f"{name}@{setting}: expected settings as METHOD@key=value")
        file.stages[-1][key] = OmegaConf.from_dotlist([f"value={value}"]).value
        file.name, file.title = f"{file.name}@{setting}", f"{file.title} ({setting})"
    return file


def _load_yaml(path: str) -> Any:
    try:
        return OmegaConf.load(path)
    except (OmegaConfBaseException, YAMLError, OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path}: it nests too deep") from error


def load_pipeline(name: str, settings: Mapping[str, Mapping[str, Any]] | None = None) -> PipelineSpec:
    """A method with the settings of all its stages resolved.

    Args:
        name: as `describe` takes it.
        settings: by stage name, what a suite sets for all its methods; a method's own settings win over it.

    Raises:
        ValueError: a method, stage or setting is unknown; the message has the near miss.
    """
    file, settings = describe(name), settings or {}
    former = {FORMER_STAGES[stage]: layer for stage, layer in settings.items() if stage in FORMER_STAGES}
    stages = []
    for entry in file.stages:
        own = {key: value for key, value in entry.items() if key != "name"}
        stage, last = entry["name"], entry is file.stages[-1]
        layers = (settings.get(stage, {}), own, former.get(file.name, {}) if last else {})
        stages.append(resolve_stage(stage, *layers, where=f"{file.name}, stage {stage}"))
    return PipelineSpec(file.name, file.title, tuple(stages), file.note)


def declare(name: str, folder: Path) -> str:
    """The short name of a method that is given as a file or an object, which is known by it from now on.

    folder: where a suite lies; its files come before those of the current folder.
    """
    base, _, settings = name.partition("@")
    if settings:
        base = declare(base, folder)
        METHODS.register(f"{base}@{settings}", METHODS.target(base))
        return f"{base}@{settings}"
    if name.endswith(_SUFFIXES):
        name = str(next((file for file in (folder / name, Path(name)) if file.is_file()), folder / name))
    elif ":" not in name:
        return name
    short = describe(name).name
    METHODS.register(short, name)
    return short


def resolve_stage(name: str, *overrides: Mapping[str, Any], where: str = "") -> StageSpec:
    """A stage with its Config; later overrides win, nested keys may be dotted. A wrong key is an error."""
    if name in FORMER_STAGES:
        preset = dict(describe(FORMER_STAGES[name]).stages[-1])
        present = preset.pop("name")
        log.warning("stage %s is now %s with the settings of %s", name, present, FORMER_STAGES[name])
        name, overrides = present, (preset, *overrides)
    cls = stage_class(name)
    config = OmegaConf.structured(cls.Config)
    for layer in overrides:
        layer = _renamed(cls, flatten(layer))
        flat = [f"{key}={_literal(value)}" for key, value in layer.items()]
        try:
            config = OmegaConf.merge(config, OmegaConf.from_dotlist(flat))
        except OmegaConfBaseException as error:
            keys = list(flatten(asdict(cls.Config())))
            wrong = next((k for k in layer if k not in keys), "")
            hint = f"{wrong!r} is not a setting of it: {near_miss(wrong, keys)}" if wrong else f"{error} "
            raise ValueError(f"{where or name}: {hint}known: {', '.join(keys)}") from error
    made: Any = OmegaConf.to_object(config)
    check_numbers(asdict(made), asdict(cls.Config()), where or name)
    return StageSpec(name, made)


def check_numbers(settings: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> None:
    """Raises ValueError for a number that no setting can be: not finite, below zero, or beyond 63 bits.

    Args:
        settings: nested, by key.
        defaults: those that a setting may have whatever it is.
        where: what messages begin with.
    """
    usual = flatten(defaults)
    for key, value in flatten(settings).items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, bool) or not isinstance(number, int | float) or value == usual.get(key):
                continue
            if not math.isfinite(number) or abs(number) >= 2**63:
                raise ValueError(f"{where}: {key} is {number}, expected a finite number below 2^63")
            least = 0 if (first := usual.get(key)) is None or isinstance(first, list | tuple) or first >= 0 else None
            if least is not None and number < least:
                raise ValueError(f"{where}: {key} is {number}, expected at least 0")


def _renamed(cls: type[Method], settings: dict[str, Any]) -> dict[str, Any]:
    """Flat settings with former keys under their present names."""
    for key in sorted(set(cls.ALIASES) & set(settings)):
        log.warning("%s: the setting %r is now called %r", cls.info.name, key, cls.ALIASES[key])
    return {cls.ALIASES.get(key, key): value for key, value in settings.items()}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _literal(value: Any) -> str:
    return "null" if value is None else str(value)
