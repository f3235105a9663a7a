"""Editing what has been inverted: one pass an image makes all its edited pictures and reads them once.

    DIR/edits/<key>/rows-<worker>.jsonl  one line an image: everything that was read, append-only, one file a process
    DIR/edits/<key>/<image>.png          its edited pictures side by side
    DIR/edits/<key>/<image>.line.png     the line to the next edited image and the mixture with it

It comes after all inverting, as lines need two images, and starts from the store, so new directions or predictors
need no new inversion. benchmarks/protocols/editing/work.py deals the images.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from benchmarks.engine.plan import StageRun
from benchmarks.engine.run import Run
from benchmarks.engine.runner import Shard, group_size
from benchmarks.engine.store import InversionStore, JsonLines, Row, RowFiles, finite, read_lines
from benchmarks.protocols.editing.plan import Editing
from datasets.images import ImageError, read_rgb, save_png, to_image, to_tensor
from methods.base import Inversion
from methods.editing.pictures import edited, line, mixed, tiles, undone
from methods.editing.reading import identities, lpips, read_edits
from metrics.edit_protocol import SEGMENTS
from metrics.editing import STEP, Edits, Reading, detour, latent_distance, path_length

WHOLE = Shard()
Part = dict[str, Any]  # readings of one kind, or {"reason": why there are none}


class EditStore:
    """The readings and edited pictures of one stage run."""

    def __init__(self, root: Path, key: str):
        self.folder = root / "edits" / key
        self.names = root / "work" / "rows" / f"edits-{key}"

    def row_files(self) -> RowFiles:
        return RowFiles(self.folder, self.names)

    def rows(self, digest: str) -> dict[str, Row]:
        """The newest row of every image under these directions."""
        found: dict[str, Row] = {}
        newest(found, read_lines(self.row_files().paths()), digest)
        return found

    def sheet(self, image: str) -> Path:
        return self.folder / f"{image}.png"

    def line(self, image: str) -> Path:
        return self.folder / f"{image}.line.png"


def newest(found: dict[str, Row], rows: Iterable[Row], digest: str) -> None:
    """Put rows under these directions in the place of older ones. made counts up by image: clocks jump."""
    for row in rows:
        if row["digest"] == digest and row["made"] >= found.get(row["image"], row)["made"]:
            found[row["image"]] = row


@dataclass(frozen=True)
class Task:
    """One image of one stage run. other: the next edited image, to which its line leads. stamps: of both pictures."""

    image: str
    other: str
    again: bool
    stamps: list[int]
    made: int  # what its row will say

    def done(self, row: Row | None) -> bool:
        """Whether a row has all of it."""
        return row is not None and row["stamps"] == self.stamps and (not self.again or "again" in row)

    def row(self, editing: Editing) -> Row:
        """The beginning of its row."""
        return {"image": self.image, "stamps": self.stamps, "digest": editing.digest, "made": self.made}


def due(run: Run, key: str, shard: Shard = WHOLE) -> list[Task]:
    """Images of a stage run that are inverted and have not been edited since."""
    editing = run.plan.editing
    assert editing is not None
    dataset = run.plan.stage_run(key).dataset
    ids, store = editing.images[dataset], run.store(key)
    after = dict(zip(ids, [*ids[1:], *ids[:1]], strict=True))
    rows, done = store.rows(), EditStore(run.out, key).rows(editing.digest)
    found = []
    for image in shard.take([[image] for image in ids]):
        if rows.get(image, {}).get("status") != "ok":
            continue
        other, old = after[image], done.get(image)
        again = key in editing.again_keys and image in editing.again[dataset]
        stamps = [_stamp(store, each, rows) for each in (image, other)]
        task = Task(image, other, again, stamps, old["made"] + 1 if old else 1)
        if not task.done(old):
            found.append(task)
    return found


def _stamp(store: InversionStore, image: str, rows: Mapping[str, Row]) -> int:
    """When the picture was written; 0 where the image is not inverted."""
    ok = rows.get(image, {}).get("status") == "ok"
    return store.picture(image).stat().st_mtime_ns if ok else 0


def missing(run: Run) -> dict[str, int]:
    """How many images of each stage run have to be edited."""
    return {key: len(due(run, key)) for key in run.plan.editing.keys} if run.plan.editing else {}


def edit_images(run: Run, editing: Editing, stage_run: StageRun, todo: Sequence[Task], lines: JsonLines) -> None:
    """Edit and read images of one stage run; each row is written as soon as it is known."""
    kept = EditStore(run.out, stage_run.key)
    kept.folder.mkdir(parents=True, exist_ok=True)
    sheet = tiles(editing.directions)
    again = _again(run, editing, stage_run, [task.image for task in todo if task.again])
    for task in todo:
        start = time.perf_counter()
        row = task.row(editing)
        try:
            target = run.target(stage_run, task.image)[None]
            inversion = run.inversion(stage_run, task.image)
            pictures = edited(run.generator, inversion, [tile.edits for tile in sheet], editing.directions)
            found = read_edits(target, inversion.image, pictures, sheet)
            save_png(side_by_side(pictures), kept.sheet(task.image))
            row["edits"] = to_row(found)
        except _BROKEN as error:
            row["edits"] = {"reason": _why(error)}
        row["seconds"] = round(time.perf_counter() - start, 6)
        row["line"] = _line(run, kept, stage_run, task)
        if task.again:
            row["again"] = again[task.image]
        lines.append(row)


_BROKEN = (RuntimeError, OSError, SafetensorError, ImageError, KeyError)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, ImageError) else f"{type(error).__name__}: {error}"


def _line(run: Run, kept: EditStore, stage_run: StageRun, task: Task) -> Part:
    """The line to the next edited image, and the mixture with it."""
    if task.other == task.image:
        return {"reason": "no other image is edited"}
    if not task.stamps[1]:
        return {"reason": f"the other end, {task.other}, has no inversion"}
    try:
        ends = [run.inversion(stage_run, image) for image in (task.image, task.other)]
        targets = torch.stack([run.target(stage_run, image) for image in (task.image, task.other)])
        stops = line(run.generator, ends[0], ends[1], SEGMENTS)
        mixture = mixed(run.generator, ends[0], ends[1])
        middle = stops[SEGMENTS // 2][None]
        both = identities(torch.cat([middle, middle, mixture, mixture]), torch.cat([targets, targets]))
        save_png(side_by_side(torch.cat([stops, mixture])), kept.line(task.image))
        steps, apart = lpips(stops[:-1], stops[1:])[None], lpips(stops[:1], stops[-1:])
        return {
            "line_path_length": finite(float(path_length(steps))),
            "line_detour": finite(float(detour(steps, apart))),
            "line_middle_id": finite(float(both[:2].mean())),
            "mixing_coarse_id": finite(float(both[2])),
            "mixing_fine_id": finite(float(both[3])),
        }
    except _BROKEN as error:
        return {"reason": _why(error)}


def _again(run: Run, editing: Editing, stage_run: StageRun, ids: Sequence[str]) -> dict[str, Part]:
    """Edited, inverted again and undone: the images together, as optimisations share their lanes."""
    if not ids:
        return {}
    if group_size(stage_run) > 1:
        return {image: {"reason": "the method tunes one generator for several images"} for image in ids}
    parts: dict[str, Part] = {}
    good = []
    for image in ids:
        try:
            good.append(run.inversion(stage_run, image))
        except _BROKEN as error:
            parts[image] = {"reason": _why(error)}
    if not good:
        return parts
    first = Inversion.concatenate(good)
    failures: dict[str, str] = {}
    # With the direction's sense: more of the attribute.
    step = next(tile.edits for tile in tiles(editing.directions) if tile.strength == STEP)
    back = undone(lambda images, names: _invert(run, stage_run, images, names, failures), run.generator, first, step,
                  editing.directions)  # fmt: skip
    where = {name: place for place, name in enumerate(back.ids)}
    for one in good:
        image = one.ids[0].split("/", 1)[1]
        if one.ids[0] not in where:
            parts[image] = {"reason": f"inverting the edited picture failed: {failures[one.ids[0]]}"}
            continue
        found = back[where[one.ids[0]] : where[one.ids[0]] + 1]
        target = run.target(stage_run, image)[None]
        tuned = one.weights[0] is not None
        parts[image] = {
            "edit_lec_latent": None if tuned else finite(float(latent_distance(one.latent, found.latent))),
            "edit_lec_lpips_alex": finite(float(lpips(found.image, one.image))),
            "edit_lec_id": finite(float(identities(found.image, target))),
        }
    return parts


def _invert(run: Run, stage_run: StageRun, images: Tensor, ids: Sequence[str], failures: dict[str, str]) -> Inversion:
    """Invert pictures by all stages of a stage run; those that fail are left out, with their reasons."""
    names, found = list(ids), None
    for stage in stage_run.stages:
        outcome = stage.build(run.generator, stage_run.seed).predict_step(
            {"images": images, "ids": names, "init": found}, 0
        )
        failures |= outcome.failures
        if outcome.inversion is None:
            raise RuntimeError(f"no edited picture could be inverted: {next(iter(outcome.failures.values()), '')}")
        places = [names.index(image) for image in outcome.inversion.ids]
        images, names, found = images[places], list(outcome.inversion.ids), outcome.inversion
    assert found is not None
    return found


def side_by_side(pictures: Tensor) -> Image.Image:
    """Pictures [K, 3, R, R] in a row."""
    return to_image(torch.cat(list(pictures), dim=2).cpu())


def cut(sheet: Path) -> Tensor:
    """The pictures [K, 3, R, R] of a row of squares."""
    whole = to_tensor(read_rgb(sheet))
    return torch.stack(whole.split(whole.shape[1], dim=2))


def to_row(edits: Edits) -> Part:
    """Readings as plain data; from_row takes them back."""

    def plain(reading: Reading) -> Row:
        values = {name: finite(value) for name, value in reading.values.items()}
        numbers = {"identity": reading.identity, "outside": reading.outside, "kept": reading.kept}
        return {"values": values} | {name: finite(value) for name, value in numbers.items()}

    return {
        "target": {name: finite(value) for name, value in edits.target_values.items()},
        "inversion": plain(edits.inversion),
        "single": [[name, strength, plain(each)] for (name, strength), each in edits.single.items()],
        "sequence": [[strength, plain(each)] for strength, each in edits.sequence.items()],
    }


def from_row(part: Part) -> Edits:
    def number(value: float | None) -> float:
        return np.nan if value is None else value

    def reading(row: Row) -> Reading:
        values = {name: number(value) for name, value in row["values"].items()}
        return Reading(number(row["identity"]), values, number(row["outside"]), number(row["kept"]))

    return Edits(
        target_values={name: number(value) for name, value in part["target"].items()},
        inversion=reading(part["inversion"]),
        single={(name, strength): reading(each) for name, strength, each in part["single"]},
        sequence={strength: reading(each) for strength, each in part["sequence"]},
    )


def sheets(run: Run, key: str) -> Iterator[tuple[str, Tensor]]:
    """Edited pictures [K, 3, R, R] of every image of a stage run that has them."""
    assert run.plan.editing is not None
    kept = EditStore(run.out, key)
    for image, row in kept.rows(run.plan.editing.digest).items():
        if "reason" not in row["edits"] and image in run.plan.editing.images[run.plan.stage_run(key).dataset]:
            yield image, cut(kept.sheet(image))
