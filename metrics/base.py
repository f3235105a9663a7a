"""What a per-image metric is: a pure function of reconstructions and targets, and a description of its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

UNDEFINED = "undefined: "  # how the reason begins of a number that a picture cannot have: nothing went wrong
RANGE = 1.001  # resampling and JPEG-like rounding may leave [-1, 1] by a hair; another scale leaves it by far


class Undefined(ValueError):
    """A picture cannot have the number that is asked for; the message says why."""


@dataclass(frozen=True)
class MetricInfo:
    """Everything that a reader of a number must know; it travels into tables, captions and docs.

    range: smallest and largest value, None where there is no bound. version: raised whenever the same images
    would give another number. recipe: resolution, scale, crop, network. digits: decimals in a table. shared: what the
    recipe has in common with other metrics, word for word, so that a list of recipes says it once. group: metrics of
    one group stand in a table of their own, of which it is the title; "" is the protocol's main table.
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


@dataclass(frozen=True)
class SampleMetric:
    """A metric with one value an image.

    asset: the weights that it needs, by their name in the asset manifest. region: the parser of the region that it
    looks at, by its name in metrics.regions. undefined: why targets [N, 3, H, W] have no value, which is then NaN,
    and "" where they have one; None for a metric that is always defined.
    """

    info: MetricInfo
    function: Callable[[Tensor, Tensor], Tensor]
    asset: str = ""
    region: str = ""
    undefined: Callable[[Tensor], list[str]] | None = None

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """Values [N] of images against targets, both [N, 3, H, W] in [-1, 1], float32 or float64.

        Raises ValueError for other shapes or ranges and TypeError for other types, naming what was found.
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
        values = self.function(images, targets)
        assert values.shape == images.shape[:1], f"{name} returned {list(values.shape)} for {len(images)} images"
        return values


Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SetMetric:
    """A metric of all pictures together against all targets, as one share for each picture; the mean is the number.

    network: what the features are of; metrics with the same name share them. features: makes the network, images
    [N, 3, S, S] in [-1, 1] -> [N, D]; it raises Undefined for pictures that it is not for. shares: features of pictures
    and of targets, [n, D] each -> [n]. asset: the weights that are needed. package: what has to be installed, with the
    extra that brings it.
    """

    info: MetricInfo
    network: str
    features: Callable[[], Features]
    shares: Callable[[Tensor, Tensor], Tensor]
    asset: str = ""
    package: tuple[str, str] = ("", "")
