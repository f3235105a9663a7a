"""What the README and the docs say of results holds in the committed tables: metric, set, sign and interval."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETS = ("celeba", "openpeople", "orl")
COVERED = ("celeba", "celeba_occluded", "openpeople", "orl", "occluded")
ENCODERS = ("e4e", "restyle_psp", "interestyle")
NAMES = {"SG2 W": "sg2_w", "SG2 W+": "sg2_w_plus", "e4e": "e4e", "ReStyle (pSp)": "restyle_psp",
         "IntereStyle": "interestyle", "PTI": "pti", "e4e + PTI": "e4e+pti", "IntereStyle + PTI": "interestyle+pti",
         "PTI, fast (of this suite)": "pti_fast"}  # fmt: skip


@cache
def rows(run: str) -> dict[tuple[str, ...], list[dict[str, str]]]:
    """The rows that have a value, by table, data set, metric and method."""
    found: dict[tuple[str, ...], list[dict[str, str]]] = {}
    with (ROOT / f"docs/results/{run}/tables.csv").open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            if row["value"]:
                found.setdefault((row["table"], row["dataset"], row["metric"], row["method"]), []).append(row)
    return found


def find(
    table: str, dataset: str, metric: str, method: str, run: str = "celeba64", protocol: str = ""
) -> dict[str, str]:
    """The one row there is; of this protocol, where a metric belongs to several."""
    every = rows(run).get((table, dataset, metric, method), [])
    found = [row for row in every if protocol in ("", row["protocol"])]
    assert len(found) == 1, (table, dataset, metric, method, len(found))
    return found[0]


def mean(dataset: str, metric: str, method: str, run: str = "celeba64", scale: float = 1.0) -> float:
    return float(find("means", dataset, metric, method, run)["value"]) * scale


def each(metric: str, *methods: str, sets: Sequence[str] = SETS, run: str = "celeba64") -> list[float]:
    """Means of each method on each set, the sets of the first method first."""
    return [mean(dataset, metric, method, run) for method in methods for dataset in sets]


def ends(metric: str, *methods: str, sets: Sequence[str] = SETS, run: str = "celeba64") -> list[float]:
    values = each(metric, *methods, sets=sets, run=run)
    return [min(values), max(values)]


def ratios(metric: str, method: str, other: str, run: str = "celeba64") -> list[float]:
    """The mean of a method over that of another one, by set."""
    return [one / two for one, two in zip(each(metric, method, run=run), each(metric, other, run=run), strict=True)]


def count(dataset: str, metric: str = "mse", run: str = "celeba64") -> float:
    return float(find("means", dataset, metric, "e4e", run)["n"])


def counts(metric: str, *datasets: str) -> list[float]:
    """Of IntereStyle's suite: images of each set on which a metric has a value."""
    return [float(find("means", dataset, metric, "interestyle", "interestyle")["n"]) for dataset in datasets]


def gain_of_pti(dataset: str, metric: str, method: str) -> float:
    """Lower bound of how much better PTI is than a method; positive where the interval says so."""
    found = find("paired", dataset, metric, method)
    return float(found["low"]) if found["direction"] == "lower" else -float(found["high"])


@cache
def flat(file: str) -> str:
    return re.sub(r"\s+", " ", (ROOT / file).read_text(encoding="utf-8"))


def said(file: str, text: str) -> bool:
    return text in flat(file)


def agrees(printed: str, value: float) -> bool:
    """Whether a printed number is the value, rounded; either way where it lies halfway."""
    return abs(float(printed) - value) <= 0.501 * 10 ** -len(printed.partition(".")[2])


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


@pytest.mark.parametrize("dataset", SETS)
def test_pti_is_better_than_optimisation_in_w_and_w_plus(dataset: str) -> None:
    what = "in MSE, LPIPS (VGG) and identity on all three sets"
    assert said("README.md", f"PTI is better than optimisation in W and in W+ {what}")
    for method in ("sg2_w", "sg2_w_plus"):
        for metric in ("mse", "lpips_vgg", "id_sface"):
            assert gain_of_pti(dataset, metric, method) > 0, (method, metric)


IS = "interestyle"
ABLATIONS = {f"without {words}": f"interestyle_no_{part}" for words, part in (
    ("region loss", "region"), ("disentanglement", "disentanglement"), ("filter", "filter"))}  # fmt: skip
REGION = ("mse_interest", "lpips_alex_interest")
RECONSTRUCTION = (*REGION, "id_sface", "mse")
OCCLUSION = ("occlusion_change_mse", "occlusion_change_lpips_alex", "occlusion_error_mse", "occlusion_id_sface")
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


def test_what_disentanglement_and_filter_do_and_what_occlusion_does_to_identity() -> None:
    assert said("docs/interestyle.md", "a lower MSE on the region than IntereStyle on all five sets")
    assert said("docs/interestyle.md", "the lowest of all on four")
    every = ("restyle_psp", IS, *ABLATIONS.values())
    lowest = [min(every, key=lambda method: mean(dataset, "mse_interest", method, IS)) for dataset in COVERED]
    assert lowest.count("interestyle_no_disentanglement") == 4
    assert all(ratios_on(d, "mse_interest", "interestyle_no_disentanglement", IS, IS) < 1 for d in COVERED)
    assert said("docs/interestyle.md", "within 3 % of IntereStyle's on all sets")
    assert all(abs(ratios_on(d, "mse_interest", "interestyle_no_filter", IS, IS) - 1) < 0.03 for d in COVERED)
    assert said("docs/interestyle.md", "the only one whose visible part has a lower error than ReStyle's")
    errors = {m: find("paired", "occluded", "occlusion_error_mse", m, IS)["mark"] for m in every[1:]}
    assert [method for method, mark in errors.items() if mark == "better"] == ["interestyle_no_disentanglement"]
    assert said("docs/interestyle.md", "and neither does identity to the clean image")
    assert find("paired", "occluded", OCCLUSION[3], IS, IS, "occluded")["mark"] in NO_DIFFERENCE
    assert said("docs/interestyle.md", "With natural occlusion no encoder's identity differs from ReStyle's")
    for method in every[1:]:
        assert find("paired", "occluded", OCCLUSION[3], method, IS, "occluded_natural")["mark"] in NO_DIFFERENCE


def test_what_is_said_of_feature_maps_holds() -> None:
    """docs/methods.md and the README against the committed run of feature-space, whose reference is e4e + PTI."""
    run = "feature-space"
    assert said("README.md", "tells everybody apart (rank-1 100 % on all sets)")
    assert said("README.md", "DHR has a lower MSE than e4e + PTI on all sets")
    for dataset in SETS:
        assert float(find("means", dataset, "rank1_sface", "sfe", run)["value"]) == 1
        for method, metric in (
            ("e4e+dhr", "mse"),
            ("e4e+dhr", "lpips_vgg"),
            ("e4e+dhr", "id_sface"),
            ("sfe+pti", "mse"),
        ):
            assert find("paired", dataset, metric, method, run)["mark"] == "better", (dataset, method, metric)
        order = [float(find("means", dataset, "mse", method, run)["value"]) for method in ("sfe", "hfgi", "e4e")]
        assert order == sorted(order)
        effects = [
            float(find("means", dataset, "edit_effect", method, run)["value"]) for method in ("e4e+dhr", "e4e+pti")
        ]
        assert 0.6 < effects[0] / effects[1] < 0.75


@pytest.mark.parametrize("dataset", SETS)
def test_the_tables_of_feature_maps_are_the_committed_ones(dataset: str) -> None:
    text = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    heads = {"openpeople": "| openpeople (", "celeba": "| CelebA, test photographs |", "orl": "| ORL ("}
    lines = text[text.index(heads[dataset]) :].split("\n\n")[0].splitlines()[2:]
    metrics = ("mse", "lpips_vgg", "id_sface", "rank1_sface", "edit_effect", "edit_id_equal", "edit_still_psnr", "nscd")
    methods = ("e4e", "lsap", "hfgi", "feature_style", "styleres", "sfe", "e4e+dhr", "pti", "e4e+pti", "sfe+pti")
    for method, line in zip(methods, lines, strict=True):
        for metric, cell in zip(metrics, (c.strip() for c in line.strip("|").split("|")[1:]), strict=True):
            value = float(find("means", dataset, metric, method, "feature-space")["value"])
            assert cell == f"{value:.{len(cell.split('.')[1])}f}", (method, metric)


def percent(*values: float) -> list[float]:
    return [100 * value for value in values]


F = "feature-space"
# A file, a pattern whose groups are numbers, and what they are in the committed tables.
NUMBERS: list[tuple[str, str, Callable[[], Sequence[float]]]] = [
    ("README.md", r"openpeople, (\d+) images", lambda: [count("openpeople")]),
    ("README.md", r"edits on (\d+) of them", lambda: [count("openpeople", "edit_id_equal")]),
    (
        "README.md",
        r"`make bench`: (\d+) test photographs of CelebA, (\d+) images of openpeople, (\d+) of ORL",
        lambda: [count(dataset) for dataset in SETS],
    ),
    (
        "README.md",
        r"apart \(rank-1 (\d+) %; W\+ (\d+) and (\d+) %, encoders (\d+) to (\d+) %\)",
        lambda: percent(
            min(each("rank1_sface", "pti", sets=SETS[:2])),
            *each("rank1_sface", "sg2_w_plus", sets=SETS[:2]),
            *ends("rank1_sface", *ENCODERS, sets=SETS[:2]),
        ),
    ),
    (
        "README.md",
        r"to a quarter or less \(e4e on openpeople: ([\d.]+) to ([\d.]+)\)",
        lambda: each("mse", "e4e", "e4e+pti", sets=["openpeople"]),
    ),
    (
        "README.md",
        r"\(effect ([\d.]+), ([\d.]+) and ([\d.]+); PTI ([\d.]+), ([\d.]+) and ([\d.]+)\)",
        lambda: each("edit_effect", "e4e+pti", "pti"),
    ),
    (
        "README.md",
        r"Optimisation in W\+ edits least on openpeople \(([\d.]+)\)",
        lambda: [min(each("edit_effect", *NAMES.values(), sets=["openpeople"]))],
    ),
    (
        "README.md",
        r"\(openpeople: LPIPS ([\d.]+), PTI ([\d.]+)\)",
        lambda: each("change_far_lpips", "e4e+pti", "pti", sets=["openpeople"]),
    ),
    (
        "README.md",
        r"on (\d+) test photographs its region .* on (\d+) covered faces .* "
        r"in (\d+) pairs of openpeople the face changes no less than ReStyle \(pSp\)'s \(MSE ([\d.]+) both\)",
        lambda: [*counts("mse", "celeba", "celeba_occluded"), *counts(OCCLUSION[0], "occluded"),
                 mean("occluded", OCCLUSION[0], IS, IS)],
    ),
    (
        "docs/interestyle.md",
        r"n is (\d+) on celeba and orl and (\d+) on `occluded`, whose identity has (\d+)\.",
        lambda: [*counts("mse_interest", "celeba", "occluded"), *counts("id_sface", "occluded")],
    ),
    (
        "docs/interestyle.md",
        r"only identity is better\*\* \(([\d.]+), ReStyle ([\d.]+)\)\. These are the (\d+) of the (\d+) photographs",
        lambda: [*each("id_sface", IS, "restyle_psp", sets=["celeba_occluded"], run=IS),
                 *counts("mse", "celeba_occluded", "celeba")],
    ),
    (
        "docs/interestyle.md",
        r"the MSE of the full image is ([\d.]+) to ([\d.]+) times ReStyle's",
        lambda: [edge(ratios_on(dataset, "mse", IS, "restyle_psp", IS) for dataset in COVERED) for edge in (min, max)],
    ),
    (
        "docs/interestyle.md",
        r"Identities are low throughout \(([\d.]+) to ([\d.]+)\)",
        lambda: ends("id_sface", "restyle_psp", IS, *ABLATIONS.values(), sets=COVERED, run=IS),
    ),
    (
        "docs/interestyle.md",
        r"(\d+) pairs of `occluded` .* `occluded_natural`: (\d+) images",
        lambda: [float(find("means", "occluded", OCCLUSION[3], IS, IS, each)["n"])
                 for each in ("occluded", "occluded_natural")],
    ),
    (
        "docs/interestyle.md",
        r"no less than ReStyle's in MSE \(([\d.]+), ReStyle ([\d.]+)\), and more in LPIPS \(([\d.]+) and ([\d.]+)\)\. "
        r"The error of the visible part shows no difference \(([\d.]+) both\), "
        r"and neither does identity to the clean image \(([\d.]+) and ([\d.]+)\)",
        lambda: [
            *(mean("occluded", metric, method, IS) for metric in OCCLUSION[:2] for method in (IS, "restyle_psp")),
            mean("occluded", OCCLUSION[2], IS, IS),
            *(float(find("means", "occluded", OCCLUSION[3], method, IS, "occluded")["value"])
              for method in (IS, "restyle_psp")),
        ],
    ),
    (
        "docs/interestyle.md",
        r"changes a little more with an object \(([\d.]+), with it ([\d.]+)\)",
        lambda: [mean("occluded", OCCLUSION[0], method, IS) for method in ("interestyle_no_filter", IS)],
    ),
    ("README.md", r"keep little identity \(([\d.]+) to ([\d.]+)\)", lambda: ends("id_sface", *ENCODERS)),
    (
        "docs/celeba64.md",
        r"\| \| celeba \((\d+)\) \| openpeople \((\d+)\) \| orl \((\d+)\) \|",
        lambda: [count(dataset) for dataset in SETS],
    ),
    (
        "docs/interestyle.md",
        r"has an MSE of ([\d.]+) on the region and ([\d.]+) on the full image, IntereStyle ([\d.]+) and ([\d.]+); "
        r"identities are ([\d.]+) and ([\d.]+)\.",
        lambda: [
            *(mean("celeba", metric, method, "interestyle")
              for method in ("restyle_psp", "interestyle") for metric in ("mse_interest", "mse")),
            *each("id_sface", "restyle_psp", "interestyle", sets=["celeba"], run="interestyle"),
        ],
    ),
    (
        "docs/methods.md",
        r"`: (\d+) test photographs of CelebA, (\d+) images of openpeople, (\d+) of ORL; edits of (\d+) images",
        lambda: [*(count(dataset, run=F) for dataset in SETS), count("orl", "edit_effect", F)],
    ),
    (
        "docs/methods.md",
        r"\(celeba (-[\d.]+) \[(-[\d.]+), (-[\d.]+)\]\)",
        lambda: [float(find("paired", "celeba", "mse", "e4e+dhr", F)[key]) for key in ("value", "low", "high")],
    ),
    (
        "docs/methods.md",
        r"rank-1 ([\d.]+) on all sets; e4e ([\d.]+) to ([\d.]+)\)",
        lambda: [min(each("rank1_sface", "sfe", run=F)), *ends("rank1_sface", "e4e", run=F)],
    ),
    (
        "docs/methods.md",
        r"its MSE is ([\d.]+) to ([\d.]+) times that of e4e \+ PTI",
        lambda: [edge(ratios("mse", "sfe", "e4e+pti", F)) for edge in (min, max)],
    ),
    (
        "docs/methods.md",
        r"\(NSCD ([\d.]+) to ([\d.]+) against ([\d.]+) to ([\d.]+)\)",
        lambda: ends("nscd", "lsap", run=F) + ends("nscd", "e4e", run=F),
    ),
    (
        "docs/methods.md",
        r"\(([\d.]+) to ([\d.]+) against ([\d.]+) to ([\d.]+)\): background",
        lambda: ends("edit_effect", "e4e+dhr", run=F) + ends("edit_effect", "e4e+pti", run=F),
    ),
    (
        "docs/methods.md",
        r"it keeps ([\d.]+), ([\d.]+) and ([\d.]+) dB \(celeba, openpeople, ORL; e4e \+ PTI ([\d.]+), ([\d.]+), "
        r"([\d.]+)\)",
        lambda: each("edit_still_psnr", "e4e+dhr", "e4e+pti", run=F),
    ),
    (
        "docs/methods.md",
        r"Its MSE is ([\d.]+) of e4e's on all three sets\. It edits less than HFGI \(([\d.]+) to ([\d.]+) "
        r"against ([\d.]+) to ([\d.]+)\)",
        lambda: [max(ratios("mse", "styleres", "e4e", F)), *ends("edit_effect", "styleres", run=F),
                 *ends("edit_effect", "hfgi", run=F)],
    ),
    (
        "docs/methods.md",
        r"edits as little \(([\d.]+) to ([\d.]+)\), HFGI nearly as much as e4e \(([\d.]+) to ([\d.]+) against "
        r"([\d.]+) to ([\d.]+)\), SFE in between \(([\d.]+) to ([\d.]+)\)",
        lambda: [end for method in ("feature_style", "hfgi", "e4e", "sfe")
                 for end in ends("edit_effect", method, run=F)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("file", "pattern", "values"), NUMBERS)
def test_numbers_in_the_text_are_those_of_the_tables(
    file: str, pattern: str, values: Callable[[], Sequence[float]]
) -> None:
    match = re.search(pattern, flat(file))
    assert match, f"{file} has no {pattern}: the sentence was changed, change the pattern with it"
    for printed, value in zip(match.groups(), values(), strict=True):
        assert agrees(printed, value), (printed, value)


NO_DIFFERENCE = {"", "equivalent"}
# A file, what it says, methods, metrics and sets of which it says so, and what their differences are marked with.
VERDICTS: list[tuple[str, str, str, Sequence[str], Sequence[str], Sequence[str], set[str]]] = [
    ("README.md", "No set shows a difference in MSE between PTI's optimised pivot and those of e4e and IntereStyle",
     "celeba64", ["e4e+pti", "interestyle+pti"], ["mse"], SETS, NO_DIFFERENCE),
    ("README.md", "at the same step e4e + PTI edits more than PTI on all three sets", "celeba64", ["e4e+pti"],
     ["edit_effect"], SETS, {"better"}),
    ("README.md", "keeps as much identity or more", "celeba64", ["e4e+pti"], ["edit_kept_equal"], SETS,
     {"better", *NO_DIFFERENCE}),
    ("docs/editing.md", "PTI's identity at equal effect is higher than that of W and of W+ on all three sets",
     "celeba64", ["sg2_w", "sg2_w_plus"], ["edit_id_equal"], SETS, {"worse"}),
    ("docs/editing.md", "at a lower error than both", "celeba64", ["sg2_w", "sg2_w_plus"], ["mse"], SETS, {"worse"}),
    ("docs/editing.md", "Its step edits less than that of W", "celeba64", ["sg2_w"], ["edit_effect"], SETS[:2],
     {"better"}),
    ("docs/editing.md", "more than that of W+ on openpeople", "celeba64", ["sg2_w_plus"], ["edit_effect"],
     ["openpeople"], {"worse"}),
    ("docs/editing.md", "around e4e's code a step edits more", "celeba64", ["e4e+pti"], ["edit_effect"], SETS,
     {"better"}),
    ("docs/editing.md", "costs less identity than around PTI's optimised code on celeba and ORL", "celeba64",
     ["e4e+pti"], ["edit_kept_equal"], ["celeba", "orl"], {"better"}),
    ("docs/editing.md", "around IntereStyle's code, far from W, it edits less on ORL", "celeba64",
     ["interestyle+pti"], ["edit_effect"], ["orl"], {"worse"}),
    ("docs/interestyle.md", "celeba: it comes out**, in MSE, LPIPS and identity", IS, [IS], RECONSTRUCTION[:3],
     ["celeba"], {"better"}),
    ("docs/interestyle.md", "celeba_occluded: only identity is better", IS, [IS], ["id_sface"], ["celeba_occluded"],
     {"better"}),
    ("docs/interestyle.md", "MSE and LPIPS on the region show no difference", IS, [IS], REGION, ["celeba_occluded"],
     NO_DIFFERENCE),
    ("docs/interestyle.md", "openpeople: only LPIPS is better", IS, [IS], REGION[1:], ["openpeople"], {"better"}),
    ("docs/interestyle.md", "occluded: only LPIPS is better", IS, [IS], REGION[1:], ["occluded"], {"better"}),
    ("docs/interestyle.md", "the region's MSE and identity show no difference", IS, [IS], ["mse_interest", "id_sface"],
     ["openpeople", "occluded"], NO_DIFFERENCE),
    ("docs/interestyle.md", "orl: it does not come out.** MSE and LPIPS on the region are worse, of all three "
     "ablations, too", IS, [IS, *ABLATIONS.values()], REGION, ["orl"], {"worse"}),
    ("docs/interestyle.md", "identity shows no difference. The photographs are grey", IS, [IS], ["id_sface"], ["orl"],
     NO_DIFFERENCE),
    ("docs/interestyle.md", "The background is given up on every set", IS, [IS], ["mse", "mse_outside"], COVERED,
     {"worse"}),
    ("docs/interestyle.md", "changes no less than ReStyle's in MSE", IS, [IS], OCCLUSION[:1], ["occluded"],
     NO_DIFFERENCE),
    ("docs/interestyle.md", "and more in LPIPS", IS, [IS], OCCLUSION[1:2], ["occluded"], {"worse"}),
    ("docs/interestyle.md", "The error of the visible part shows no difference", IS, [IS], OCCLUSION[2:3], ["occluded"],
     NO_DIFFERENCE),
    ("docs/interestyle.md", "without it nothing is better than ReStyle in reconstruction", IS,
     ["interestyle_no_region"], RECONSTRUCTION, COVERED, {"worse", *NO_DIFFERENCE}),
    ("docs/interestyle.md", "and the region is worse on all five sets", IS, ["interestyle_no_region"], REGION, COVERED,
     {"worse"}),
    ("docs/interestyle.md", "the face then changes less in MSE", IS, ["interestyle_no_region"], OCCLUSION[:1],
     ["occluded"], {"better"}),
    ("docs/interestyle.md", "with a higher error of what is visible", IS, ["interestyle_no_region"], OCCLUSION[2:3],
     ["occluded"], {"worse"}),
    ("README.md", "comes out on CelebA, not everywhere**: on 200 test photographs its region has lower MSE and LPIPS "
     "than ReStyle (pSp)'s and higher identity", IS, [IS], RECONSTRUCTION[:3], ["celeba"], {"better"}),
    ("README.md", "On openpeople only LPIPS is lower", IS, [IS], ["mse_interest", "id_sface"], ["openpeople"],
     NO_DIFFERENCE),
    ("README.md", "covered faces only identity is higher", IS, [IS], REGION, ["celeba_occluded"], NO_DIFFERENCE),
    ("README.md", "on ORL the region is worse", IS, [IS], REGION, ["orl"], {"worse"}),
    ("README.md", "in LPIPS slightly more", IS, [IS], OCCLUSION[1:2], ["occluded"], {"worse"}),
    ("docs/methods.md", "The identity kept at equal effect cannot be told apart from e4e + PTI's", F, ["e4e+dhr"],
     ["edit_kept_equal"], SETS, NO_DIFFERENCE),
    ("docs/methods.md", "keeps as much identity as e4e + PTI or more", F, ["sfe"], ["id_sface"], SETS,
     {"better", *NO_DIFFERENCE}),
    ("docs/methods.md", "is better than around e4e in MSE on all sets", F, ["sfe+pti"], ["mse"], SETS, {"better"}),
]  # fmt: skip


@pytest.mark.parametrize(("file", "text", "run", "methods", "metrics", "sets", "marks"), VERDICTS)
def test_what_the_text_says_is_what_the_intervals_say(
    file: str, text: str, run: str, methods: Sequence[str], metrics: Sequence[str], sets: Sequence[str], marks: set[str]
) -> None:
    assert said(file, text), "the sentence was changed: change it here, too"
    for dataset in sets:
        for method in methods:
            for metric in metrics:
                assert find("paired", dataset, metric, method, run)["mark"] in marks, (dataset, method, metric)


def test_how_many_times_one_is_another() -> None:
    assert said("README.md", "cuts the encoder's MSE to a quarter or less")
    assert max(ratios("mse", "e4e+pti", "e4e") + ratios("mse", "interestyle+pti", "interestyle")) <= 0.25
    assert said("README.md", "at far latents twice as much as PTI from an optimised code")
    assert min(ratios("change_far_lpips", "e4e+pti", "pti")) > 1.75
    assert said("README.md", "`pti_fast`, in a quarter of PTI's time, three times as much")
    assert min(ratios("change_far_lpips", "pti_fast", "pti")) > 2.75
    assert said("docs/methods.md", "DHR has half to six tenths of e4e + PTI's MSE")
    assert all(0.45 < ratio < 0.65 for ratio in ratios("mse", "e4e+dhr", "e4e+pti", F))
    assert said("docs/methods.md", "four to five times as near to the generator's own as e4e")
    assert all(3.5 < ratio < 5.5 for ratio in ratios("nscd", "e4e", "lsap", F))
    assert said("docs/methods.md", "MSE is e4e's within 5 %")
    assert all(abs(ratio - 1) < 0.055 for ratio in ratios("mse", "lsap", "e4e", F))
    assert said("docs/methods.md", "lower MSE than e4e, higher LPIPS")
    assert max(ratios("mse", "feature_style", "e4e", F)) < 1 < min(ratios("lpips_vgg", "feature_style", "e4e", F))
    assert said("docs/methods.md", "a lower LPIPS (VGG) on all three sets and a higher MSE, a lower identity on two")
    assert max(ratios("lpips_vgg", "styleres", "hfgi", F)) < 1 < min(ratios("mse", "styleres", "hfgi", F))
    assert sum(ratio < 1 for ratio in ratios("id_sface", "styleres", "hfgi", F)) == 2


def ratios_on(dataset: str, metric: str, method: str, other: str, run: str) -> float:
    return mean(dataset, metric, method, run) / mean(dataset, metric, other, run)


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
