"""The package as it is installed: a wheel in a fresh environment, used from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, env=clean | environment)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("installed")
    tree = folder / "tree"  # of a copy, as builds leave folders behind
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("docs/", "tests/")):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(ROOT / name, tree / name) if (ROOT / name).stat().st_dev == folder.stat().st_dev else (
                tree / name
            ).write_bytes((ROOT / name).read_bytes())
    done = run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, tree, cwd=folder)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    assert run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder).returncode == 0
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    done = run(*PIP, "install", "--no-deps", "--target", site, wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    # A package of this name in site-packages is Hugging Face's.
    (site / "datasets").mkdir()
    (site / "datasets" / "__init__.py").write_text("HUGGING_FACE = True\n")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(ours) + "\n")
    (site.parents[2] / "bin" / "inversion-bench").write_text(
        f"#!{folder}/env/bin/python\nimport sys\nfrom inversion_bench.__main__ import main\nsys.exit(main())\n"
    )
    (site.parents[2] / "bin" / "inversion-bench").chmod(0o755)
    return folder / "env" / "bin" / "python"


def test_the_wheel_has_one_package_with_everything_in_it(installed: Path) -> None:
    (wheel,) = installed.parents[2].glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"inversion_bench"}
    packed = {name.removeprefix("inversion_bench/folders/") for name in names}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = ("benchmarks/", "datasets/", "methods/", "metrics/", "reports/")
    expected = {name for name in listed.splitlines() if name.startswith(folders) and (ROOT / name).is_file()}
    assert expected <= packed and not any("__pycache__" in name for name in packed)
    entry = next(name for name in names if name.endswith("entry_points.txt"))
    assert "inversion-bench = inversion_bench.__main__:main" in zipfile.ZipFile(wheel).read(entry).decode()


def test_it_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    command = installed.parent / "inversion-bench"
    done = run(command, "--help", cwd=tmp_path)
    assert done.returncode == 0 and "inversion-bench demo" in done.stdout
    code = (
        "import inversion_bench as ib, datasets, benchmarks; from pathlib import Path\n"
        "assert not hasattr(datasets, 'HUGGING_FACE') and Path(datasets.__file__).is_relative_to(ib.ROOT)\n"
        "print(ib.load_suite('smoke').title)"
    )
    done = run(installed, "-c", code, cwd=tmp_path)
    assert done.stdout == "Smoke test on a generator of random weights\n", done.stderr
    done = run(installed, "-c", "import datasets, inversion_bench", cwd=tmp_path)
    assert "another package called `datasets` is loaded already" in done.stderr and "Hugging Face" in done.stderr


@pytest.mark.assets
@pytest.mark.timeout(900)  # minutes, more beside other work
def test_demo_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    done = run(installed.parent / "inversion-bench", "demo", "--no-open", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PTI, fast" in done.stdout and "dashboard: runs/demo/report/index.html" in done.stdout
    assert list((tmp_path / "runs" / "demo" / "report" / "figures").glob("sheet_*.png"))
