"""Edits of latents: directions read from files or learned, and what they change."""
