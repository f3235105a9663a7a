"""How `python -m benchmarks train generator` builds, judges and exports the embedded generator."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pandas as pd
import torch
from jinja2 import Template
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from datasets.alignment import NoFaceError, find_face
from datasets.training_faces import load_training_faces, to_uint8
from methods.generators.readers import load_generator, save_generator
from methods.generators.stylegan2 import Generator, GeneratorConfig
from methods.generators.training import GeneratorTraining, TrainingConfig, save_grid
from methods.generators.training_data import TrainingFaces
from methods.recipe import Recipe
from metrics.distribution import AlexFeatures, FrechetDistance

VERSION = 2


def recipe(overrides: DictConfig) -> Recipe:
    """The recipe with settings of TrainingConfig overridden; an unknown one raises OmegaConf's error."""
    merged = OmegaConf.merge(OmegaConf.structured(TrainingConfig), overrides)
    config = cast(TrainingConfig, OmegaConf.to_object(merged))
    return Recipe(
        config=config,
        module=lambda: GeneratorTraining(config),
        data=lambda: TrainingFaces(config),
        validate_every=400,
        monitor="frechet_alex",
        export=lambda checkpoint, out: export(checkpoint, out, config),
        seed=config.seed,
    )


def export(checkpoint: Path, out: Path, config: TrainingConfig) -> None:
    """Write OUT/faces64.safetensors (half precision), its state to train on, sample sheet, log and model card."""
    # Our own checkpoint of this run; Lightning's files hold more than tensors.
    stored = torch.load(checkpoint, map_location="cpu", weights_only=False)
    shape = dict(stored["hyper_parameters"]["generator"])
    trained = GeneratorTraining(config, GeneratorConfig(**{**shape, "channels": tuple(shape["channels"])}))
    trained.load_state_dict(stored["state_dict"])
    generator, images = trained.ema, int(trained.images)
    trained.save_state(out / "faces64-state.safetensors")
    weights = out / "faces64.safetensors"
    save_generator(generator, weights, half=True, card={"version": str(VERSION), "images": str(images)})
    generator = load_generator(weights)  # judged as it is shipped
    save_grid(generator, out / "faces64.png")
    _log(out).to_csv(out / "faces64-log.csv", index=False, float_format="%.4g")
    (out / "faces64.md").write_text(_card(generator, images, out, config), encoding="utf-8")


def _card(generator: Generator, images: int, out: Path, config: TrainingConfig) -> str:
    faces, _ = load_training_faces(config.draws)
    real = faces.permute(0, 3, 1, 2).float() / 127.5 - 1
    count = config.frechet_images
    distance = FrechetDistance(AlexFeatures(), AlexFeatures.DIM)
    distance.update_batches(real[:count], real=True)
    distance.update_batches(samples(generator, count, seed=12345), real=False)
    generated = float(distance.compute())
    distance.reset()
    distance.update_batches(real[count : 2 * count], real=False)
    own = float(distance.compute())
    shape = generator.config
    found = _detected(samples(generator, config.detection_images, seed=99))
    found_in_data = _detected(real[: config.detection_images])
    template = Template((Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"), keep_trailing_newline=True)
    return template.render(
        version=VERSION,
        shape=shape,
        parameters=sum(p.numel() for p in generator.parameters()),
        kept=len(faces),
        draws=config.draws,
        images=images,
        hours=_hours(out),
        dim=AlexFeatures.DIM,
        count=count,
        generated=generated,
        own=own,
        found=found,
        found_in_data=found_in_data,
        judged=config.detection_images,
    )


@torch.no_grad()
def samples(generator: Generator, count: int, seed: int) -> Tensor:
    """[count, 3, R, R] in [-1, 1] without truncation."""
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    return torch.cat([generator(part, noise="const").clamp(-1, 1) for part in z.split(50)])


def _detected(images: Tensor) -> float:
    found = 0
    for picture in tqdm(to_uint8(images), desc="detecting faces", leave=False):
        try:
            found += find_face(Image.fromarray(picture)).probability > 0.9
        except NoFaceError:
            continue
    return found / len(images)


def _log(out: Path) -> pd.DataFrame:
    """The figures of all sessions of the run, by images seen; what a session lost to a kill is in it twice."""
    parts = [pd.read_csv(path) for path in sorted(out.glob("log/version_*/metrics.csv"))]
    log = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["images"])
    if "at_images" in log:
        log["images"] = log["images"].fillna(log.pop("at_images"))
    return log.drop(columns=["epoch", "step"], errors="ignore").sort_values("images", kind="stable")


def _hours(out: Path) -> float:
    """Wall hours of all sessions of the run, from the first to the last entry of each session's log."""
    total = 0.0
    for folder in out.glob("log/version_*"):
        start, end = folder / "hparams.yaml", folder / "metrics.csv"
        if start.exists() and end.exists():
            total += end.stat().st_mtime - start.stat().st_mtime
    return total / 3600
