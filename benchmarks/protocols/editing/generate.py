"""Editing what has been inverted: all edited images of an image are made at once, and read once.

It starts from the stored inversions, so new directions or predictors need no new inversion, and comes after all
inverting, as an interpolation needs two images.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmarks.engine.store import JsonLines, finite
from benchmarks.protocols.base import BROKEN, status_of
from benchmarks.protocols.editing.store import (
    EDITS,
    INTERPOLATION,
    REINVERSION,
    EditStore,
    Part,
    Task,
    side_by_side,
    to_row,
    without,
)
from datasets.assets import sha256
from datasets.images import save_png
from methods.base import Inversion
from methods.editing.directions import Direction
from methods.editing.images import edited, interpolate, mixed, tiles, undone
from methods.editing.reading import identities, lpips, read_edits
from metrics.edit_protocol import SEGMENTS
from metrics.editing import SHEET, STEP, detour, latent_distance, path_length

if TYPE_CHECKING:
    from benchmarks.engine.plan import StageRun
    from benchmarks.engine.run import Run


def edit_images(
    run: Run,
    directions: Mapping[str, Direction],
    still: Mapping[str, Tensor],
    stage_run: StageRun,
    tasks: Sequence[Task],
    lines: JsonLines,
) -> None:
    """Edit and read images of one stage run.

    Args:
        run: the run.
        directions: the directions of the suite, by name.
        still: `still_masks` of them.
        stage_run: the stage run.
        tasks: its images.
        lines: where each row is written as soon as it is known.
    """
    store, sweep = EditStore(run.out, stage_run.key), tiles(directions)
    shown = [sweep.index(tile) for tile in tiles(directions, SHEET)]
    store.folder.mkdir(parents=True, exist_ok=True)
    reinverted = _reinvert(run, directions, stage_run, [task.image for task in tasks if task.reinvert])
    for task in tasks:
        start, row = time.perf_counter(), task.row()
        try:
            target = run.target(stage_run, task.image)[None].to(run.device)
            inversion = run.inversion(stage_run, task.image)
            images = edited(run.generator, inversion, [tile.edits for tile in sweep], directions)
            readings = read_edits(target, inversion.image, images, sweep, run.plan.scope.frame, still)
            save_png(side_by_side(images[shown]), store.sheet(task.image))
            row[EDITS] = to_row(readings)
        except BROKEN as error:
            row[EDITS] = without(*status_of(error))
        row["seconds"] = round(time.perf_counter() - start, 6)
        row[INTERPOLATION] = _interpolate(run, store, stage_run, task)
        if task.reinvert:
            row[REINVERSION] = reinverted[task.image]
        written = [path for path in (store.sheet(task.image), store.interpolation(task.image)) if path.exists()]
        row["sha256"] = {path.name: sha256(path) for path in written}
        lines.append(row)


def _interpolate(run: Run, store: EditStore, stage_run: StageRun, task: Task) -> Part:
    """Readings of the interpolation to the next edited image, and of their mixture."""
    if task.other == task.image:
        return without("undefined", "no other image is edited")
    if not task.stamps[1]:
        return without("blocked", f"the other end, {task.other}, has no inversion")
    try:
        ends = [run.inversion(stage_run, image) for image in (task.image, task.other)]
        targets = torch.stack([run.target(stage_run, image) for image in (task.image, task.other)]).to(run.device)
        stops = interpolate(run.generator, ends[0], ends[1], SEGMENTS)
        mixture = mixed(run.generator, ends[0], ends[1])
        middle = stops[SEGMENTS // 2][None]
        both = identities(torch.cat([middle, middle, mixture, mixture]), torch.cat([targets, targets]))
        save_png(side_by_side(torch.cat([stops, mixture])), store.interpolation(task.image))
        steps, apart = lpips(stops[:-1], stops[1:])[None], lpips(stops[:1], stops[-1:])
        return {
            "interpolation_path_length": finite(float(path_length(steps))),
            "interpolation_detour": finite(float(detour(steps, apart))),
            "interpolation_middle_id": finite(float(both[:2].mean())),
            "mixing_coarse_id": finite(float(both[2])),
            "mixing_fine_id": finite(float(both[3])),
        }
    except BROKEN as error:
        return without(*status_of(error))


def _reinvert(
    run: Run, directions: Mapping[str, Direction], stage_run: StageRun, ids: Sequence[str]
) -> dict[str, Part]:
    """Edit, invert again and undo the edit; all images at once, as optimisations compute them in one batch."""
    if not ids:
        return {}
    if any(stage.cls.group_size(stage.config) > 1 for stage in stage_run.stages):
        return {image: without("skipped", "the method tunes one generator for several images") for image in ids}
    parts: dict[str, Part] = {}
    first: dict[str, Inversion] = {}
    for image in ids:
        try:
            first[image] = run.inversion(stage_run, image)
        except BROKEN as error:
            parts[image] = without(*status_of(error))
    if not first:
        return parts
    failures: dict[str, str] = {}
    # Strengths have the direction's sense: more of the attribute.
    step = next(tile.edits for tile in tiles(directions) if tile.strength == STEP)
    try:
        back = undone(lambda images, names: _invert(run, stage_run, images, names, failures), run.generator,
                      Inversion.concatenate(list(first.values())), step, directions)  # fmt: skip
    except BROKEN as error:
        return parts | dict.fromkeys(first, without(*status_of(error)))
    places = {name: place for place, name in enumerate(back.ids)}
    for image, one in first.items():
        name = one.ids[0]
        if name not in places:
            parts[image] = without("failed", f"inverting the edited image failed: {failures[name]}")
            continue
        other = back[places[name] : places[name] + 1]
        target = run.target(stage_run, image)[None].to(run.device)
        parts[image] = {
            "edit_lec_lpips_alex": finite(float(lpips(other.image, one.image))),
            "edit_lec_id": finite(float(identities(other.image, target))),
        }
        if one.weights[0] is None:  # codes of two tuned generators cannot be compared
            parts[image]["edit_lec_latent"] = finite(float(latent_distance(one.latent, other.latent)))
    return parts


def _invert(run: Run, stage_run: StageRun, images: Tensor, ids: Sequence[str], failures: dict[str, str]) -> Inversion:
    """Invert images by all stages of a stage run; those that fail are left out, and their reasons put in `failures`."""
    names, inversion = list(ids), None
    for stage in stage_run.stages:
        method = run.method(stage, stage_run.seed)
        outcome = method.predict_step({"images": images, "ids": names, "init": inversion}, 0)
        failures |= outcome.failures
        if outcome.inversion is None:
            raise RuntimeError(f"no edited image could be inverted: {next(iter(outcome.failures.values()), '')}")
        places = [names.index(image) for image in outcome.inversion.ids]
        images, names, inversion = images[places], list(outcome.inversion.ids), outcome.inversion
    assert inversion is not None
    return inversion
