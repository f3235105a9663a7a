"""What a batch used, and what a row says about the machine."""

from __future__ import annotations

import time

import torch

from benchmarks.engine.machine import Meter, machine_name, resident_mb

CPU = torch.device("cpu")


def test_memory_is_that_of_the_batch_and_not_of_the_largest_one_so_far() -> None:
    before = resident_mb()
    with Meter(CPU) as large:
        held = torch.ones(64 * 2**20)  # 256 MiB
        time.sleep(0.1)
        del held
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
