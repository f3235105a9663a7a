"""Numbers in the sentences of the README and the docs are those of the committed tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from tests.claims import (
    ABLATIONS,
    COVERED,
    ENCODERS,
    IS,
    NAMES,
    OCCLUSION,
    SETS,
    F,
    agrees,
    count,
    counts,
    each,
    ends,
    find,
    flat,
    mean,
    ratios,
    ratios_on,
)


def percent(*values: float) -> list[float]:
    return [100 * value for value in values]


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
        r"apart \(rank-1 (\d+) % and more; W\+ (\d+) and (\d+) %, encoders (\d+) to (\d+) %\)",
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
        r"\(effect on CelebA, openpeople and ORL ([\d.]+), ([\d.]+) and ([\d.]+); PTI ([\d.]+), ([\d.]+) and "
        r"([\d.]+)\)",
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
        r"on (\d+) test photographs its region .* on (\d+) covered faces .* in (\d+) pairs of openpeople",
        lambda: [*counts("mse", "celeba", "celeba_occluded"), *counts(OCCLUSION[0], "occluded")],
    ),
    (
        "docs/interestyle.md",
        r"n is (\d+) on celeba and orl and (\d+) on `occluded`, whose identity has (\d+)\.",
        lambda: [*counts("mse_interest", "celeba", "occluded"), *counts("id_sface", "occluded")],
    ),
    (
        "docs/interestyle.md",
        r"LPIPS and identity are better\*\* \(identity ([\d.]+), ReStyle ([\d.]+)\)\. "
        r"These are the (\d+) of the (\d+) photographs",
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
        r"changes less than ReStyle's in LPIPS \(([\d.]+), ReStyle ([\d.]+)\), in MSE there is no difference "
        r"\(([\d.]+) and ([\d.]+)\)\. The visible part has a lower error \(([\d.]+) and ([\d.]+)\)\. "
        r"Identity to the clean image shows no difference \(([\d.]+) and ([\d.]+)\)",
        lambda: [
            *(mean("occluded", OCCLUSION[n], method, IS) for n in (1, 0, 2) for method in (IS, "restyle_psp")),
            *(float(find("means", "occluded", OCCLUSION[3], method, IS, "occluded")["value"])
              for method in (IS, "restyle_psp")),
        ],
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
        r"`: (\d+) images each of CelebA's test photographs, openpeople and ORL; edits of (\d+) images",
        lambda: [max(count(dataset, run=F) for dataset in SETS), count("orl", "edit_effect", F)],
    ),
    (
        "docs/methods.md",
        r"\(celeba (-[\d.]+) \[(-[\d.]+), (-[\d.]+)\]\)",
        lambda: [float(find("paired", "celeba", "mse", "e4e+dhr", F)[key]) for key in ("value", "low", "high")],
    ),
    (
        "docs/methods.md",
        r"\(rank-1 ([\d.]+), ([\d.]+) and ([\d.]+); e4e ([\d.]+) to ([\d.]+)\)",
        lambda: [*each("rank1_sface", "sfe", run=F), *ends("rank1_sface", "e4e", run=F)],
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
        r"DHR edits ([\d.]+) to ([\d.]+) times as much as e4e \+ PTI",
        lambda: [edge(ratios("edit_effect", "e4e+dhr", "e4e+pti", F)) for edge in (min, max)],
    ),
    (
        "docs/methods.md",
        r"comes out in MSE\*\* on all sets \(([\d.]+) to ([\d.]+) of e4e's",
        lambda: [edge(ratios("mse", "lsap", "e4e", F)) for edge in (min, max)],
    ),
    (
        "docs/methods.md",
        r"It has ([\d.]+) to ([\d.]+) of e4e's MSE",
        lambda: [edge(ratios("mse", "hyperstyle", "e4e", F)) for edge in (min, max)],
    ),
    (
        "docs/methods.md",
        r"edits as little \(([\d.]+) to ([\d.]+)\), HFGI as much as e4e \(([\d.]+) to ([\d.]+) against "
        r"([\d.]+) to ([\d.]+)\), StyleRes and SFE in between \(([\d.]+) to ([\d.]+)\)",
        lambda: [end for methods in (["feature_style"], ["hfgi"], ["e4e"], ["styleres", "sfe"])
                 for end in ends("edit_effect", *methods, run=F)],
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
