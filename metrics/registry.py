"""All metrics by name. A metric of the suite is its function and one line here; docs/extending.md: one of your own."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from datasets import assets
from inversion_bench.registry import Registry, load_object

if TYPE_CHECKING:
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
SAMPLE_METRICS: dict[str, str] = {
    "mse": "metrics.pixel:mse",
    "psnr": "metrics.pixel:psnr",
    "ms_ssim_64": "metrics.pixel:ms_ssim_64",
    "lpips_alex": "metrics.perceptual:lpips_alex",
    "lpips_vgg": "metrics.perceptual:lpips_vgg",
    "dists": "metrics.perceptual:dists",
    **{f"{name}_256": f"metrics.resized:metric:{name}" for name in ("mse", "psnr", "lpips_alex")},
    "id_sface": "metrics.identity:id_sface",
    "id_facenet": "metrics.identity:id_facenet",
    "id_ir_se50": "metrics.identity:id_ir_se50",
    "id_curricularface": "metrics.identity:id_curricularface",
    "sim_moco": "metrics.similarity:sim_moco",
    **{name: f"metrics.region:metric:{name}" for name in _REGION},
    **{f"{name}_bisenet": f"metrics.region:metric:{name}:bisenet" for name in _REGION},
}
SET_METRICS: dict[str, str] = {
    "rank1_sface": "metrics.identity:rank1_sface",
    **{
        f"{name}_inception_torchfidelity_{side}": f"metrics.inception_distances:{name}:{side}"
        for side in (256, 1024)
        for name in ("fid", "kid", "mind")
    },
}
# A target is a metric, or a function without arguments that returns one.
METRICS: Registry[Any] = Registry("metric", SAMPLE_METRICS | SET_METRICS, "inversion_bench.metrics")


def names() -> list[str]:
    """Names of all per-image metrics of the suite, in the order of the tables; then those of installed packages."""
    return [name for name in METRICS.names() if name not in SET_METRICS]


def set_names() -> list[str]:
    """Names of the suite's metrics of sets of images."""
    return list(SET_METRICS)


def load(name: str) -> SampleMetric:
    """The per-image metric `name`. Its weights are read at its first use, so that descriptions cost nothing.

    Raises UnknownNameError, with the nearest and all known names, and KeyError for a metric of sets.
    """
    from metrics.base import SampleMetric

    metric = find(name)
    if not isinstance(metric, SampleMetric):
        raise KeyError(f"{name!r} is a metric of sets; it has no value for one image")
    return metric


def find(name: str) -> SampleMetric | SetMetric:
    """The metric `name`, of either kind; errors as `load`."""
    metric, target = _made(METRICS.target(name)), METRICS.target(name)
    if ":" not in name and metric.info.name != name:
        raise ValueError(f"{target} describes itself as {metric.info.name!r}, expected {name!r}")
    return metric


@cache
def _made(target: str) -> SampleMetric | SetMetric:
    from metrics.base import SampleMetric, SetMetric

    made = load_object(target)
    try:
        metric = made if isinstance(made, SampleMetric | SetMetric) else made()
        if not isinstance(metric, SampleMetric | SetMetric):
            raise TypeError(f"found {type(metric).__name__}")
    except TypeError as error:
        expected = "expected a SampleMetric, a SetMetric, or a function without arguments that returns one"
        raise ValueError(f"{target}: {expected} ({error})") from error
    return metric


def create(name: str) -> SampleMetric | SetMetric:
    """A metric as a function of two batches of images; it computes where they are.

    Args:
        name: as `names()` and `set_names()` list them, or `package.module:Name`.

    Returns:
        A SampleMetric: images and targets, both [N, 3, H, W] in [-1, 1] -> values [N]; or a SetMetric.

    Raises:
        UnknownNameError: with the nearest and all known names.

    Example:
        >>> import torch
        >>> mse = create("mse")
        >>> mse(torch.zeros(2, 3, 64, 64), torch.ones(2, 3, 64, 64)).tolist()
        [1.0, 1.0]
    """
    return find(name)


def declare(name: str) -> str:
    """The short name of a metric that is given as `package.module:Name`, which is known by it from now on."""
    if ":" not in name:
        return name
    short = find(name).info.name
    METRICS.register(short, name)
    return short


def missing(name: str) -> str | None:
    """Why the metric cannot be computed here and what to do about it, or None.

    Weights that the package index offers count as present, unless the network is forbidden.
    """
    from metrics.base import SetMetric

    metric = find(name)
    reason = assets.missing(metric.asset, name)
    if isinstance(metric, SetMetric):
        package, extra = metric.package
        if package and not find_spec(package):
            return f"{name} needs {package}: pip install -e .[{extra}]"
    elif reason is None and metric.region:
        from metrics import regions

        reason = regions.missing(metric.region, name)
    return reason
