"""A test run of `run celeba-hq` at an official size with synthetic weights instead of official files.

    python -m tests.drill OUT [--side 256] [--images 3] [--steps 3]

Writes files of the published formats with random weights (config-f generator, e4e, IR-SE50, CurricularFace, BiSeNet)
and a folder like CelebAMask-HQ made of openpeople's photographs, runs e4e and e4e+pti on it with the suite's
command, and prints seconds and peak memory. The values in its tables are meaningless; the run tests the full pipeline.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.cli import main as bench
from datasets import assets, ffhq_alignment
from datasets.alignment import find_face
from datasets.celeba_hq import FIRST_TEST, MAPPING
from datasets.images import read_rgb
from methods.encoders.designs import DESIGNS
from methods.encoders.networks import EncoderConfig
from methods.generators.stylegan2 import Generator, official_config
from metrics.networks.arcface import IRSE50, CurricularFace
from metrics.networks.bisenet import BiSeNet

PHOTOGRAPHS = "P*/assets/studio_portrait.jpg"
METRICS = "[mse_256,psnr_256,lpips_alex_256,id_curricularface,id_ir_se50,mse_interest_bisenet,mse,lpips_alex]"


def write_weights(folder: Path, side: int) -> None:
    """Files in the published formats; weights are randomly initialised."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    generator = Generator(official_config(side))
    torch.save({"g_ema": generator.state_dict(), "latent_avg": torch.zeros(512)}, folder / "stylegan2-ffhq-config-f.pt")
    rows = generator.num_ws
    encoder = DESIGNS["e4e"].network(EncoderConfig(num_ws=rows))
    options = {"encoder_type": "Encoder4Editing", "stylegan_size": side, "start_from_latent_avg": True}
    state = _below("encoder.", encoder) | _below("decoder.", generator)
    torch.save(
        {"state_dict": state, "latent_avg": torch.zeros(rows, 512), "opts": options}, folder / "e4e_ffhq_encode.pt"
    )
    torch.save(IRSE50().state_dict(), folder / "model_ir_se50.pth")
    torch.save(CurricularFace().state_dict(), folder / "CurricularFace_Backbone.pth")
    torch.save(BiSeNet().state_dict(), folder / "79999_iter.pth")


def _below(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in network.state_dict().items()}


def write_images(folder: Path, count: int) -> None:
    """A folder like that of CelebAMask-HQ: numbered images of 1024 px of the test split, and the mapping."""
    (folder / "CelebA-HQ-img").mkdir(parents=True, exist_ok=True)
    lines = ["idx        orig_idx    orig_file"]
    for index, file in enumerate(sorted(assets.ensure("openpeople").glob(PHOTOGRAPHS))[:count]):
        photograph = read_rgb(file)
        number = 100 + 17 * index
        aligned = ffhq_alignment.align(photograph, ffhq_alignment.frame_of_5(find_face(photograph)), 1024)
        aligned.save(folder / "CelebA-HQ-img" / f"{number}.jpg", quality=95)
        lines.append(f"{number}  {FIRST_TEST + index}  {FIRST_TEST + index + 1:06d}.jpg")
    (folder / MAPPING).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=256, help="px of the generator and of the images")
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="of pivotal tuning")
    options = parser.parse_args()
    write_weights(options.out / "weights", options.side)
    write_images(options.out / "data" / "CelebAMask-HQ", options.images)
    os.environ["INVERSION_BENCH_WEIGHTS"] = str((options.out / "weights").resolve())
    os.environ["INVERSION_BENCH_DATA"] = str((options.out / "data").resolve())
    settings = [
        "methods=[e4e,e4e+pti]",
        f"datasets.0.options.resolution={options.side}",
        f"metrics={METRICS}",
        f"stage_settings.pivotal_tuning.steps={options.steps}",
        "workers=1",
    ]
    start = time.perf_counter()
    code = bench(["run", "celeba-hq", *settings, "--out", str(options.out / "run")])
    used = [resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    figures = {
        "side": options.side,
        "images": options.images,
        "tuning_steps": options.steps,
        "exit_code": code,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_memory_gib": round(max(used), 2),
    }
    print(json.dumps(figures))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
