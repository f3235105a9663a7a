"""Encoders: networks, losses, training and the stages that invert with them."""
