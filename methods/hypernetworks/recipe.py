"""How `python -m benchmarks train hyperstyle` builds, judges and exports a hypernetwork."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch
from jinja2 import Template
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from methods.encoders.data import EncoderData, EncoderDataConfig
from methods.encoders.losses import identity_distance
from methods.encoders.recipe import VALIDATIONS, hours, log
from methods.encoders.training import figures, save_sheet
from methods.generators import load_generator
from methods.hypernetworks.network import Hypernetwork
from methods.hypernetworks.training import HyperStyleTraining, HyperStyleTrainingConfig, inverted, pivots_of
from methods.hypernetworks.weights import load_hypernet, save_hypernet
from methods.recipe import Recipe
from methods.registry import flatten

VERSION = 1


def recipe(overrides: DictConfig) -> Recipe:
    """The recipe with settings overridden; an unknown one raises OmegaConf's error, a missing W encoder
    FileNotFoundError."""
    base = OmegaConf.structured(HyperStyleTrainingConfig())
    config = cast(HyperStyleTrainingConfig, OmegaConf.to_object(OmegaConf.merge(base, overrides)))
    generator = load_generator(config.generator)
    pivots_of(config, generator)  # before any work, as it may be absent
    return Recipe(
        config=config,
        module=lambda: HyperStyleTraining(config, load_generator(config.generator)),
        data=lambda: EncoderData(data_config(config), generator),
        validate_every=max(1, math.ceil(config.budget / (config.passes * config.batch) / VALIDATIONS)),
        monitor="",
        export=lambda checkpoint, out: export(checkpoint, out, config),
        seed=config.seed,
    )


def data_config(config: HyperStyleTrainingConfig) -> EncoderDataConfig:
    return EncoderDataConfig(config.batch, config.synthetic, config.draws, config.seed)


def export(checkpoint: Path, out: Path, config: HyperStyleTrainingConfig) -> None:
    """Write OUT/<name>-<generator>.safetensors (half precision) with its log, sample sheet and model card."""
    generator = load_generator(config.generator)
    # Our own checkpoint of this run; Lightning's files hold more than tensors.
    stored = torch.load(checkpoint, map_location="cpu", weights_only=False)
    trained = HyperStyleTraining(config, generator)
    trained.load_state_dict(stored["state_dict"])
    name = f"{config.name}-{Path(config.generator).stem}"
    path = out / f"{name}.safetensors"
    card = {"name": name, "version": str(VERSION), "steps": str(int(trained.steps))}
    save_hypernet(trained.ema, generator, path, half=True, card=card)
    data = EncoderData(data_config(config), generator)
    data.setup()
    images = torch.cat([batch[0] for batch in data.val_dataloader()])
    shipped = load_hypernet(path, generator)  # judged as it is shipped

    def pictures(hypernet: Hypernetwork | None, some: Tensor) -> Tensor:
        parts = some.split(32)
        return torch.cat([inverted(hypernet, trained.w_encoder, generator, each, config.passes) for each in parts])

    save_sheet(images[:10], pictures(shipped, images[:10]), out / f"{name}.png")
    log(out).to_csv(out / f"{name}-log.csv", index=False, float_format="%.4g")
    compared = {"the pivot alone": None, "as stored (float16)": shipped, "as trained (float32)": trained.ema.eval()}
    found = {
        what: judged(pictures(hypernet, images), images, config.losses.identity_network)
        for what, hypernet in compared.items()
    }
    plain = flatten(asdict(HyperStyleTrainingConfig()))
    template = Template((Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"), keep_trailing_newline=True)
    text = template.render(
        name=name,
        version=VERSION,
        config=config,
        changed={key: value for key, value in flatten(asdict(config)).items() if value != plain[key]},
        shape=trained.hypernet.shape,
        parameters=sum(p.numel() for p in trained.hypernet.parameters()),
        steps=int(trained.steps),
        hours=hours(out),
        found=found,
        count=len(images),
    )
    (out / f"{name}.md").write_text(text, encoding="utf-8")


def judged(pictures: Tensor, targets: Tensor, network: str) -> dict[str, float]:
    """MSE, LPIPS and identity over all held-out faces."""
    pairs = list(zip(pictures.split(32), targets.split(32), strict=True))
    same = torch.stack([1 - identity_distance(p, t, network) for p, t in pairs])
    return {k: float(v) for k, v in figures(pictures, targets).items()} | {"identity": float(same.mean())}
