"""Model cards, and what they say of a run: its log and its hours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jinja2 import Template


def render_card(template: str, **facts: Any) -> str:
    """A model card from a template of this folder."""
    text = (Path(__file__).parent / template).read_text(encoding="utf-8")
    return Template(text, keep_trailing_newline=True).render(**facts)


def log(out: Path) -> pd.DataFrame:
    """The logged values of all sessions of the run, by step."""
    parts = [pd.read_csv(path) for path in sorted(out.glob("log/version_*/metrics.csv"))]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def images_a_step(rows: pd.DataFrame, batch: int) -> int:
    """Images that all processes of a run see in a step, by its log; `batch` where nothing was logged."""
    if "images" not in rows or rows["images"].notna().sum() == 0:
        return batch
    last = rows.dropna(subset=["images"]).iloc[-1]
    return round(float(last["images"]) / (float(last["step"]) + 1))


def machine() -> str:
    """What this process trains on: a GPU's name, or the number of CPU cores."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"


def hours(out: Path) -> float:
    """Wall hours of all sessions of the run, from the first to the last entry of each session's log."""
    total = 0.0
    for folder in out.glob("log/version_*"):
        start, end = folder / "hparams.yaml", folder / "metrics.csv"
        if start.exists() and end.exists():
            total += end.stat().st_mtime - start.stat().st_mtime
    return total / 3600
