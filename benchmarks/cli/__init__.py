"""The command line: `python -m benchmarks COMMAND --help` teaches each command.

Exit codes: 0 complete, 1 some images failed or the run had to stop, 2 a configuration that cannot be run and
nothing started, 130 interrupted. The same command goes on where it ended. A number that a picture cannot have, as an
angle where no face is left, is a failed row, too, its reason begins with `undefined`; it does not count for the code.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.errors import ConfigError, StoppedError

EPILOG = """examples:
  python -m benchmarks run faces64                      invert, score and report the embedded suite
  python -m benchmarks run faces64 datasets[0].limit=4  the same with fewer images of the first set
  python -m benchmarks plan faces64                     what would run, and what is missing
  python -m benchmarks report faces64 --layout pti_paper  the table of a paper, in markdown, LaTeX and CSV
  python -m benchmarks compare runs/a runs/b            two versions of the code, paired by image
  python -m benchmarks merge runs/all runs/a runs/b     the results of several machines in one folder
  python -m benchmarks list methods                     names of methods, datasets, metrics, directions, suites, assets
  python -m benchmarks invert pti photo.jpg --out out   align and invert any photograph
  python -m benchmarks edit e4e+pti photo.jpg --edit yaw=-15 --edit smile=+2 --out out
                                                        invert a photograph, turn the head and smile
  python -m benchmarks train generator                  reproduce the embedded generator
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about)

    for name, about in (
        ("plan", "show what a suite would run and what is missing, without running it"),
        ("run", "invert, score and report; what is done already is kept"),
        ("score", "compute the missing metrics of what has been inverted"),
        ("report", "write the tables and figures from the stored rows"),
        ("status", "how much of a suite is done, failed and missing"),
    ):
        command = add(name, about)
        command.add_argument("suite", help="name of a shipped suite, or a YAML file")
        command.add_argument("overrides", nargs="*", help="settings as key=value, e.g. seed=1 datasets[0].limit=4")
        command.add_argument("--out", type=Path, help="folder of the results (default: runs/SUITE)")
        if name == "run":
            command.add_argument(
                "--resume",
                choices=["missing", "failed", "all", "none"],
                default="missing",
                help="which images to invert: those not done yet (default), those and the failed ones, all, or none",
            )
            command.add_argument("--shard", default="0/1", help="i/n: every n-th image from i on, for several machines")
            command.add_argument("--only", choices=["invert", "edit"], help="stop after inverting, or edit only")
            command.add_argument(
                "--executor",
                choices=["local", "submitit", "ray"],
                default="local",
                help="what starts the workers: processes here (default), SLURM through submitit, or Ray",
            )
            command.add_argument(
                "--workers", type=int, default=0, metavar="N", help="workers (default: the suite's setting)"
            )
            command.add_argument(
                "--threads",
                type=int,
                default=1,
                metavar="N",
                help="threads of a worker on a CPU; more than 1 may change last digits; 0: cores divided by workers",
            )
            command.add_argument(
                "--timeout",
                type=float,
                default=0.0,
                metavar="SECONDS",
                help="end a worker whose image takes longer; its images are tried again (default: wait for ever)",
            )
            command.add_argument(
                "--engine", action="append", default=[], metavar="KEY=VALUE", help="a setting of submitit or Ray"
            )
            # Of workers that an executor starts.
            command.add_argument("--worker", default="", help=argparse.SUPPRESS)
            command.add_argument("--before", default="", help=argparse.SUPPRESS)
        if name == "report":
            command.add_argument(
                "--layout",
                action="append",
                default=[],
                metavar="NAME|FILE.yaml",
                help="also arrange the tables by a layout, shipped (see reports/layouts) or your own; may be repeated",
            )
            command.add_argument("--images", nargs="+", default=[], metavar="ID", help="images that the grids show")
            command.add_argument("--rank-by", default="", metavar="METRIC", help="metric that picks the grids' images")
        if name in ("run", "report"):
            command.add_argument(
                "--wandb", choices=["offline", "online"], help="log the finished run to Weights & Biases, too"
            )
    command = add("compare", "compare two finished runs of one recipe, paired by image, as markdown")
    command.add_argument("a", type=Path, help="folder of the first run, e.g. of the main branch")
    command.add_argument("b", type=Path, help="folder of the second run, e.g. of a pull request")
    command.add_argument(
        "--across",
        action="append",
        default=[],
        choices=["generators", "settings", "seeds"],
        help="compare although these differ; metrics and images must agree always; may be repeated",
    )
    command.add_argument("--out", type=Path, help="file to write (default: print)")
    command = add("merge", "merge the results of several machines; refuses mixed recipes")
    command.add_argument("out", type=Path, help="folder of the merged results; what it holds already comes first")
    command.add_argument("folders", nargs="+", type=Path, help="--out folders of the machines")
    command.add_argument(
        "--across", action="append", default=[], choices=["settings"], help="merge methods of different settings"
    )
    command = add("list", "names of what the suite knows")
    command.add_argument("what", choices=["methods", "datasets", "metrics", "directions", "suites", "assets"])
    command = add("fetch", "download, verify and convert assets into the cache")
    command.add_argument("name", nargs="?", default="faces64", help="an asset or a suite (default: faces64)")
    command = add("train", "train a network of the embedded world; resumes by itself")
    command.add_argument(
        "name",
        help="what to train: generator, psp, e4e, restyle_psp, restyle_e4e, interestyle, hyperstyle_w_encoder, "
        "hyperstyle or directions (of edits)",
    )
    command.add_argument("overrides", nargs="*", help="settings as key=value")
    command.add_argument("--out", type=Path, help="folder of checkpoints, log and samples (default: runs/train-NAME)")
    command.add_argument("--processes", type=int, default=2, help="data-parallel processes (default: 2)")
    command.add_argument("--minutes", type=float, help="stop after so many minutes; run again to go on")
    for name, about in (
        ("invert", "invert photographs: align, invert, write pictures, latent and metrics"),
        ("edit", "invert photographs and move them along edit directions"),
    ):
        command = add(name, about)
        command.add_argument("method", help="a method, see `list methods`")
        command.add_argument("images", nargs="+", type=Path, help="files of any common image format")
        command.add_argument("--out", type=Path, required=True, help="folder of the results")
        command.add_argument("--suite", default="faces64", help="suite whose generator and settings are used")
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a suite setting")
        if name == "edit":
            command.add_argument(
                "--edit",
                action="append",
                required=True,
                metavar="NAME=AMOUNT",
                help="a direction and a change of its attribute in the attribute's unit (yaw=-15: degrees), or in\n"
                "standard deviations of the generator's codes (yaw=-2sd); may be repeated",
            )
            command.add_argument(
                "--directions",
                type=Path,
                metavar="FILE",
                help="directions of `train directions` (.safetensors) or of InterFaceGAN (.pt, .npy);\n"
                "default: those that come with the generator, see `list directions`",
            )
    return top


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _dispatch(options)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, StoppedError) as error:
        print(f"error: {error}\nstopped; what was done is kept, run the same command to go on", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was done is kept, run the same command to go on", file=sys.stderr)
        return 130


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    """Settings may stand behind options too, where argparse takes no more positional arguments."""
    top = parser()
    options, rest = top.parse_known_args(arguments)
    if rest and (not hasattr(options, "overrides") or any(word.startswith("-") for word in rest)):
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides += rest
    return options


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _dispatch(options: argparse.Namespace) -> int:
    # Imports wait until they are needed: `--help` and errors should not cost the loading of torch.
    if options.command == "list":
        from benchmarks.cli.listing import print_list

        return print_list(options.what)
    if options.command == "fetch":
        from benchmarks.cli.listing import fetch

        return fetch(options.name)
    if options.command == "train":
        from benchmarks.cli.train import train

        out = options.out or Path("runs") / f"train-{options.name}"
        return train(options.name, options.overrides, out, options.processes, options.minutes)
    if options.command == "invert":
        from benchmarks.cli.invert import invert_photographs

        return invert_photographs(options.method, options.images, options.out, options.suite, options.set)
    if options.command == "edit":
        from benchmarks.cli.edit import edit_photographs

        return edit_photographs(
            options.method, options.images, options.out, options.suite, options.set, options.edit, options.directions
        )
    if options.command in ("compare", "merge"):
        from benchmarks.cli import sharing

        return sharing.compare_command(options) if options.command == "compare" else sharing.merge_command(options)
    from benchmarks.cli import suite as commands

    return commands.run_suite_command(options)
