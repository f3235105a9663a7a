"""Photographs of one's own through a method of a suite: cut to the generator's frame, and inverted as a run does it.

The photographs become a data set, and the method a suite of its own in OUT/.unfinished, so that planning, batching,
groups and failures are those of a run, and the same command goes on after an interruption. What is asked for is then
written to OUT/NAME, and OUT/.unfinished is removed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.engine import runner
from benchmarks.engine.config import DatasetEntry, SuiteConfig
from benchmarks.engine.plan import expand, load_protocols, scope_of
from benchmarks.engine.run import Run
from benchmarks.engine.types import WorkerOptions
from benchmarks.errors import ConfigError
from benchmarks.protocols.reconstruction import Reconstruction, measure, sample_metrics
from datasets import assets, folder
from datasets.checkpoints import read_safetensors
from datasets.images import read_rgb, save_png, to_image, to_tensor
from inversion_bench.files import atomic, write_text
from inversion_bench.names import shown
from methods.base import Inversion
from methods.feature_maps import at_codes, packed, unpacked
from methods.generators import Generator, load_generator
from methods.generators.fingerprint import fingerprint
from methods.registry import load_pipeline
from methods.tuning.deltas import load_delta, save_delta

UNFINISHED = ".unfinished"
LATENT, DELTA, METRICS = "latent.safetensors", "generator-delta.safetensors", "metrics.json"
# What a folder of an earlier run may hold: removed, so that no file of another method stands beside a new latent.
WRITTEN = ("target.png", "reconstruction.png", "edited.png", "edits.png", "edit.json", LATENT, DELTA, METRICS)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photograph:
    """An inverted photograph.

    Args:
        source: the name of the file that it was read from.
        name: of its folder among the results; no two photographs have the same.
        target: the image that was inverted.
        inversion: of length 1, on the device.
        facts: method, generator, frame, domain, note and seconds; the header of its latent.
    """

    source: str
    name: str
    target: Image
    inversion: Inversion
    facts: dict[str, str]

    def images(self) -> tuple[Tensor, Tensor]:
        """The inversion's image, rounded to 8 bits, and the target: [3, R, R] each, on the inversion's device."""
        image = self.inversion.image[0]
        return to_tensor(to_image(image)).to(image.device), to_tensor(self.target).to(image.device)

    def save(
        self, out: Path, generator: Generator, report: dict[str, Any], keep: Sequence[str] = (), **latents: Tensor
    ) -> Path:
        """Write OUT/NAME/{target,reconstruction}.png, latent.safetensors, and the generator's changes where it was
        tuned; returns the folder. What an earlier run wrote there is removed.

        Args:
            out: folder of all results.
            generator: the one that was tuned.
            report: what goes into the folder's JSON file, by the file's name.
            keep: files of an earlier run that stay.
            latents: further codes [num_ws, w_dim] beside the inversion's.
        """
        place = out / self.name
        place.mkdir(parents=True, exist_ok=True)
        for file in set(WRITTEN) - set(keep):
            (place / file).unlink(missing_ok=True)
        save_png(self.target, place / "target.png")
        save_png(to_image(self.inversion.image[0]), place / "reconstruction.png")
        codes = {"latent": self.inversion.latent[0], **latents}
        codes |= {f"noise.{i}": level for i, level in enumerate(self.inversion.noise[0] or [])}
        maps, about = packed(self.inversion.features[0])
        codes |= maps
        facts = {"source": self.source, "space": self.inversion.space, **self.facts, **about}
        with atomic(place / LATENT) as temporary:
            save_file({name: code.cpu().contiguous() for name, code in codes.items()}, temporary, facts)
        if self.inversion.weights[0] is not None:
            save_delta(place / DELTA, generator, self.inversion.weights[0])
        for file, content in report.items():
            about = {"source": self.source} | {key: value for key, value in self.facts.items() if value}
            write_text(place / file, json.dumps({**about, **content}, indent=1) + "\n")
        return place


def settings(suite: SuiteConfig, method: str, frame: str = "", domain: str = "") -> SuiteConfig:
    """A suite of one method for photographs, under the settings of another suite. Raises ConfigError."""
    kept = {p.name: suite.protocols[p.name] for p in load_protocols(suite) if isinstance(p, Reconstruction)}
    return replace(
        suite, name="photographs", title="Photographs", methods=[method], protocols=kept, save_weights=True,
        frame=frame or suite.frame, domain=domain or suite.domain, reference_method="",
    )  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """What photographs are inverted and measured with: a run of a plan, the suite's per-image metrics, its folder."""

    run: Run
    metrics: list[Any]
    work: Path

    @property
    def generator(self) -> Generator:
        return self.run.generator


def checked(suite: SuiteConfig, face: int | str = 1) -> Generator:
    """The generator of a suite of `settings`. Raises ConfigError for whatever is wrong with suite or face."""
    try:
        load_pipeline(suite.methods[0], suite.stage_settings)
        sample_metrics(suite)
        folder.checked_face(face)
        generator = load_generator(suite.generator)
        scope_of(suite, generator)
        return generator
    except (ValueError, KeyError, OSError, assets.AssetMissingError) as error:
        raise ConfigError(str(error.args[0] if isinstance(error, KeyError) else error)) from error


def prepare(
    suite: SuiteConfig, generator: Generator, files: Sequence[Path], out: Path, device: torch.device,
    face: int | str = 1,
) -> Bench:  # fmt: skip
    """Cut photographs to the frame and plan their inversion.

    Args:
        suite: of `settings`.
        generator: of `checked`.
        files: the photographs; those that cannot be read or cut become failures.
        out: folder of the results.
        device: where to compute.
        face: as of `datasets.folder.build`.

    Raises:
        ConfigError: the method cannot be run.
    """
    scope = scope_of(suite, generator)
    content = [str(path) + (assets.sha256(path) if path.is_file() else "") for path in files]
    asked = json.dumps([content, str(scope), face, generator.resolution])
    work = out / UNFINISHED / hashlib.sha256(asked.encode()).hexdigest()[:12]
    made = folder.photographs(files, work / "data", scope.frame, generator.resolution, face, scope.domain)
    for record in made.records:
        if (out / record.id).is_file():
            raise ConfigError(f"{out / record.id}: a file, where the folder of results belongs; choose another --out")
    entry = DatasetEntry("photographs", options={"path": str(work / "data")})
    run = Run(expand(replace(suite, datasets=[entry]), generator), work / "run", device, pads=False)
    return Bench(run, sample_metrics(suite), work)


def inverted(bench: Bench, debug: bool = False, tick: Any = lambda: None) -> Iterator[tuple[str, Photograph | str]]:
    """Invert all photographs; then each file's name with its result, or the reason why there is none.

    Args:
        bench: of `prepare`.
        debug: raise the first error of a method.
        tick: called after every chunk of images.
    """
    run, plan = bench.run, bench.run.plan
    runner.invert(run, tick=tick, options=WorkerOptions(debug=debug))
    (key,) = plan.leaf.values()
    lineage = plan.lineage(key)
    rows = {each: run.rows(each) for each in lineage}
    for record in plan.manifests["photographs"].records:
        source, row = str(record.labels["file"]), rows[key].get(record.id)
        if record.failure or row is None or row.status != "ok":
            reason = record.failure or (row.reason if row else "not inverted")
            yield source, reason.removeprefix(f"{Path(source).name}: ")
            continue
        seconds = sum(rows[each][record.id].seconds for each in lineage)
        facts = {"method": plan.suite.methods[0], "generator": plan.suite.generator,
                 "generator_sha256": plan.generator_hash, "frame": plan.scope.frame, "domain": plan.scope.domain,
                 "note": record.note, "seconds": f"{seconds:.3f}"}  # fmt: skip
        target = to_image(plan.manifests["photographs"].image(record.id))
        one = run.inversion(plan.stage_run(key), record.id)
        yield source, Photograph(shown(Path(source).name), record.id, target, one, facts)


def finish(bench: Bench) -> None:
    """Remove what only served to go on after an interruption."""
    shutil.rmtree(bench.work.parent, ignore_errors=True)


def measured(bench: Bench, photograph: Photograph) -> dict[str, tuple[float | None, str]]:
    """Value, or None and the reason, of every metric of the bench."""
    undefined = bench.run.plan.undefined("photographs")
    names = [metric.info.name for metric in bench.metrics]
    values: dict[str, tuple[float | None, str]] = {name: (None, undefined[name]) for name in names if name in undefined}
    held = [metric for metric in bench.metrics if metric.info.name not in undefined]
    scores = [measure(metric, photograph.name, *photograph.images()) for metric in held]
    return values | {score.metric: (score.value, score.reason) for score in scores}


def finished(places: Sequence[Path], generator: str, device: torch.device) -> tuple[Generator, list[Photograph]]:
    """Inversions that were written before, and their generator.

    Args:
        places: folders OUT or OUT/NAME of `Photograph.save`.
        generator: a name or file; "" for the one that the inversions name.
        device: where they are to be.

    Raises:
        ConfigError: there is no inversion, they are of several generators, or the generator is another one now.
    """
    latents = [file for place in places for file in sorted([*place.glob(LATENT), *place.glob(f"*/{LATENT}")])]
    if not latents:
        raise ConfigError(f"{places[0]}: no inversion there (no {LATENT}); `invert METHOD IMAGE --out DIR` makes one")
    try:
        read = {file.parent: read_safetensors(file) for file in latents}
        named = {facts.get("generator", "") for _, facts in read.values()}
        if len(named) > 1:
            raise ValueError(f"inversions of several generators ({', '.join(sorted(named))}); edit one after another")
        loaded = load_generator(generator or named.pop())
        for place, (_, facts) in read.items():
            if (before := facts.get("generator_sha256", "unknown")) != (now := fingerprint(loaded)):
                raise ValueError(
                    f"{place / LATENT}: of generator {before[:12]}, this one is {now[:12]}; name its file with "
                    "--set generator=FILE"
                )
        loaded.to(device)
        return loaded, [_finished(place, *read[place], loaded, device) for place in read]
    except (ValueError, OSError, KeyError, assets.AssetMissingError) as error:
        raise ConfigError(str(error)) from error


def _finished(
    place: Path, tensors: dict[str, Tensor], facts: dict[str, str], generator: Generator, device: torch.device
) -> Photograph:
    weights = load_delta(place / DELTA, generator) if (place / DELTA).exists() else None
    noise = [tensors[f"noise.{i}"] for i in range(sum(key.startswith("noise.") for key in tensors))]
    image = to_tensor(read_rgb(place / "reconstruction.png"))[None]
    one = Inversion(
        (place.name,),
        tensors["latent"][None],
        facts.get("space", "W+"),
        image,
        torch.zeros(1),
        (weights,),
        (noise or None,),
        (unpacked(tensors, facts),),
    ).to(device)  # fmt: skip
    with torch.no_grad():
        at_codes(one.features[0], one.latent, generator)  # a network that is missing or changed is said before any work
    rest = {key: value for key, value in facts.items() if key not in ("source", "space", "features")}
    return Photograph(facts.get("source", ""), place.name, read_rgb(place / "target.png"), one, rest)
