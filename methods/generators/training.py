"""Training of the embedded StyleGAN2: distil the DCGAN first, then train against a discriminator.

Recipe: from scratch the small discriminator runs away from the generator. So the generator first learns, image
by image, what the DCGAN draws from the same z (2 L1 + LPIPS-AlexNet), then plays StyleGAN2's game
(non-saturating loss, lazy R1, style mixing, EMA; arXiv 1912.04958) with the distillation kept as an anchor on
every second step, fading late.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torchvision.utils import make_grid

from datasets import assets
from datasets.training_faces import load_training_faces, to_uint8
from methods.generators.discriminator import Discriminator
from methods.generators.stylegan2 import Generator, GeneratorConfig
from metrics.distribution import AlexFeatures, FrechetDistance
from metrics.networks.lpips import load_lpips

FACES64 = GeneratorConfig(resolution=64, channels=(192, 160, 96, 48, 24), z_dim=100, w_dim=128, mapping_layers=4)


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of `python -m benchmarks train generator`. Images count over all processes."""

    distil_images: int = 120_000
    total_images: int = 1_000_000
    batch: int = 16  # per process
    draws: int = 48_000
    distil_lr: float = 4e-3
    lr: float = 2e-3
    discriminator_rate: float = 1.0  # of the discriminator, relative to lr
    mapping_rate: float = 0.3  # of the mapping network's weights, relative to the others; StyleGAN2 has 0.01
    adversarial_mapping_rate: float = 0.03
    r1_gamma: float = 0.1
    r1_interval: int = 16
    style_mixing: float = 0.5
    anchor: float = 1.0
    anchor_fades_at: int = 250_000  # adversarial images after which the anchor starts to fade over as many again
    anchor_floor: float = 0.2
    ema_images: float = 5_000.0  # half life
    frechet_images: int = 5_000
    detection_images: int = 300  # samples in which the model card looks for faces
    start: str = ""  # a state written by `save_state` to begin from, where there is no checkpoint to resume
    seed: int = 0


class GeneratorTraining(pl.LightningModule):
    """Generator, its moving average and a discriminator under manual optimisation."""

    images: Tensor

    def __init__(self, config: TrainingConfig, generator: GeneratorConfig = FACES64):
        super().__init__()
        self.save_hyperparameters({"training": asdict(config), "generator": asdict(generator)})
        self.automatic_optimization = False
        self.config = config
        self.generator = Generator(generator)
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.discriminator = Discriminator((48, 96, 192, 192)).to(memory_format=torch.channels_last)
        self.lpips = load_lpips("alex")
        self.frechet = FrechetDistance(AlexFeatures(), AlexFeatures.DIM)
        self.register_buffer("images", torch.zeros((), dtype=torch.long))
        if config.start:
            self.load_state(Path(config.start))

    def save_state(self, path: Path) -> None:
        """Average generator and discriminator in half precision: enough to go on elsewhere, without optimisers."""
        state = {f"generator.{k}": v for k, v in self.ema.state_dict().items()}
        state |= {f"discriminator.{k}": v for k, v in self.discriminator.state_dict().items()}
        save_file({k: v.half().contiguous() for k, v in state.items()}, path, {"images": str(int(self.images))})

    def load_state(self, path: Path) -> None:
        with safe_open(path, framework="pt") as handle:
            state = {key: handle.get_tensor(key).float() for key in handle.keys()}  # noqa: SIM118
            self.images.fill_(int(handle.metadata()["images"]))
        for name in ("generator", "discriminator"):
            own = {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
            getattr(self, name).load_state_dict(own)
        self.ema.load_state_dict(self.generator.state_dict())

    @property
    def step(self) -> int:
        """Steps so far, all processes together."""
        world = self.trainer.world_size if self._trainer else 1
        return int(self.images) // (self.config.batch * world)

    @property
    def adversarial(self) -> bool:
        return int(self.images) >= self.config.distil_images

    @property
    def lazy_ratio(self) -> float:
        """Lazy regularisation: Adam's rate and memory are scaled as if R1 came with every step."""
        return self.config.r1_interval / (self.config.r1_interval + 1)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        mapping = list(self.generator.style.parameters())
        others = [p for n, p in self.generator.named_parameters() if not n.startswith("style.")]
        ratio = self.lazy_ratio
        return [
            torch.optim.Adam([{"params": others}, {"params": mapping}], lr=self.config.lr, betas=(0.0, 0.99)),
            torch.optim.Adam(self.discriminator.parameters(), lr=self.config.lr, betas=(0.0, 0.99**ratio)),
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        real = (batch[0].permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        z = batch[1]
        optimise_g, optimise_d = cast(list[Any], self.optimizers())
        adversarial = self.adversarial
        rate = self.config.lr if adversarial else self.config.distil_lr
        mapping = self.config.adversarial_mapping_rate if adversarial else self.config.mapping_rate
        optimise_g.param_groups[0]["lr"] = rate
        # Stored mapping weights are 100 times the used ones (lr_mul 0.01).
        optimise_g.param_groups[1]["lr"] = rate * mapping * 100
        if adversarial:
            optimise_d.param_groups[0]["lr"] = self.config.lr * self.lazy_ratio * self.config.discriminator_rate
            self._discriminator_step(optimise_d, real)
        self._generator_step(optimise_g, real, z)
        self.images += len(real) * self.trainer.world_size
        self.log("images", self.images.float(), prog_bar=True)
        if int(self.images) >= self.config.total_images:
            self.trainer.should_stop = True

    def _random(self, use: int) -> torch.Generator:
        """The stream of one use in this step. All processes draw alike for all of them, and take their own in turn."""
        return torch.Generator().manual_seed((self.config.seed << 44) + (self.step << 4) + use)

    def _mine(self, drawn: Tensor, dim: int = 0) -> Tensor:
        places = torch.arange(self.global_rank, drawn.shape[dim], self.trainer.world_size)
        return drawn.index_select(dim, places).to(self.device)

    def _latents(self, count: int, use: int) -> Tensor:
        random, total = self._random(use), count * self.trainer.world_size
        z = torch.randn(2, total, self.generator.z_dim, generator=random)
        crossover = self._mine(torch.randint(1, self.generator.num_ws, (total, 1, 1), generator=random))
        mix = self._mine(torch.rand(total, 1, 1, generator=random)) < self.config.style_mixing
        first, second = self.generator.mapping(self._mine(z, 1).flatten(0, 1)).chunk(2)
        rows = torch.arange(self.generator.num_ws, device=self.device)[None, :, None]
        return torch.where(mix & (rows >= crossover), second, first)

    def _noise(self, count: int, use: int) -> list[Tensor]:
        random, total = self._random(use), count * self.trainer.world_size
        shapes = [buffer.shape[1:] for buffer in self.generator.noise_buffers()]
        return [self._mine(torch.randn(total, *shape, generator=random)) for shape in shapes]

    def _discriminator_step(self, optimiser: Any, real: Tensor) -> None:
        self.toggle_optimizer(optimiser)
        with torch.no_grad():
            fake = self.generator.synthesis(self._latents(len(real), 0), self._noise(len(real), 1))
        regularise = self.step % self.config.r1_interval == 0
        real = real.requires_grad_(regularise)
        logits_real, logits_fake = self.discriminator(real), self.discriminator(fake)
        loss = F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()
        self.log("d_loss", loss, sync_dist=True)
        self.log("d_real", logits_real.mean(), sync_dist=True)
        self.log("d_fake", logits_fake.mean(), sync_dist=True)
        if regularise:
            (gradient,) = torch.autograd.grad(logits_real.sum(), real, create_graph=True)
            penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
            self.log("r1", penalty, sync_dist=True)
            loss = loss + penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)
        optimiser.zero_grad()
        self.manual_backward(loss)
        optimiser.step()
        self.untoggle_optimizer(optimiser)

    def _generator_step(self, optimiser: Any, real: Tensor, z: Tensor) -> None:
        self.toggle_optimizer(optimiser)
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
            fake = self.generator.synthesis(self._latents(len(real), 3), self._noise(len(real), 4))
            adversarial = F.softplus(-self.discriminator(fake)).mean()
            self.log("g_loss", adversarial, sync_dist=True)
            loss = loss + adversarial
        optimiser.zero_grad()
        self.manual_backward(loss)
        optimiser.step()
        self.untoggle_optimizer(optimiser)

    def _anchor(self) -> float:
        past = int(self.images) - self.config.distil_images - self.config.anchor_fades_at
        faded = 1 - max(0, past) / self.config.anchor_fades_at
        return self.config.anchor * max(self.config.anchor_floor, min(1.0, faded))

    @torch.no_grad()
    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        step = len(batch[0]) * self.trainer.world_size
        half_life = min(self.config.ema_images, 0.2 * float(self.images) + 1)
        decay = 0.5 ** (step / half_life)
        for average, current in zip(self.ema.parameters(), self.generator.parameters(), strict=True):
            average.lerp_(current, 1 - decay)
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
        self.log("at_images", self.images.float())
        if self.global_rank == 0 and not self.trainer.sanity_checking:
            folder = Path(self.trainer.default_root_dir)
            save_grid(self.ema, folder / "samples" / f"{int(self.images):09d}.png")


@torch.no_grad()
def save_grid(generator: Generator, path: Path, rows: int = 6, columns: int = 10, seed: int = 7) -> None:
    """A sheet of uncurated samples (fixed z, no truncation)."""
    z = torch.randn(rows * columns, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    images = generator(z.to(generator.latent_avg.device)).clamp(-1, 1).cpu()
    sheet = to_uint8(make_grid(images, nrow=columns, padding=0)[None])[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)


class _Steps(IterableDataset[tuple[Tensor, Tensor]]):
    def __init__(self, data: TrainingFaces):
        self.data = data

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        step = self.data.first_step()
        while True:
            yield self.data.batch(step)
            step += 1


class TrainingFaces(pl.LightningDataModule):
    """Pairs (face uint8 [64, 64, 3], z [100]) to train on; fixed z to judge by."""

    def __init__(self, config: TrainingConfig):
        super().__init__()
        self.config = config

    def prepare_data(self) -> None:
        assets.ensure("lpips_alex", quiet=False)
        load_training_faces(self.config.draws)

    def setup(self, stage: str | None = None) -> None:
        self.faces, self.z = load_training_faces(self.config.draws)
        wanted = self.config.batch * (self.trainer.world_size if self.trainer else 1)
        if len(self.faces) < wanted:
            raise ValueError(f"{len(self.faces)} training faces, expected at least the {wanted} of a step; raise draws")

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's part of a step's global batch, dealt in turn; every face once an epoch."""
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        size = self.config.batch * world
        epoch, place = divmod(step, len(self.faces) // size)
        random = torch.Generator().manual_seed((self.config.seed << 32) + epoch)
        order = torch.randperm(len(self.faces), generator=random)
        chosen = order[place * size : (place + 1) * size][rank::world]
        return self.faces[chosen], self.z[chosen]

    def first_step(self) -> int:
        """Where a resumed training goes on."""
        return cast(GeneratorTraining, self.trainer.lightning_module).step if self.trainer else 0

    def train_dataloader(self) -> DataLoader:
        return DataLoader(_Steps(self), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        z = torch.randn(self.config.frechet_images, self.z.shape[1], generator=torch.Generator().manual_seed(12345))
        return DataLoader(TensorDataset(z), batch_size=50)

    def reference_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The first `frechet_images` faces, this process's share of them, as float images."""
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        chosen = torch.arange(rank, min(self.config.frechet_images, len(self.faces)), world)
        for part in chosen.split(50):
            yield self.faces[part].permute(0, 3, 1, 2).float() / 127.5 - 1, self.z[part]
