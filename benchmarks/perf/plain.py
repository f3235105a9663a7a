"""Reference implementations of the suite's stages, computed as in the released code.

One image at a time; modulation by grouped convolutions with weights per image, blurring with the 4x4 kernel, contiguous
maps; tuning renders pivot and neighbour separately and computes the target's features at every step; encoders decode
image by image; scoring computes the target's features for every metric. They are the baseline of speed figures
(`benchmarks.perf.stages`); tests/unit/test_perf_plain.py shows that the results equal those of the stages.

Reference: NVlabs/stylegan2-ada-pytorch@d72cc7d (training/networks.py modulated_conv2d, projector.py);
danielroich/PTI@da94d59 (training/projectors, training/coaches/single_id_coach.py, criteria/localitly_regulizer.py);
omertov/encoder4editing@99ea505 scripts/inference.py. Read for facts only.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import sqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from datasets.images import resized
from methods.base import Inversion, Method
from methods.encoders.stage import EncoderStage
from methods.features import perceptual, projector_features
from methods.generators.stylegan2 import Generator, Noise, StyledConv, ToRGB
from methods.optimization.projector import StreamDraws, learning_rate, noise_autocorrelation, w_statistics
from methods.optimization.stage import WPlusOptimization, _LatentOptimization
from methods.resizing import pooled
from methods.tuning.locality import neighbour_code
from methods.tuning.optimizers import OptimizerConfig
from methods.tuning.stage import PivotalTuning
from methods.tuning.tune import copy_for_tuning
from metrics import identity, region
from metrics import perceptual as perceptual_metrics
from metrics.base import SampleMetric
from metrics.target_cache import TargetCache


def styled(layer: StyledConv, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
    x = layer.conv.by_filters(x, w)
    if noise is not None:
        x = x + layer.noise.weight * noise
    x = F.leaky_relu(x + layer.activate.bias[:, None, None], 0.2) * sqrt(2)
    return x if layer.clamp is None else x.clamp(-layer.clamp, layer.clamp)


def coloured(layer: ToRGB, x: Tensor, w: Tensor, skip: Tensor | None) -> Tensor:
    rgb = layer.conv.by_filters(x, w) + layer.bias
    rgb = rgb if layer.clamp is None else rgb.clamp(-layer.clamp, layer.clamp)
    if skip is None:
        return rgb
    n, c, height, width = skip.shape
    spread = F.pad(skip.reshape(n, c, height, 1, width, 1), (0, 1, 0, 0, 0, 1)).reshape(n, c, 2 * height, 2 * width)
    return rgb + layer.upsample.in_one_pass(spread)


def synthesis(generator: Generator, w_plus: Tensor, noise: Noise = "const") -> Tensor:
    """W+ [N, num_ws, w_dim] -> image [N, 3, R, R], unclamped, as `Generator.synthesis`."""
    maps = generator._noise_maps(noise, len(w_plus))
    layers = w_plus.unbind(1)
    x = styled(generator.conv1, generator.input.input.expand(len(w_plus), -1, -1, -1), layers[0], maps[0])
    image = coloured(generator.to_rgb1, x, layers[1], None)
    for level in range(len(generator.to_rgbs)):
        convs, to_rgb, i = generator.convs, generator.to_rgbs[level], 2 * level + 1
        for step in (0, 1):
            layer: Any = convs[i - 1 + step]
            x = styled(layer, x, layers[i + step], maps[i + step])
        image = coloured(to_rgb, x, layers[i + 2], image)  # type: ignore[arg-type]
    return image


def optimise_latent(stage: _LatentOptimization, target: Tensor, name: str, init: Inversion | None) -> Inversion:
    """The projector on one target [1, 3, R, R]; name: its id; init: the start, in W or W+."""
    generator, config = stage.generator, stage.config
    draws = StreamDraws(stage.generators_for(target))
    features = projector_features(config.features, target)
    layers = generator.num_ws if isinstance(stage, WPlusOptimization) else 1
    centre, deviation = w_statistics(generator, config.w_avg_samples, config.w_avg_seed)
    first = centre.expand(1, layers, -1) if init is None else init.latent[:, :layers]
    w = first.detach().clone().requires_grad_(True)
    noise = generator.noise_buffers()
    if config.optimise_noise:
        noise = [draws.noise_map(i, b.shape).to(b).requires_grad_(True) for i, b in enumerate(noise)]
    optimiser = torch.optim.Adam([w, *(noise if config.optimise_noise else [])], lr=config.lr, foreach=False)
    with torch.no_grad():
        target_features = features(target)
    for step in range(config.steps):
        t = step / config.steps
        strength = config.w_noise * max(0.0, 1.0 - t / config.w_noise_until) ** 2
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(t, config)
        moved = w + draws.perturbation(step, tuple(w.shape)).to(w) * deviation * strength
        image = synthesis(generator, moved.expand(-1, generator.num_ws, -1), noise)
        loss = (target_features - features(image)).square().sum()
        if config.l2:
            loss = loss + config.l2 * (image - target).square().mean()
        if config.optimise_noise:
            loss = loss + config.noise_regularisation * noise_autocorrelation(noise).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if config.optimise_noise:
            with torch.no_grad():
                for level in noise:
                    level -= level.mean()
                    level *= level.square().mean().rsqrt()
    latent = w.detach().expand(-1, generator.num_ws, -1)
    return _inversion(stage, generator, latent, name, config.steps)


def tune(stage: PivotalTuning, target: Tensor, name: str, init: Inversion) -> Inversion:
    """Pivotal tuning of a copied generator for one target [1, 3, R, R]; name: its id; init: the pivot."""
    frozen, config, pivot = stage.generator, stage.config, init.latent
    tuned = copy_for_tuning(frozen, init.weights[0]).requires_grad_(True)
    network = perceptual(config.network).to(target)
    stream = stage.generators_for(target, config.stream)[0]
    optimiser = torch.optim.Adam(tuned.parameters(), lr=config.lr, foreach=False)
    steps, local = 0, config.locality
    for _ in range(config.steps):
        image = synthesis(tuned, pivot)
        distance = network(image, target).sum()
        loss = config.l2 * F.mse_loss(image, target) + config.lpips * distance
        if float(distance.detach()) <= config.stop_lpips:
            break
        if local.weight and steps % local.interval == 0:
            for _ in range(local.samples):
                z = torch.randn(1, frozen.z_dim, generator=stream).to(pivot)
                code = neighbour_code(frozen, pivot, z, local)
                new = synthesis(tuned, code, "none")
                with torch.no_grad():
                    old = synthesis(frozen, code, "none")
                near = local.l2 * F.mse_loss(new, old) + local.lpips * network(new, old).sum()
                loss = loss + local.weight * near / local.samples
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    return _inversion(stage, tuned, pivot, name, steps)


def encode(stage: EncoderStage, image: Tensor, name: str) -> Inversion:
    """All refinement steps of an encoder on one image [1, 3, R, R]."""
    encoder = stage.encoder
    target = resized(image, encoder.config.resolution)
    latent, current = None, None
    with torch.no_grad():
        for _ in range(stage._iterations()):
            latent = encoder(target, latent, current)
            current = pooled(synthesis(stage.generator, latent), encoder.config.resolution)
    assert latent is not None
    return _inversion(stage, stage.generator, latent, name, stage._iterations())


def _inversion(stage: Method, generator: Generator, latent: Tensor, name: str, steps: int) -> Inversion:
    with torch.no_grad():
        image = synthesis(generator, latent).clamp(-1, 1)
    return Inversion((name,), latent, stage.info.space, image, torch.tensor([steps]))


def stage_of(stage: Method) -> Method:
    """A copy of the stage with contiguous weights, not in the layout for CPU convolutions."""
    return copy.deepcopy(stage).to(memory_format=torch.contiguous_format)


def known(stage: Method) -> bool:
    """Whether there is a reference implementation of the stage; variants of this suite have none."""
    if isinstance(stage, PivotalTuning):
        return stage.config.affine and stage.config.optimizer == OptimizerConfig() and stage.config.group == 1
    return isinstance(stage, _LatentOptimization | EncoderStage)


def invert(stage: Method, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
    """`stage.invert` image by image, without tuned weights in the result; arguments as of Method.invert."""
    assert known(stage), f"{stage.info.name} has no reference implementation"
    inversions = []
    for i, name in enumerate(ids):
        one, before = images[i : i + 1], init[i : i + 1] if init is not None else None
        if isinstance(stage, _LatentOptimization):
            inversions.append(optimise_latent(stage, one, name, before))
        elif isinstance(stage, EncoderStage):
            inversions.append(encode(stage, one, name))
        else:
            assert isinstance(stage, PivotalTuning) and before is not None
            inversions.append(tune(stage, one, name, before))
    return Inversion.concatenate(inversions)


def score(metric: SampleMetric, images: Tensor, targets: Tensor) -> Tensor:
    """Values [N] of a metric, image by image and without cached targets, with the suite's network and memory layout.

    Args:
        metric: a metric of single images.
        images, targets: [N, 3, R, R] in [-1, 1].
    """
    values = []
    for i in range(len(images)):
        with empty_caches():
            values.append(metric(images[i : i + 1], targets[i : i + 1]))
    return torch.cat(values)


@contextmanager
def empty_caches() -> Iterator[None]:
    """Metrics use empty caches of targets inside the block; their own caches stay as they are."""
    stores = ((perceptual_metrics, "_targets"), (identity, "_targets"), (identity, "_faces"), (region, "_masks"))
    before = [getattr(module, name) for module, name in stores]
    for module, name in stores:
        setattr(module, name, TargetCache())
    try:
        yield
    finally:
        for (module, name), store in zip(stores, before, strict=True):
            setattr(module, name, store)
