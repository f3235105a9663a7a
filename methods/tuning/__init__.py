"""Pivotal tuning: the algorithm, its locality regulariser and the storage of tuned weights."""
