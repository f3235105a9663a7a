"""Export of a finished run to Weights & Biases: a W&B run for each method, grouped by suite.

    python -m reports.wandb_sink runs/faces64 --mode offline     write DIR/wandb/offline-run-*, without a network
    wandb sync runs/faces64/wandb/offline-run-*                  upload them later, from a machine that has one

`push` does it in a process of its own, so that any failure of W&B (no package, key or network, a hang) is a warning and
never affects the run. Project and account are W&B's own settings (WANDB_PROJECT, WANDB_ENTITY).
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reports.figures import choose_images
from reports.frame import COSTS, Results, read
from reports.listings import distinct
from reports.tabulate import costs, means

logger = logging.getLogger(__name__)
MODES = ("offline", "online")
PROJECT = "inversion-bench"
IMAGES = 24  # shown for each data set; a table without images has the values of all
MINUTES = 15
ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "results.parquet",
    "run.json",
    *(f"report/{name}" for name in ("tables.md", "tables.tex", "tables.csv", "costs.csv")),
)


def push(directory: Path, mode: str, minutes: float = MINUTES) -> bool:
    """Log the run of a directory in another process.

    Args:
        directory: a finished run.
        mode: one of MODES.
        minutes: time limit.

    Returns:
        Whether it succeeded; a failure is logged as a warning.
    """
    command = [sys.executable, "-m", "reports.wandb_sink", str(directory.resolve()), "--mode", mode]
    try:
        # Without standard input, as W&B would wait for a key there.
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=60 * minutes).returncode
        problem = f"it ended with exit code {code}, see above" if code else ""
    except subprocess.TimeoutExpired:
        problem = f"it took more than {minutes:g} minutes"
    except OSError as error:
        problem = str(error)
    if problem:
        logger.warning("not logged to Weights & Biases: %s. The results in %s are complete; to log them: "
                       "python -m reports.wandb_sink %s --mode %s", problem, directory, directory, mode)  # fmt: skip
    return not problem


def log(directory: Path, mode: str) -> list[str]:
    """Log all methods of the run; returns W&B's ids. Raises the errors of W&B."""
    results = read(directory)
    folder = directory / "wandb"
    folder.mkdir(exist_ok=True)
    # Files of artifacts are stored next to the runs until they are synced, so that the folder can be moved.
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
    import wandb

    settings = wandb.Settings(quiet=True, console="off", disable_git=True, save_code=False, x_disable_stats=True)
    return [_log_method(wandb, results, method, mode, settings) for method in results.methods]


def _log_method(wandb: Any, results: Results, method: str, mode: str, settings: Any) -> str:
    suite = str(results.run.get("suite") or "run")
    with wandb.init(
        project=os.environ.get("WANDB_PROJECT") or PROJECT, group=suite, name=results.title("methods", method),
        job_type="inversion", tags=_tags(results, method), dir=str(results.directory), mode=mode,
        config=_config(results, method),
        settings=settings, reinit="finish_previous",
    ) as run:  # fmt: skip
        tables = {
            name: wandb.Table(columns=columns, data=rows) for name, columns, rows in _tables(wandb, results, method)
        }
        run.log(tables)
        run.summary.update(dict(summary(results, method)))
        if method != results.methods[0]:  # the results of all methods are one artifact
            return str(run.id)
        artifact = wandb.Artifact(re.sub(r"[^A-Za-z0-9._-]", "-", f"{suite}-results"), type="results")
        for name in FILES:
            if (results.directory / name).is_file():
                artifact.add_file(str(results.directory / name), name=name)
        run.log_artifact(artifact)
        return str(run.id)


def _tags(results: Results, method: str) -> list[str]:
    """The suite, the generator, the method and its data sets; W&B takes 64 characters."""
    generator = str((results.run.get("generator") or {}).get("name") or "")
    sets = [dataset for dataset, protocol in results.parts if method in results.part_methods(dataset, protocol)]
    return [tag[:64] for tag in dict.fromkeys([str(results.run.get("suite") or ""), generator, method, *sets]) if tag]


def _config(results: Results, method: str) -> Mapping[str, Any]:
    run = results.run
    machine = {
        column: ", ".join(distinct(results, column)) for column in ("device", "precision", "torch", "commit", "seed")
    }
    return {
        "method": method, **run["methods"][method], "suite": run.get("suite"), "generator": run.get("generator"),
        "datasets": run["datasets"], "metrics": run["metrics"], "versions": run.get("versions"),
        "suite_config": run.get("config"), "measured_with": machine,
    }  # fmt: skip


def summary(results: Results, method: str) -> Iterator[tuple[str, float | int | str]]:
    """(dataset/protocol/metric, mean) as in the tables, with /low, /high and /n, or /reason without a number."""
    for part in results.parts:
        for table in (means(results, *part), costs(results, *part)):
            for row, column, cell in table.cells():
                if row.method != method:
                    continue
                # Costs of different devices are separate numbers.
                name = "/".join([*part, column.name, *row.labels[1:]])
                if cell.value is None:
                    yield f"{name}/reason", cell.reason
                    continue
                yield name, cell.value
                for key, value in (("low", cell.low), ("high", cell.high), ("n", cell.n)):
                    if value is not None:
                        yield f"{name}/{key}", value


def _tables(wandb: Any, results: Results, method: str) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """(name, columns, rows): some images with their values, and the values of all images."""
    names = [f"{protocol}/{metric}" for protocol, metric in _measured(results)]
    with_images, values_only = [], []
    for dataset in results.datasets:
        numbers = {
            (protocol, metric): results.values(metric, dataset, protocol)[method]
            for protocol, metric in _measured(results) if (dataset, protocol) in results.parts
        }  # fmt: skip
        some = set(choose_images(results, dataset, results.protocols(dataset)[0], IMAGES))
        for image in results.images(dataset):
            values = [_number(numbers.get(key), image) for key in _measured(results)]
            values_only.append([dataset, image, *values])
            if image in some:
                files = [results.directory / "images" / dataset / image / f"{file}.png" for file in ("target", method)]
                images = [wandb.Image(str(file)) if file.is_file() else None for file in files]
                with_images.append([dataset, image, *images, *values])
    yield "images", ["dataset", "image", "target", "reconstruction", *names], with_images
    yield "values", ["dataset", "image", *names], values_only


def _measured(results: Results) -> list[tuple[str, str]]:
    """(protocol, metric) of the run, costs last."""
    quality = [
        (protocol, metric) for dataset, protocol in results.parts for metric in results.part_metrics(dataset, protocol)
    ]
    costs = [(protocol, metric) for dataset, protocol in results.parts for metric in COSTS
            if (results.costs(dataset, protocol)["metric"] == metric).any()]  # fmt: skip
    return list(dict.fromkeys(quality + costs))


def _number(values: Any, image: str) -> float | None:
    value = None if values is None else values.get(image)
    return None if value is None or value != value else float(value)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.wandb_sink", description="log a finished run to W&B")
    parser.add_argument("directory", type=Path, help="folder of a finished run, e.g. runs/faces64")
    parser.add_argument("--mode", choices=MODES, default="offline")
    options = parser.parse_args(arguments)
    ids = log(options.directory.resolve(), options.mode)
    hint = (
        f"; to upload them: wandb sync {options.directory / 'wandb'}/offline-run-*" if options.mode == "offline" else ""
    )
    print(f"{len(ids)} runs logged to Weights & Biases ({options.mode}){hint}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
