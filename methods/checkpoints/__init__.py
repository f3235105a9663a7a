"""Readers of checkpoints as their authors publish them."""
