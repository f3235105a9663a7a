"""`list` and `fetch`: what there is, what is missing and where it comes from."""

from __future__ import annotations

import sys

from datasets import assets


def print_list(what: str) -> int:
    """Print names and one line about each."""
    for name, about in _entries(what):
        print(f"{name:20} {about}")
    return 0


def _entries(what: str) -> list[tuple[str, str]]:
    if what == "suites":
        from benchmarks.engine.config import load_suite, suite_names

        return [(name, load_suite(name).title) for name in suite_names()]
    if what == "methods":
        from methods import registry as methods_registry

        files = {name: methods_registry.describe(name) for name in methods_registry.names()}
        return [(n, f"{file.title}: {' + '.join(s['name'] for s in file.stages)}") for n, file in files.items()]
    if what == "metrics":
        from metrics import registry

        names = registry.names() + registry.set_names()
        return [(n, f"{registry.find(n).info.title}. {registry.missing(n) or ''}") for n in names]
    if what == "directions":
        from methods.editing.weights import load_directions
        from methods.generators import load_generator

        known = load_directions(None, load_generator("faces64"))
        return [(d.name, f"{d.slope:+.3g} {d.unit} for strength 1; {d.source}") for d in known.values()]
    if what == "datasets":
        from datasets import registry as datasets_registry

        return [(name, datasets_registry.DATASETS.target(name)) for name in datasets_registry.names()]
    return [
        (name, f"{'present' if asset.present else 'absent '}  {asset.title} [{asset.licence}]")
        for name, asset in assets.registry().items()
    ]


def fetch(name: str) -> int:
    """Bring one asset, or all assets of a suite, into the cache; 1 when some cannot be had, 2 for a wrong name."""
    known = assets.registry()
    chosen = [name] if name in known else [n for n, asset in known.items() if name in asset.suites]
    if not chosen:
        suites = sorted({suite for asset in known.values() for suite in asset.suites})
        print(
            f"error: no asset or suite {name!r}; assets: {', '.join(known)}; suites: {', '.join(suites)}",
            file=sys.stderr,
        )
        return 2
    from benchmarks.engine.requirements import compared, missing_file

    failed = 0
    for each in chosen:
        asset = known[each]
        if brought := missing_file(asset):
            print(brought.line())
            failed += 1
            continue
        size = max((source.bytes for source in asset.sources), default=0) / 1e6
        print(f"{each}: {asset.title}\n  licence: {asset.licence}; from {asset.sources[0].describe()}, {size:.0f} MB")
        try:
            print(f"  {assets.ensure(each, quiet=False)}")
            if said := compared(asset):
                print(f"  {said}")
        except assets.AssetMissingError as error:
            print(f"  {error}", file=sys.stderr)
            failed += 1
    return 1 if failed + _missing_data(name) else 0


def _missing_data(suite_name: str) -> int:
    """What a suite needs beside assets: its data sets, said where they are missing."""
    from benchmarks.engine.config import load_suite, suite_names
    from benchmarks.engine.requirements import needs

    if suite_name not in suite_names():
        return 0
    lacking = [need for need in needs(load_suite(suite_name)) if not need.present and need.what.startswith("data set")]
    for need in lacking:
        print(need.line())
    return len(lacking)
