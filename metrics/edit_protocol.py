"""The tables of the protocol `editing`: their metrics, what each means, and how it is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from datasets.scope import FACES
from metrics.base import MetricInfo
from metrics.editing import (
    IN_SEQUENCE,
    LEAP,
    LEAST_SHARE,
    STEP,
    STILL_SAMPLES,
    STRANGERS,
    STRENGTHS,
    Edits,
    Target,
    Value,
    at_equal_effect,
    average,
    change_outside,
    entanglement,
    in_sequence,
    mean,
    same_step,
    still_at_reach,
)

EDITING, ATTRIBUTES, REINVERSION, INTERPOLATION = "editing", "editing_attributes", "reinversion", "interpolation"
TABLES = (EDITING, ATTRIBUTES, REINVERSION, INTERPOLATION)
# Where an edit should change nothing: measure, title, direction, unit, range and digits.
STILL: dict[str, tuple[str, Literal["lower", "higher"], str, float, float | None, int]] = {
    "psnr": ("PSNR elsewhere", "higher", "dB", 0.0, 100.0, 2),
    "ssim": ("SSIM elsewhere", "higher", "", -1.0, 1.0, 3),
    "lpips_alex": ("LPIPS elsewhere", "lower", "", 0.0, None, 3),
}
SEGMENTS = 8  # of an interpolation between two inversions

_SWEEP = ", ".join(f"{sign}{strength:g}" for sign in "-+" for strength in STRENGTHS)
_ID = "SFace's cosine of the edited image and the input, recipe of id_sface"
_PTI = "after Roich et al., PTI, arXiv 2106.05744, section 4"
_OURS = "this suite's"
_E4E = "Tov et al., e4e, arXiv 2102.02766, section 5"
_PATH = f"interpolation in {SEGMENTS} equal steps to the next edited image, of code, tuned weights and noise together"


def infos(targets: Sequence[Target]) -> dict[str, list[MetricInfo]]:
    """The metrics of each protocol for the edited attributes, in the order of the tables."""
    return {
        EDITING: list(_editing(targets)),
        ATTRIBUTES: [info for target in targets for info in _attribute(target)],
        REINVERSION: list(_reinversion(targets[0])),
        INTERPOLATION: list(_interpolation()),
    }


def values(edits: Edits, targets: Sequence[Target]) -> dict[str, Value]:
    """Values of EDITING and ATTRIBUTES but the Frechet distance, by name, with a reason where undefined."""
    equal = {target.name: at_equal_effect(edits, target) for target in targets}
    steps = {target.name: same_step(edits, target) for target in targets}
    sequence, identity = in_sequence(edits, targets)
    results = {
        "edit_id_equal": average([identities for identities, _ in equal.values()]),
        "edit_kept_equal": average([at_equal_effect(edits, target, kept=True)[0] for target in targets]),
        "edit_reached": average([reached for _, reached in equal.values()]),
        "edit_effect": average([_share(target, steps[target.name][0]) for target in targets]),
        "edit_id": average([identities for _, identities in steps.values()]),
        "edit_sequence_effect": sequence,
        "edit_sequence_id": identity,
        "edit_entanglement": entanglement(edits, targets),
        "edit_outside": change_outside(edits, targets),
    }
    for measure in STILL:
        results[f"edit_still_{measure}"] = average([still_at_reach(edits, target, measure) for target in targets])
    for target in targets:
        results[f"edit_id_equal_{target.name}"] = equal[target.name][0]
        results[f"edit_effect_{target.name}"], results[f"edit_id_{target.name}"] = steps[target.name]
    return results


def _share(target: Target, found: Value) -> Value:
    value, reason = found
    return (None if value is None else value / (STEP * target.slope)), reason


def _null(targets: Sequence[Target]) -> str:
    """What the same effects keep on samples of the generator: no inversion is expected to keep more."""
    known = [target for target in targets if not math.isnan(target.kept)]
    if not known:
        return "Not measured on the generator's own samples: the directions were learned by an earlier version"
    each = ", ".join(f"{target.name} {target.kept:.3f}" for target in known)
    return f"On the generator's own samples, which need no inversion: {mean([t.kept for t in known]):.3f} ({each})"


def _info(
    name: str,
    title: str,
    direction: Literal["lower", "higher"],
    recipe: str,
    reference: str,
    *,
    unit: str = "",
    low: float | None = 0.0,
    high: float | None = None,
    digits: int = 3,
    version: int = 1,
) -> MetricInfo:
    return MetricInfo(name, title, direction, unit, (low, high), version, recipe, reference, digits, domains=(FACES,))


def _editing(targets: Sequence[Target]) -> Iterator[MetricInfo]:
    ranges = ", ".join(f"{target.name} ±{target.reach:g} {target.unit}".rstrip() for target in targets)
    first = ", ".join(target.name for target in targets[:IN_SEQUENCE])
    yield _info(
        "edit_id_equal",
        "ID at equal effect",
        "higher",
        f"mean over the measured effect of {_ID}: strengths {_SWEEP}, effect and identity fitted monotone in the "
        f"strength, range {ranges}; between strengths further apart than {LEAP:g} of it identity falls within that; "
        f"it is at least {STRANGERS:g}, that of two people, which an effect that is not reached counts with; mean over "
        "both senses and the attributes",
        f"{_OURS}, after Alaluf et al., HyperStyle, arXiv 2111.15666, section 4",
        low=-1.0,
        high=1.0,
        version=3,
    )
    yield _info(
        "edit_kept_equal",
        "ID kept at equal effect",
        "higher",
        "as edit_id_equal, cosine of the edited image and the inversion instead of the input: what the edit alone "
        f"costs. {_null(targets)}",
        _OURS,
        low=-1.0,
        high=1.0,
        version=3,
    )
    yield _info(
        "edit_reached",
        "effects reached",
        "higher",
        f"share of the range of effects ({ranges}) that strengths up to ±{STRENGTHS[-1]:g} reach",
        _OURS,
        high=1.0,
        version=2,
    )
    yield _info(
        "edit_effect",
        "effect of a step",
        "higher",
        f"change of the attribute from the inversion to the edited image at strengths ±{STEP:g}, in the asked-for "
        "sense, over what the same step does to the frozen generator's own samples; mean over attributes",
        _PTI,
        low=None,
    )
    yield _info("edit_id", "ID after a step", "higher", f"{_ID}, at strengths ±{STEP:g}", _PTI, low=-1.0, high=1.0)
    yield _info(
        "edit_sequence_effect",
        "effect in sequence",
        "higher",
        f"as edit_effect, {first} by ±{STEP:g} one after the other in one image",
        _PTI,
        low=None,
    )
    yield _info("edit_sequence_id", "ID in sequence", "higher", f"{_ID}; {first} in sequence", _PTI, low=-1.0, high=1.0)
    yield _info(
        "edit_entanglement",
        "other attributes",
        "lower",
        f"mean |change| of the other attributes over the change of the edited one at strengths ±{STEP:g}, each over "
        f"its nominal effect; the edited one's counts as at least {LEAST_SHARE:g}",
        f"{_OURS}, after Hu et al., StyleTransformer, arXiv 2203.07932",
    )
    yield _info(
        "edit_outside",
        "change outside",
        "lower",
        "root mean square change, values in [-1, 1], from the inversion to the edited image outside the input's "
        f"interest region (landmark_ellipse), at strengths ±{STEP:g}, over the effect as a share of the nominal one "
        f"(at least {LEAST_SHARE:g})",
        _OURS,
    )
    for measure, (title, direction, unit, low, high, digits) in STILL.items():
        yield _info(
            f"edit_still_{measure}",
            title,
            direction,
            f"{measure} of the edited image and the input on the half of the pixels that the same edit changes least "
            f"on {STILL_SAMPLES} samples of the generator, where the effect is {ranges}, linear between strengths "
            "(LPIPS: of both images with the rest grey; SSIM: mean of its map); undefined where the effect is not "
            "reached",
            f"{_OURS}, after Ju et al., PIE-Bench, arXiv 2310.01506",
            unit=unit,
            low=low,
            high=high,
            digits=digits,
        )
    yield _info(
        "edit_frechet_alex",
        "Frechet (AlexNet) after edit",
        "lower",
        "Frechet distance of spatial means of AlexNet's five ReLU layers (LPIPS trunk, 1152 numbers) between the "
        f"images edited by ±{STEP:g} and the half of 120 real images of the set that has most (or least) of the "
        "attribute; mean over senses and attributes; not an FID. A number of the set: each image's is its jackknife "
        "pseudo-value, whose mean is the distance less its bias of order 1/n; compare only equal n",
        "after Pehlivan et al., StyleRes, arXiv 2212.14359, and Heusel et al., arXiv 1706.08500, equation 6",
        low=None,
        digits=1,
    )


def _attribute(target: Target) -> Iterator[MetricInfo]:
    title, unit = target.title, target.unit
    yield _info(
        f"edit_effect_{target.name}",
        f"{title}: effect",
        "higher",
        f"change from the inversion to the image edited by ±{STEP:g}, in the asked-for sense; "
        f"{STEP * target.slope:.3g} {unit} on the generator's own samples",
        _PTI,
        unit=unit,
        low=None,
        digits=2 if target.reach < 100 else 1,
    )
    yield _info(f"edit_id_{target.name}", f"{title}: ID", "higher", f"{_ID}, at ±{STEP:g}", _PTI, low=-1.0, high=1.0)
    yield _info(
        f"edit_id_equal_{target.name}",
        f"{title}: ID at equal effect",
        "higher",
        f"as edit_id_equal, range ±{target.reach:g} {unit}".rstrip(),
        _OURS,
        low=-1.0,
        high=1.0,
        version=3,
    )


def _reinversion(target: Target) -> Iterator[MetricInfo]:
    cycle = f"invert, edit {target.name} by +{STEP:g}, invert the 8-bit image again by the same method, undo the edit"
    yield _info(
        "edit_lec_latent",
        "LEC, latent",
        "lower",
        f"{cycle}: Euclidean distance to the first code, all layers flattened; methods that do not tune the generator",
        _E4E,
        unit="in W",
        digits=2,
    )
    yield _info(
        "edit_lec_lpips_alex", "LEC, LPIPS", "lower", f"{cycle}: LPIPS (AlexNet) to the first inversion's image", _E4E
    )
    yield _info("edit_lec_id", "LEC, ID", "higher", f"{cycle}: SFace's cosine to the input", _E4E, low=-1.0, high=1.0)


def _interpolation() -> Iterator[MetricInfo]:
    yield _info(
        "interpolation_path_length",
        "path length",
        "lower",
        f"{_PATH}: mean LPIPS (AlexNet) of neighbours, times {SEGMENTS}²",
        "Karras et al., arXiv 1812.04948, section 4.1, with longer steps",
    )
    yield _info(
        "interpolation_detour",
        "detour",
        "lower",
        f"{_PATH}: path length over the LPIPS (AlexNet) of its ends",
        _OURS,
        digits=2,
    )
    yield _info(
        "interpolation_middle_id",
        "ID of the middle",
        "higher",
        f"{_PATH}: SFace's cosine of the middle and an input, mean of both inputs",
        _OURS,
        low=-1.0,
        high=1.0,
    )
    yield _info(
        "mixing_coarse_id",
        "mixing: ID, coarse layers",
        "higher",
        "first half of the layers of the image's code, the rest from the next edited image, tuned weights halfway: "
        "SFace's cosine to the input of the coarse layers",
        _OURS,
        low=-1.0,
        high=1.0,
    )
    yield _info(
        "mixing_fine_id",
        "mixing: ID, fine layers",
        "higher",
        "as mixing_coarse_id, to the input of the fine layers",
        _OURS,
        low=-1.0,
        high=1.0,
    )
    yield _info(
        "interpolation_frechet_alex",
        "Frechet (AlexNet) of the middle",
        "lower",
        "as edit_frechet_alex, middles of the interpolations against 120 real images of the set",
        _OURS,
        low=None,
        digits=1,
    )
