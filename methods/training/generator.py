"""Adversarial training of a StyleGAN2 on photographs, and the distillation that made its start.

StyleGAN2's training (arXiv 1912.04958): non-saturating loss, lazy R1, path length regularisation, style mixing, a
moving average of the weights; with adaptive discriminator augmentation (arXiv 2006.06676), because photographs are few.

The state that it starts from was made by the same class with `data=digiface_gan`. From scratch the small discriminator
runs away from the generator, so the generator first learned, image by image, what a DCGAN draws from the same z
(2 L1 + LPIPS-AlexNet), then trained against the discriminator with the distillation on every second step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from datasets.checkpoints import describe, read_safetensors, reading
from inversion_bench.files import atomic
from methods.generators.stylegan2 import Generator, GeneratorConfig
from methods.training.augment import Augment
from methods.training.count import Count
from methods.training.discriminator import Discriminator, discriminator_channels
from methods.training.graphs import captured
from methods.training.metrics import save_sheet
from methods.training.path_length import PathLength
from metrics.distribution import AlexFeatures, FrechetDistance
from metrics.networks.lpips import load_lpips

# Feature maps of the generator by the side of the maps.
CHANNELS = {4: 192, 8: 160, 16: 96, 32: 48, 64: 24, 128: 16, 256: 8}


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of `python -m benchmarks train generator`. Images count over all processes."""

    data: str = "celeba"  # or a data set, a folder; digiface_gan: draws of a DCGAN with their z, for distillation
    align: str = "ffhq"  # of a folder; none: square images as they are
    domain: str = "faces"  # what the images show
    name: str = ""  # of the exported files; NAMES of generator_export, or the folder's, with the resolution
    resolution: int = 64
    width: float = 1.0  # factor of all feature maps
    distil_images: int = 0
    total_images: int = 2_000_000
    batch: int = 16  # per process
    draws: int = 48_000  # of the DCGAN
    distil_lr: float = 4e-3
    lr: float = 1e-3
    warmup_images: int = 2_000  # over which lr rises from 0: a state to start from holds no optimizer's memory
    discriminator_rate: float = 1.5  # of the discriminator, relative to lr
    mapping_rate: float = 0.3  # of the mapping network's weights, relative to the others; StyleGAN2 has 0.01
    adversarial_mapping_rate: float = 0.03
    r1_gamma: float = 0.1
    r1_interval: int = 16
    path_weight: float = 2.0  # path length regularisation; 0 leaves it out
    path_interval: int = 8
    augment_target: float = 0.6  # fraction of real images the discriminator is to be sure of; 0 turns augmentation off
    augment_images: float = 100_000.0  # images that move the probability of augmentation from 0 to 1
    style_mixing: float = 0.5
    anchor: float = 0.0  # weight of the distillation beside the adversarial loss
    anchor_fades_at: int = 250_000  # adversarial images after which the anchor starts to fade over as many again
    anchor_floor: float = 0.2
    ema_images: float = 5_000.0  # half life
    frechet_images: int = 5_000
    validate_every: int = 400  # steps
    graphs: bool = True  # on one CUDA device: networks as CUDA graphs, several times faster in small batches
    detection_images: int = 300  # samples in which the model card looks for faces
    start: str = ""  # a state written by `save_state` to begin from, where there is no checkpoint to resume
    seed: int = 0


def generator_shape(config: TrainingConfig) -> GeneratorConfig:
    """The network's shape. Raises ValueError for a resolution that it is not laid out for."""
    if config.resolution not in CHANNELS or config.resolution < 16:
        sides = ", ".join(str(side) for side in CHANNELS if side >= 16)
        raise ValueError(f"resolution={config.resolution}: expected one of {sides}")
    channels = tuple(round(n * config.width) for side, n in CHANNELS.items() if side <= config.resolution)
    return GeneratorConfig(config.resolution, channels, z_dim=100, w_dim=128, mapping_layers=4)


class GeneratorTraining(pl.LightningModule):
    """Generator, its moving average and a discriminator under manual optimisation."""

    _started_at = 0
    layout: torch.memory_format = torch.contiguous_format

    def __init__(self, config: TrainingConfig):
        super().__init__()
        self.save_hyperparameters(asdict(config))
        self.automatic_optimization = False
        self.config = config
        self.generator = Generator(generator_shape(config))
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.discriminator = Discriminator(discriminator_channels(config.resolution, config.width))
        self.lpips = load_lpips("alex")
        self.augment = Augment(config.augment_target, config.augment_images)
        self.path_length = PathLength()
        self.frechet = FrechetDistance(AlexFeatures(), AlexFeatures.DIM)
        self.images = Count()
        self.graphs: dict[str, Callable[..., Tensor]] = {}  # by what they compute; none on a CPU
        if config.start:
            self.load_state(Path(config.start).expanduser())

    def save_state(self, path: Path) -> None:
        """Average generator and discriminator in half precision: enough to go on elsewhere, without optimizers."""
        state = {f"generator.{k}": v for k, v in self.ema.state_dict().items()}
        state |= {f"discriminator.{k}": v for k, v in self.discriminator.state_dict().items()}
        facts = {"images": str(int(self.images)), "data": self.config.data, "augment_p": f"{float(self.augment.p):.4f}"}
        facts["path_length"] = f"{float(self.path_length.mean):.6g}"
        with atomic(path) as temporary:
            save_file({k: v.half().contiguous() for k, v in state.items()}, temporary, facts)

    def load_state(self, path: Path) -> None:
        """Go on from what `save_state` wrote. Raises FileNotFoundError, or ValueError that names the file."""
        stored, facts = read_safetensors(path)
        state = {key: value.float() for key, value in stored.items()}
        if "images" not in facts:
            raise ValueError(f"{path}: no state of a generator's training; found {describe(stored)}")
        with reading(path, "state of a generator's training"):
            self._take(state, facts)

    def _take(self, state: dict[str, Tensor], facts: dict[str, str]) -> None:
        if facts.get("data", "digiface_gan") == self.config.data:  # else another set's training begins here
            self.images.value = int(facts["images"])
            self.augment.p.fill_(float(facts.get("augment_p", 0)))
            self.path_length.mean.fill_(float(facts.get("path_length", 0)))
        self._started_at = int(self.images)
        for name in ("generator", "discriminator"):
            own = {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
            getattr(self, name).load_state_dict(own)
        self.ema.load_state_dict(self.generator.state_dict())

    def setup(self, stage: str) -> None:
        on_cpu = self.trainer.strategy.root_device.type == "cpu"
        # The layout that its convolutions run faster in; depth-wise ones in channels_last are slow on CUDA.
        self.layout = torch.channels_last if on_cpu else torch.contiguous_format
        self.discriminator.to(memory_format=self.layout)

    @property
    def step(self) -> int:
        """Steps so far."""
        world = self.trainer.world_size if self._trainer else 1
        return int(self.images) // (self.config.batch * world)

    @property
    def adversarial(self) -> bool:
        return int(self.images) >= self.config.distil_images

    @staticmethod
    def lazy_ratio(interval: int) -> float:
        """Lazy regularisation: Adam's rate and memory are scaled as if the regulariser came with every step."""
        return interval / (interval + 1)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        mapping = list(self.generator.style.parameters())
        others = [p for n, p in self.generator.named_parameters() if not n.startswith("style.")]
        memory_g = 0.99**self._generator_ratio
        memory_d = 0.99 ** self.lazy_ratio(self.config.r1_interval)
        return [
            torch.optim.Adam([{"params": others}, {"params": mapping}], lr=self.config.lr, betas=(0.0, memory_g)),
            torch.optim.Adam(self.discriminator.parameters(), lr=self.config.lr, betas=(0.0, memory_d)),
        ]

    @property
    def _generator_ratio(self) -> float:
        return self.lazy_ratio(self.config.path_interval) if self.config.path_weight else 1.0

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        real = (batch[0].permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=self.layout)
        z = batch[1]
        if self.config.graphs and self.device.type == "cuda" and self.trainer.world_size == 1 and not self.graphs:
            self.graphs = self._captured(real)
        optimizer_g, optimizer_d = cast(list[Any], self.optimizers())
        adversarial = self.adversarial
        warm = min(1.0, (int(self.images) - self._started_at + 1) / max(1, self.config.warmup_images))
        rate = warm * (self.config.lr * self._generator_ratio if adversarial else self.config.distil_lr)
        mapping = self.config.adversarial_mapping_rate if adversarial else self.config.mapping_rate
        optimizer_g.param_groups[0]["lr"] = rate
        # Stored mapping weights are 100 times the used ones (lr_mul 0.01).
        optimizer_g.param_groups[1]["lr"] = rate * mapping * 100
        if adversarial:
            ratio = self.lazy_ratio(self.config.r1_interval)
            optimizer_d.param_groups[0]["lr"] = warm * self.config.lr * ratio * self.config.discriminator_rate
            self._discriminator_step(optimizer_d, real)
        self._generator_step(optimizer_g, real, z)
        if adversarial and self.config.path_weight and self.step % self.config.path_interval == 0:
            self._path_step(optimizer_g, len(real) // 2)
        if self.config.augment_target and self.step % 4 == 0:
            self.augment.adapt()
            self.log("augment_p", self.augment.p)
        self.images += len(real) * self.trainer.world_size
        self.log("images", float(int(self.images)), prog_bar=True)
        if int(self.images) >= self.config.total_images:
            self.trainer.should_stop = True

    def _random(self, use: int) -> torch.Generator:
        """The stream of one use in this step. Every process draws for all, and takes its own, interleaved."""
        return torch.Generator(self.device).manual_seed((self.config.seed << 44) + (self.step << 4) + use)

    def _mine(self, drawn: Tensor, dim: int = 0) -> Tensor:
        own = torch.arange(self.global_rank, drawn.shape[dim], self.trainer.world_size, device=self.device)
        return drawn.index_select(dim, own)

    def _latents(self, count: int, use: int) -> Tensor:
        random, total = self._random(use), count * self.trainer.world_size
        stream: Any = {"generator": random, "device": self.device}
        z = torch.randn(2, total, self.generator.z_dim, **stream)
        crossover = self._mine(torch.randint(1, self.generator.num_ws, (total, 1, 1), **stream))
        mix = self._mine(torch.rand(total, 1, 1, **stream)) < self.config.style_mixing
        first, second = self.generator.mapping(self._mine(z, 1).flatten(0, 1)).chunk(2)
        layers = torch.arange(self.generator.num_ws, device=self.device)[None, :, None]
        return torch.where(mix & (layers >= crossover), second, first)

    def _noise(self, count: int, use: int) -> list[Tensor]:
        random, total = self._random(use), count * self.trainer.world_size
        shapes = [buffer.shape[1:] for buffer in self.generator.noise_buffers()]
        return [self._mine(torch.randn(total, *shape, generator=random, device=self.device)) for shape in shapes]

    def _captured(self, real: Tensor) -> dict[str, Callable[..., Tensor]]:
        """The networks as graphs for batches like `real`: the discriminator of each use apart."""
        w_plus, noise = self._latents(len(real), 0).detach().requires_grad_(), self._noise(len(real), 1)
        graphs = {"synthesis": captured(self.generator, self._synthesised, w_plus, *noise)}
        for use in ("real", "fake"):
            graphs[use] = captured(self.discriminator, self._judged, real.detach().clone())
        self.discriminator.requires_grad_(False)
        graphs["fooled"] = captured(self.discriminator, self._judged, real.detach().clone().requires_grad_())
        self.discriminator.requires_grad_(True)
        return graphs

    def _synthesised(self, w_plus: Tensor, *noise: Tensor) -> Tensor:
        return self.generator.synthesis(w_plus, noise)

    def _judged(self, images: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(self.augment(images))
        return logits

    def _discriminator_step(self, optimizer: Any, real: Tensor) -> None:
        self.toggle_optimizer(optimizer)
        synthesised = self.graphs.get("synthesis", self._synthesised)
        with torch.no_grad():
            fake = synthesised(self._latents(len(real), 0), *self._noise(len(real), 1))
        regularise = self.step % self.config.r1_interval == 0
        real = real.requires_grad_(regularise)
        graphs = {} if regularise else self.graphs  # a graph has no second derivative
        logits_real = graphs.get("real", self._judged)(real)
        logits_fake = graphs.get("fake", self._judged)(fake)
        self.augment.observe(logits_real)
        loss = F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()
        self.log("d_loss", loss, sync_dist=True)
        self.log("d_real", logits_real.mean(), sync_dist=True)
        self.log("d_fake", logits_fake.mean(), sync_dist=True)
        if regularise:
            (gradient,) = torch.autograd.grad(logits_real.sum(), real, create_graph=True)
            penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
            self.log("r1", penalty, sync_dist=True)
            loss = loss + penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.untoggle_optimizer(optimizer)

    def _generator_step(self, optimizer: Any, real: Tensor, z: Tensor) -> None:
        self.toggle_optimizer(optimizer)
        real = real.detach()
        loss = torch.zeros((), device=self.device)
        anchor = self._anchor()
        if anchor > 0 and (not self.adversarial or self.step % 2 == 0):
            drawn = self.generator(z, noise=self._noise(len(real), 2))
            l1, lpips = (drawn - real).abs().mean(), self.lpips(drawn, real).mean()
            self.log("distil_l1", l1, sync_dist=True)
            self.log("distil_lpips", lpips, sync_dist=True)
            loss = loss + anchor * (2 * l1 + lpips)
        if self.adversarial:
            synthesised = self.graphs.get("synthesis", self._synthesised)
            fake = synthesised(self._latents(len(real), 3), *self._noise(len(real), 4))
            adversarial = F.softplus(-self.graphs.get("fooled", self._judged)(fake)).mean()
            self.log("g_loss", adversarial, sync_dist=True)
            loss = loss + adversarial
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.untoggle_optimizer(optimizer)

    def _path_step(self, optimizer: Any, count: int) -> None:
        self.toggle_optimizer(optimizer)
        w_plus = self._latents(count, 5)
        penalty = self.path_length(self.generator.synthesis(w_plus, self._noise(count, 6)), w_plus)
        self.log("path_length", self.path_length.mean)
        optimizer.zero_grad()
        self.manual_backward(penalty * self.config.path_weight * self.config.path_interval)
        optimizer.step()
        self.untoggle_optimizer(optimizer)

    def _anchor(self) -> float:
        past = int(self.images) - self.config.distil_images - self.config.anchor_fades_at
        faded = 1 - max(0, past) / self.config.anchor_fades_at
        return self.config.anchor * max(self.config.anchor_floor, min(1.0, faded))

    @torch.no_grad()
    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        step = len(batch[0]) * self.trainer.world_size
        half_life = min(self.config.ema_images, 0.2 * int(self.images) + 1)
        decay = 0.5 ** (step / half_life)
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.generator.parameters()), 1 - decay)
        w = self.trainer.strategy.reduce(self.generator.style(batch[1]).mean(0), reduce_op="mean")
        self.generator.latent_avg.lerp_(w, 0.002)
        self.ema.latent_avg.copy_(self.generator.latent_avg)

    def on_validation_start(self) -> None:
        if int(self.frechet.real_n) == 0:  # type: ignore[arg-type]
            for images, _ in self.trainer.datamodule.reference_batches():  # type: ignore[attr-defined]
                self.frechet.update(images.to(self.device), real=True)
        self.frechet.reset()

    def validation_step(self, batch: tuple[Tensor], index: int) -> None:
        self.frechet.update(self.ema(batch[0], noise="const").clamp(-1, 1), real=False)

    def on_validation_epoch_end(self) -> None:
        distance = self.frechet.compute().float()
        self.log("frechet_alex", distance, prog_bar=True)
        self.log("at_images", float(int(self.images)))
        if self.global_rank == 0 and not self.trainer.sanity_checking:
            folder = Path(self.trainer.default_root_dir)
            save_grid(self.ema, folder / "samples" / f"{int(self.images):09d}.png")


@torch.no_grad()
def save_grid(generator: Generator, path: Path, rows: int = 6, columns: int = 10, seed: int = 7) -> None:
    """A contact sheet of uncurated samples (fixed z, no truncation)."""
    z = torch.randn(rows * columns, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    images = generator(z.to(generator.latent_avg.device))
    save_sheet(images, columns, path)
