"""Which of many are looked at: always the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def evenly(items: Sequence[T], limit: int) -> list[T]:
    """`limit` items spread evenly over all, at least 1; all where there are no more."""
    count, limit = len(items), min(limit, len(items))
    # The middle of `limit` equal bins, in whole numbers.
    return [items[(2 * i + 1) * count // (2 * limit)] for i in range(limit)]
