"""Methods of StyleGAN inversion: `create("pti", "celeba64").invert(images, ids)`; `names()` lists them."""

from typing import TYPE_CHECKING

from inversion_bench import lazy

if TYPE_CHECKING:
    from methods.factory import create
    from methods.registry import names

__all__ = ["create", "names"]
__getattr__, __dir__ = lazy.attach(__name__, {"create": "methods.factory:create", "names": "methods.registry:names"})
