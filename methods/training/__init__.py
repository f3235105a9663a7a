"""Trainings of generators, encoders and hypernetworks."""
