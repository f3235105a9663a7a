"""Assets from a temporary manifest: hashes, the offline error, the warm cache and two processes at once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from datasets import assets, package_index

ROOT = Path(__file__).resolve().parents[2]
CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Writes a manifest with the one asset `toy` and makes it the registry's."""
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("INVERSION_BENCH_OFFLINE", raising=False)
    (tmp_path / "weights.bin").write_bytes(CONTENT)

    def write(*sources, **entry) -> Path:
        manifest = tmp_path / "assets.yaml"
        asset = {"title": "Toy", "licence": "CC0", "output": "toy.bin", "sources": list(sources), **entry}
        OmegaConf.save(OmegaConf.create({"toy": asset}), manifest)
        monkeypatch.setattr(assets, "MANIFEST", manifest)
        assets.registry.cache_clear()
        return manifest

    yield write
    assets.registry.cache_clear()


def local(tmp_path: Path, digest: str) -> dict[str, str]:
    return {"path": str(tmp_path / "weights.bin"), "sha256": digest}


def test_local_path_with_the_right_hash(tmp_path, declare):
    declare(local(tmp_path, DIGEST))
    found = assets.ensure("toy")
    assert found.name == "toy.bin" and found.read_bytes() == CONTENT and assets.get("toy").present
    assert (tmp_path / "weights.bin").exists()


def test_local_path_with_the_wrong_hash(tmp_path, declare):
    declare(local(tmp_path, "0" * 64))
    with pytest.raises(assets.AssetMissingError, match=f"{DIGEST}, expected {'0' * 64}"):
        assets.ensure("toy")
    assert not assets.get("toy").present
    assert not list((tmp_path / "cache" / "assets").glob(".toy-*"))


def test_the_next_source_is_tried(tmp_path, declare):
    declare({"path": str(tmp_path / "absent.bin")}, local(tmp_path, "0" * 64), local(tmp_path, DIGEST))
    assert assets.ensure("toy").read_bytes() == CONTENT


def test_environment_variables_in_a_path(tmp_path, declare, monkeypatch):
    monkeypatch.setenv("TOY_WEIGHTS", str(tmp_path))
    declare({"path": "$TOY_WEIGHTS/weights.bin", "sha256": DIGEST})
    assert assets.ensure("toy").read_bytes() == CONTENT


def test_offline_with_a_cold_cache_says_what_to_do(declare, monkeypatch):
    monkeypatch.setenv("INVERSION_BENCH_OFFLINE", "1")
    monkeypatch.setattr(package_index, "download", lambda *_: pytest.fail("the network was used"))
    declare({"package": "toy-weights==1.0", "sha256": DIGEST}, {"path": "absent.bin"})
    with pytest.raises(assets.AssetMissingError) as caught:
        assets.ensure("toy")
    message = str(caught.value)
    for part in ("'toy' (Toy)", "toy-weights==1.0", "INVERSION_BENCH_OFFLINE=1", "absent.bin: no such file"):
        assert part in message
    assert message.endswith("python -m benchmarks fetch toy")


def test_warm_cache_works_offline(tmp_path, declare, monkeypatch):
    def download(requirement, destination, sha256, progress):
        archive = destination / "toy.whl"
        with zipfile.ZipFile(archive, "w") as bundle:
            bundle.writestr("toy/weights.bin", CONTENT)
        return archive

    monkeypatch.setattr(package_index, "download", download)
    declare({"package": "toy-weights==1.0", "sha256": DIGEST, "member": "toy/*.bin"})
    first = assets.ensure("toy")
    monkeypatch.setenv("INVERSION_BENCH_OFFLINE", "1")
    monkeypatch.setattr(package_index, "download", lambda *_: pytest.fail("the network was used"))
    assert assets.ensure("toy") == first and first.read_bytes() == CONTENT


def test_folder_asset_keeps_its_sub_folders(declare, monkeypatch):
    def download(requirement, destination, sha256, progress):
        archive = destination / "toy.whl"
        with zipfile.ZipFile(archive, "w") as bundle:
            for name in ("toy/faces/s1/1.pgm", "toy/faces/s2/1.pgm", "toy/code.py"):
                bundle.writestr(name, name)
        return archive

    monkeypatch.setattr(package_index, "download", download)
    declare({"package": "toy==1.0", "sha256": DIGEST, "member": "toy/faces/*.pgm"}, output=".")
    folder = assets.ensure("toy")
    files = {file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("*") if file.is_file()}
    assert files == {"s1/1.pgm": "toy/faces/s1/1.pgm", "s2/1.pgm": "toy/faces/s2/1.pgm"}


def test_source_without_a_hash_is_not_fetched(declare):
    declare({"url": "https://example.invalid/weights.bin", "note": "accept the licence first"})
    with pytest.raises(assets.AssetMissingError, match="accept the licence first"):
        assets.ensure("toy")


def test_unknown_name_has_a_near_miss(tmp_path, declare):
    declare(local(tmp_path, DIGEST))
    with pytest.raises(KeyError, match="did you mean 'toy'"):
        assets.ensure("tou")


def test_two_processes_fetch_once(tmp_path, declare):
    (tmp_path / "slow_converter.py").write_text(
        textwrap.dedent(f"""
        import os, shutil, time
        def convert(files, target):
            with open({str(tmp_path / "log")!r}, "a") as log:
                log.write(f"{{os.getpid()}}\\n")
            time.sleep(1.0)
            shutil.copyfile(files[0], target)
        """)
    )
    manifest = declare(local(tmp_path, DIGEST), converter="slow_converter:convert")
    code = (
        "import sys; from pathlib import Path; from datasets import assets; "
        "assets.MANIFEST = Path(sys.argv[1]); print(assets.ensure('toy'))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    command = [sys.executable, "-c", code, str(manifest)]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = {process.communicate(timeout=120)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert outputs == {str(assets.get("toy").location)}
    assert Path(outputs.pop()).read_bytes() == CONTENT
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_shipped_manifest_is_complete(monkeypatch):
    assets.registry.cache_clear()
    for name, asset in assets.registry().items():
        assert asset.title and asset.licence and asset.sources, name
        for source in asset.sources:
            assert not source.package or (len(source.sha256) == 64 and source.bytes > 0 and source.member), name
