"""Encoders: networks, losses, training and the stages that invert with them; `load_encoder` reads published ones."""

from methods.encoders.official import OfficialEncoder, load_encoder

__all__ = ["OfficialEncoder", "load_encoder"]
