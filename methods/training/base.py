"""What the trainings of encoders and hypernetworks share: a network beside a frozen generator, and its average.

No random number comes from a global stream, so that a training that was interrupted and resumed gives the weights of an
undisturbed one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.swa_utils import AveragedModel

from datasets.scope import FACES
from methods.checkpoints.trained import start_from
from methods.generators.stylegan2 import Generator
from methods.replay import Replay
from methods.training.count import Count
from methods.training.distributed import share_batch_norms
from methods.training.losses import LossWeights, identity_distance
from methods.training.metrics import save_comparison, validation_metrics

VALIDATIONS = 10  # in a training


@dataclass(frozen=True, kw_only=True)
class NetworkTrainingConfig(ABC):
    """Settings that all these trainings have.

    data, align, draws: training images, as datasets.training_images.load takes them; data "": what the generator was
    trained on; align "": the generator's frame, ffhq where it declares none. domain: what the images show; "" for the
    generator's; other domains than faces are trained on without the identity loss. budget: passes of network and
    generator, forward and backward, over all processes (a pass without a backward counts a third), so that trainings of
    different networks cost the same. synthetic: fraction of the images that the generator draws. warmup: fraction of
    the budget over which the rate rises; it falls along half a cosine to 0. ema: decay of the average of weights.
    precision: Lightning's, such as bf16-mixed on a GPU. start: a file of weights to begin from, of which whatever fits
    is taken; the network's own file trains it further. name: of the exported files. The released trainings use Ranger
    at 1e-4 for 200,000 steps and more; the budget here is a hundredth of that, so Adam and a higher rate.
    """

    generator: str = "celeba64"
    data: str = ""
    align: str = ""
    domain: str = ""
    budget: int = 32_000
    batch: int = 8
    synthetic: float = 0.25
    draws: int = 48_000
    lr: float = 1e-3
    warmup: float = 0.05
    ema: float = 0.995
    losses: LossWeights = field(default_factory=LossWeights)
    precision: str = "32-true"
    start: str = ""
    name: str = ""
    seed: int = 0

    @property
    @abstractmethod
    def cost(self) -> float:
        """Passes that one training image takes."""

    def steps(self, processes: int = 1) -> int:
        """Steps in the budget."""
        return math.ceil(self.budget / (self.cost * self.batch * processes))


@dataclass(frozen=True)
class Reconstruction:
    """Codes [N, num_ws, w_dim], and images [N, 3, S, S] clamped to [-1, 1], beside the targets [N, 3, S, S]."""

    latent: Tensor
    image: Tensor
    target: Tensor


def ema_with_warmup(decay: float) -> Callable[..., None]:
    """The averaging function of an AveragedModel: decay min(`decay`, n / (n + 9)) at the n-th update."""

    @torch.no_grad()
    def update(averages: list[Tensor], current: list[Tensor], n: Tensor) -> None:
        if averages[0].is_floating_point():
            moves = torch._foreach_sub(current, averages)
            torch._foreach_mul_(moves, 1 - (n / (9 + n)).clamp(max=decay))  # a tensor: nothing waits for a GPU
            torch._foreach_add_(averages, moves)
            return
        for average, value in zip(averages, current, strict=True):  # the counters of batch normalisation
            average.copy_(value)

    return update


def warmup_cosine(progress: float, warmup: float) -> float:
    """Factor of the learning rate: a linear rise over the fraction `warmup`, times half a cosine from 1 to 0."""
    warm = min(1.0, (progress + 1e-3) / warmup) if warmup else 1.0
    return warm * 0.5 * (1 + math.cos(math.pi * progress))


class EmaTraining(pl.LightningModule, ABC):
    """Manual optimization of one network by the sum of its loss terms.

    Subclasses name the attribute that holds the network in `network_name`.
    """

    network_name: ClassVar[str]
    replayable = False  # whether `losses` is, in each phase, a function of the batch's tensors alone: methods.replay

    def __init__(self, config: NetworkTrainingConfig, generator: Generator, network: nn.Module):
        super().__init__()
        self.save_hyperparameters(asdict(config))
        self.automatic_optimization = False
        self.config: Any = config
        self.generator = generator.eval().requires_grad_(False)
        if config.start:
            path = Path(config.start).expanduser()
            start_from(self.part_of(network, path), path)
        setattr(self, self.network_name, network)
        self.ema = AveragedModel(network, multi_avg_fn=ema_with_warmup(config.ema), use_buffers=True)
        self.ema.requires_grad_(False).eval()
        self.ema.n_averaged.fill_(1)  # the first update averages, too
        self.steps = Count()
        self._recorded: Replay[dict[str, Tensor]] | None = None
        self._recorded_phase: Hashable = None
        self._inputs: dict[str, Tensor] = {}

    @property
    def network(self) -> nn.Module:
        return cast(nn.Module, getattr(self, self.network_name))

    @property
    def average(self) -> Any:
        """The network with averaged weights."""
        return self.ema.module

    @property
    @abstractmethod
    def default_name(self) -> str:
        """Of exported files, where the config gives none."""

    @property
    @abstractmethod
    def shape(self) -> Any:
        """The network's shape, for the model card."""

    @abstractmethod
    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weighted loss terms of a batch {"images" [N, 3, R, R], "w" [N, w_dim], "known" [N]}, scalars by name."""

    def part_of(self, network: nn.Module, start: Path) -> nn.Module:
        """The part of a network that begins from a file of weights."""
        return network

    def prepared(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch with what else `losses` reads and a recording cannot compute: random tensors, decided by
        `step_seed`, and what is found by way of the processor."""
        return batch

    @property
    def phase(self) -> Hashable:
        """While it stays the same, `losses` is the same function, and a recording of it holds."""
        return None

    @abstractmethod
    def reconstruct(self, network: Any, images: Tensor) -> Reconstruction:
        """What a network makes of images [N, 3, R, R]."""

    @abstractmethod
    def save(self, path: Path, card: dict[str, str]) -> None:
        """Write the average in half precision."""

    @abstractmethod
    def load(self, path: Path) -> Any:
        """The network of a file of `save`."""

    def compared(self, stored: Any) -> dict[str, Any]:
        """The networks of the model card's table, by the name of their row."""
        return {"as stored (float16)": stored, "as trained (float32)": self.average}

    def after_step(self, optimizers: list[Any]) -> None:
        """What follows the network's step, before the average is updated."""

    @property
    def total_steps(self) -> int:
        return self.config.steps(self.trainer.world_size if self._trainer else 1)

    @property
    def progress(self) -> float:
        return int(self.steps) / self.total_steps

    @property
    def step_seed(self) -> int:
        """Of the random numbers that this process draws in this step: a resumed training draws the same ones."""
        return (int(self.config.seed) << 40) + (int(self.steps) << 8) + self.global_rank

    def setup(self, stage: str) -> None:
        if self.trainer.world_size > 1:
            share_batch_norms(self.network)

    def further_optimizers(self) -> list[torch.optim.Optimizer]:
        return []

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[LRScheduler]]:
        adam = torch.optim.Adam(self.network.parameters(), lr=self.config.lr)
        schedule = LambdaLR(adam, lambda _: warmup_cosine(self.progress, self.config.warmup))
        return [adam, *self.further_optimizers()], [schedule]

    def training_step(self, batch: dict[str, Tensor], index: int) -> None:
        optimizers = self.optimizers()
        optimizers = cast(list[Any], optimizers if isinstance(optimizers, list) else [optimizers])
        terms = self._gradients(self.prepared(batch), optimizers[0])
        optimizers[0].step()
        self.after_step(optimizers)
        self.ema.update_parameters(self.network)
        self.log_dict({name: value.clone() for name, value in terms.items()}, sync_dist=True)
        self.log("loss", torch.stack(list(terms.values())).sum(), prog_bar=True, sync_dist=True)
        self.steps += 1
        cast(LRScheduler, self.lr_schedulers()).step()
        self.log("images", float(int(self.steps)) * self.config.batch * self.trainer.world_size, prog_bar=True)
        if int(self.steps) >= self.total_steps:
            self.trainer.should_stop = True

    def _gradients(self, batch: dict[str, Tensor], optimizer: Any) -> dict[str, Tensor]:
        """Gradients of the summed terms of a batch; the terms."""
        if self._recorded is None or self._recorded_phase != self.phase:
            self._recorded_phase = self.phase

            def gradients() -> dict[str, Tensor]:
                terms = self.losses(self._inputs)
                optimizer.zero_grad()
                self.manual_backward(torch.stack(list(terms.values())).sum())
                return {name: value.detach() for name, value in terms.items()}

            alone = self.trainer.world_size == 1 and self.config.precision == "32-true"
            device = self.device if self.replayable and alone else torch.device("cpu")
            self._recorded = Replay(gradients, device, list(self.network.parameters()))
        if not self._recorded.records:
            self._inputs = batch
        elif not self._inputs:
            self._inputs = {name: value.clone() for name, value in batch.items()}
        else:  # a recording reads the same tensors at every step
            for name, value in batch.items():
                self._inputs[name].copy_(value)
        return self._recorded()

    def validation_step(self, batch: tuple[Tensor], index: int) -> None:
        result = self.reconstruct(self.average, batch[0])
        # Identity costs more than all else; the model card has it.
        for name, value in validation_metrics(result.image, result.target).items():
            self.log(f"val_{name}", value, prog_bar=name == "mse", batch_size=len(batch[0]), sync_dist=True)
        if index == 0 and self.global_rank == 0 and not self.trainer.sanity_checking:
            path = Path(self.trainer.default_root_dir) / "samples" / f"{int(self.steps):07d}.png"
            save_comparison(result.target[:10], result.image[:10], path)

    @torch.no_grad()
    def evaluate(self, network: Any, images: Tensor) -> dict[str, float]:
        """MSE, LPIPS, identity, and the mean distance of a code's layers from their mean, over images [N, 3, R, R]."""
        results = [self.reconstruct(network, part) for part in images.split(32)]
        losses, faces = self.config.losses, self.config.domain in ("", FACES)
        same = [
            1 - identity_distance(r.image, r.target, losses.identity_network, losses.identity_frame)
            if faces
            else torch.tensor(float("nan"))
            for r in results
        ]
        image, target, codes = (torch.cat([getattr(r, k) for r in results]) for k in ("image", "target", "latent"))
        found = {name: float(value) for name, value in validation_metrics(image, target).items()}
        spread = (codes - codes.mean(dim=1, keepdim=True)).norm(dim=2).mean()
        return found | {"identity": float(torch.stack(same).mean()), "spread": float(spread)}
