"""Download of an archive from the package index of pip's configuration, without building or installing it.

`pip download` prepares the metadata of an sdist, which runs its setup.py. pip's finder and session use the same
configuration (index, mirrors, certificates, proxies) but do not run anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[int, int | None], None]


class FetchError(RuntimeError):
    """An archive could not be found, reached or verified."""


def download(requirement: str, destination: Path, sha256: str, progress: Progress | None = None) -> Path:
    """Download the archive of a requirement.

    Args:
        requirement: NAME==VERSION.
        destination: an existing folder.
        sha256: of the archive.
        progress: called with bytes done and in total (None if unknown).

    Raises:
        FetchError: the index lacks the archive, is unreachable or has other content.
    """
    from pip._internal.commands.download import DownloadCommand
    from pip._internal.exceptions import PipError

    name, version = requirement.split("==")
    command = DownloadCommand("download", "")
    options, _ = command.parse_args(["--no-deps", requirement])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options=options, session=session)
        try:
            candidates = [c for c in finder.find_all_candidates(name) if str(c.version) == version]
        except (PipError, OSError) as error:
            raise FetchError(f"{requirement}: the package index cannot be reached ({error})") from error
        if not candidates:
            raise FetchError(f"{requirement}: not offered by the package index (offline, or withdrawn)")
        # Prefer the file with the pinned hash, then the others in the order of the index.
        candidates.sort(key=lambda c: c.link.hash != sha256)
        digests = []
        for candidate in candidates:
            target = destination / candidate.link.filename
            try:
                digest = _stream(session, candidate.link.url_without_fragment, target, progress)
            except OSError as error:
                raise FetchError(f"{requirement}: download broke off ({error}); run the command again") from error
            if digest == sha256:
                return target
            target.unlink()
            digests.append(f"{candidate.link.filename} has {digest}")
    raise FetchError(f"{requirement}: no archive with SHA-256 {sha256}; " + ", ".join(digests))


def _stream(session, url: str, target: Path, progress: Progress | None) -> str:
    digest = hashlib.sha256()
    with session.get(url, stream=True, headers={"Accept-Encoding": "identity"}) as response:
        response.raise_for_status()
        length = response.headers.get("Content-Length")
        total, done = int(length) if length else None, 0
        with target.open("wb") as handle:
            for block in response.iter_content(1 << 18):
                handle.write(block)
                digest.update(block)
                done += len(block)
                if progress:
                    progress(done, total)
    return digest.hexdigest()
