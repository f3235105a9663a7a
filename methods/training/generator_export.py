"""How `python -m benchmarks train generator` builds, evaluates and exports the bundled generator."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from datasets import celeba
from datasets.alignment import NoFaceError, find_face
from datasets.checkpoints import read_checkpoint
from datasets.scope import TIGHT_FACES, Scope
from datasets.training_faces import to_uint8
from methods.generators.readers import load_generator, save_generator
from methods.generators.stylegan2 import Generator
from methods.training.card import hours, log, machine, render_card
from methods.training.copies import nearest_training_image
from methods.training.generator import GeneratorTraining, TrainingConfig, save_grid
from methods.training.generator_data import TrainingFaces, load_faces
from methods.training.spec import TrainingSpec, configured
from metrics.distribution import AlexFeatures, FrechetDistance

VERSION = 2
COPIES = 300  # samples whose nearest training image the card looks for
NAMES = {"digiface_gan": "faces"}  # of the exported files, where it is not the data's


def generator(overrides: DictConfig) -> TrainingSpec:
    """The training with settings of TrainingConfig overridden; an unknown one raises OmegaConf's error."""
    config = configured(TrainingConfig(), overrides)
    return TrainingSpec(
        config=config,
        module=lambda: GeneratorTraining(config),
        data=lambda: TrainingFaces(config),
        validate_every=config.validate_every,
        monitor="frechet_alex",
        export=lambda checkpoint, out: export(checkpoint, out, config),
        seed=config.seed,
    )


def exported_name(config: TrainingConfig) -> str:
    """Of the exported files: the setting, or what the data is called with the resolution, such as celeba64."""
    return config.name or f"{NAMES.get(config.data, Path(config.data).stem)}{config.resolution}"


def export(checkpoint: Path, out: Path, config: TrainingConfig) -> None:
    """Write OUT/<name>.safetensors (half precision), its state to train on, samples, log and model card."""
    stored = read_checkpoint(checkpoint)
    trained = GeneratorTraining(config)
    trained.load_state_dict(stored["state_dict"])
    generator, images = trained.ema, int(trained.images)
    name = exported_name(config)
    trained.save_state(out / f"{name}-state.safetensors")
    weights = out / f"{name}.safetensors"
    generator.scope = TIGHT_FACES if config.data == "digiface_gan" else Scope(config.align, config.domain)
    card = {"version": str(VERSION), "images": str(images), "data": config.data}
    save_generator(generator, weights, half=True, card=card)
    generator = load_generator(weights)  # evaluated as it is shipped
    save_grid(generator, out / f"{name}.png")
    _log(out).to_csv(out / f"{name}-log.csv", index=False, float_format="%.4g")
    (out / f"{name}.md").write_text(_card(generator, images, out, config), encoding="utf-8")


def _card(generator: Generator, images: int, out: Path, config: TrainingConfig) -> str:
    faces, _ = load_faces(config)
    real = faces.permute(0, 3, 1, 2).float() / 127.5 - 1
    # Two parts of the data are compared, too; an even number keeps a photograph and its mirror image in one of them.
    count = min(config.frechet_images, len(real) // 4 * 2)
    distance = FrechetDistance(AlexFeatures(), AlexFeatures.DIM)
    distance.update_batches(real[:count], real=True)
    drawn = samples(generator, count, seed=12345)
    distance.update_batches(drawn, real=False)
    generated = float(distance.compute())
    distance.reset()
    distance.update_batches(real[count : 2 * count], real=False)
    own = float(distance.compute())
    shape = generator.config
    copies = {"samples": nearest_training_image(drawn[:COPIES], real)}
    if config.data == "celeba":
        test = celeba.build("test", config.resolution).images()
        copies["the 200 test photographs"] = nearest_training_image(test, real)
    evaluated = config.detection_images
    faces_wanted = config.align != "none" and evaluated
    found = _detected(samples(generator, evaluated, seed=99)) if faces_wanted else None
    found_in_data = _detected(real[:evaluated]) if faces_wanted else None
    return render_card(
        "generator.md.j2",
        name=exported_name(config),
        data=config.data,
        start=config.start,
        version=VERSION,
        shape=shape,
        parameters=sum(p.numel() for p in generator.parameters()),
        kept=len(faces),
        draws=config.draws,
        images=images,
        hours=hours(out),
        dim=AlexFeatures.DIM,
        count=count,
        generated=generated,
        own=own,
        found=found,
        found_in_data=found_in_data,
        evaluated=evaluated,
        copies=copies,
        align=config.align,
        machine=machine(),
    )


@torch.no_grad()
def samples(generator: Generator, count: int, seed: int) -> Tensor:
    """[count, 3, R, R] in [-1, 1] without truncation."""
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    return torch.cat([generator(part, noise="const").clamp(-1, 1) for part in z.split(50)])


def _detected(images: Tensor) -> float:
    found = 0
    for image in tqdm(to_uint8(images), desc="detecting faces", leave=False):
        try:
            found += find_face(Image.fromarray(image)).probability > 0.9
        except NoFaceError:
            continue
    return found / len(images)


def _log(out: Path) -> pd.DataFrame:
    """The logged values by images seen; what a session lost to a kill is in it twice."""
    table = log(out)
    if "at_images" in table:
        table["images"] = table["images"].fillna(table.pop("at_images"))
    if "images" not in table:
        return table
    return table.drop(columns=["epoch", "step"], errors="ignore").sort_values("images", kind="stable")
