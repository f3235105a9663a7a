"""Learning edit directions: sample the generator, label the samples by predictors, fit the labels to W.

References: Shen et al., InterFaceGAN, arXiv 2005.09635 (linear boundaries; conditional manipulation, section 2.3);
Harkonen et al., GANSpace, arXiv 2004.02546 (principal components of W). InterFaceGAN separates the samples that score
highest from those that score lowest; a predictor that gives a number for every sample permits a regression as well,
which uses all of them. Both are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC
from torch import Tensor
from tqdm.auto import tqdm

from methods.editing.directions import w_samples
from methods.editing.readers import Components
from methods.generators.stylegan2 import Generator
from metrics.attributes import predict

LEAST_LABELLED = 20
BATCH = 48  # a multiple of O-Net's batch size
ATTRIBUTES = ("yaw", "pitch", "mouth_width", "smile", "mouth_opening", "brightness", "crown", "warmth")


@dataclass(frozen=True)
class LearningConfig:
    """Settings of `python -m benchmarks train directions`.

    samples: codes of W that are drawn and labelled; held_out of them are for evaluation alone. fit: "ridge" (alpha: its
    penalty, for standardised values) or "boundary" (a linear SVM between the `fraction` of samples with the highest
    and the `fraction` with the lowest values). A small alpha gives directions that leave other attributes alone and
    move far for little effect; a large one leans towards the mean difference of samples. orthogonal_to: for a direction
    the attributes whose directions it is made orthogonal to, which it then changes less, at a cost in its own effect.
    evaluated: held-out samples that are edited. domain: what the generator's images show, where its file declares none.
    """

    generator: str = "celeba64"
    attributes: list[str] = field(default_factory=lambda: list(ATTRIBUTES))
    samples: int = 10_000
    held_out: int = 2_000
    fit: str = "ridge"
    alpha: float = 1000.0
    fraction: float = 0.2
    orthogonal_to: dict[str, list[str]] = field(default_factory=dict)
    evaluated: int = 100
    components: int = 20
    name: str = ""  # of the exported files; directions-<generator> when empty
    domain: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.fit not in ("ridge", "boundary"):
            raise ValueError(f"fit is {self.fit!r}; expected 'ridge' or 'boundary'")
        if not 0 < self.evaluated <= self.held_out < self.samples:
            raise ValueError(
                f"expected 0 < evaluated <= held_out < samples, found {self.evaluated}, {self.held_out}, {self.samples}"
            )
        for name, others in self.orthogonal_to.items():
            unknown = sorted({name, *others} - set(self.attributes))
            if unknown or name in others:
                raise ValueError(f"orthogonal_to: {name!r} from {others}: expected other names of {self.attributes}")


@dataclass(frozen=True)
class Samples:
    """Codes w [N, w_dim] and the values [N] float64 that predictors give for their images, NaN for none."""

    w: Tensor
    values: dict[str, Tensor]

    def part(self, chosen: slice) -> Samples:
        return Samples(self.w[chosen], {name: values[chosen] for name, values in self.values.items()})


@torch.no_grad()
def sample(generator: Generator, attributes: Sequence[str], count: int, seed: int) -> Samples:
    """Draw codes without truncation, render them with the generator's constant noise and label them."""
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    w = torch.cat([generator.mapping(part.to(generator.w_mean))[:, 0].cpu() for part in z.split(1000)])
    predictions: list[dict[str, Tensor]] = []
    for part in tqdm(w.split(BATCH), desc="labelling samples", leave=False):
        images = generator.synthesis(part.to(generator.w_mean)[:, None].expand(-1, generator.num_ws, -1)).clamp(-1, 1)
        predictions.append(predict(attributes, images, generator.scope.frame))
    return Samples(w, {name: torch.cat([values[name] for values in predictions]) for name in attributes})


@dataclass(frozen=True)
class Fit:
    """raw [w_dim]: where the attribute grows, of any length. r2: of the attribute's value, by the fit itself or by
    a line through the projections. accuracy: of telling the highest from the lowest `fraction` by the projection. Both
    on held-out samples; labelled: how many of those have a value.
    """

    raw: Tensor
    r2: float
    accuracy: float
    labelled: int


def learn(train: Samples, held_out: Samples, config: LearningConfig) -> dict[str, Fit]:
    """A direction for every attribute, made orthogonal where the config asks for it, and how well each fits.

    Raises ValueError where an attribute can hardly be read from the generator's samples.
    """
    for name in train.values:
        known = [int((~part.values[name].isnan()).sum()) for part in (train, held_out)]
        if min(known) < LEAST_LABELLED:
            raise ValueError(
                f"attributes: {name!r} can be read from {known[0]} of {len(train.w)} samples and {known[1]} of "
                f"{len(held_out.w)} held-out ones, at least {LEAST_LABELLED} are needed; leave it out or draw more"
            )
    raw = {name: _normal(train.w, values, config) for name, values in train.values.items()}
    apart = {
        name: _orthogonal(raw[name], [raw[other] for other in others]) for name, others in config.orthogonal_to.items()
    }
    return {name: _fit_of(vector, name, train, held_out, config.fraction) for name, vector in (raw | apart).items()}


def _normal(w: Tensor, values: Tensor, config: LearningConfig) -> Tensor:
    known = ~values.isnan()
    codes, wanted = w[known].double().numpy(), values[known].numpy()
    if config.fit == "ridge":
        scaled = (wanted - wanted.mean()) / wanted.std()
        model = Ridge(alpha=config.alpha).fit(codes, scaled)
        return torch.from_numpy(model.coef_).float()
    low, high = np.quantile(wanted, [config.fraction, 1 - config.fraction])
    extreme = (wanted <= low) | (wanted >= high)
    model = LinearSVC(C=0.01, max_iter=20_000, random_state=0).fit(codes[extreme], wanted[extreme] >= high)
    return torch.from_numpy(model.coef_[0]).float()


def _orthogonal(vector: Tensor, others: Sequence[Tensor]) -> Tensor:
    """What is left of a vector beside the space of others (InterFaceGAN's conditional manipulation)."""
    basis, _ = torch.linalg.qr(torch.stack(list(others), dim=1).double())
    return (vector.double() - basis @ (basis.T @ vector.double())).float()


def _fit_of(vector: Tensor, name: str, train: Samples, held_out: Samples, fraction: float) -> Fit:
    def projected(samples: Samples) -> tuple[Tensor, Tensor]:
        known = ~samples.values[name].isnan()
        return (samples.w[known] @ vector).double(), samples.values[name][known]

    (x, y), (x_new, y_new) = projected(train), projected(held_out)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    errors = y_new - (y.mean() + slope * (x_new - x.mean()))
    r2 = 1 - float(errors.square().mean() / y_new.var(correction=0))
    low, high = y_new.quantile(fraction), y_new.quantile(1 - fraction)
    middle = x_new.median()
    right = torch.cat([x_new[y_new >= high] > middle, x_new[y_new <= low] <= middle])
    return Fit(vector, r2, float(right.double().mean()), len(y_new))


def principal_components(generator: Generator, count: int) -> Components:
    """GANSpace's components of the samples that strengths are measured by, the largest spread first."""
    model = PCA(n_components=count, svd_solver="full").fit(w_samples(generator).double().numpy())
    signs = np.where(model.components_[:, :1] < 0, -1.0, 1.0)  # the sign is free; tied to the first element
    axes, spreads = model.components_ * signs, np.sqrt(model.explained_variance_)
    return Components(*(torch.from_numpy(part).float() for part in (model.mean_, axes, spreads)))
