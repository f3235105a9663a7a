"""Encoders: networks, training and the stages that invert with them; `load_encoder` reads published ones."""

from typing import TYPE_CHECKING

from inversion_bench import lazy

if TYPE_CHECKING:
    from methods.checkpoints.encoders import OfficialEncoder, load_encoder

__all__ = ["OfficialEncoder", "load_encoder"]
__getattr__, __dir__ = lazy.attach(__name__, {name: f"methods.checkpoints.encoders:{name}" for name in __all__})
