"""Packs the five folders of the suite under inversion_bench/folders: a top-level `datasets` would hide another one."""

from setuptools import find_namespace_packages, setup

FOLDERS = ("benchmarks", "datasets", "methods", "metrics", "reports")
PACKED = "inversion_bench.folders"

found = find_namespace_packages(include=[*FOLDERS, *(f"{name}.*" for name in FOLDERS)], exclude=["*__pycache__*"])
setup(
    packages=["inversion_bench", *(f"{PACKED}.{name}" for name in found)],
    package_dir={f"{PACKED}.{name}": name.replace(".", "/") for name in found} | {"inversion_bench": "inversion_bench"},
    package_data={"": ["*"]},
)
