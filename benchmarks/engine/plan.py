"""From a suite to stage runs: every distinct beginning of a pipeline on every data set, parents first.

Two pipelines that begin alike share the stage runs of that beginning: SG2 W and PTI invert into W once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from benchmarks.engine.config import DatasetEntry, SuiteConfig
from benchmarks.engine.types import STORE_VERSION
from benchmarks.errors import ConfigError
from benchmarks.protocols.base import Context, Protocol
from benchmarks.protocols.registry import create
from datasets import assets
from datasets import registry as datasets_registry
from datasets.base import Manifest, listed
from datasets.scope import FFHQ, Scope
from methods.generators import Generator, load_generator
from methods.generators.fingerprint import fingerprint
from methods.registry import PipelineSpec, StageSpec, load_pipeline, resolve_stage

SHOWN = 8  # images of a set whose failures are listed


@dataclass(frozen=True)
class StageRun:
    """A row of stages on a data set under a seed. key: 20 hexadecimal digits, its folder's name."""

    key: str
    stages: tuple[StageSpec, ...]
    dataset: str
    seed: int
    parent: str | None

    @property
    def stage(self) -> StageSpec:
        return self.stages[-1]


class Place(NamedTuple):
    """A pipeline on a data set under a seed."""

    method: str
    dataset: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """What a suite amounts to here. leaf: key of the last stage run of each place. protocols: in the suite's order.
    skipped: metric -> why it cannot be computed here. manifests: the data sets that any method runs on. absent: those
    that cannot be had here, with reasons. scope: the frame and domain of the generator's images, declared, chosen or
    assumed."""

    suite: SuiteConfig
    generator: Generator
    generator_hash: str
    pipelines: tuple[PipelineSpec, ...]
    manifests: dict[str, Manifest]
    stage_runs: tuple[StageRun, ...]
    leaf: dict[Place, str]
    protocols: tuple[Protocol, ...]
    skipped: dict[str, str]
    scope: Scope
    absent: dict[str, str]

    @property
    def scope_words(self) -> str:
        """The generator's scope and where it comes from."""
        suite, own = self.suite, self.generator.scope
        source = "chosen" if suite.frame else "the generator's" if own.frame else "assumed: its file declares none"
        domain = f", domain {self.scope.domain}" if self.scope.domain else ""
        return f"frame {self.scope.frame} ({source}){domain}"

    def undefined(self, dataset: str) -> dict[str, str]:
        """Why metrics do not hold for the images of a data set, by metric."""
        scope = self.manifests[dataset].scope.over(self.scope)
        reasons = {info.name: scope.excluded_by(info.frames, info.domains)
                   for protocol in self.protocols for info in protocol.infos()}  # fmt: skip
        return {name: reason for name, reason in reasons.items() if reason}

    def notes(self, dataset: str, failures: bool = True) -> list[str]:
        """What one should know of a data set: its images, how it differs from the generator, which metrics fail it.

        failures: whether images that cannot be read or cut are among it.
        """
        manifest, lines = self.manifests[dataset], []
        if words := manifest.scope.differs(self.scope):
            lines.append(f"{words} as the generator's images: inversions suffer")
        lines += [f"metric {name} has no value: {reason}" for name, reason in self.undefined(dataset).items()]
        if failures:
            lines += [f"{image}: {reason}" for image, reason in list(manifest.failures.items())[:SHOWN]]
        if manifest.left_out:
            lines.append(listed(manifest.left_out))
        return lines + [f"{image}: {note}" for image, note in manifest.notes.items()]

    def stage_run(self, key: str) -> StageRun:
        for stage_run in self.stage_runs:
            if stage_run.key == key:
                return stage_run
        raise KeyError(f"no stage run {key!r} in suite {self.suite.name}")

    def lineage(self, key: str) -> list[str]:
        """The key of a stage run and of those that it builds on, the last stage first."""
        parent = self.stage_run(key).parent
        return [key, *self.lineage(parent)] if parent else [key]

    @property
    def shown(self) -> dict[tuple[str, str], str]:
        """Of `leaf` what images and first means show: the stage runs of the first seed, by (method, data set)."""
        first = self.suite.all_seeds[0]
        return {(method, dataset): key for (method, dataset, seed), key in self.leaf.items() if seed == first}

    def methods_of(self, key: str) -> list[str]:
        """Names of the pipelines whose last stage run it is."""
        return [place.method for place, leaf in self.leaf.items() if leaf == key]

    def protocol(self, name: str) -> Protocol:
        """The protocol that the suite lists under a name."""
        return next(protocol for protocol in self.protocols if protocol.name == name)

    def keeps_weights(self, stage_run: StageRun, image: str) -> bool:
        """Whether an image's tuned weights are stored."""
        needed = self.suite.save_weights or self.feeds(stage_run.key)
        return needed or any(protocol.keeps_weights(stage_run, image) for protocol in self.protocols)

    def feeds(self, key: str) -> bool:
        """Whether a stage run is the beginning of another one, which then goes on from its inversions."""
        return any(stage_run.parent == key for stage_run in self.stage_runs)


def digest(value: Any) -> str:
    """SHA-256 of canonical JSON, the first 20 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def stage_run_key(
    stages: tuple[StageSpec, ...], generator_hash: str, manifest_key: str, seed: int, tf32: bool = False
) -> str:
    """The address of a stage run's results: never the device, the batch size, the number of workers or a path."""
    return digest(
        ({"tf32": True} if tf32 else {})
        | {
            "store": STORE_VERSION,
            "stages": [stage.identity() for stage in stages],
            "generator": generator_hash,
            "data": manifest_key,
            "seed": seed,
        }
    )


def expand(suite: SuiteConfig, generator: Generator | None = None) -> Plan:
    """Resolve names, settings, data sets and weights, before the first second of work.

    Builds data sets that are not in the cache. Raises ConfigError for whatever cannot be run.

    Args:
        suite: the suite.
        generator: the suite's, where it is loaded already.
    """
    try:
        pipelines = tuple(load_pipeline(name, suite.stage_settings) for name in suite.methods)
        # Names have to exist, not to be used: `methods=[...]` may leave out what a suite has settings for.
        for stage, settings in suite.stage_settings.items():
            resolve_stage(stage, settings, where=f"stage_settings.{stage}")
        if suite.reference_method:
            load_pipeline(suite.reference_method)
        protocols = load_protocols(suite)
        for used in (stage for pipeline in pipelines for stage in pipeline.stages):
            for asset in used.cls.assets(used.config):
                assets.ensure(asset, quiet=False)
            used.identity()  # hashes the stage's weights, so that absent ones are found here
        generator = generator or load_generator(suite.generator)
        scope = scope_of(suite, generator)
        used_on = {entry.name: _pipelines_on(entry, pipelines) for entry in suite.datasets}
        entries = [entry for entry in suite.datasets if used_on[entry.name]]
        if not entries:
            raise ValueError(f"no data set of the suite takes any of the methods {', '.join(suite.methods)}")
        full, absent = _load(entries)
        manifests = {entry.name: full[entry.name].subset(entry.limit) for entry in entries if entry.name in full}
    except (ValueError, KeyError, TypeError, OSError, assets.AssetMissingError) as error:
        raise ConfigError(str(error.args[0] if isinstance(error, KeyError) else error)) from error
    for manifest in manifests.values():
        if manifest.resolution != generator.resolution:
            raise ConfigError(
                f"data set {manifest.name} has {manifest.resolution} px, the generator {generator.resolution} px"
            )
    generator_hash = fingerprint(generator)
    stage_runs: dict[str, StageRun] = {}
    leaf = {}
    for seed, (dataset, manifest) in product(suite.all_seeds, manifests.items()):
        for pipeline in used_on[dataset]:
            parent = None
            for depth in range(1, len(pipeline.stages) + 1):
                stages = pipeline.stages[:depth]
                # An image's result does not depend on which others are run, so a small suite's stage runs serve a
                # larger one; only stages that tune one generator for a group depend on who is in the group.
                grouped = any(s.cls.group_size(s.config) > 1 for s in stages)
                data = manifest.key if grouped else full[dataset].key
                key = stage_run_key(stages, generator_hash, data, seed, suite.tf32)
                stage_runs.setdefault(key, StageRun(key, stages, dataset, seed, parent))
                parent = key
            assert parent is not None
            leaf[Place(pipeline.name, dataset, seed)] = parent
    try:
        for protocol in protocols:
            protocol.resolve(Context(suite, generator, manifests, full, leaf))
        names = Counter(info.name for protocol in protocols for info in protocol.infos())
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"two protocols of the suite have a metric {twice[0]!r}; name it in one of them")
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error
    skipped = {metric: reason for protocol in protocols for metric, reason in protocol.missing().items()}
    return Plan(
        suite,
        generator,
        generator_hash,
        pipelines,
        manifests,
        tuple(stage_runs.values()),
        leaf,
        protocols,
        skipped,
        scope,
        absent,
    )


def _load(entries: list[DatasetEntry]) -> tuple[dict[str, Manifest], dict[str, str]]:
    """Data sets by name, and why others cannot be had here. Raises AssetMissingError where none can."""
    full, absent = {}, {}
    for entry in entries:
        try:
            full[entry.name] = datasets_registry.load(entry.name, **entry.options)
        except assets.AssetMissingError as error:
            if entry is entries[-1] and not full:
                raise
            absent[entry.name] = str(error)
    return full, absent


def scope_of(suite: SuiteConfig, generator: Generator) -> Scope:
    """What the suite chooses, else what the generator declares, else FFHQ's frame. Raises ValueError."""
    return Scope(suite.frame, suite.domain).over(generator.scope).over(Scope(FFHQ))


def load_protocols(suite: SuiteConfig) -> tuple[Protocol, ...]:
    """The suite's protocols, not resolved yet. Raises ConfigError for unknown names and settings that do not fit."""
    try:
        return tuple(create(name, settings) for name, settings in suite.protocols.items())
    except (ValueError, KeyError) as error:
        raise ConfigError(str(error.args[0])) from error


def _pipelines_on(entry: DatasetEntry, pipelines: tuple[PipelineSpec, ...]) -> tuple[PipelineSpec, ...]:
    """The suite's pipelines that run on a data set. Names have to exist, not to be among the suite's."""
    for name in entry.methods:
        load_pipeline(name)
    return tuple(pipeline for pipeline in pipelines if not entry.methods or pipeline.name in entry.methods)
