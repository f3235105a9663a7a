"""`python -m benchmarks.perf.settings RUN`: choose default settings from a finished run of the suite `settings`.

The rule: one more processor second an image has to bring one margin. Of the candidates of a method, the choice is the
one with the most points: the mean over LPIPS (VGG), identity and, of tuned generators, LPIPS at far latents (what the
tuning did to other images), each in units of MARGIN, less the processor seconds of an image.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from reports.equal_time import TIME, curves
from reports.frame import ReportError, Results, read
from reports.markdown import listing
from reports.statistics import paired_interval, sign

MARGIN = 0.005  # that of LPIPS and of identity: a smaller difference has no meaning
MEASURES = {"lpips_vgg": "reconstruction", "id_sface": "reconstruction", "change_far_lpips": "locality"}


def measured(results: Results, dataset: str, methods: list[str]) -> dict[str, pd.DataFrame]:
    """Values [images, methods] by metric, the processor seconds among them.

    Locality is left out where no generator is tuned.

    Raises ReportError where a candidate lacks a value on an image.
    """
    found = {}
    for metric, protocol in {**MEASURES, TIME: "reconstruction"}.items():
        values = results.values(metric, dataset, protocol).reindex(columns=methods)
        if values.isna().all(axis=None) and protocol == "locality":
            continue
        if values.isna().any(axis=None):
            lacking = ", ".join(values.columns[values.isna().any()])
            raise ReportError(f"{results.directory}: {metric} is missing for images of {lacking}; finish the run first")
        found[metric] = values
    return found


def points(results: Results, found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The points [images, methods] of the rule, from what `measured` gives."""
    gains = [sign(results.info(metric)["direction"]) * values / MARGIN
             for metric, values in found.items() if metric != TIME]  # fmt: skip
    mean: pd.DataFrame = sum(gains[1:], gains[0]) / len(gains)
    return mean - found[TIME]


def tables(results: Results) -> Iterator[str]:
    """A table in markdown for each data set and method, the choice in its last line."""
    for dataset in results.datasets:
        for group in curves(results.methods):
            found = measured(results, dataset, group)
            each = points(results, found)
            chosen = str(each.mean().idxmax())
            people = results.groups(dataset, list(each.index))
            rows = []
            for method in group:
                less = paired_interval(each[method].to_numpy(), each[chosen].to_numpy(), people)
                bounds = "the choice" if method == chosen else f"{less.mean:+.1f} [{less.low:+.1f}, {less.high:+.1f}]"
                means = [f"{values[method].mean():.3f}" for values in found.values()]
                rows.append((method, *means, f"{each[method].mean():.1f}", bounds))
            titles = [str(results.info(metric)["title"]) for metric in found]
            body = listing(("candidate", *titles, "points", "less the choice"), rows)
            yield f"{results.title('datasets', dataset)}, {len(each)} images\n\n{body}\nChosen: `{chosen}`\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.settings", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run of the suite settings")
    try:
        print("\n".join(tables(read(parser.parse_args(arguments).run))))
    except (FileNotFoundError, ReportError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
