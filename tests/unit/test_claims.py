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


def find(table: str, dataset: str, metric: str, method: str, run: str = "celeba64") -> dict[str, str]:
    found = rows(run).get((table, dataset, metric, method), [])
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


@pytest.mark.parametrize("title", ["IntereStyle", "without disentanglement", "without filter", "without region loss"])
def test_differences_of_interestyle_are_those_of_the_tables(title: str) -> None:
    text = (ROOT / "docs/interestyle.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith(f"| {title} | ") and "[" in line)
    method = "interestyle" + ("_no_" + title.removeprefix("without ").split()[0] if title != "IntereStyle" else "")
    cells = [re.findall(r"[-+]\d\.\d+", cell) for cell in line.strip("|").split("|")[1:]]
    for metric, printed in zip(("mse_interest", "lpips_alex_interest", "id_sface", "mse"), cells, strict=True):
        found = find("paired", "celeba", metric, method, "interestyle")
        for value, key in zip(printed, ("value", "low", "high"), strict=True):
            assert float(value) == pytest.approx(float(found[key]), abs=0.51 * 10 ** -len(value.split(".")[1])), metric


def test_interestyle_is_better_on_the_region_and_worse_outside() -> None:
    assert said("README.md", "IntereStyle's claim, lower distortion on the interest region, comes out")
    for metric, better in (("mse_interest", True), ("lpips_alex_interest", True), ("id_sface", True), ("mse", False)):
        assert (find("paired", "celeba", metric, "interestyle", "interestyle")["mark"] == "better") == better


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
        r"in (\d+) pairs of openpeople its face changes as much as ReStyle \(pSp\)'s \(MSE ([\d.]+) both\)",
        lambda: [count("occluded", "occlusion_change_mse"), mean("occluded", "occlusion_change_mse", "interestyle")],
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
        r"Its MSE is ([\d.]+) of e4e's on all three sets\. It edits less than HFGI \(([\d.]+) to ([\d.]+) against ([\d.]+) to "
        r"([\d.]+)\)",
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
    ("docs/interestyle.md", "without it nothing is better than ReStyle", "interestyle", ["interestyle_no_region"],
     ["mse_interest", "lpips_alex_interest", "id_sface", "mse"], ["celeba"], {"worse", *NO_DIFFERENCE}),
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
    assert said("docs/interestyle.md", "the error of the full image more than doubles")
    assert ratios_on("celeba", "mse", "interestyle", "restyle_psp", "interestyle") > 2
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
