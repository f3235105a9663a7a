"""What the commands of a suite have in common: its settings, and the folder of its results."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.engine.config import SuiteConfig, load_suite
from benchmarks.errors import ConfigError
from inversion_bench.registry import unknown

if TYPE_CHECKING:
    from benchmarks.engine.run import Run

# Settings that change how fast a run is, what it keeps and how it is shown, but no result.
WITHOUT_EFFECT = ("workers", "batch_size", "save_weights", "title", "headline")
LONGEST_NAME = 48


def load(options: argparse.Namespace) -> tuple[SuiteConfig, Path]:
    """The suite with its overrides, and the folder of its results; options.overrides then says all of them."""
    options.overrides = [*options.overrides, *_shortcuts(options)]
    options.methods = options.datasets = options.limit = options.seeds = None
    suite = load_suite(options.suite, options.overrides)
    return suite, options.out or default_folder(options.suite, suite, options.overrides)


def default_folder(name: str, suite: SuiteConfig, overrides: list[str]) -> Path:
    """runs/SUITE for a suite as it is written; a folder named after the settings where other ones are asked for."""
    if not overrides or _effective(suite) == _effective(load_suite(name)):
        return Path("runs") / suite.name
    words = re.sub(r"[^A-Za-z0-9.+]+", "-", "_".join(overrides)).strip("-")
    if len(words) > LONGEST_NAME:
        words = f"{words[: LONGEST_NAME - 9]}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
    return Path("runs") / f"{suite.name}-{words}"


def refuse_other_settings(out: Path, suite: SuiteConfig, replace: bool = False) -> None:
    """Raises ConfigError where a folder has the tables of other settings, which a run would overwrite."""
    try:
        stored = json.loads((out / "run.json").read_text())
        before = stored["config"]
    except (OSError, ValueError, KeyError):
        return
    now = json.loads(json.dumps(_effective(suite)))
    differ = [key for key in now if key in before and before[key] != now[key]]
    if differ and not replace:
        raise ConfigError(
            f"{out} has the tables of {stored.get('suite', 'a suite')} with other {', '.join(differ)}; choose another "
            "folder with --out, or --replace to write the tables again (inversions and scores are kept)"
        )


def _effective(suite: SuiteConfig) -> dict[str, Any]:
    return {key: value for key, value in asdict(suite).items() if key not in WITHOUT_EFFECT}


def _shortcuts(options: argparse.Namespace) -> list[str]:
    """--methods, --datasets, --limit and --seeds as settings."""
    words = [f"seeds={options.seeds}".replace(" ", "")] if options.seeds else []
    if options.methods:
        words.append(f"methods=[{','.join(json.dumps(name) for name in options.methods)}]")
    if not options.datasets and options.limit is None:
        return words
    suite = load_suite(options.suite, options.overrides)
    own = {entry.name: asdict(entry) for entry in suite.datasets}
    entries = []
    for name in options.datasets or own:
        if name not in own:
            from datasets import registry

            if name not in registry.names():
                raise unknown("data set", name, dict.fromkeys([*own, *registry.names()]))
        entry = own.get(name, {"name": name})
        entries.append(entry | ({} if options.limit is None else {"limit": options.limit}))
    return [*words, f"datasets={json.dumps(entries)}"]


def load_run(suite: SuiteConfig, out: Path, device: str = "cpu") -> Run:
    """The run of a suite in a folder. Raises ConfigError for whatever cannot be run; writes nothing."""
    from benchmarks.engine.machine import pick_device
    from benchmarks.engine.plan import expand
    from benchmarks.engine.run import Run

    chosen = pick_device(device)
    return Run(expand(suite), out, chosen)
