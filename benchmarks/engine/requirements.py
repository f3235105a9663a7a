"""What a suite needs that users bring themselves: which of it is here, and where the rest comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine.config import SuiteConfig
from benchmarks.engine.plan import load_protocols
from datasets import assets
from datasets import registry as datasets_registry
from methods.registry import load_pipeline


@dataclass(frozen=True)
class Need:
    """One thing. place: where it is looked for; source: where it comes from, with its terms."""

    what: str
    present: bool
    place: str
    source: str

    def line(self) -> str:
        mark = "x" if self.present else " "
        return f"  [{mark}] {self.what}\n      {self.place}" + ("" if self.present else f"\n      {self.source}")


def needs(suite: SuiteConfig) -> list[Need]:
    """Checkpoints and folders that no package index has, in the order: generator, encoders, protocols, data sets."""
    known = assets.registry()
    brought = [known[name] for name in needed_assets(suite) if all(source.path for source in known[name].sources)]
    return [*map(_of_asset, brought), *needed_data(suite)]


def needed_assets(suite: SuiteConfig) -> list[str]:
    """Names of the assets that a suite needs, in the order: generator, stages, protocols, data sets."""
    stages = [stage for method in suite.methods for stage in load_pipeline(method, suite.stage_settings).stages]
    used = {stage.name for stage in stages}
    settings = (values for stage, values in suite.stage_settings.items() if stage in used)
    named = [suite.generator, *(str(values.get("weights", "")) for values in settings)]
    named += [asset for stage in stages for asset in stage.cls.assets(stage.config)]
    for protocol in load_protocols(suite):
        named += protocol.assets()
    for entry in suite.datasets:
        name = str(entry.options.get("base", "openpeople")) if entry.name == "occluded" else entry.name
        named.append(datasets_registry.ASSETS.get(name, ""))
    known = assets.registry()
    return [name for name in dict.fromkeys(named) if name in known]


def missing_file(asset: assets.Asset) -> Need | None:
    """What a user has to bring for an asset that no package index has; None where it is here or can be fetched."""
    need = _of_asset(asset) if all(source.path for source in asset.sources) else None
    return None if need is None or need.present else need


def compared(asset: assets.Asset) -> str:
    """Whether a file that the user brought is the one that others have; "" where nothing is known of it."""
    seen = asset.sources[0].seen
    if not seen or asset.brought is None:
        return ""
    actual = assets.sha256(asset.brought)
    if actual == seen:
        return "SHA-256 as in public copies"
    return f"SHA-256 {actual}, in public copies {seen}: trained again, saved again, or damaged"


def _of_asset(asset: assets.Asset) -> Need:
    source = asset.sources[0]
    hashed = source.sha256 or (f"{source.seen} in public copies" if source.seen else "not published")
    place = asset.location if asset.present else source.path
    return Need(
        f"{asset.name}: {asset.title} [{asset.licence}]", asset.present, f"{place}; SHA-256 {hashed}", source.note
    )


def needed_data(suite: SuiteConfig) -> Iterator[Need]:
    """The folders of data sets that users bring."""
    for entry in suite.datasets:
        path = entry.options.get("path")
        if path is not None:
            here = Path(str(path)).expanduser().exists()
            origin = datasets_registry.SOURCES.get(entry.name, "")
            note = f"{origin}; set INVERSION_BENCH_DATA to the folder above it, or datasets.N.options.path"
            yield Need(f"data set {entry.name}", here, str(path), note)
