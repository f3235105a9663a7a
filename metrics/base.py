"""Metrics as pure functions of reconstructions and targets, with a description of their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

RANGE = 1.001  # resampling may leave [-1, 1] slightly; another scale leaves it by far


class Undefined(ValueError):
    """The metric is undefined for this image; the message has the reason."""


@dataclass(frozen=True)
class MetricInfo:
    """The description of a metric, which tables, captions and docs print.

    Attributes:
        range: smallest and largest value; None without a bound.
        version: raised when the same images would give another value.
        recipe: resolution, scale, crop, network.
        digits: decimals in a table.
        shared: the part of the recipe that is the same for other metrics, printed once in a list of recipes.
        group: title of the separate table of the metrics of a group; "" for the protocol's main table.
        margin: the largest difference of two means without meaning, in the metric's unit, by which methods are called
            equivalent; 0 for none. Where the field's tables have the metric: half of the last decimal that they print.
        frames, domains: those of datasets.scope that the metric is defined for; empty for all.
    """

    name: str
    title: str
    direction: Literal["lower", "higher"]
    unit: str
    range: tuple[float | None, float | None]
    version: int
    recipe: str
    reference: str
    digits: int
    shared: str = ""
    group: str = ""
    margin: float = 0.0
    frames: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


Prepared = Callable[[], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class SampleMetric:
    """A metric with one value per image.

    Attributes:
        function: images and targets, both [N, 3, H, W] -> values [N].
        asset: name of the weights in the asset manifest; "" without weights.
        region: name of the region's parser in metrics.regions; "" without a region.
        undefined: targets [N, 3, H, W] -> the reasons why the metric is undefined (its value is NaN), "" where it is
            defined; None for a metric that is always defined.
        prepare: images and targets -> what `function` takes in their place, for a metric that begins with work on the
            CPU: a run does it ahead, in threads.
    """

    info: MetricInfo
    function: Callable[[Tensor, Tensor], Tensor]
    asset: str = ""
    region: str = ""
    undefined: Callable[[Tensor], list[str]] | None = None
    prepare: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None

    def __call__(self, images: Tensor, targets: Tensor, prepared: Prepared | None = None) -> Tensor:
        """Values [N] of images compared with targets, both [N, 3, H, W] in [-1, 1], float32 or float64.

        Args:
            images, targets: the two.
            prepared: gives what `prepare` made of them, on any device, where it was called already.

        Raises:
            ValueError: other shapes or ranges.
            TypeError: other types.
        """
        name = self.info.name
        if images.ndim != 4 or images.shape[1] != 3 or images.shape != targets.shape:
            raise ValueError(
                f"{name}: expected images and targets of one shape [N, 3, H, W], found {list(images.shape)} and "
                f"{list(targets.shape)}"
            )
        for role, batch in (("images", images), ("targets", targets)):
            if not batch.is_floating_point():
                raise TypeError(f"{name}: expected {role} as floats in [-1, 1], found {batch.dtype}")
            if batch.numel() == 0:
                continue
            low, high = (float(value) for value in batch.detach().aminmax())
            if not (low >= -RANGE and high <= RANGE):  # false for NaN, too
                raise ValueError(
                    f"{name}: expected {role} in [-1, 1], found minimum {low:.4g} and maximum {high:.4g}; "
                    "scale them, or clamp a generator's output"
                )
        if images.dtype != targets.dtype:
            raise TypeError(f"{name}: images are {images.dtype} and targets {targets.dtype}; expected one type")
        pair = prepared() if prepared else self.prepare(images, targets) if self.prepare else (images, targets)
        values = self.function(*(part.to(images) for part in pair))
        assert values.shape == images.shape[:1], f"{name} returned {list(values.shape)} for {len(images)} images"
        return values


Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SetMetric:
    """A number of the set of images and the set of targets, as one value per image, whose mean is the number.

    Attributes:
        network: name of the features' network; metrics with the same name share features.
        features: makes the network: images [N, 3, S, S] in [-1, 1] -> [N, D]. It raises Undefined for images that it
            does not support.
        influences: features of images and of targets, [n, D] each -> distance plus the influence of each image [n].
        asset: name of the weights in the asset manifest.
        package: the package that has to be installed, and the extra of this suite that installs it.
        least: images below which it is undefined.
        real: whether the same of two halves of the targets stands beside it: for distances.
    """

    info: MetricInfo
    network: str
    features: Callable[[], Features]
    influences: Callable[[Tensor, Tensor], Tensor]
    asset: str = ""
    package: tuple[str, str] = ("", "")
    least: int = 2
    real: bool = True
