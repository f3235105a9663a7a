"""A blind study: people choose between two methods' images of the same target; their answers as strengths.

OUT/page/            what participants get: index.html and images whose names say nothing
OUT/key.json         which image is of which method; it stays with whoever asks
"""

from __future__ import annotations

import csv
import itertools
import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from inversion_bench.files import write_text
from inversion_bench.registry import unknown
from inversion_bench.sampling import evenly
from reports.bradley_terry import Choice, Strength, strengths
from reports.frame import ReportError, Results

COLUMNS = ("participant", "trial", "left", "right", "chosen", "milliseconds")


@dataclass(frozen=True)
class Shown:
    """What a token of the page stands for."""

    method: str
    dataset: str
    image: str


def build(
    results: Results, out: Path, methods: Sequence[str], datasets: Sequence[str], limit: int, question: str
) -> int:
    """Write OUT/page and OUT/key.json.

    Args:
        results: a run, with the images in its folder.
        out: a folder that has no study yet.
        methods: at least two of the run's.
        datasets: of the run.
        limit: images of each data set, spread evenly over those that all methods have.
        question: above every pair.

    Returns:
        The number of pairs that a participant sees: all pairs of methods on all images.

    Raises:
        ReportError: a name is unknown, no image is there of all methods, or OUT has a study.
    """
    if (out / "key.json").exists():
        raise ReportError(f"{out} has a study already, whose key would be lost; choose another folder")
    for kind, names, known in (("method", methods, results.methods), ("data set", datasets, results.datasets)):
        for name in names:
            if name not in known:
                raise ReportError(str(unknown(f"{kind} of the run", name, known)))
    if len(methods) < 2:
        raise ReportError(f"a study compares at least two methods, found {', '.join(methods) or 'none'}")
    key: dict[str, Shown] = {}
    trials: list[tuple[str, str, str]] = []
    (out / "page" / "images").mkdir(parents=True, exist_ok=True)
    for dataset in datasets:
        images = _complete(results, dataset, methods)
        if not images:
            raise ReportError(f"no image of {dataset} is there of all of {', '.join(methods)} in {results.directory}")
        for image in evenly(images, limit):
            tokens = [_copy(results, out, key, Shown(name, dataset, image)) for name in ("target", *methods)]
            trials += [(tokens[0], *pair) for pair in itertools.combinations(tokens[1:], 2)]
    write_text(out / "key.json", json.dumps({token: asdict(shown) for token, shown in key.items()}, indent=1) + "\n")
    templates = Environment(loader=PackageLoader("reports", "."), autoescape=True, undefined=StrictUndefined)
    page = templates.get_template("study.html.j2").render(question=question, trials=trials, columns=COLUMNS)
    write_text(out / "page" / "index.html", page)
    return len(trials)


def read(out: Path, answers: Sequence[Path]) -> list[Strength]:
    """The strengths of the methods from participants' answers.

    Raises:
        ReportError: OUT has no study, or a file is not of this study; the message names file and line.
    """
    try:
        key = {token: Shown(**shown) for token, shown in json.loads((out / "key.json").read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError) as error:
        raise ReportError(f"{out / 'key.json'}: no key of a study ({error}); give the folder of `study`") from error
    choices = [choice for path in answers for choice in _choices(path, key)]
    methods = [name for name in dict.fromkeys(shown.method for shown in key.values()) if name != "target"]
    try:
        return strengths(choices, methods)
    except ValueError as error:
        raise ReportError(f"{', '.join(map(str, answers))}: {error}") from error


def _choices(path: Path, key: dict[str, Shown]) -> Iterator[Choice]:
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, ValueError, csv.Error) as error:
        raise ReportError(f"{path}: {error}") from error
    for line, row in enumerate(rows, 2):
        pair = [row.get("left"), row.get("right")]
        if row.get("chosen") not in pair or not all(token in key for token in pair) or not row.get("participant"):
            raise ReportError(f"{path}, line {line}: no answer of this study: {row}")
        left, right = (key[str(token)] for token in pair)
        winner, loser = (left, right) if row["chosen"] == row["left"] else (right, left)
        yield Choice(winner.method, loser.method, row["participant"], f"{winner.dataset}/{winner.image}")


def _complete(results: Results, dataset: str, methods: Sequence[str]) -> list[str]:
    """Images of a data set with a picture of every method."""
    folder = results.directory / "images" / dataset
    wanted = ("target", *methods)
    return [image for image in results.images(dataset)
            if all((folder / image / f"{name}.png").is_file() for name in wanted)]  # fmt: skip


def _copy(results: Results, out: Path, key: dict[str, Shown], shown: Shown) -> str:
    """Copy an image under a name that says nothing; returns that name."""
    source = results.directory / "images" / shown.dataset / shown.image / f"{shown.method}.png"
    token = secrets.token_hex(8)
    shutil.copyfile(source, out / "page" / "images" / f"{token}.png")
    key[token] = shown
    return token
