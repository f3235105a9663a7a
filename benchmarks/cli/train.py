"""Train a generator, an encoder, a hypernetwork, edit directions, or a world of all of them. The same command resumes.

DIR gets checkpoints, a log, samples, and the files that the suite's methods load.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cli.parsing import Parser, add_device, at_least, registered
from benchmarks.errors import ConfigError

EXAMPLES = """  python -m benchmarks train world mine data=photographs/ minutes=240    all networks, and a suite of them
  python -m benchmarks train e4e budget=12000 --processes 1
  python -m benchmarks train hyperstyle --minutes 60            run again to resume
  python -m benchmarks train directions generator=celeba64       edit directions of a generator"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "name",
        type=registered("methods.training.registry:TRAININGS"),
        help="world, generator, psp, e4e, lsap, restyle_psp, restyle_e4e, interestyle, hyperstyle_w_encoder, "
        "hyperstyle, hfgi, styleres, feature_style, sfe, directions (of edits), or package.module:function of your own",
    )
    parser.add_argument("overrides", nargs="*", metavar="[NAME] KEY=VALUE", help="settings of the training")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default: runs/train-NAME)")
    parser.add_argument(
        "--processes",
        type=at_least(0),
        default=0,
        metavar="N",
        help="data-parallel processes (default: 2 on a CPU, one a GPU on CUDA)",
    )
    parser.add_argument("--minutes", type=at_least(0, float), metavar="N", help="stop after N minutes")
    add_device(parser)


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli import output
    from benchmarks.engine.machine import pick_device
    from methods.training.registry import load_training
    from methods.training.run import fit
    from methods.training.spec import TrainingSpec

    device = pick_device(options.device)
    out = options.out or Path("runs") / f"train-{options.name}"
    try:
        training = load_training(options.name, options.overrides)
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error
    output.prepare(out)
    try:
        if isinstance(training, TrainingSpec):
            fit(training, out, device, options.processes, options.minutes)
        else:
            training(out, device)
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(f"train {options.name}: {error}") from error
    return 0
