"""Networks that change the generator's weights for an image; `load_hyperstyle` reads the published one."""

from typing import TYPE_CHECKING

from inversion_bench import lazy

if TYPE_CHECKING:
    from methods.checkpoints.hyperstyle import OfficialHyperStyle, load_hyperstyle

__all__ = ["OfficialHyperStyle", "load_hyperstyle"]
__getattr__, __dir__ = lazy.attach(__name__, {name: f"methods.checkpoints.hyperstyle:{name}" for name in __all__})
