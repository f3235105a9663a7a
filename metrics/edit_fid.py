"""FID after an edit: edited images against real ones that have by nature what the edit adds.

As StyleRes (Pehlivan et al., arXiv 2212.14359) and StyleFeatureEditor (Bobkov et al., arXiv 2406.10601, section 4.3;
scripts/fid_calculation.py) take it: A are the real images with a label, B those without, B' the edits of B; FID(A, B').
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from metrics.base import MetricInfo
from metrics.editing import STEP

FEATURES = "fid_inception_torchfidelity_1024"  # the metric whose network and recipe it has


@dataclass(frozen=True)
class Toward:
    """An edit and the real images that it leads to.

    Args:
        attribute: the edited attribute.
        sign: +1 for more of it, -1 for less.
        label: of the data set's images.
        present: whether the edit leads to images with the label, or to those without it.
    """

    attribute: str
    sign: int
    label: str
    present: bool

    @property
    def name(self) -> str:
        """Of its metric and table."""
        return f"edit_fid_{self.attribute}_{'more' if self.sign > 0 else 'less'}"

    def leads_to(self, labels: Mapping[str, object]) -> bool | None:
        """Whether an image with these labels is one of A (else of B); None where it does not have the label."""
        return bool(labels[self.label]) == self.present if self.label in labels else None

    def info(self) -> MetricInfo:
        with_label = f"{self.label if self.present else f'no {self.label}'}"
        return MetricInfo(
            name=self.name, title=f"FID to {with_label}", direction="lower", unit="", range=(None, None), version=1,
            recipe=f"Frechet distance of the features of {FEATURES}, images as stored, which have to be at 1024 px: "
            f"all real images of the set with label {with_label} against the others of those that are edited, after "
            f"{self.attribute} by {self.sign * STEP:+g}; each image's value is the distance plus its influence. "
            "StyleFeatureEditor's script has pytorch-fid's resizing and its own strengths",
            reference="Bobkov et al., StyleFeatureEditor, arXiv 2406.10601, section 4.3", digits=2,
        )  # fmt: skip


def parse(text: str, attributes: Mapping[str, str]) -> Toward:
    """An edit and its label from text such as `smile=Smiling`, `-smile=-Smiling` or `age=-Young`.

    Args:
        text: [-]DIRECTION=[-]LABEL; a minus is an edit to less, or images without the label.
        attributes: the attribute that each direction moves, by its name.

    Raises:
        ValueError: the text has another form, or no such direction is edited.
    """
    match = re.fullmatch(r"(-?)([^=]+)=(-?)([^=-][^=]*)", text.replace(" ", ""))
    if not match or match[2] not in attributes:
        raise ValueError(f"{text!r}: expected [-]DIRECTION=[-]LABEL with a direction of {', '.join(attributes)}")
    return Toward(attributes[match[2]], -1 if match[1] else 1, match[4], not match[3])
