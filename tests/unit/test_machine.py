"""What a batch used, and what a row says about the machine."""

from __future__ import annotations

import mmap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.engine.config import load_suite
from benchmarks.engine.machine import Meter, machine_name, pick_device, resident_mb
from benchmarks.engine.plan import expand
from benchmarks.engine.run import Run

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


def tf32_units() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.assets
def test_float32_is_float32_unless_the_suite_says_tf32(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    torch.backends.cudnn.allow_tf32 = True  # as PyTorch has it
    pick_device("cpu")
    assert tf32_units() == (False, False)
    plan = expand(load_suite("smoke"))
    Run(replace(plan, suite=replace(plan.suite, tf32=True)), tmp_path)
    assert tf32_units() == (True, True)
    Run(plan, tmp_path)
    assert tf32_units() == (False, False)
    assert not [warning for warning in recwarn if "TF32" in str(warning.message)]
