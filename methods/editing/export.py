"""How `python -m benchmarks train directions` learns, evaluates and exports edit directions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jinja2 import Template
from omegaconf import DictConfig
from torch import Tensor

from datasets.images import save_png, to_image
from methods.editing.directions import Direction, in_strengths
from methods.editing.evaluation import STRENGTHS, Evaluation, evaluate, sweep
from methods.editing.learning import Fit, LearningConfig, Samples, learn, principal_components, sample
from methods.editing.reading import kept_by_samples
from methods.editing.weights import save_directions
from methods.generators import load_generator
from methods.generators.stylegan2 import Generator
from methods.training.spec import configured
from metrics import attributes

logger = logging.getLogger(__name__)

VERSION = 1
FORMER = {"judged": "evaluated", "share": "fraction", "apart": "orthogonal_to"}  # settings of one version ago
KEPT = 12  # held-out samples that the identity which edits keep is measured on
SHOWN, TRUNCATION = 2, 0.7  # held-out samples in the image, and their truncation


@dataclass(frozen=True)
class Learned:
    """Directions by name with how well each fits, and what each does to held-out samples."""

    directions: dict[str, Direction]
    fits: dict[str, Fit]
    evaluations: dict[str, Evaluation]
    spreads: dict[str, float]


def learning_config(overrides: DictConfig) -> LearningConfig:
    """Settings with overrides. Raises OmegaConf's error for an unknown one, ValueError for one that cannot be."""
    config = configured(LearningConfig(), overrides, FORMER)
    for name in config.attributes:
        attributes.find(name)
    return config


def directions(overrides: DictConfig) -> Callable[[Path, torch.device], None]:
    """The fit with settings overridden; it takes the output folder and the device."""
    return partial(learn_and_export, learning_config(overrides))


def learn_and_export(config: LearningConfig, out: Path, device: torch.device) -> None:
    """Write OUT/directions-<generator>.safetensors with its card and contact sheet."""
    generator = load_generator(config.generator).to(device)
    for attribute in config.attributes:
        if reason := attributes.undefined(attribute, config.domain or generator.scope.domain):
            raise ValueError(f"attribute {attribute!r} is {reason}; attributes=[] gives principal components")
    drawn = sample(generator, config.attributes, config.samples, config.seed)
    count = config.samples - config.held_out
    held_out = drawn.part(slice(count, None))
    learned = learn_and_evaluate(generator, drawn.part(slice(count)), held_out, config)
    components = principal_components(generator, config.components)
    name = config.name or f"directions-{Path(config.generator).stem}"
    save_directions(
        out / f"{name}.safetensors",
        generator,
        learned.directions,
        components,
        {"name": name, "version": str(VERSION)},
    )
    if learned.directions:
        codes = generator.w_mean.cpu().lerp(held_out.w[:SHOWN], TRUNCATION)
        save_png(to_image(sheet(generator, learned.directions, codes)), out / f"{name}.png")
    card = render_card(name, learned, held_out, config)
    (out / f"{name}.md").write_text(card, encoding="utf-8")
    logger.info(
        "%s.safetensors: %s; its card is in the same folder",
        out / name,
        ", ".join(learned.directions) or f"{len(components.axes)} principal components",
    )


def learn_and_evaluate(generator: Generator, train: Samples, held_out: Samples, config: LearningConfig) -> Learned:
    """Learn from `train`; measure what every direction does to the first `config.evaluated` held-out samples."""
    if not config.attributes:
        return Learned({}, {}, {}, {})
    fits = learn(train, held_out, config)
    vectors = {name: in_strengths(fit.raw, generator) for name, fit in fits.items()}
    spreads = {name: _spread(values) for name, values in train.values.items()}
    curves = sweep(generator, held_out.w[: config.evaluated], vectors, config.attributes)
    evaluations = dict(zip(vectors, evaluate(curves, list(vectors), config.attributes, spreads), strict=True))
    directions = {
        name: Direction(name, name, vector, evaluations[name].slope, attributes.find(name).unit, _source(config))
        for name, vector in vectors.items()
    }
    kept = kept_by_samples(generator, directions, held_out.w[:KEPT])
    directions = {name: replace(direction, kept=kept[name]) for name, direction in directions.items()}
    return Learned(directions, fits, evaluations, spreads)


def _spread(values: Tensor) -> float:
    return float(values[~values.isnan()].std())


def _source(config: LearningConfig) -> str:
    return f"{config.fit} fit of {config.samples - config.held_out} samples of {Path(config.generator).stem}"


@torch.no_grad()
def sheet(generator: Generator, directions: dict[str, Direction], w: Tensor) -> Tensor:
    """[3, H, W]: a row for every direction and code of w [N, w_dim]; columns are STRENGTHS."""
    rows = []
    for direction in directions.values():
        for code in w:
            moved = code + torch.tensor(STRENGTHS)[:, None, None] * direction.vector
            rows.append(torch.cat(list(generator.synthesis(moved.to(generator.w_mean)).clamp(-1, 1)), dim=2))
    return torch.cat(rows, dim=1)


def render_card(name: str, learned: Learned, held_out: Samples, config: LearningConfig) -> str:
    """What was measured, in markdown."""
    template = Template(
        (Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"), trim_blocks=True, lstrip_blocks=True
    )
    return template.render(
        name=name,
        version=VERSION,
        config=config,
        learned=learned,
        infos={name: attributes.find(name) for name in attributes.names()},
        strengths=[f"{strength:+g}" for strength in STRENGTHS],
        labelled={key: int((~values.isnan()).sum()) for key, values in held_out.values.items()},
        generator=Path(config.generator).stem,
        shown=SHOWN,
        truncation=TRUNCATION,
        unreliable=[key for key, evaluation in learned.evaluations.items() if not evaluation.spearman >= 0.9],
    )
