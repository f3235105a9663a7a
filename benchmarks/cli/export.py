"""Write a generator, tuned or not, as a file that other programs read.

FILE.pt has the layout of config-f (g_ema, latent_avg), which rosinality's StyleGAN2 and the encoders' repositories
load; FILE.safetensors has the same tensors without pickle.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks.cli.parsing import WORLD, Parser
from benchmarks.errors import ConfigError

logger = logging.getLogger(__name__)

EXAMPLES = f"""  python -m benchmarks export tuned.pt --delta out/photo/generator-delta.safetensors
  python -m benchmarks export ffhq.pt --generator ffhq.pkl            another layout of the same weights
  python -m benchmarks export world.safetensors --generator {WORLD}"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="what is written: .pt or .safetensors")
    parser.add_argument(
        "--generator", default=WORLD, metavar="NAME|FILE", help=f"the generator, as a suite names it ({WORLD})"
    )
    parser.add_argument(
        "--delta", type=Path, metavar="FILE", help="changes of its weights, as `invert` writes them for a photograph"
    )


def run(options: argparse.Namespace) -> int:
    if options.file.suffix not in (".pt", ".safetensors"):
        raise ConfigError(f"{options.file}: what is written ends in .pt or .safetensors")

    from methods.generators import load_generator
    from methods.generators.readers import export_generator
    from methods.tuning.deltas import load_delta

    try:
        generator = load_generator(options.generator)
        if options.delta:
            generator.load_state_dict(load_delta(options.delta, generator), strict=False)
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error
    export_generator(generator, options.file)
    print(options.file)
    return 0
