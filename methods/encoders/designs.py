"""Encoders that can be trained, by name: their design and what differs from the plain losses."""

from __future__ import annotations

from methods.encoders import e4e, interestyle, psp, restyle, w_encoder
from methods.encoders.design import Design

DESIGNS: dict[str, Design] = {
    "psp": psp.DESIGN,
    "e4e": e4e.DESIGN,
    "restyle_psp": restyle.PSP_DESIGN,
    "restyle_e4e": restyle.E4E_DESIGN,
    "interestyle": interestyle.DESIGN,
    "hyperstyle_w_encoder": w_encoder.DESIGN,
}
TRAINING: dict[str, dict[str, object]] = {
    "psp": psp.TRAINING,
    "e4e": e4e.TRAINING,
    "restyle_psp": restyle.PSP_TRAINING,
    "restyle_e4e": restyle.E4E_TRAINING,
    "interestyle": interestyle.TRAINING,
    "hyperstyle_w_encoder": w_encoder.TRAINING,
}
