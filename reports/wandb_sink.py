"""A finished run as Weights & Biases runs: one for each method, grouped by suite. A sink only: the store is the truth.

    python -m reports.wandb_sink runs/faces64 --mode offline     write DIR/wandb/offline-run-*, without a network
    wandb sync runs/faces64/wandb/offline-run-*                  send them later, from a machine that has one

`push` does it in a process of its own, so that whatever happens to W&B (no package, no key, no network, a hang) is a
warning and never touches the run. Project and account are W&B's own settings (WANDB_PROJECT, WANDB_ENTITY).
"""

from __future__ import annotations

import argparse
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

MODES = ("offline", "online")
PROJECT = "inversion-bench"
PICTURES = 24  # of each data set; the numbers of all images go into a table without pictures
MINUTES = 15
ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "results.parquet",
    "run.json",
    "report/tables.md",
    "report/tables.tex",
    "report/tables.csv",
    "report/costs.csv",
)


def push(directory: Path, mode: str, minutes: float = MINUTES) -> bool:
    """Log the run of a directory in another process; False, and a warning on stderr, when that failed."""
    command = [sys.executable, "-m", "reports.wandb_sink", str(directory.resolve()), "--mode", mode]
    try:
        # No standard input: without a key W&B would ask for one and wait.
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=60 * minutes).returncode
        problem = f"it ended with exit code {code}, see above" if code else ""
    except subprocess.TimeoutExpired:
        problem = f"it took more than {minutes:g} minutes"
    except OSError as error:
        problem = str(error)
    if problem:
        print(
            f"warning: not logged to Weights & Biases: {problem}. The results in {directory} are complete; "
            f"to log them: python -m reports.wandb_sink {directory} --mode {mode}",
            file=sys.stderr,
        )
    return not problem


def log(directory: Path, mode: str) -> list[str]:
    """Log every method of the run; returns W&B's ids. Raises whatever W&B raises."""
    results = read(directory)
    folder = directory / "wandb"
    folder.mkdir(exist_ok=True)
    # The files of artifacts wait there to be synced: beside the runs, so that the folder can be moved as a whole.
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
    import wandb

    settings = wandb.Settings(quiet=True, console="off", disable_git=True, save_code=False, x_disable_stats=True)
    return [_log_method(wandb, results, method, mode, settings) for method in results.methods]


def _log_method(wandb: Any, results: Results, method: str, mode: str, settings: Any) -> str:
    suite = str(results.run.get("suite") or "run")
    with wandb.init(
        project=os.environ.get("WANDB_PROJECT") or PROJECT, group=suite, name=results.title("methods", method),
        job_type="inversion", dir=str(results.directory), mode=mode, config=_config(results, method),
        settings=settings, reinit="finish_previous",
    ) as run:  # fmt: skip
        tables = {
            name: wandb.Table(columns=columns, data=rows) for name, columns, rows in _tables(wandb, results, method)
        }
        run.log(tables)
        run.summary.update(dict(summary(results, method)))
        artifact = wandb.Artifact(re.sub(r"[^A-Za-z0-9._-]", "-", f"{suite}-results"), type="results")
        for name in FILES:
            if (results.directory / name).is_file():
                artifact.add_file(str(results.directory / name), name=name)
        run.log_artifact(artifact)
        return str(run.id)


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
    """(set/protocol/metric, mean) as in the tables, with /low, /high and /n, or /reason where there is no number."""
    for part in results.parts:
        for table in (means(results, *part), costs(results, *part)):
            for row, column, cell in table.cells():
                if row.method != method:
                    continue
                # Costs of different devices are different numbers.
                name = "/".join([*part, column.name, *row.labels[1:]])
                if cell.value is None:
                    yield f"{name}/reason", cell.reason
                    continue
                yield name, cell.value
                for key, value in (("low", cell.low), ("high", cell.high), ("n", cell.n)):
                    if value is not None:
                        yield f"{name}/{key}", value


def _tables(wandb: Any, results: Results, method: str) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """(name, columns, rows): pictures of some images with their numbers, and the numbers of all images."""
    names = [f"{protocol}/{metric}" for protocol, metric in _measured(results)]
    shown, everything = [], []
    for dataset in results.datasets:
        numbers = {
            (protocol, metric): results.values(metric, dataset, protocol)[method]
            for protocol, metric in _measured(results) if (dataset, protocol) in results.parts
        }  # fmt: skip
        some = set(choose_images(results, dataset, results.protocols(dataset)[0], PICTURES))
        for image in results.images(dataset):
            found = [_number(numbers.get(key), image) for key in _measured(results)]
            everything.append([dataset, image, *found])
            if image in some:
                files = [results.directory / "images" / dataset / image / f"{file}.png" for file in ("target", method)]
                pictures = [wandb.Image(str(file)) if file.is_file() else None for file in files]
                shown.append([dataset, image, *pictures, *found])
    yield "pictures", ["dataset", "image", "target", "reconstruction", *names], shown
    yield "images", ["dataset", "image", *names], everything


def _measured(results: Results) -> list[tuple[str, str]]:
    """(protocol, metric) of the run, costs last."""
    quality = [
        (protocol, metric) for dataset, protocol in results.parts for metric in results.part_metrics(dataset, protocol)
    ]
    dear = [(protocol, metric) for dataset, protocol in results.parts for metric in COSTS
            if (results.costs(dataset, protocol)["metric"] == metric).any()]  # fmt: skip
    return list(dict.fromkeys(quality + dear))


def _number(values: Any, image: str) -> float | None:
    value = None if values is None else values.get(image)
    return None if value is None or value != value else float(value)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.wandb_sink", description="log a finished run to W&B")
    parser.add_argument("directory", type=Path, help="folder of a finished run, e.g. runs/faces64")
    parser.add_argument("--mode", choices=MODES, default="offline")
    options = parser.parse_args(arguments)
    ids = log(options.directory.resolve(), options.mode)
    where = options.directory / "wandb"
    how = f"; to send them: wandb sync {where}/offline-run-*" if options.mode == "offline" else ""
    print(f"{len(ids)} runs logged to Weights & Biases ({options.mode}){how}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
