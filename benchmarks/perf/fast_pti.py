"""`python -m benchmarks.perf.fast_pti`: pti_fast against pti on the same images of faces64's three sets, paired.

Seconds are processor time of one thread, which other work on the machine changes little; W runs in its lanes of 8.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import Tensor

from benchmarks.config import load_suite
from datasets import registry as datasets_registry
from datasets.images import read_rgb, to_image, to_tensor
from methods.base import Inversion
from methods.generators import load_generator
from methods.pipeline import Pipeline
from methods.registry import load_pipeline
from metrics import registry as metrics_registry

METRICS = ("lpips_alex", "lpips_vgg", "mse", "id_sface")
PAIR = ("pti", "pti_fast")
RESAMPLES = 2000


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.fast_pti", description=__doc__)
    parser.add_argument("--images", type=int, default=12, help="of each set (default: 12)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    suite = load_suite("faces64")
    generator = load_generator(suite.generator)
    print(
        "| set | s, pti | s, pti_fast | ratio | " + " | ".join(f"{name}: pti, fast less pti" for name in METRICS) + " |"
    )
    print("| :-- | --: | --: | --: |" + " --: |" * len(METRICS))
    for name in ("digiface_gan", "openpeople", "orl"):
        manifest = datasets_registry.load(name).subset(options.images)
        targets = torch.stack([to_tensor(read_rgb(manifest.root / manifest.by_id[i].file)) for i in manifest.ids])
        ids = [f"{name}/{image}" for image in manifest.ids]
        seconds, values = {}, {}
        for method in PAIR:
            pipeline = Pipeline(generator, load_pipeline(method, suite.stage_settings), suite.seed)
            start = time.process_time()
            found = pipeline.predict_step({"images": targets, "ids": ids}, 0).inversion
            seconds[method] = (time.process_time() - start) / len(ids)
            assert isinstance(found, Inversion)
            shown = torch.stack([to_tensor(to_image(image)) for image in found.image])
            values[method] = {each: metrics_registry.load(each)(shown, targets) for each in METRICS}
        cells = [_compared(values["pti"][each], values["pti_fast"][each]) for each in METRICS]
        ratio = seconds["pti_fast"] / seconds["pti"]
        print(
            f"| {name} | {seconds['pti']:.2f} | {seconds['pti_fast']:.2f} | {ratio:.2f} | {' | '.join(cells)} |",
            flush=True,
        )


def _compared(slow: Tensor, fast: Tensor) -> str:
    """The mean of pti, and the paired difference with its 95 % bootstrap interval."""
    difference = (fast - slow).double().numpy()
    draws = np.random.default_rng(0).choice(difference, (RESAMPLES, len(difference))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{float(slow.mean()):.4f}, {difference.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    main()
