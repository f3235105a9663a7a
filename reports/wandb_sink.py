"""Logging of a run to Weights & Biases, while it goes on or afterwards, by a process of its own.

    python -m reports.wandb_sink runs/celeba64 --mode offline     write DIR/wandb/offline-run-*, without a network
    wandb sync runs/celeba64/wandb/offline-run-*                  upload them later, from a machine that has one

In a process of its own any failure of W&B (no package, key or network, a hang) is a warning and never affects the run.
Project and account are W&B's own settings (WANDB_PROJECT, WANDB_ENTITY). What is logged: reports/wandb_runs.py.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
MODES = ("offline", "online")
MINUTES = 15  # for the results, after the run
ROOT = Path(__file__).resolve().parents[1]
DONE = "done"  # what the other process reads when the results are there


@contextmanager
def following(
    directory: Path, mode: str, about: Mapping[str, Any], minutes: float = MINUTES
) -> Iterator[Callable[[], bool]]:
    """Log a run while it goes on.

    Args:
        directory: of the run; DIR/work/progress.json says how far it is.
        mode: one of MODES, or "" to log nothing.
        about: what run.json holds when the run is complete.
        minutes: time limit for its results.

    Yields:
        What to call when the results are there: logs them and returns whether all was logged; a failure is a warning.
        Without that call the run counts as failed.
    """
    if not mode:
        yield lambda: True
        return
    command = [sys.executable, "-m", "reports.wandb_sink", str(directory.resolve()), "--mode", mode, "--follow"]
    try:
        # A session of its own: what interrupts the run lets it end as failed. Standard input is not a terminal, where
        # W&B would wait for a key.
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True, start_new_session=True)
    except OSError as error:
        problem = str(error)
        yield lambda: _warn(directory, mode, problem)
        return
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended already, and says why
        process.stdin.write(json.dumps(about) + "\n")
        process.stdin.flush()

    def finish() -> bool:
        try:
            process.communicate(DONE, timeout=60 * minutes)
        except subprocess.TimeoutExpired:
            process.kill()
            return _warn(directory, mode, f"it took more than {minutes:g} minutes")
        return not process.returncode or _warn(
            directory, mode, f"it ended with exit code {process.returncode}, see above"
        )

    try:
        yield finish
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()  # without the word, unless `finish` was called


def push(directory: Path, mode: str, minutes: float = MINUTES) -> bool:
    """Log the finished run of a directory; arguments and returned value as of `following`."""
    about = json.loads((directory / "run.json").read_bytes())
    with following(directory, mode, about, minutes) as finish:
        return finish()


def _warn(directory: Path, mode: str, problem: str) -> bool:
    logger.warning("not logged to Weights & Biases: %s. The results in %s are complete; to log them: "
                   "python -m reports.wandb_sink %s --mode %s", problem, directory, directory, mode)  # fmt: skip
    return False


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.wandb_sink", description="log a finished run to W&B")
    parser.add_argument("directory", type=Path, help="folder of a finished run, e.g. runs/celeba64")
    parser.add_argument("--mode", choices=MODES, default="offline")
    parser.add_argument("--follow", action="store_true", help=argparse.SUPPRESS)  # of `following`
    options = parser.parse_args(arguments)
    from reports import wandb_runs

    directory = options.directory.resolve()
    if options.follow:
        about = json.loads(sys.stdin.readline())
        return 0 if wandb_runs.log(directory, options.mode, about, wandb_runs.Ear(sys.stdin, DONE)) else 1
    ids = wandb_runs.log(directory, options.mode, json.loads((directory / "run.json").read_bytes()))
    hint = (
        f"; to upload them: wandb sync {options.directory / 'wandb'}/offline-run-*" if options.mode == "offline" else ""
    )
    print(f"{len(ids)} runs logged to Weights & Biases ({options.mode}){hint}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
