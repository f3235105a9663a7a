"""The settings of the protocol editing."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EditingConfig:
    """How a suite measures editing.

    Args:
        images: how many of each data set are edited, spread evenly; 0 for none.
        directions: names, in the order of the tables; all that are known when empty. The first three are edited in
            sequence, and re-inversion is measured on the first one.
        source: their file; "" for those that come with the suite's generator.
        datasets: those of the suite's that take part; all when empty.
        methods: those of the suite's that take part; all when empty.
        reinversion_images: images of each data set that are edited, inverted again and undone, which costs a second
            inversion.
        reinversion_methods: the methods that do; all when empty.
        fid: edits that lead to images with a label, as `smile=Smiling`, `-smile=-Smiling` (metrics.edit_fid).
    """

    images: int = 12
    directions: list[str] = field(default_factory=list)
    source: str = ""
    datasets: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    reinversion_images: int = 0
    reinversion_methods: list[str] = field(default_factory=list)
    fid: list[str] = field(default_factory=list)
