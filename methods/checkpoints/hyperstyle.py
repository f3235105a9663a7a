"""HyperStyle as its authors publish it: `load_hyperstyle` reads the hypernetwork and, from its own file, the W encoder.

A file holds `state_dict` (`hypernet.*`, and the generator as `decoder.*`), `latent_avg` and `opts`. Format:
yuval-alaluf/hyperstyle@21193fb training/coach_hyperstyle.py.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import log2
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datasets.checkpoints import assemble, describe, part, read_checkpoint, reading, tensors
from methods.base import Inversion
from methods.checkpoints.encoders import OfficialEncoder, load_encoder, of_cars, read_mean, read_options
from methods.generators.readers import config_from_state, from_state
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.network import STEPS, HypernetConfig, Hypernetwork, layers_of
from methods.hypernetworks.refine import last_step

_SHARED = "shared_weight_hypernet."
_TYPES = ("SharedWeightsHyperNetResNet", "SharedWeightsHyperNetResNetSeparable")  # told by their tensors
_COPY = re.compile(r"refinement_blocks\.\d+\.hypernet\.(\w+)$")


class OfficialHyperStyle(nn.Module):
    """A published HyperStyle. encoder: its W encoder, or None; options: the file's `opts`."""

    def __init__(
        self,
        hypernet: Hypernetwork,
        generator: Generator,
        encoder: OfficialEncoder | None,
        options: Mapping[str, Any],
    ):
        super().__init__()
        self.hypernet, self.generator, self.encoder, self.options = hypernet, generator, encoder, dict(options)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images [N, 3, 256, 256] in [-1, 1], RGB -> W+ [N, num_ws, w_dim] with equal layers."""
        if self.encoder is None:
            raise ValueError("no W encoder was read with this hypernetwork; give load_hyperstyle its w_encoder_path")
        return self.encoder.encode(images)

    @torch.no_grad()
    def invert(self, images: Tensor, iterations: int = STEPS, codes: Tensor | None = None) -> Inversion:
        """Images of any size [N, 3, H, W] in [-1, 1] -> codes and changed weights after so many refinement steps.

        They are resized; networks of cars see 192x256 px and cut the bars off square images. codes: pivots
        [N, num_ws, w_dim] instead of the W encoder's. Batches as they come, for one's own scripts; the stage
        `hyperstyle` makes results independent of them.
        """
        if iterations < 1:
            raise ValueError(f"expected at least one iteration, found {iterations}")
        pivots = self.encode(images) if codes is None else codes
        n, side = len(images), self.generator.resolution
        ids = tuple(map(str, range(n)))
        steps = torch.full((n,), iterations)
        init = Inversion(ids, pivots, "W" if codes is None else "W+", images.new_empty(n, 3, side, side), steps)
        target = self.hypernet.preprocess(images)
        step = last_step(self.hypernet, self.generator, target, init, iterations, batch_size=n)
        return replace(init, image=step.image.clamp(-1, 1), weights=tuple(step.weights))


def load_hyperstyle(
    path: str | Path, w_encoder_path: str | Path | None, generator: Generator | None = None
) -> OfficialHyperStyle:
    """A published HyperStyle in eval mode, float32 (`.double()` works), frozen. Nothing in the files is run.

    w_encoder_path: faces_w_encoder.pt; None leaves the pivots to the caller. generator: what to change instead of the
    file's own decoder. Raises FileNotFoundError, or ValueError that names the file, what was found and the fix.
    """
    path = Path(path).expanduser()
    checkpoint = read_checkpoint(path)
    with reading(path, "HyperStyle"):
        return _load(checkpoint, path, w_encoder_path, generator)


def _load(
    checkpoint: Any, path: Path, w_encoder_path: str | Path | None, generator: Generator | None
) -> OfficialHyperStyle:
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(
            f"{path}: a HyperStyle file holds state_dict, latent_avg and opts; found {describe(checkpoint)}"
        )
    options = read_options(checkpoint, path)
    kind = options.get("encoder_type", _TYPES[0])
    if kind not in _TYPES:
        raise ValueError(f"{path}: its options say encoder_type {kind!r}; {' and '.join(_TYPES)} are what is read")
    state = tensors(checkpoint["state_dict"], path, "state_dict")
    weights, decoder = part(state, "hypernet."), part(state, "decoder.")
    if not weights:
        raise ValueError(f"{path}: holds no hypernetwork (no tensor below `hypernet.`); found {describe(state)}")
    extra = [key for key in state if not key.startswith(("hypernet.", "decoder.", "w_encoder."))]
    if extra:
        raise ValueError(f"{path}: has unexpected {', '.join(extra[:4])} ({len(extra)})")
    mean = read_mean(checkpoint, path)
    if generator is None:
        if not decoder:
            raise ValueError(f"{path}: holds no generator (no tensor below `decoder.`); give generator=")
        generator = from_state(decoder, mean, path)
    elif decoder:
        check_decoder(decoder, generator, path)
    config = _shape(weights, generator, path)
    once = {key: value for key, value in weights.items() if not _COPY.search(key)}
    _check_copies(weights, path)
    hypernet = assemble(path, partial(Hypernetwork, config), once, optional=set(weights) - set(once))
    hypernet.to(memory_format=torch.channels_last)
    hypernet.wide = of_cars(options)
    encoder = None
    if w_encoder_path is not None:
        encoder = load_encoder(w_encoder_path, "w_encoder", generator)
        # The authors show both the same image.
        hypernet.wide = encoder.encoder.wide = hypernet.wide or encoder.encoder.wide
        average = encoder.encoder.latent_avg
        if mean is not None and mean.numel() in (average.numel(), average.shape[1]):
            # The authors add the hypernetwork's own mean, whatever the encoder's file says.
            average.copy_(mean.reshape(-1, average.shape[1]).expand_as(average))
        elif mean is not None:
            raise ValueError(f"{path}: latent_avg is {list(mean.shape)}, expected {list(average.shape)}")
    return OfficialHyperStyle(hypernet, generator, encoder, options)


def _shape(weights: Mapping[str, Tensor], generator: Generator, path: Path) -> HypernetConfig:
    """What network the tensors are of; whether all of them fit is checked afterwards."""

    def size(key: str, dim: int) -> int:
        if key not in weights or weights[key].ndim <= dim:
            raise ValueError(f"{path}: no hypernetwork that is known: lacks {key}; it begins {list(weights)[:3]}")
        return weights[key].shape[dim]

    def numbers(pattern: str) -> list[int]:
        return sorted({int(match[1]) for key in weights if (match := re.match(pattern, key))})

    blocks = numbers(r"body\.(\d+)\.")
    starts = [0, *numbers(r"body\.(\d+)\.downsample\.")]
    if len(starts) != 4 or blocks != list(range(len(blocks))):
        raise ValueError(f"{path}: its trunk has {len(blocks)} blocks in {len(starts)} stages; four stages are known")
    layers = numbers(r"refinement_blocks\.(\d+)\.")
    known = layers_of(generator.config.channels)
    if not layers or layers[-1] >= len(known):
        raise ValueError(f"{path}: changes layers {layers[-4:]} of a generator of {len(known)}; give it its own")
    plain = HypernetConfig(generator.config.channels, tuple(layers))
    kinds: dict[bool, list[int]] = {True: [], False: []}
    for layer in plain.tuned:
        kinds[plain.shares(layer)].append(layer.index)
    shared, own = kinds[True][:1], kinds[False][:1]
    resolution = plain.resolution
    if shared:
        # The first convolution of a shared head keeps the side, every further one halves it, down to one.
        resolution = 16 * 2 ** (len(numbers(rf"refinement_blocks\.{shared[0]}\.convs\.(\d+)\.")) - 1)
    if log2(resolution) > 10:
        raise ValueError(f"{path}: its heads are for images of {resolution} px")
    return HypernetConfig(
        generator.config.channels,
        tuple(layers),
        max(resolution, 32),
        tuple(after - before for before, after in zip(starts, [*starts[1:], len(blocks)], strict=True)),
        tuple(size(f"body.{start}.conv2.weight", 0) for start in starts),
        size(f"refinement_blocks.{shared[0]}.convs.0.weight", 0) if shared else plain.shared_width,
        size(f"refinement_blocks.{own[0]}.convs.0.weight", 0) if own else plain.own_width,
        size("shared_weight_hypernet.w1", 0),
        separable=any(".make_kernel_in." in key for key in weights),
    )


def _check_copies(weights: Mapping[str, Tensor], path: Path) -> None:
    """The matrices stand once for every head that uses them; they have to be the same."""
    for key, value in weights.items():
        match = _COPY.search(key)
        original = weights.get(f"{_SHARED}{match[1]}") if match else None
        if match is None or original is None:
            continue
        if value.data_ptr() == original.data_ptr() and value.shape == original.shape:
            continue
        if not torch.equal(value, original):
            raise ValueError(f"{path}: {key} is not the {_SHARED}{match[1]} that all heads share")


def check_decoder(decoder: dict[str, Tensor], generator: Generator, path: Path) -> None:
    """Changes are relative to the generator of the training; for another one of the same shape they are a guess."""
    config = config_from_state(decoder, path)
    if config.channels != generator.config.channels:
        raise ValueError(
            f"{path}: made for a generator of {config.resolution} px and widths {config.channels}, this one has "
            f"{generator.resolution} px and {generator.config.channels}"
        )
    own = generator.state_dict()
    names = [layer.parameter for layer in layers_of(config.channels)]
    if any(not torch.equal(decoder[name].to(own[name]), own[name]) for name in names if name in decoder):
        warnings.warn(f"{path}: made for another generator than the one it is used with", stacklevel=3)
