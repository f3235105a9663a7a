"""What a batch used, and what a row says about the machine."""

from __future__ import annotations

import mmap
import time

import torch

from benchmarks.engine.machine import Meter, machine_name, resident_mb

CPU = torch.device("cpu")


def test_memory_is_that_of_the_batch_and_not_of_the_largest_one_so_far() -> None:
    before = resident_mb()
    # Mapped directly: an allocator may keep what is freed.
    with Meter(CPU) as large, mmap.mmap(-1, 256 * 2**20) as held:
        for start in range(0, len(held), mmap.PAGESIZE):
            held[start] = 1
        time.sleep(0.1)
    with Meter(CPU) as small:
        time.sleep(0.1)
    assert large.usage.memory - before > 200
    assert small.usage.memory < large.usage.memory - 150


def test_processor_seconds_do_not_count_waiting() -> None:
    with Meter(CPU) as waiting:
        time.sleep(0.3)
    with Meter(CPU) as working:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
    assert waiting.usage.cpu_seconds < 0.15 < 0.29 < working.usage.cpu_seconds
    assert waiting.usage.load >= 0


def test_the_machine_is_named_by_what_last_digits_depend_on() -> None:
    name = machine_name(3)
    assert torch.backends.cpu.get_cpu_capability() in name and "BLAS" in name and name.endswith("3 threads")
