"""Large blocks are reused, not paged in again."""

from __future__ import annotations

import resource

import pytest
import torch

from benchmarks.engine.allocator import keep_freed_memory


def faults() -> int:
    """Page faults of this process without reading a disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def test_a_freed_tensor_is_paged_in_once():
    if not keep_freed_memory():
        pytest.skip("not glibc")
    for _ in range(10):  # the heap settles
        torch.zeros(2**24)
    before = faults()
    for _ in range(10):
        torch.zeros(2**24)  # 64 MiB, that is 16,384 pages
    assert faults() - before < 16_384
