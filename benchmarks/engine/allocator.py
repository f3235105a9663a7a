"""Keeping freed memory: glibc returns large blocks to the kernel at once, and PyTorch asks for them again.

On a CPU every large tensor of every step is then paged in anew. Measured: scoring identity spends half its time in page
faults without this (benchmarks/perf/README.md). Results do not change; a process keeps its greatest size until it ends.
"""

from __future__ import annotations

import ctypes
import platform

# Parameters of mallopt(3), <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to reuse large blocks; False, and nothing done, on another C library."""
    if platform.libc_ver()[0] != "glibc":
        return False
    malloc = ctypes.CDLL(None)
    return bool(malloc.mallopt(M_MMAP_MAX, 0)) and bool(malloc.mallopt(M_TRIM_THRESHOLD, NEVER))
