"""List the names that the suite knows, with a line about each."""

from __future__ import annotations

import argparse
import json

from benchmarks.cli.parsing import Parser, add_json, one_of

EXAMPLES = """  python -m benchmarks list methods
  python -m benchmarks list assets"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("what", type=one_of("list", [*LISTS]), metavar="WHAT", help=f"one of: {', '.join(LISTS)}")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    lines = LISTS[options.what]()
    if options.json:
        print(json.dumps(dict(lines)))
        return 0
    for name, about in lines:
        print(f"{name:20} {about}")
    return 0


Lines = list[tuple[str, str]]


def _methods() -> Lines:
    from methods import registry

    files = {name: registry.describe(name) for name in registry.names()}
    return [(n, f"{file.title}: {' + '.join(stage['name'] for stage in file.stages)}") for n, file in files.items()]


def _datasets() -> Lines:
    from datasets import registry

    return [(name, registry.DATASETS.target(name)) for name in registry.names()]


def _metrics() -> Lines:
    from metrics import registry

    names = registry.names() + registry.set_names()
    return [(name, f"{registry.find(name).info.title}. {registry.missing(name) or ''}") for name in names]


def _protocols() -> Lines:
    from benchmarks.protocols.registry import PROTOCOLS

    return [(name, (PROTOCOLS.get(name).__doc__ or "").splitlines()[0]) for name in PROTOCOLS.names()]


def _directions() -> Lines:
    from methods.editing.weights import load_directions
    from methods.generators import load_generator

    known = load_directions(None, load_generator("celeba64")).values()
    return [(d.name, f"{d.slope:+.3g} {d.unit} for strength 1; {d.source}") for d in known]


def _suites() -> Lines:
    from benchmarks.engine.config import load_suite, suite_names

    return [(name, load_suite(name).title) for name in suite_names()]


def _assets() -> Lines:
    from datasets import assets

    return [
        (name, f"{'present' if asset.present else 'absent '}  {asset.title} [{asset.licence}]")
        for name, asset in assets.registry().items()
    ]


LISTS = {
    "methods": _methods,
    "datasets": _datasets,
    "metrics": _metrics,
    "protocols": _protocols,
    "directions": _directions,
    "suites": _suites,
    "assets": _assets,
}
