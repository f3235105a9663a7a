"""The tables of the README and the docs are those of the committed results: values, order, what is bold."""

from __future__ import annotations

import re

import pytest

from benchmarks.engine.config import load_suite
from tests.claims import ABLATIONS, COVERED, IS, NAMES, OCCLUSION, RECONSTRUCTION, ROOT, SETS, agrees, ends, find, mean


def test_the_readmes_table_is_the_committed_one() -> None:
    checked = 0
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0] in NAMES:
            for metric, cell in zip(("mse", "lpips_vgg", "id_sface", "edit_id_equal"), cells[1:], strict=False):
                assert cell == f"{mean('openpeople', metric, NAMES[cells[0]]):.3f}", (line, metric)
                best = ends(metric, *NAMES.values(), sets=["openpeople"])[metric in ("id_sface", "edit_id_equal")]
                assert (f"**{cell}**" in line) == (cell == f"{best:.3f}"), (line, metric)
                checked += 1
    assert checked == 4 * len(NAMES)


# A table of docs/interestyle.md: the head above it, row titles with data set and method, metrics with protocols.
TABLES = [
    ("### Reconstruction", {f"`{dataset}`": (dataset, IS) for dataset in COVERED},
     [(metric, "reconstruction") for metric in RECONSTRUCTION]),
    ("### The parts", {title: ("celeba", method) for title, method in ABLATIONS.items()},
     [(metric, "reconstruction") for metric in RECONSTRUCTION]),
    ("### An object before the face",
     {title: ("occluded", method) for title, method in {"IntereStyle": IS, **ABLATIONS}.items()},
     [*((metric, "occluded") for metric in OCCLUSION), ("occlusion_id_sface", "occluded_natural")]),
]  # fmt: skip


@pytest.mark.parametrize(("head", "titles", "metrics"), TABLES)
def test_differences_of_interestyle_are_those_of_the_tables(
    head: str, titles: dict[str, tuple[str, str]], metrics: list[tuple[str, str]]
) -> None:
    text = (ROOT / "docs/interestyle.md").read_text(encoding="utf-8")
    section = text[text.index(head) :].split("\n#")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "[" in line]
    cells = {line[0]: line[1:] for line in lines if line[0] in titles}
    assert list(cells) == list(titles)
    for title, (dataset, method) in titles.items():
        if len(cells[title]) > len(metrics):
            assert float(cells[title].pop(0)) == float(find("paired", dataset, "mse", method, IS)["n"]), title
        for (metric, protocol), cell in zip(metrics, cells[title], strict=True):
            found = find("paired", dataset, metric, method, IS, protocol)
            printed = re.findall(r"[-+]\d\.\d+", cell)
            for value, key in zip(printed, ("value", "low", "high"), strict=True):
                assert agrees(value, float(found[key])), (title, metric, key)
            assert ("**" in cell) == (found["mark"] == "better"), (title, metric)


@pytest.mark.parametrize("dataset", SETS)
def test_the_tables_of_feature_maps_are_the_committed_ones(dataset: str) -> None:
    text = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    heads = {"openpeople": "| openpeople (", "celeba": "| CelebA, test photographs |", "orl": "| ORL ("}
    lines = text[text.index(heads[dataset]) :].split("\n\n")[0].splitlines()[2:]
    metrics = ("mse", "lpips_vgg", "id_sface", "rank1_sface", "edit_effect", "edit_id_equal", "edit_still_psnr", "nscd")
    methods = (
        "e4e",
        "lsap",
        "hyperstyle",
        "hfgi",
        "feature_style",
        "styleres",
        "sfe",
        "e4e+dhr",
        "pti",
        "e4e+pti",
        "sfe+pti",
    )
    for method, line in zip(methods, lines, strict=True):
        for metric, cell in zip(metrics, (c.strip() for c in line.strip("|").split("|")[1:]), strict=True):
            value = float(find("means", dataset, metric, method, "feature-space")["value"])
            assert cell == f"{value:.{len(cell.split('.')[1])}f}", (method, metric)


def test_differences_of_editing_are_those_of_the_tables() -> None:
    """docs/editing.md: three numbers a cell, one a set; bold where the interval excludes zero."""
    names = {"W": "sg2_w", "W+": "sg2_w_plus"} | NAMES | {"PTI, fast": "pti_fast"}
    text = (ROOT / "docs/editing.md").read_text(encoding="utf-8")
    head = "| | effect of a step | ID kept at equal effect | ID at equal effect |"
    lines = text[text.index(head) :].split("\n\n")[0].splitlines()[2:]
    assert len(lines) >= 5
    for line in lines:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for metric, cell in zip(("edit_effect", "edit_kept_equal", "edit_id_equal"), cells, strict=True):
            values = [(value, n % 2) for n, part in enumerate(cell.split("**")) for value in part.split()]
            for dataset, (printed, strong) in zip(SETS, values, strict=True):
                found = find("paired", dataset, metric, names[name])
                assert agrees(printed, float(found["value"])), (name, metric, dataset)
                assert strong == (found["mark"] in ("better", "worse")), (name, metric, dataset)


def test_shares_of_people_told_apart_are_those_of_the_tables() -> None:
    text = (ROOT / "docs/celeba64.md").read_text(encoding="utf-8")
    lines = text[text.index("| | celeba (") :].split("\n\n")[0].splitlines()[2:]
    for line in lines:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for dataset, cell in zip(SETS, cells, strict=True):
            assert agrees(cell.removesuffix(" %"), 100 * mean(dataset, "rank1_sface", NAMES[name])), (name, dataset)
    assert len(lines) >= 8


def test_the_table_of_all_methods_is_the_committed_one() -> None:
    """docs/celeba64.md: three numbers a cell, one a set, in the order of the suite's methods."""
    run, text = "celeba64-full", (ROOT / "docs/celeba64.md").read_text(encoding="utf-8")
    lines = text[text.index("| | MSE | LPIPS (VGG) | identity |") :].split("\n\n")[0].splitlines()[2:]
    columns = {"mse": 1, "lpips_vgg": 1, "id_sface": 1, "rank1_sface": 100, "edit_id_equal": 1}
    for method, line in zip(load_suite(run).methods, lines, strict=True):
        for (metric, scale), cell in zip(columns.items(), line.strip("|").split("|")[1:], strict=True):
            for dataset, printed in zip(SETS, cell.split(), strict=True):
                assert agrees(printed, mean(dataset, metric, method, run, scale)), (method, metric, dataset)
