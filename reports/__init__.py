"""Reports of finished runs: `load_results("runs/celeba64")` gives their rows."""

from typing import TYPE_CHECKING

from inversion_bench import lazy

if TYPE_CHECKING:
    from reports.frame import Results
    from reports.frame import read as load_results

__all__ = ["Results", "load_results"]
__getattr__, __dir__ = lazy.attach(__name__, {"Results": "reports.frame:Results", "load_results": "reports.frame:read"})
