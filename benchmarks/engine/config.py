"""A suite: which methods run on which images, with which metrics. YAML in, frozen dataclasses out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml.error
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmarks.engine.former_keys import is_former, with_former
from benchmarks.errors import ConfigError
from benchmarks.protocols.registry import PROTOCOLS
from datasets import registry as datasets_registry
from inversion_bench.names import is_safe
from inversion_bench.registry import Registry, near_miss, search_beside, unknown
from inversion_bench.settings import explain
from methods import registry as methods_registry
from metrics.registry import METRICS
from reports import published

SUITES = Path(__file__).parents[1] / "suites"
BATCH = 8  # images that a worker claims and inverts together
OF_METRICS = ("reconstruction", "interest_region", "set_distances")  # protocols with a setting `metrics`


@dataclass(frozen=True)
class DatasetEntry:
    """A data set of a suite. limit: images taken, spread evenly over the set; null for all.

    methods: those of the suite's methods that run on the set; all when it is empty.
    """

    name: str = ""
    limit: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    methods: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SuiteConfig:
    """One suite.

    batch_size: images that a worker claims and inverts together; 0 for as many as the stage computes at once, its own
    batch_size. Where a GPU's memory is too small for those, the stage halves them until they fit.
    stage_settings: by stage name, what this suite sets for every pipeline that has the stage. workers: processes
    that invert side by side, one thread each on a CPU; 0 for one a core (one in all on an accelerator).
    published: tables of reports/published.yaml that reports set beside this suite's, where the recipe agrees.
    reference_method: what the paired tables compare to; the first method when it is not run.
    headline: the metrics of summaries; the first ones when it is empty. seeds: run everything once under each; tables
    then hold means over seeds. seed: the only one, where seeds is empty.
    protocols: the settings of each evaluation protocol by its name (benchmarks/protocols/registry.py), in the order of
    the tables; null leaves one of the base out. save_weights: keep every tuned generator's weights (those that another
    stage or a protocol needs are kept always). tf32: a GPU computes float32 products and convolutions on TF32 units:
    faster, and other results, which are kept apart. frame, domain: of the generator's images (datasets/scope.py), where
    its file does not declare them, or others are wanted.
    """

    name: str = ""
    title: str = ""
    generator: str = ""
    methods: list[str] = field(default_factory=list)
    datasets: list[DatasetEntry] = field(default_factory=list)
    protocols: dict[str, Any] = field(default_factory=dict)
    stage_settings: dict[str, Any] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    reference_method: str = ""
    headline: list[str] = field(default_factory=list)
    seed: int = 0
    seeds: list[int] = field(default_factory=list)
    batch_size: int = BATCH
    workers: int = 0
    save_weights: bool = False
    tf32: bool = False
    frame: str = ""
    domain: str = ""

    @property
    def all_seeds(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self.seeds)) or (self.seed,)


def suite_names() -> list[str]:
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def load_suite(name: str, overrides: list[str] | None = None) -> SuiteConfig:
    """A shipped suite by name, or a YAML file by path, with `key=value` overrides.

    A suite may say `base: OTHER` to start from another shipped one. Raises ConfigError that names the file or the
    override, what was found and the near miss.
    """
    path = Path(name).expanduser() if name.endswith((".yaml", ".yml")) else SUITES / f"{name}.yaml"
    if not path.is_file():
        known = suite_names()
        what = f"no suite file {name!r}" if path == Path(name) else f"unknown suite {name!r}"
        raise ConfigError(f"{what}: {near_miss(path.stem, known)}known: {', '.join(known)}")
    if path.parent != SUITES:
        search_beside(path)
    try:
        plain = _layers(path)
        suite = shipped = _typed(plain)
    except _PROBLEMS as error:
        raise ConfigError(f"{path}: {_explain(error)}") from error
    for override in overrides or []:
        key, sign, value = override.partition("=")
        if not (sign and key):
            raise ConfigError(f"override {override!r} is not of the form key=value")
        try:
            # Before typing: the frozen entries of a typed suite cannot be changed one by one.
            parsed = OmegaConf.from_dotlist([f"x={value}"]).x
            if is_former(key, parsed):
                layer = OmegaConf.create()
                OmegaConf.update(layer, key, parsed, force_add=True)
                plain.protocols = with_former(plain.get("protocols"), layer)
            else:
                OmegaConf.update(plain, key, parsed, force_add=True)
            suite = _typed(plain)
        except _PROBLEMS as error:
            raise ConfigError(f"override {override!r}: {_explain(error)}") from error
    if suite.generator != shipped.generator and suite.title == shipped.title:
        # Titles tell of the generator.
        suite = replace(suite, title=f"StyleGAN inversion into {Path(suite.generator).stem}")
    try:
        suite = _short_names(replace(suite, name=suite.name or path.stem), path.absolute().parent)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for problem in _contradictions(suite):
        raise ConfigError(f"{path}: {problem}")
    return suite


def _short_names(suite: SuiteConfig, folder: Path) -> SuiteConfig:
    """The suite with the short names of what it takes from outside the repository, which are registered here."""
    return replace(
        suite,
        methods=[methods_registry.declare(name, folder) for name in suite.methods],
        datasets=[replace(entry, name=datasets_registry.declare(entry.name)) for entry in suite.datasets],
    )


_PROBLEMS = (
    OmegaConfBaseException,
    yaml.error.YAMLError,
    OSError,
    AttributeError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    RecursionError,
    OverflowError,
)


def _layers(path: Path) -> DictConfig:
    """The file over its base, as plain settings."""
    raw = OmegaConf.load(path)
    if not isinstance(raw, DictConfig):
        raise ValueError("a suite is a mapping of settings, found a list")
    base = raw.pop("base", None)
    if base is None:
        return _merged(OmegaConf.create(), raw)
    known = suite_names()
    if base not in known:
        raise ValueError(f"unknown base {str(base)!r}: {near_miss(str(base), known)}known: {', '.join(known)}")
    below = OmegaConf.load(SUITES / f"{base}.yaml")
    if "base" in below:
        raise ValueError(f"its base {base!r} has a base itself; start from {below.base!r}")
    assert isinstance(below, DictConfig)
    return _merged(_merged(OmegaConf.create(), below), raw)


def _merged(below: DictConfig, layer: DictConfig) -> DictConfig:
    """A layer of settings over those below it; its former keys are rewritten."""
    protocols = with_former(below.get("protocols"), layer)
    merged = OmegaConf.merge(below, layer)
    assert isinstance(merged, DictConfig)
    if protocols is not None:
        merged.protocols = OmegaConf.merge(protocols, layer.get("protocols") or {})
    return merged


def _typed(plain: DictConfig) -> SuiteConfig:
    suite: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SuiteConfig), plain))
    for name in [*suite.methods, *suite.published, *(each for entry in suite.datasets for each in entry.methods)]:
        if not isinstance(name, str):  # OmegaConf lets lists within lists pass
            raise ValueError(f"expected names, such as methods=[pti,e4e], found {name!r} among them")
    return replace(suite, protocols={name: used for name, used in suite.protocols.items() if used is not None})


def _contradictions(suite: SuiteConfig) -> Iterator[str]:
    """What no type says: what was found, and what is expected."""
    for key in ("methods", "datasets", "generator"):
        if not getattr(suite, key):
            yield f"`{key}` is empty; a suite needs at least one"
    for what, names in (("method", suite.methods), ("data set", [entry.name for entry in suite.datasets])):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            yield f"{what} {twice[0]!r} is named twice; results are identified by the name"
    yield from _unknown_names(suite)
    if not is_safe(suite.name):
        yield f"name is {suite.name!r}, which is not a safe name of a folder: letters, digits, `.`, `_`, `-`"
    for name in [*suite.methods, *(entry.name for entry in suite.datasets)]:
        if name in (".", "..") or any(sign in name for sign in "/\\\0"):
            yield f"{name!r} is not a safe name of a file"
    for name in suite.published:
        if name not in published.names():
            known = published.names()
            yield f"no published table {name!r}: {near_miss(name, known)}known: {', '.join(known)}"
    for seed in suite.all_seeds:
        if not -(2**63) <= seed < 2**63:
            yield f"seed is {seed}, expected a number of at most 63 bits"
    if suite.batch_size < 0:
        yield f"batch_size is {suite.batch_size}, expected at least 0 (0: as many as the stage computes at once)"
    if suite.workers < 0:
        yield f"workers is {suite.workers}, expected at least 0 (0: as many as the machine has cores)"
    for kind in ("stage_settings", "protocols"):
        for name, settings in getattr(suite, kind).items():
            if not isinstance(settings, dict):
                yield f"{kind}.{name} is {settings!r}, expected settings as key: value"


def _unknown_names(suite: SuiteConfig) -> Iterator[str]:
    """Names that nothing is registered under, found before torch is imported."""
    wanted: list[tuple[Registry[Any], str]]
    wanted = [(methods_registry.METHODS, name) for name in suite.methods if not name.endswith((".yaml", ".yml"))]
    wanted += [(methods_registry.METHODS, name) for entry in suite.datasets for name in entry.methods]
    wanted += [(methods_registry.STAGES, name) for name in suite.stage_settings
               if name not in methods_registry.FORMER_STAGES]  # fmt: skip
    wanted += [(datasets_registry.DATASETS, entry.name) for entry in suite.datasets]
    for name, settings in suite.protocols.items():
        protocol = str(settings.get("protocol", name)) if isinstance(settings, dict) else name
        wanted.append((PROTOCOLS, protocol))
        if protocol in OF_METRICS and isinstance(settings, dict):
            wanted += [(METRICS, str(metric)) for metric in settings.get("metrics") or ()]
    for registry, name in wanted:
        if name not in registry:
            yield str(unknown(registry.kind, name, registry.names()))


def _explain(error: Exception) -> str:
    kind = getattr(error, "object_type", None)
    return explain(error, "a data set of a suite" if kind is DatasetEntry else "a suite")
