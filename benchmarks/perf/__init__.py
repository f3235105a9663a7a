"""Measurements of speed; figures and how they were taken are in README.md of this folder."""
