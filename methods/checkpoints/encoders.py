"""Encoders as their authors publish them: `load_encoder` reads pSp, e4e, ReStyle, IntereStyle and W encoders.

A file holds `state_dict` (`encoder.*`, and the generator as `decoder.*`), `latent_avg` and `opts`, the options it was
trained with. Formats: eladrich/pixel2style2pixel@5cfff38, omertov/encoder4editing@99ea505,
yuval-alaluf/restyle-encoder@5e80276 (IntereStyle writes ReStyle's), yuval-alaluf/hyperstyle@a723c73 (W encoder).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datasets.checkpoints import assemble, describe, part, read_checkpoint, reading, tensors
from datasets.module_pickles import Record
from inversion_bench.registry import near_miss
from methods.encoders.encoder import Design, Encoder, RefinementStep, refine
from methods.encoders.networks import EncoderConfig, Flat, JointCode, Network, Pyramid, SingleCode
from methods.generators.readers import from_state
from methods.generators.stylegan2 import Generator

SIDE = 256  # of the images that official encoders see
ITERATIONS = 5  # refinement steps of the released iterative encoders
ALL_LAYERS, CARS_LAYERS = 18, 16  # e4e's inference takes 16 of the 18 layers that some of its encoders of cars make
# Names of `opts.encoder_type`: whether layers are w plus deltas. What else differs shows in the tensors.
TYPES = {
    "GradualStyleEncoder": False,
    "BackboneEncoderUsingLastLayerIntoW": False,
    "BackboneEncoderUsingLastLayerIntoWPlus": False,
    "Encoder4Editing": True,
    "SingleStyleCodeEncoder": False,
    "BackboneEncoder": False,
    "ProgressiveBackboneEncoder": True,
    "ResNetBackboneEncoder": False,
    "ResNetProgressiveBackboneEncoder": True,
    "ResNetGradualStyleEncoder": False,
    "WEncoder": False,
}
NAMES = {
    "psp": False,
    "e4e": True,
    "lsap": True,
    "restyle_psp": False,
    "restyle_e4e": True,
    "interestyle": False,
    "w_encoder": False,
    "hyperstyle_w_encoder": False,
}
ITERATIVE = ("restyle_psp", "restyle_e4e", "interestyle")


class OfficialEncoder(nn.Module):
    """A published encoder. encoder: the network with the mean of W; generator: what its codes are for, where it is
    known (an iterative encoder needs it); options: the file's `opts`.
    """

    def __init__(self, encoder: Encoder, generator: Generator | None, options: Mapping[str, Any]):
        super().__init__()
        self.encoder, self.generator, self.options = encoder, generator, dict(options)
        self._rendered_for: Tensor | None = None

    @torch.no_grad()
    def encode(self, images: Tensor, iterations: int | None = None, stage: int | None = None) -> Tensor:
        """Images [N, C, 256, 256] in [-1, 1], RGB (C = 3; seg-to-face and sketch-to-face have 19 and 1 maps instead) ->
        W+ [N, num_ws, w_dim].

        Images of another side are resized, bilinear with antialiasing; encoders of cars see 192x256 px and cut the bars
        off square images. iterations: refinement steps of an iterative encoder, as many as in training when None.
        stage: the last layer with a delta, for encoders of e4e's design whose progressive training had not ended.
        Raises ValueError for images of another shape or range.
        """
        return self.trace(images, iterations, stage)[-1]

    @torch.no_grad()
    def trace(self, images: Tensor, iterations: int | None = None, stage: int | None = None) -> list[Tensor]:
        """The codes after each refinement step, [N, num_ws, w_dim] each; one for an encoder of a single pass.

        Raises ValueError for several steps of an encoder of a single pass, and for images as of `encode`.
        """
        self._check(images)
        if not self.encoder.design.iterative:
            if iterations not in (None, 1):
                raise ValueError(f"this encoder has one step, found iterations={iterations}")
            return [self.encoder(self.encoder.preprocess(images), num_deltas=stage)]
        return [step.latent for step in self.steps(images, iterations, stage)]

    @torch.no_grad()
    def steps(self, images: Tensor, iterations: int | None = None, stage: int | None = None) -> list[RefinementStep]:
        """Codes and images of each refinement step of an iterative encoder."""
        if not self.encoder.design.iterative:
            raise ValueError("an encoder of a single pass has no refinement steps; use encode")
        assert self.generator is not None, "load_encoder gives every iterative encoder its generator"
        count = self.encoder.design.iterations if iterations is None else iterations
        if count < 1:
            raise ValueError(f"expected at least one iteration, found {iterations}")
        encoder = self.ready()
        return list(refine(encoder, self.generator, [encoder.preprocess(images)] * count, stage))

    def _check(self, images: Tensor) -> None:
        config, design = self.encoder.config, self.encoder.design
        channels = config.channels - 3 if design.iterative else config.channels  # the others are the reconstruction's
        if images.ndim != 4 or images.shape[1] != channels or 0 in images.shape[2:]:
            raise ValueError(f"images must be [N, {channels}, H, W], found {list(images.shape)}")
        if images.numel() and not (images.min() >= -1.001 and images.max() <= 1.001):  # NaN is not, either
            raise ValueError(f"images must lie in [-1, 1], found {images.min():.3f} to {images.max():.3f}")

    def ready(self) -> Encoder:
        """The network, with its first partner made of the weights, precision and device that are there now."""
        if not self.encoder.design.iterative or self.generator is None:
            return self.encoder
        state = [self.encoder.latent_avg, *self.generator.state_dict().values()]
        now = torch.stack([value.sum() for value in state])  # tells changed weights, and costs less than an image
        before = self._rendered_for
        if before is None or now.dtype != before.dtype or now.device != before.device or not torch.equal(now, before):
            self.encoder.set_average_image(self.generator)
            self._rendered_for = now
        return self.encoder


def load_encoder(path: str | Path, name: str | None = None, generator: Generator | None = None) -> OfficialEncoder:
    """A published encoder in eval mode, float32 (`.double()` works), frozen. Nothing in the file is run.

    name: one of NAMES (or of TYPES), for files whose options do not tell pSp's layers from e4e's. generator: what to
    decode with instead of the file's own decoder. Raises FileNotFoundError, or ValueError that names the file, what was
    found and the fix.
    """
    path = Path(path).expanduser()
    checkpoint = read_checkpoint(path)
    with reading(path, "encoder"):
        return _load(checkpoint, path, name, generator)


def _load(checkpoint: Any, path: Path, name: str | None, generator: Generator | None) -> OfficialEncoder:
    if isinstance(checkpoint, dict) and "e4e" in checkpoint:  # as StyleRes's authors keep it
        state = {f"encoder.{key}": value for key, value in tensors(checkpoint["e4e"], path, "e4e").items()}
        checkpoint = {**checkpoint, "state_dict": state}
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(
            f"{path}: an encoder's file holds state_dict, latent_avg and opts; found {describe(checkpoint)}"
        )
    state = tensors(checkpoint["state_dict"], path, "state_dict")
    weights = part(state, "encoder.")
    if not weights:
        raise ValueError(f"{path}: holds no encoder (no tensor below `encoder.`); found {describe(state)}")
    options = read_options(checkpoint, path)
    design, config = _shape(weights, options, name, path)
    mean = read_mean(checkpoint, path)
    decoder = part(state, "decoder.")
    layers = _num_layers(design, config, options, mean, decoder)
    config = EncoderConfig(**(vars(config) | {"num_ws": layers}))
    if generator is None and decoder and (design.iterative or mean is None):
        generator = from_state(decoder, mean, path)
    if design.iterative and generator is None:
        raise ValueError(f"{path}: an iterative encoder needs a generator; the file holds none, give generator=")
    cars = of_cars(options)
    used = CARS_LAYERS if cars and layers == ALL_LAYERS else layers
    if generator is not None and generator.num_ws != used:
        raise ValueError(f"{path}: serves a generator of {used} layers, this one has {generator.num_ws}")
    if generator is not None and generator.w_dim != config.w_dim:
        raise ValueError(f"{path}: makes codes of {config.w_dim} numbers, this generator's have {generator.w_dim}")
    average = _average(mean, design, config, options, generator, path)
    encoder = assemble(
        path,
        partial(Encoder, design, config),
        {f"encoder.{key}": value for key, value in weights.items()} | {"latent_avg": average},
    )
    encoder.encoder.to(memory_format=torch.channels_last)
    encoder.average_image = torch.zeros(3, SIDE, SIDE)
    encoder.wide, encoder.num_layers = cars, used
    return OfficialEncoder(encoder, generator, options)


def read_options(checkpoint: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The options that a published file was trained with."""
    options = checkpoint.get("opts", {})
    if isinstance(options, Record):
        options = options.state
    elif hasattr(options, "__dict__"):
        options = vars(options)
    if not isinstance(options, Mapping):
        raise ValueError(f"{path}: opts is not a dictionary but of type {type(options).__name__}")
    return options


def of_cars(options: Mapping[str, Any]) -> bool:
    """Whether a published file is of cars, whose networks see 192x256 px."""
    return str(options.get("dataset_type", "")).startswith("cars")


def read_mean(checkpoint: Mapping[str, Any], path: Path) -> Tensor | None:
    """The mean of W that a published file holds, with at least one dimension; None where there is none."""
    mean = checkpoint.get("latent_avg")
    if mean is None:
        return None
    if not torch.is_tensor(mean) or not mean.numel() or not bool(mean.isfinite().all()):
        raise ValueError(f"{path}: latent_avg is not a tensor of finite numbers")
    return mean if mean.ndim else mean[None]


def _shape(
    weights: Mapping[str, Tensor], options: Mapping[str, Any], name: str | None, path: Path
) -> tuple[Design, EncoderConfig]:
    """What network the tensors are of; num_ws is settled later."""
    trunk = "ir_se" if "input_layer.0.weight" in weights else "resnet34"
    first = weights.get("input_layer.0.weight" if trunk == "ir_se" else "conv1.weight")
    if first is None or first.ndim != 4:
        raise ValueError(f"{path}: no encoder that is known; its first tensors are {list(weights)[:3]}")
    network: Callable[[EncoderConfig], Network]
    if "latlayer1.weight" in weights:
        network = Pyramid
    elif "styles.0.linear.weight" in weights:
        network = Flat
    elif "output_layer_2.3.weight" in weights:
        network = JointCode
    else:
        network = SingleCode
    channels = first.shape[1]
    design = Design(
        network,
        deltas=_deltas(network, options, name, path),
        iterations=_iterations(options) if channels == 6 else 1,
    )
    if name in NAMES and design.iterative != (name in ITERATIVE):
        raise ValueError(
            f"{path}: named {name!r}, but its first convolution has {channels} channels; iterative encoders "
            f"({', '.join(ITERATIVE)}) have 6, others 3"
        )
    last = weights.get("linear.weight", weights.get("styles.0.linear.weight"))
    width = 512 if last is None else last.shape[-1]
    settings: dict[str, Any] = {"resolution": SIDE, "channels": channels, "w_dim": width, "trunk": trunk}
    if trunk == "resnet34":
        settings["units"] = (3, 4, 6, 3)
    styles = {match[1] for key in weights if (match := re.match(r"styles\.(\d+)\.", key))}
    return design, EncoderConfig(**settings, num_ws=max(1, len(styles)))


def _iterations(options: Mapping[str, Any]) -> int:
    """As many as in training; five where that was one, as the released scripts do whatever the training did."""
    count = int(options.get("n_iters_per_batch") or ITERATIONS)
    return count if count > 1 else ITERATIONS


def _deltas(
    network: Callable[[EncoderConfig], Network], options: Mapping[str, Any], name: str | None, path: Path
) -> bool:
    """Whether layers are w plus deltas: by the caller's name, else by the file's options."""
    known = NAMES | TYPES
    if name is not None and name not in known:
        raise ValueError(f"{name!r} is not an encoder: {near_miss(name, known)}known: {', '.join(known)}")
    if network in (SingleCode, JointCode):
        return False
    kind = options.get("encoder_type")
    if name is not None:
        if kind in TYPES and TYPES[kind] != known[name]:
            raise ValueError(f"{path}: named {name!r}, but its options say encoder_type {kind!r}")
        return known[name]
    if kind not in TYPES:
        raise ValueError(
            f"{path}: its options say encoder_type {kind!r}, which does not tell how layers are made; give name= "
            f"one of {', '.join(NAMES)}"
        )
    return TYPES[kind]


def _num_layers(
    design: Design,
    config: EncoderConfig,
    options: Mapping[str, Any],
    mean: Tensor | None,
    decoder: Mapping[str, Tensor],
) -> int:
    """Layers of W+: a style block each; else by the mean, the decoder or the options."""
    if design.network in (Pyramid, Flat):
        return config.num_ws
    if mean is not None and mean.ndim == 2 and len(mean) > 1:
        return len(mean)
    levels = len([key for key in decoder if re.fullmatch(r"to_rgbs\.\d+\.bias", key)])
    size = 4 * 2**levels if levels else int(options.get("output_size") or options.get("stylegan_size") or 1024)
    return 2 * (size.bit_length() - 1) - 2


def _average(
    mean: Tensor | None, design: Design, config: EncoderConfig, options: Mapping[str, Any],
    generator: Generator | None, path: Path,
) -> Tensor:  # fmt: skip
    """What offsets are added to, [num_ws, w_dim]: the mean of W, or zero for encoders that do not start from it."""
    starts = design.iterative or bool(options.get("start_from_latent_avg", mean is not None))
    if not starts:
        return torch.zeros(config.num_ws, config.w_dim)
    if mean is None:
        if generator is None:
            raise ValueError(f"{path}: has no latent_avg and no decoder to compute it from; give generator=")
        warnings.warn(f"{path}: has no latent_avg; {generator.mean_source} stands for it", stacklevel=3)
        return generator.latent_avg.expand(config.num_ws, -1).clone()
    if mean.shape not in ((config.w_dim,), (1, config.w_dim), (config.num_ws, config.w_dim)):
        raise ValueError(f"{path}: latent_avg is {list(mean.shape)}, expected {[config.num_ws, config.w_dim]}")
    return mean.float().expand(config.num_ws, -1).clone()
