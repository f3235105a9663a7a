"""The papers of a run's methods and metrics as BibTeX, for papers that cite them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from inversion_bench.version import version
from reports.frame import Results

PATH = Path(__file__).parent / "references.bib"
NUMBER = re.compile(r"arXiv (\d{4}\.\d{5})")


@cache
def entries() -> dict[str, str]:
    """Entries of references.bib by arXiv number; of papers without one by their `note`."""
    entries = {}
    for line in PATH.read_text(encoding="utf-8").splitlines():
        if match := re.search(r"(?:eprint|note)=\{([^}]*)\}", line):
            archived = ", archiveprefix={arXiv}" if "eprint=" in line else ""
            entries[match[1]] = f"{line[:-1]}{archived}}}"
    return entries


def citation(results: Results) -> str:
    """What a paper that reports a run cites: this suite, then the papers of `cited`."""
    return suite() + cited(results)


def suite() -> str:
    """The entry of this suite."""
    entry = "@misc{inversionbench, title={Inversion Bench}, author={{Inversion Bench developers}}, "
    return f"{entry}note={{Version {version()}}}}}\n"


def cited(results: Results) -> str:
    """The entries that descriptions of the run's methods and metrics name, in the order of references.bib."""
    texts = [str(info.get("paper") or "") for info in results.run["methods"].values()]
    texts += [str(results.info(metric).get("reference") or "") for metric in results.metrics]
    named = " ".join(texts)
    numbers = set(NUMBER.findall(named))
    return "".join(f"{entry}\n" for key, entry in entries().items() if key in numbers or key in named)
