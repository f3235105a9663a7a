"""Merging the results of several machines: the union of their stage runs, scores and protocols' own images.

A stage run's folder is named by the hash of everything that its results depend on, so equal folders hold the same
results and can be filled from anywhere. What the machines did twice is decided as the store decides between attempts:
ok before failed, then the later attempt, then the folder named first. Running the command again changes nothing.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.engine.store import InversionStore, JsonLines, JsonRow, RowFiles, check_version, read_lines
from benchmarks.errors import ConfigError
from inversion_bench.files import atomic, write_bytes
from inversion_bench.names import is_safe

ACROSS = ("settings",)
SEPARATOR = "\0"  # what follows distinguishes entries of one text
MADE = ("edits",)  # folders of images that protocols make, with rows of their own


@dataclass
class Merged:
    """What was done. conflicts: images that differ between the folders, and which was kept."""

    stage_runs: int = 0
    images: int = 0
    scores: int = 0
    made: int = 0
    conflicts: list[str] = field(default_factory=list)
    measured_with: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def merge(out: Path, folders: Sequence[Path], across: Sequence[str] = ()) -> Merged:
    """Merge results into out, which may hold some already and then comes first.

    Raises ConfigError, before anything is written, when a folder holds no results or the recipes do not agree.
    """
    for folder in folders:
        if not any((folder / "inversions").glob("*/stage.json")):
            raise ConfigError(
                f"{folder}: no results there (no inversions/*/stage.json); give the --out folders of runs"
            )
    for folder in (out, *folders):
        check_version(folder)
    resolved = [folder.resolve() for folder in folders]
    if out.resolve() in resolved:
        raise ConfigError(f"{out}: the merged results would go into one of the folders to merge; name it first only")
    sources = [out, *folders] if (out / "inversions").is_dir() else list(folders)
    refuse_mixed(sources, across)
    for folder in folders:
        refuse_unsafe(folder)
    done = Merged()
    for key in sorted(
        {path.parent.name for source in sources for path in (source / "inversions").glob("*/stage.json")}
    ):
        _merge_stage_run(out, [source for source in sources if (source / "inversions" / key).is_dir()], key, done)
    return done


def refuse_unsafe(folder: Path) -> None:
    """Raises ConfigError for rows of an image whose name leads out of its folder; nothing of such results is taken."""
    for kind in ("inversions", *MADE):
        for path in sorted((folder / kind).glob("*/rows-*.jsonl")):
            for row in read_lines([path]):
                if not is_safe(row.get("image")):
                    raise ConfigError(f"{path}: a row has the image {row.get('image')!r}, not a safe file name")


def refuse_mixed(sources: Sequence[Path], across: Sequence[str] = ()) -> None:
    """Raises ConfigError that names every difference of recipe between the folders' stage runs.

    A folder may hold several recipes: variants of one suite, or what an older state of the code left. So a difference
    is one that no folder bridges by holding all that the others hold. across=["settings"] merges other settings, too.
    """
    values_of: dict[str, dict[Path, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))  # what, folder, value
    for source in sources:
        for path in sorted((source / "inversions").glob("*/stage.json")):
            for what, value, shown in _recipe(_description(path)):
                values_of[what][source][value] = shown
    problems = []
    for what, by_source in values_of.items():
        everything = set().union(*by_source.values())
        if any(set(values) == everything for values in by_source.values()):
            continue
        kind = what.partition(" of ")[0]
        if kind in across:
            continue
        shown = "; ".join(f"{', '.join(values.values())} in {folder}" for folder, values in by_source.items())
        fix = f" (--across {kind} merges them)" if kind in ACROSS else ""
        problems.append(f"{what.partition(SEPARATOR)[0]} differ: {shown}{fix}")
    if problems:
        raise ConfigError(f"the folders hold different recipes: {'; '.join(problems)}")


def _recipe(stage_run: JsonRow) -> Iterator[tuple[str, str, str]]:
    """(what, value, value for people) of all that stage runs have to agree in to be of one recipe."""
    yield "generators", _text(stage_run["generator"]), str(stage_run["generator"])[:12]
    yield "seeds", _text(stage_run["seed"]), str(stage_run["seed"])
    for stage in stage_run["stages"]:
        yield f"versions of stage {stage['stage']}", _text(stage["version"]), str(stage["version"])
    names = " + ".join(str(stage["stage"]) for stage in stage_run["stages"])
    configs = _text([stage["config"] for stage in stage_run["stages"]])
    yield f"settings of {names} on {stage_run['dataset']}", configs, configs
    # The key hashes the images too: the same stages, seed and generator under another key are other images.
    same = _text([stage_run["stages"], stage_run["seed"], stage_run["generator"]])
    yield (
        f"images of {stage_run['dataset']} (keys of stage runs of {names}){SEPARATOR}{same}",
        stage_run["key"],
        stage_run["key"],
    )


def _description(path: Path) -> JsonRow:
    try:
        stage_run: Any = json.loads(path.read_text(encoding="utf-8"))
        return {key: stage_run[key] for key in ("key", "stages", "dataset", "seed", "generator", "parent")}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not the description of a stage run ({type(error).__name__}: {error})") from error


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _merge_stage_run(out: Path, sources: Sequence[Path], key: str, done: Merged) -> None:
    target = InversionStore(out, key)
    stores = {source: InversionStore(source, key) for source in sources}
    rows = {source: store.rows() for source, store in stores.items()}
    description = target.folder / "stage.json"
    if not description.exists():
        write_bytes(description, (stores[sources[0]].folder / "stage.json").read_bytes())
        done.stage_runs += 1
    taken: dict[Path, list[str]] = defaultdict(list)
    for image in sorted(set().union(*rows.values())):
        having = [source for source in sources if image in rows[source]]
        best = max(having, key=lambda source: rows[source][image].rank)  # of equals the first
        _note_conflict(image, key, [s for s in having if rows[s][image].status == "ok"], best, stores, done)
        provenance = rows[best][image].provenance
        done.measured_with["torch"].add(provenance.torch)
        done.measured_with["device"].add(provenance.device)
        if best != out:
            taken[best].append(image)
    # A writer is named before it writes: merging again must leave no trace.
    lines = target.writer() if taken else None
    for source, images in taken.items():
        assert lines is not None
        chosen = set(images)
        for image in images:
            if rows[source][image].status == "ok":
                # The image last, as everywhere: it marks the inversion as done.
                _copy(stores[source].latent(image), target.latent(image))
                _copy(stores[source].picture(image), target.picture(image))
        lines.append(*(row for row in read_lines(stores[source].row_files().paths()) if row.get("image") in chosen))
        done.images += len(images)
        done.scores += _merge_scores(out, source, key, chosen)
    for source in sources:
        done.made += sum(_merge_made(out, source, folder, key) for folder in MADE if source != out)


def _note_conflict(
    image: str, key: str, ok: list[Path], best: Path, stores: dict[Path, InversionStore], done: Merged
) -> None:
    files = {source: stores[source].picture(image).read_bytes() for source in ok}
    other = [source for source in ok if files[source] != files[best]] if best in files else []
    if other:
        done.conflicts.append(f"{key}/{image}: kept {best}, differs from {', '.join(map(str, other))}")


def _merge_scores(out: Path, source: Path, key: str, images: set[str]) -> int:
    """Append the images' scores; they go by the image's time stamp, which a copy keeps."""
    count = 0
    for path in sorted((source / "scores" / key).glob("*.jsonl")):
        rows = {row["image"]: row for row in read_lines([path]) if row.get("image") in images}
        if rows:
            JsonLines(out / "scores" / key / path.name).append(*rows.values())
            count += len(rows)
    return count


def _merge_made(out: Path, source: Path, name: str, key: str) -> int:
    """Copy what a protocol made from inversions that are the merged ones; returns the number of images."""
    target = RowFiles(out / name / key, out / "work" / "rows" / f"{name}-{key}")
    stores = InversionStore(out, key), InversionStore(source, key)
    known = [_content(row) for row in read_lines(target.paths())]
    rows: dict[str, list[JsonRow]] = defaultdict(list)
    known_images = set()
    for row in read_lines(RowFiles(source / name / key, out).paths()):
        known_images.add(row["image"])
        if _content(row) not in known and _same_file(*(store.picture(row["image"]) for store in stores)):
            rows[row["image"]].append(row)
    for path in (source / name / key).glob("*.png"):
        owners = [image for image in known_images if path.name.startswith(f"{image}.")]
        if owners and max(owners, key=len) in rows:
            _copy(path, target.folder / path.name)
    if rows:
        target.writer().append(*(row for found in rows.values() for row in found))
    return len(rows)


def _content(row: JsonRow) -> JsonRow:
    """A row without what differs between two computations of it."""
    return {key: value for key, value in row.items() if key != "seconds"}


def _same_file(first: Path, second: Path) -> bool:
    return first.exists() and second.exists() and first.stat().st_mtime_ns == second.stat().st_mtime_ns


def _copy(source: Path, target: Path) -> None:
    """The file with its time stamp."""
    with atomic(target) as temporary:
        shutil.copy2(source, temporary)
