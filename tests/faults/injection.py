"""What `faults` makes happen inside a run: memory that ends, losses that are no numbers, images that hang, clocks.

`install` changes this process and those that it forks. A run of `faults` is never anything else's process.
"""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from methods.base import Method
from methods.generators.stylegan2 import Generator

DAY = 86_400.0


def install(kind: str, seed: int, folder: Path) -> None:
    """Bring about one kind of INJECTIONS. folder: where processes say that what may happen once has happened."""
    INJECTIONS[kind](seed, folder)


def _draws(seed: int) -> Callable[[], random.Random]:
    """A stream for each process: a fork must not repeat its sister's draws."""
    streams: dict[int, random.Random] = {}

    def draw() -> random.Random:
        return streams.setdefault(os.getpid(), random.Random(f"{seed}/{len(streams)}/{os.getpid()}"))

    return draw


def _on_synthesis(act: Callable[[Any], Any]) -> None:
    """Let `act` see, and change, what the generator draws."""
    whole = Generator.synthesis

    def synthesis(self: Generator, *args: Any, **kwargs: Any) -> Any:
        return act(whole(self, *args, **kwargs))

    Generator.synthesis = synthesis  # type: ignore[method-assign]


def out_of_memory(seed: int, folder: Path) -> None:
    """Every twelfth picture or so that the generator draws fails as on a full device."""
    draw = _draws(seed)

    def act(images: Any) -> Any:
        if draw().random() < 0.08:
            raise torch.OutOfMemoryError("injected: out of memory")
        return images

    _on_synthesis(act)


def memory_limit(seed: int, folder: Path) -> None:
    """From its first image on a process may have only a little more memory than it has: the allocator fails."""
    draw, limited, whole = _draws(seed), set[int](), Method._attempt

    def attempt(self: Method, *args: Any) -> Any:
        if os.getpid() not in limited:
            limited.add(os.getpid())
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + draw().choice([1, 8, 64]) * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        return whole(self, *args)

    Method._attempt = attempt  # type: ignore[method-assign,assignment]


def nan_loss(seed: int, folder: Path) -> None:
    """Every twelfth picture or so is not a number, and so is the loss."""
    draw = _draws(seed)
    _on_synthesis(lambda images: images * float("nan") if draw().random() < 0.08 else images)


def hang(seed: int, folder: Path) -> None:
    """One image of the run never ends."""
    whole, left = Method._attempt, random.Random(seed).randint(0, 2)

    def attempt(self: Method, *args: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            try:
                os.close(os.open(folder / "hung", os.O_CREAT | os.O_EXCL))
                time.sleep(DAY)
            except FileExistsError:
                pass  # another image hangs or has hung
        return whole(self, *args)

    Method._attempt = attempt  # type: ignore[method-assign,assignment]


def clock(seed: int, folder: Path) -> None:
    """The clock jumps by up to a day, forwards or backwards, every time that it is looked at."""
    draw, now = _draws(seed), time.time
    time.time = lambda: now() + draw().uniform(-DAY, DAY)
    time.time_ns = lambda: int(time.time() * 1e9)


INJECTIONS: dict[str, Callable[[int, Path], None]] = {
    "out_of_memory": out_of_memory,
    "memory_limit": memory_limit,
    "nan_loss": nan_loss,
    "hang": hang,
    "clock": clock,
}
