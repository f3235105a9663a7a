"""The suite's encoders by name: network, kind of codes, refinement steps, and what is special about their training."""

from __future__ import annotations

from methods.encoders.encoder import Design
from methods.encoders.networks import Flat, Pyramid, SingleCode

E4E_TRAINING = {"delta_norm": 2e-4, "adversarial": 0.1, "progressive": True}
# LSAP has e4e's network and deltas, and the alignment of styles in place of the discriminator.
LSAP_TRAINING = {"delta_norm": 2e-4, "alignment": 0.5, "progressive": True}
INTEREST = {"region_loss": True, "disentanglement": 0.05, "filter": "outside"}

DESIGNS: dict[str, Design] = {
    "psp": Design(Pyramid, deltas=False),
    "e4e": Design(Pyramid, deltas=True, training=E4E_TRAINING),
    "lsap": Design(Pyramid, deltas=True, training=LSAP_TRAINING),
    "restyle_psp": Design(Flat, deltas=False, iterations=3),
    "restyle_e4e": Design(Flat, deltas=True, iterations=3, training=E4E_TRAINING),
    "interestyle": Design(Flat, deltas=False, iterations=3, training={"interest": INTEREST}),
    "hyperstyle_w_encoder": Design(SingleCode, deltas=False),
}
