"""What Weights & Biases gets of a run: one W&B run for the whole, from its beginning to its end, and one a method.

The first has the phases and the first means of each method as they come, over the number of images done, and in the
end the summary and the artifact of results. Those of methods have their means, values and some images. All are of one
group. Parts of a key have letters, digits and underscores only, as W&B sorts and filters by no others.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from reports.figures import choose_images
from reports.frame import COSTS, Results, read
from reports.listings import distinct
from reports.summary import as_json, failed
from reports.tabulate import costs, means

PROJECT = "inversion-bench"
IMAGES = 24  # shown for each data set; a table without images has the values of all
EVERY = 1.0  # seconds between two looks at a run
FILES = (
    "results.parquet",
    "run.json",
    *(f"report/{name}" for name in ("tables.md", "tables.tex", "tables.csv", "costs.csv")),
)


class Ear:
    """Waits for the word that the results are there, on a stream whose other end is the run's process."""

    def __init__(self, stream: TextIO, word: str):
        self._heard: list[str] = []
        self._word = word
        self._thread = threading.Thread(target=lambda: self._heard.append(stream.read().strip()), daemon=True)
        self._thread.start()

    def waits(self) -> bool:
        """Wait a little; whether the run still goes on."""
        self._thread.join(EVERY)
        return self._thread.is_alive()

    @property
    def done(self) -> bool:
        return self._heard == [self._word]


def log(directory: Path, mode: str, about: Mapping[str, Any], ear: Ear | None = None) -> list[str]:
    """Log a run and its methods.

    Args:
        directory: of the run.
        mode: offline or online.
        about: what run.json holds when the run is complete.
        ear: hears when it is; None where it is already.

    Returns:
        W&B's ids; none where the run ended without results. Raises the errors of W&B.
    """
    folder = directory / "wandb"
    folder.mkdir(exist_ok=True)
    # Files of artifacts are stored next to the runs until they are synced, so that the folder can be moved.
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
    import wandb

    common: dict[str, Any] = {
        "project": os.environ.get("WANDB_PROJECT") or PROJECT, "group": _suite(about), "dir": str(directory),
        "mode": mode,
        "settings": wandb.Settings(quiet=True, console="off", disable_git=True, save_code=False, x_disable_stats=True),
    }  # fmt: skip
    config = {**_config(about), "methods": list(about["methods"])}
    tags = _tags(about, *about["methods"], *about["datasets"])
    with wandb.init(**common, name=directory.name, job_type="benchmark", tags=tags, config=config) as run:
        if ear:
            _follow(run, directory, ear)
        if ear and not ear.done:
            run.finish(exit_code=1)
            return []
        results = read(directory)
        _log_results(wandb, run, results)
    return [run.id, *(_log_method(wandb, results, method, common) for method in results.methods)]


def _follow(run: Any, directory: Path, ear: Ear) -> None:
    """Log phase, images done, time left and first means whenever they have changed."""
    run.define_metric("images")
    for name in ("progress/*", "first_means/*"):
        run.define_metric(name, step_metric="images")
    before, began = 0, time.monotonic()
    last: dict[str, Any] = {"phase": "", "done": 0}
    while ear.waits():
        state = _state(directory)
        if not state or state == last:
            continue
        if state["phase"] != last["phase"]:
            before, began = before + last["done"], time.monotonic()
        last = state
        run.log(points(state, before) | {f"progress/{key(state['phase'])}_seconds": time.monotonic() - began})


def points(state: Mapping[str, Any], before: int) -> dict[str, Any]:
    """What is logged of a state of work/progress.json. before: images of the phases before."""
    point = {"images": before + state["done"], "progress/phase": state["phase"]}
    if state["left"] is not None:
        point["progress/seconds_left"] = state["left"]
    for dataset, methods in state["means"].items():
        for method, values in methods.items():
            for metric, (mean, _) in values.items():
                point["/".join(["first_means", key(dataset), key(metric), key(method)])] = mean
    return point


def _state(directory: Path) -> dict[str, Any]:
    """What the run last said about itself; empty where it says nothing."""
    try:
        state: dict[str, Any] = json.loads((directory / "work" / "progress.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return state


def key(part: str) -> str:
    """A part of a key, as W&B wants it."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", part).strip("_") or "_"


def _log_results(wandb: Any, run: Any, results: Results) -> None:
    """The headline means, failures, and the artifact of results."""
    found = as_json(results)
    rows = [
        [dataset, results.title("methods", method), metric, *(entry.get(name) for name in ("mean", "n", "best"))]
        for dataset, methods in found["results"].items()
        for method, metrics in methods.items()
        for metric, entry in metrics.items()
    ]
    run.log({"summary": wandb.Table(columns=["dataset", "method", "metric", "mean", "n", "best"], data=rows)})
    run.summary["failed_images"] = sum(failed(results).values())
    artifact = wandb.Artifact(re.sub(r"[^A-Za-z0-9._-]", "-", f"{_suite(results.run)}-results"), type="results")
    for name in FILES:
        if (results.directory / name).is_file():
            artifact.add_file(str(results.directory / name), name=name)
    run.log_artifact(artifact)


def _log_method(wandb: Any, results: Results, method: str, common: Mapping[str, Any]) -> str:
    sets = [dataset for dataset, protocol in results.parts if method in results.part_methods(dataset, protocol)]
    measured = {name: ", ".join(distinct(results, name)) for name in ("device", "precision", "torch", "commit", "seed")}
    config = {"method": method, **results.run["methods"][method], **_config(results.run), "measured_with": measured}
    with wandb.init(
        **common,
        name=results.title("methods", method),
        job_type="inversion",
        tags=_tags(results.run, method, *sets),
        config=config,
        reinit="finish_previous",
    ) as run:
        run.log({name: wandb.Table(columns=head, data=rows) for name, head, rows in _tables(wandb, results, method)})
        run.summary.update(dict(summary(results, method)))
        return str(run.id)


def _suite(about: Mapping[str, Any]) -> str:
    return str(about.get("suite") or "run")


def _tags(about: Mapping[str, Any], *more: str) -> list[str]:
    """The suite, the generator, methods and data sets; W&B takes 64 characters."""
    generator = str((about.get("generator") or {}).get("name") or "")
    return [tag[:64] for tag in dict.fromkeys([_suite(about), generator, *more]) if tag]


def _config(about: Mapping[str, Any]) -> dict[str, Any]:
    names = ("suite", "generator", "datasets", "metrics", "versions")
    return {name: about.get(name) for name in names} | {"suite_config": about.get("config")}


def summary(results: Results, method: str) -> Iterator[tuple[str, float | int | str]]:
    """(dataset/protocol/metric, mean) as in the tables, with /low, /high and /n, or /reason without a number.

    Costs of different devices are separate numbers; inversion_seconds is the time of all images together.
    """
    rows = results.rows[(results.rows["method"] == method) & (results.rows["metric"] == "seconds")]
    yield "inversion_seconds", float(rows["value"].sum())
    for part in results.parts:
        for table in (means(results, *part), costs(results, *part)):
            for row, column, cell in table.cells():
                if row.method != method:
                    continue
                name = "/".join(map(key, [*part, column.name, *_machine(row.labels[1:])]))
                if cell.value is None:
                    yield f"{name}/reason", cell.reason
                    continue
                yield name, cell.value
                for end, value in (("low", cell.low), ("high", cell.high), ("n", cell.n)):
                    if value is not None:
                        yield f"{name}/{end}", value


def _machine(labels: tuple[str, ...]) -> list[str]:
    """Device, precision and batch size of a row of costs, as parts of a key; none of a row of means."""
    return [*labels[:-1], f"batch_{labels[-1]}"] if labels else []


def _tables(wandb: Any, results: Results, method: str) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """(name, columns, rows): some images with their values, and the values of all images."""
    names = [f"{key(protocol)}/{key(metric)}" for protocol, metric in _measured(results)]
    with_images, values_only = [], []
    for dataset in results.datasets:
        numbers = {
            (protocol, metric): results.values(metric, dataset, protocol)[method]
            for protocol, metric in _measured(results) if (dataset, protocol) in results.parts
        }  # fmt: skip
        some = set(choose_images(results, dataset, results.protocols(dataset)[0], IMAGES))
        for image in results.images(dataset):
            values = [_number(numbers.get(measured), image) for measured in _measured(results)]
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
