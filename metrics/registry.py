"""All metrics by name. A new metric is its function and one line here."""

from __future__ import annotations

import os
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from datasets import assets
from metrics.base import SampleMetric, SetMetric

# On the target's interest region, of metrics.region; each on the region of every parser that metrics.regions has.
_REGION = (
    "mse_interest",
    "mse_interest_code",
    "mse_outside",
    "psnr_interest",
    "psnr_outside",
    "lpips_alex_interest",
    "lpips_alex_interest_spatial",
    "lpips_alex_outside",
)
# module:function, and what the function is called with.
METRICS: dict[str, str] = {
    "mse": "metrics.pixel:mse",
    "psnr": "metrics.pixel:psnr",
    "ms_ssim_64": "metrics.pixel:ms_ssim_64",
    "lpips_alex": "metrics.perceptual:lpips_alex",
    "lpips_vgg": "metrics.perceptual:lpips_vgg",
    **{f"{name}_256": f"metrics.resized:metric:{name}" for name in ("mse", "psnr", "lpips_alex")},
    "id_sface": "metrics.identity:id_sface",
    "id_facenet": "metrics.identity:id_facenet",
    "id_ir_se50": "metrics.identity:id_ir_se50",
    "id_curricularface": "metrics.identity:id_curricularface",
    "sim_moco": "metrics.similarity:sim_moco",
    **{name: f"metrics.region:metric:{name}" for name in _REGION},
    **{f"{name}_bisenet": f"metrics.region:metric:{name}:bisenet" for name in _REGION},
}

# Of whole sets, likewise.
SETS: dict[str, str] = {
    f"{name}_inception_torchfidelity_{side}": f"metrics.inception_distances:{name}:{side}"
    for side in (256, 1024)
    for name in ("fid", "kid")
}


def names() -> list[str]:
    """Names of all per-image metrics, in the order of the tables."""
    return list(METRICS)


def set_names() -> list[str]:
    """Names of all metrics of whole sets."""
    return list(SETS)


def load(name: str) -> SampleMetric:
    """The per-image metric `name`. Its weights are read at its first use, so that descriptions cost nothing.

    Raises KeyError for an unknown name, with the nearest and all known ones.
    """
    metric = find(name)
    if not isinstance(metric, SampleMetric):
        raise KeyError(f"{name!r} is a metric of whole sets, which no single picture has")
    return metric


@cache
def find(name: str) -> SampleMetric | SetMetric:
    """The metric `name`, of either kind. Raises KeyError as `load`."""
    known = METRICS | SETS
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise KeyError(f"unknown metric {name!r}: {hint}known: {', '.join(known)}")
    module, function, *arguments = known[name].split(":")
    metric: SampleMetric | SetMetric = getattr(import_module(module), function)(*arguments)
    assert metric.info.name == name, f"{known[name]} describes itself as {metric.info.name!r}, expected {name!r}"
    return metric


def missing(name: str) -> str | None:
    """Why the metric cannot be computed here and what to do about it, or None.

    Weights that the package index offers count as present, unless the network is forbidden.
    """
    metric = find(name)
    reason = missing_asset(name, metric.asset)
    if isinstance(metric, SetMetric):
        package, extra = metric.package
        if package and not find_spec(package):
            return f"{name} needs {package}: pip install -e .[{extra}]"
    elif reason is None and metric.region:
        from metrics import regions  # imports this module

        reason = regions.missing(metric.region, name)
    return reason


def missing_asset(name: str, wanted: str) -> str | None:
    """Why the asset `wanted` of the metric `name` cannot be had, or None; None for a metric that needs none ("")."""
    if not wanted:
        return None
    asset = assets.get(wanted)
    if asset.present:
        return None
    online = os.environ.get("INVERSION_BENCH_OFFLINE") != "1"
    for source in asset.sources:
        local = Path(os.path.expandvars(source.path)).expanduser()
        if (source.path and local.exists()) or (not source.path and source.sha256 and online):
            return None
    ways = "; ".join(source.describe() for source in asset.sources)
    hint = "" if online else "; the network is forbidden by INVERSION_BENCH_OFFLINE=1"
    return f"{name} needs the asset {wanted!r} ({asset.title}), which is not at {asset.location}: {ways}{hint}"
