"""A suite: which methods run on which images, with which metrics. YAML in, frozen dataclasses out."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml.error
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from methods.registry import did_you_mean

SUITES = Path(__file__).parent / "suites"


class ConfigError(ValueError):
    """A suite or an override that cannot be run; nothing has been started."""


@dataclass(frozen=True)
class DatasetEntry:
    """A data set of a suite. limit: images taken, spread evenly over the set; null for all."""

    name: str = ""
    limit: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SuiteConfig:
    """One suite.

    stage_settings: by stage name, what this suite sets for every pipeline that has the stage. workers: processes
    that invert side by side, one thread each on a CPU; 0 for one a core (one in all on an accelerator).
    inline: measurements that need the tuned generator. save_weights: keep every tuned generator as a delta file.
    """

    name: str = ""
    title: str = ""
    generator: str = ""
    methods: list[str] = field(default_factory=list)
    datasets: list[DatasetEntry] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    stage_settings: dict[str, Any] = field(default_factory=dict)
    reference_method: str = ""
    seed: int = 0
    batch_size: int = 8
    workers: int = 0
    save_weights: bool = False


def suite_names() -> list[str]:
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def load_suite(name: str, overrides: list[str] | None = None) -> SuiteConfig:
    """A shipped suite by name, or a YAML file by path, with `key=value` overrides.

    A suite may say `base: OTHER` to start from another shipped one. Raises ConfigError that names the file or the
    override, what was found and the near miss.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else SUITES / f"{name}.yaml"
    if not path.exists():
        known = suite_names()
        raise ConfigError(f"unknown suite {name!r}: {did_you_mean(name, known)}known: {', '.join(known)}")
    try:
        raw = OmegaConf.load(path)
        if not isinstance(raw, DictConfig):
            raise ConfigError(f"{path}: a suite is a mapping of settings, found a list")
        base = raw.pop("base", None)
        layers = [OmegaConf.load(SUITES / f"{base}.yaml")] if base else []
        config = OmegaConf.merge(OmegaConf.structured(SuiteConfig), *layers, raw)
    except (OmegaConfBaseException, yaml.error.YAMLError, OSError) as error:
        raise ConfigError(f"{path}: {_explain(error)}") from error
    OmegaConf.set_readonly(config, False)
    for override in overrides or []:
        key, sign, value = override.partition("=")
        if not sign:
            raise ConfigError(f"override {override!r} is not of the form key=value")
        try:
            parsed = OmegaConf.from_dotlist([f"x={value}"]).x
            OmegaConf.update(config, key, parsed, force_add=key.startswith("stage_settings."))
        except (
            OmegaConfBaseException,
            yaml.error.YAMLError,
            AttributeError,
            KeyError,
            IndexError,
            TypeError,
        ) as error:
            raise ConfigError(f"override {override!r}: {_explain(error)}") from error
    try:
        suite: SuiteConfig = OmegaConf.to_object(config)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}: {_explain(error)}") from error
    for key in ("methods", "datasets", "generator"):
        if not getattr(suite, key):
            raise ConfigError(f"{path}: `{key}` is empty; a suite needs at least one")
    if len(set(suite.methods)) != len(suite.methods):
        raise ConfigError(f"{path}: a method is named twice in {suite.methods}")
    return suite


def _explain(error: Exception) -> str:
    message = str(error).strip().splitlines()[0]
    key = getattr(error, "full_key", None) or getattr(error, "key", None)
    known = [f.name for f in fields(SuiteConfig)]
    if key and str(key).split(".")[0].split("[")[0] not in known:
        return f"{key!r} is no setting of a suite: {did_you_mean(str(key), known)}known: {', '.join(known)}"
    return message
