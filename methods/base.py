"""What every inversion method is, takes and returns.

A method is one stage, a LightningModule around plain functions. `predict_step` lives here only: it opens grad
mode (Lightning predicts under `inference_mode`), times the work and turns failures of single images into reasons.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import pytorch_lightning as pl
import torch
from torch import Tensor

from datasets.images import pixel_sha256, to_image
from methods.feature_maps import Features
from methods.generators.stylegan2 import Generator
from methods.synthesis import Weights, synthesise

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MethodInfo:
    """A stage's identity. version goes up whenever its figures may change; it is part of every result's key."""

    name: str
    title: str
    version: int
    paper: str
    year: int
    code: str
    licence: str
    space: str
    refines: bool = False
    note: str = "re-implemented from the paper and its released code"


@dataclass(frozen=True)
class Inversion:
    """What a stage returns for N images.

    latent [N, num_ws, w_dim]; image [N, 3, R, R] in [-1, 1], equal to `render(generator, inversion)`.
    weights: for each image the generator's parameters that differ from the shared ones, or None for none.
    noise: for each image its own noise maps [1, 1, r, r], or None for the generator's buffers.
    features: for each image its own feature maps, () for none.
    steps: optimisation steps spent on each image [N].
    """

    ids: tuple[str, ...]
    latent: Tensor
    space: str
    image: Tensor
    steps: Tensor
    weights: tuple[Weights | None, ...] = ()
    noise: tuple[list[Tensor] | None, ...] = ()
    features: tuple[Features, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.ids)
        if not (len(self.latent) == len(self.image) == len(self.steps) == n):
            raise ValueError(
                f"an Inversion of {n} ids holds {len(self.latent)} latents, {len(self.image)} images "
                f"and {len(self.steps)} step counts"
            )
        object.__setattr__(self, "weights", self.weights or (None,) * n)
        object.__setattr__(self, "noise", self.noise or (None,) * n)
        object.__setattr__(self, "features", self.features or ((),) * n)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, chosen: slice) -> Inversion:
        return replace(
            self,
            ids=self.ids[chosen],
            latent=self.latent[chosen],
            image=self.image[chosen],
            steps=self.steps[chosen],
            weights=self.weights[chosen],
            noise=self.noise[chosen],
            features=self.features[chosen],
        )

    def to(self, device: torch.device) -> Inversion:
        """The same Inversion with every tensor on a device."""
        return replace(
            self,
            latent=self.latent.to(device),
            image=self.image.to(device),
            weights=tuple(w and {k: v.to(device) for k, v in w.items()} for w in self.weights),
            noise=tuple(n and [level.to(device) for level in n] for n in self.noise),
            features=tuple(tuple(edit.to(device) for edit in edits) for edits in self.features),
        )

    @property
    def more_than_codes(self) -> bool:
        """Whether an image has generator weights or feature maps of its own."""
        return any(w is not None for w in self.weights) or any(self.features)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """One Inversion from several of the same space."""
        return cls(
            ids=tuple(i for part in parts for i in part.ids),
            latent=torch.cat([part.latent for part in parts]),
            space=parts[0].space,
            image=torch.cat([part.image for part in parts]),
            steps=torch.cat([part.steps for part in parts]),
            weights=tuple(w for part in parts for w in part.weights),
            noise=tuple(n for part in parts for n in part.noise),
            features=tuple(f for part in parts for f in part.features),
        )


@torch.no_grad()
def render(generator: Generator, inversion: Inversion) -> Tensor:
    """The images of an Inversion [N, 3, R, R], clamped to [-1, 1], with all that an image has of its own."""
    images = [synthesise_at(generator, inversion, i, inversion.latent[i : i + 1]) for i in range(len(inversion))]
    return torch.cat(images).clamp(-1, 1)


def synthesise_at(generator: Generator, inversion: Inversion, i: int, codes: Tensor) -> Tensor:
    """Unclamped images of codes [K, num_ws, w_dim] with the weights, noise and feature maps of image i."""
    own = inversion.weights[i], inversion.noise[i]
    return synthesise(generator, codes, *own, features=inversion.features[i])


def rendered(generator: Generator, draft: Inversion) -> Inversion:
    """The same Inversion with its image rendered."""
    return replace(draft, image=render(generator, draft))


@dataclass(frozen=True)
class Outcome:
    """What `predict_step` hands to the writer. seconds: wall time by image id; failures: reason by image id."""

    inversion: Inversion | None
    seconds: dict[str, float]
    failures: dict[str, str] = field(default_factory=dict)


def image_seed(base: int, content: str, stage: str) -> int:
    """A seed of 63 bits that depends on nothing but the run's seed, an image's `pixel_sha256` and the stage."""
    digest = hashlib.sha256(f"{base}/{content}/{stage}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Method(pl.LightningModule):
    """One stage. Subclasses set `info` and a frozen dataclass `Config` and write `invert`.

    The generator is shared: it is frozen here and never written to.
    """

    info: ClassVar[MethodInfo]
    Config: ClassVar[type]
    ALIASES: ClassVar[dict[str, str]] = {"lanes": "batch_size"}  # former keys of Config, each with the present one
    takes_features: ClassVar[bool] = False  # whether it goes on from an inversion that has feature maps of its own
    debug = False  # raise the first error instead of recording it as the reason of a failure
    pads = (
        True  # fill short batches to their fixed size (methods/batching.py); False: at no cost, but other last digits
    )

    def __init__(self, generator: Generator, config: Any = None, seed: int = 0):
        super().__init__()
        self.generator = generator.eval().requires_grad_(False)
        self.config = config if config is not None else self.Config()
        self.seed = seed

    @classmethod
    def group_size(cls, config: Any) -> int:
        """Images whose results depend on one another; 1 for all methods but those that share a tuned generator."""
        return 1

    @classmethod
    def parallel_images(cls, config: Any) -> int:
        """Images that are computed at once and cost little more than one: smaller chunks only waste a worker's time."""
        return 1

    @classmethod
    def assets(cls, config: Any) -> tuple[str, ...]:
        """Weights that the stage needs beside the generator, by their names in the asset manifest."""
        return ()

    @classmethod
    def weights_hash(cls, config: Any) -> str:
        """SHA-256 of the trained weights that the stage's results depend on; "" for methods that need none.

        Raises FileNotFoundError, saying how to get them, where they are absent.
        """
        return ""

    def padded_size(self, count: int) -> int:
        """What a batch of `count` images is filled up to: the stage's fixed batch size where it pads."""
        return int(self.config.batch_size) if self.pads else count

    @property
    def batch_size(self) -> int:
        """The fixed size of the stage's batches, which it pads; 1 for a stage that has none."""
        return getattr(self.config, "batch_size", 1)

    def limit_batches(self, size: int) -> None:
        """Compute at most `size` images at once. On some devices the last digits of a result depend on it."""
        if size < self.batch_size:
            self.config = replace(self.config, batch_size=size)

    def _halve_batches(self) -> bool:
        if not (self.pads and self.shrinks and self.batch_size > 1):
            return False
        self.limit_batches(self.batch_size // 2)
        logger.warning("%s: memory is short, %d images at once from now on", self.info.name, self.batch_size)
        return True

    @property
    def shrinks(self) -> bool:
        """Whether short memory makes batches smaller for good: a GPU's does not come back, unlike a machine's."""
        return self.device.type == "cuda"

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        """Invert images [N, 3, R, R] in [-1, 1]. Needs grad mode. `init`: the stage before's result.

        Raises ValueError for a wrong size or range, or a missing `init`.
        """
        raise TypeError(f"{type(self).__name__} has no invert()")

    def generators_for(self, images: Tensor, stream: str = "") -> list[torch.Generator]:
        """A random stream for each image of [N, 3, H, W] in [-1, 1], on the CPU.

        It depends on the pixels (as 8 bits), not on the image's name; `stream` names it, the stage's name by default.
        """
        seeds = [image_seed(self.seed, pixel_sha256(to_image(i)), stream or self.info.name) for i in images]
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    def check(self, images: Tensor, ids: Sequence[str], init: Inversion | None) -> None:
        """Reject what this stage cannot invert, naming what was found."""
        size = self.generator.resolution
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise ValueError(f"images must be [N, 3, {size}, {size}], found {list(images.shape)}")
        if len(ids) != len(images):
            raise ValueError(f"{len(images)} images came with {len(ids)} ids")
        low, high = float(images.min()), float(images.max())
        if not (low >= -1.001 and high <= 1.001):
            raise ValueError(f"images must lie in [-1, 1], found {low:.3f} to {high:.3f}")
        if self.info.refines and init is None:
            raise ValueError(f"{self.info.name} refines an inversion: put a stage such as w_optimization before it")
        if init is not None and any(init.features) and not self.takes_features:
            raise ValueError(
                f"{self.info.name} cannot go on from feature maps: put it before the stage that makes them"
            )

    def transfer_batch_to_device(self, batch: dict[str, Any], device: torch.device, dataloader_idx: int) -> Any:
        """Lightning's own transfer refuses frozen dataclasses."""
        init = batch.get("init")
        return {
            **batch,
            "images": batch["images"].to(device),
            "init": init.to(device) if init is not None else None,
        }

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> Outcome:
        """A batch {"images" [N, 3, R, R], "ids", "init"} -> Outcome; no failure of one image leaves this step."""
        with torch.inference_mode(False), torch.enable_grad():
            images = batch["images"].clone()
            return self._attempt(images, list(batch["ids"]), batch.get("init"))

    def _attempt(self, images: Tensor, ids: list[str], init: Inversion | None) -> Outcome:
        """Invert a batch. Halves it while memory is short; after any other error each image is tried once alone.

        On a GPU a stage of fixed batches computes smaller ones from then on, as a padded batch has no smaller halves.
        """
        if not ids:
            return Outcome(None, {})
        start, group = _now(self.device), self.group_size(self.config)
        size, reason, smaller = 0, "", False
        try:
            self.check(images, ids, init)
            inversion = self.invert(images, ids, init)
        except Exception as error:
            if self.debug:
                raise
            reason = f"{type(error).__name__}: {error}"
            logger.debug("%s failed with %s", self.info.name, ", ".join(ids), exc_info=True)
            smaller = _out_of_memory(error) and self._halve_batches()
            # Images that share a generator stay together.
            size = -(-len(ids) // 2 // group) * group if _out_of_memory(error) else group
        if smaller:
            return self._attempt(images, ids, init)
        seconds = (_now(self.device) - start) / len(ids)
        if reason and len(ids) > group:  # no longer in the except block, whose traceback holds the batch's tensors
            parts = [slice(n, n + size) for n in range(0, len(ids), size)]
            return _merge([self._attempt(images[p], ids[p], init[p] if init is not None else None) for p in parts])
        if reason:
            return Outcome(None, dict.fromkeys(ids, seconds), dict.fromkeys(ids, reason))
        # The sum of an image's values, which lie in [-1, 1], is finite if and only if all of them are.
        finite = inversion.image.flatten(1).sum(1, dtype=torch.float32).isfinite().tolist()
        bad = [image_id for image_id, whole in zip(ids, finite, strict=True) if not whole]
        if bad:
            good = [inversion[n : n + 1] for n, whole in enumerate(finite) if whole]
            diverged = dict.fromkeys(bad, "the image is not finite (the optimisation diverged)")
            return Outcome(Inversion.concatenate(good) if good else None, dict.fromkeys(ids, seconds), diverged)
        return Outcome(inversion, dict.fromkeys(ids, seconds))


def _out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed; on CPU and MPS PyTorch raises a plain RuntimeError."""
    short = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in short)
    )


def _merge(outcomes: Sequence[Outcome]) -> Outcome:
    inversions = [o.inversion for o in outcomes if o.inversion is not None]
    return Outcome(
        Inversion.concatenate(inversions) if inversions else None,
        {k: v for o in outcomes for k, v in o.seconds.items()},
        {k: v for o in outcomes for k, v in o.failures.items()},
    )


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
