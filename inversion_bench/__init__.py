"""StyleGAN inversion: `methods`, `datasets`, `metrics`, `benchmarks` and `reports`, found from any folder.

    import inversion_bench as ib
    images = ib.load_dataset("openpeople", limit=2).images()
    inversion = ib.create_method("e4e+pti").invert(images, ["a", "b"])
    print(ib.create_metric("lpips_vgg")(inversion.image, images))

The five folders beside this one keep their names. In an installed package they lie in `inversion_bench/folders`;
importing this package puts them on the path, before Hugging Face's package that is called `datasets`, too.
It imports none of them and nothing heavy.
"""

import os
import sys
from typing import TYPE_CHECKING

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKED = os.path.join(_HERE, "folders")
ROOT = _PACKED if os.path.isdir(_PACKED) else os.path.dirname(_HERE)
"""The folder that the packages of the suite are in."""


def _put_on_path() -> None:
    other = sys.modules.get("datasets")
    place = os.path.abspath(getattr(other, "__file__", None) or ROOT)
    if other is not None and not place.startswith(ROOT + os.sep):
        raise ImportError(
            f"another package called `datasets` is loaded already ({place}), probably Hugging Face's; the suite has "
            "one of that name: import inversion_bench first, or use the two in separate processes"
        )
    if ROOT not in map(os.path.abspath, sys.path):
        sys.path.insert(0, ROOT)


_put_on_path()

from inversion_bench import lazy  # noqa: E402

if TYPE_CHECKING:
    from benchmarks.engine.config import load_suite
    from datasets.registry import load as load_dataset
    from methods.factory import create as create_method
    from methods.generators import load_generator
    from metrics.registry import create as create_metric
    from reports.frame import read as load_results

__all__ = ["create_method", "create_metric", "load_dataset", "load_generator", "load_results", "load_suite"]
__getattr__, __dir__ = lazy.attach(
    __name__,
    {
        "create_method": "methods.factory:create",
        "create_metric": "metrics.registry:create",
        "load_dataset": "datasets.registry:load",
        "load_generator": "methods.generators:load_generator",
        "load_results": "reports.frame:read",
        "load_suite": "benchmarks.engine.config:load_suite",
    },
)
