"""A complete world from a set of images: a generator, encoders, what builds on them, edit directions, and a suite.

Every step is one `python -m benchmarks train` in a process and a folder of its own, so that it can be run, resumed and
read alone. A step whose file is there is done.
"""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from inversion_bench.files import write_text
from methods.training.spec import configured

log = logging.getLogger(__name__)

# IntereStyle and its ablations, by the name of their files.
INTERESTYLE: dict[str, list[str]] = {
    "interestyle": [],
    "interestyle-no_region": ["interest.region_loss=false"],
    "interestyle-no_disentanglement": ["interest.disentanglement=0"],
    "interestyle-no_filter": ["interest.filter=none"],
}
ENCODERS = ("hyperstyle_w_encoder", "restyle_psp", "psp", "e4e", "restyle_e4e", "lsap")
# Every step, in an order in which they can run, with what it needs: by setting, the step whose file it gets.
_GENERATOR = {"generator": "generator"}
NEEDS: dict[str, dict[str, str]] = {
    "generator": {},
    "directions": _GENERATOR,
    "start": _GENERATOR,
    **dict.fromkeys((*ENCODERS, *INTERESTYLE), _GENERATOR | {"start": "start"}),
    "hyperstyle": _GENERATOR | {"w_encoder": "hyperstyle_w_encoder"},
    "hfgi": _GENERATOR | {"encoder": "e4e"},
    "styleres": _GENERATOR | {"encoder": "e4e", "discriminator": "generator"},
    "feature_style": _GENERATOR,
    "sfe": _GENERATOR | {"e4e": "e4e", "start": "feature_style", "directions": "directions"},
}
FACES_ONLY = (*INTERESTYLE, "sfe")  # IntereStyle's region is the face; SFE learns labelled edits, which faces have
START = 0.25  # of the other trainings' time and budget
POLL = 0.5  # seconds
SETTINGS_FILE = "world.yaml"


@dataclass(frozen=True)
class WorldConfig:
    """Settings of `python -m benchmarks train world NAME`.

    data, align, resolution: as for `train generator`. domain: "faces", or what else the images show; without faces
    there is no identity loss, no IntereStyle (its region is the face) and no labelled edit direction. start: a state to
    begin the generator's training from. images: that the generator sees. passes: budget of each encoder and of each
    network that builds on one. minutes: of the generator's training, and of all others together; 0 for no limit.
    parallel: trainings side by side. generator, encoders, directions: further settings of these trainings, such as
    `generator.batch=64`. networks: of single ones beside the generator, such as `networks.psp.batch=128`. steps: some
    of the steps by name; all when empty.
    """

    name: str
    data: str = "celeba"
    align: str = "ffhq"
    domain: str = "faces"
    resolution: int = 64
    start: str = ""
    images: int = 2_000_000
    passes: int = 40_000
    minutes: float = 0
    parallel: int = 1
    generator: dict[str, Any] = field(default_factory=dict)
    encoders: dict[str, Any] = field(default_factory=dict)
    directions: dict[str, Any] = field(default_factory=dict)
    networks: dict[str, Any] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """A training: the words after `train`, the file that it makes, and the steps that it needs."""

    name: str
    words: tuple[str, ...]
    product: Path
    needs: tuple[str, ...] = ()
    minutes: float = 0

    @property
    def folder(self) -> Path:
        return self.product.parent

    @property
    def done(self) -> bool:
        """The card is what a training writes last."""
        return self.product.with_suffix(".md").exists()

    def command(self, device: torch.device) -> list[str]:
        words = [sys.executable, "-m", "benchmarks", "train", *self.words, "--out", str(self.folder)]
        words += ["--device", str(device), "--quiet"]
        return words + (["--minutes", f"{self.minutes:g}"] if self.minutes else [])


def world(overrides: DictConfig) -> Any:
    """The training with settings overridden; it takes the output folder and the device.

    Raises:
        ValueError: there is no name.
        OmegaConfBaseException: an unknown setting.
    """
    if not overrides.get("name"):
        raise ValueError("a world needs a name: `train world NAME data=...`")
    return partial(make_world, configured(WorldConfig(overrides.name), overrides))


def steps_of(config: WorldConfig, out: Path) -> list[Step]:
    """All trainings of a world, in an order in which they can run. Raises ValueError for unknown `steps`."""
    faces, name = config.domain == "faces", config.name
    needs = {key: given for key, given in NEEDS.items() if faces or key not in FACES_ONLY}
    products = {key: out / key / f"{key}-{name}.safetensors" for key in needs}
    products["generator"] = out / "generator" / f"{name}.safetensors"
    discriminator = products["generator"].with_name(f"{name}-state.safetensors")
    images = (f"data={config.data}", f"align={config.align}")
    trained = [*images, f"budget={config.passes}", *([] if faces else ["losses.identity=0"]), *_words(config.encoders)]
    words = {key: [key, *trained] for key in needs}
    words |= {key: ["interestyle", *trained, f"name={key}", *more] for key, more in INTERESTYLE.items()}
    # All encoders start from one that knows the codes of the generator's samples.
    codes = ["synthetic=1", "losses.l2=0", "losses.lpips=0", "losses.identity=0", "latent=1", "name=start"]
    words["start"] = ["psp", *trained, *codes, f"budget={math.ceil(config.passes * START)}"]
    words["directions"] = ["directions", *([] if faces else ["attributes=[]"]), *_words(config.directions)]
    words["generator"] = [
        "generator",
        *images,
        f"domain={config.domain}",
        f"name={name}",
        f"resolution={config.resolution}",
        f"total_images={config.images}",
        *([f"start={config.start}"] if config.start else []),
        *([] if faces else ["detection_images=0"]),
        *_words(config.generator),
    ]
    # Half of the time is the generator's. The others share the rest: a short start, then rounds of so many at a time,
    # and at the end what builds on encoders; directions take little.
    rounds = math.ceil((len(needs) - 3) / config.parallel) + (config.parallel > 1)
    share = config.minutes / 2 / (rounds + START)
    minutes = {"generator": config.minutes / 2, "directions": 0.0, "start": share * START}
    steps = []
    for key, given in needs.items():
        files = [f"{setting}={discriminator if setting == 'discriminator' else products[step]}"
                 for setting, step in given.items()]  # fmt: skip
        own = (*words[key], *files, *_words(config.networks.get(key, {})))
        steps.append(Step(key, own, products[key], tuple(dict.fromkeys(given.values())), minutes.get(key, share)))
    unknown = ({*config.steps, *config.networks}) - {step.name for step in steps}
    if unknown:
        known = ", ".join(step.name for step in steps)
        raise ValueError(f"steps, networks: unknown {', '.join(sorted(unknown))}; known: {known}")
    return steps


def _words(settings: dict[str, Any]) -> list[str]:
    """Settings as KEY=VALUE words; a nested one with dots."""
    found = []
    for key, value in settings.items():
        if isinstance(value, dict):
            found += [f"{key}.{word}" for word in _words(value)]
        else:
            found.append(f"{key}={value}")
    return found


def make_world(config: WorldConfig, out: Path, device: torch.device) -> None:
    """Run the steps that are left and write OUT/NAME.yaml, a suite of what is there.

    Raises:
        ValueError: the folder holds another world, or a step failed; the message names its log.
    """
    _same_world(config, out)
    steps = steps_of(config, out)
    wanted = [step for step in steps if not config.steps or step.name in config.steps]
    waiting = [step for step in wanted if not step.done]
    done = {step.name for step in steps if step.done}
    failed: list[Step] = []
    running: dict[Step, tuple[subprocess.Popen[bytes], float]] = {}
    log.info("%s: %d of %d steps are done", config.name, len(wanted) - len(waiting), len(wanted))
    try:
        while waiting or running:
            for step, (process, began) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[step]
                if process.returncode or not step.done:
                    failed.append(step)
                    log.error("%s failed: %s", step.name, _last_line(step))
                    continue
                done.add(step.name)
                left = [other.name for other in wanted if other.name not in done]
                minutes = (time.monotonic() - began) / 60
                log.info("%s: done in %.1f min; left: %s", step.name, minutes, ", ".join(left) or "nothing")
            ready = [step for step in waiting if set(step.needs) <= done]
            for step in ready[: config.parallel - len(running)]:
                waiting.remove(step)
                running[step] = (_start(step, device), time.monotonic())
            if not running and not ready:
                break
            time.sleep(POLL)
    finally:
        for process, _ in running.values():
            process.terminate()
    write_text(out / f"{config.name}.yaml", suite(config, steps))
    if failed or waiting:
        blocked = f"; not begun for want of others: {', '.join(step.name for step in waiting)}" if waiting else ""
        logs = ", ".join(str(step.folder / "train.log") for step in failed) or "none"
        raise ValueError(f"steps failed: {', '.join(step.name for step in failed) or 'none'} (logs: {logs}){blocked}")
    log.info("%s is complete: `python -m benchmarks run %s`", config.name, out / f"{config.name}.yaml")


def _same_world(config: WorldConfig, out: Path) -> None:
    path = out / SETTINGS_FILE
    # What may change from one run to the next of the same world.
    free = ("minutes", "parallel", "steps")
    settings = {key: value for key, value in asdict(config).items() if key not in free}
    if path.exists():
        stored = OmegaConf.to_container(OmegaConf.load(path))
        assert isinstance(stored, dict)
        changed = [key for key, value in settings.items() if stored.get(key) != value]
        if changed:
            was = ", ".join(f"{key}={stored.get(key)}" for key in changed)
            raise ValueError(
                f"{path}: a world with {was}; go on with these settings, or choose another folder with --out"
            )
    write_text(path, OmegaConf.to_yaml(settings))


def _start(step: Step, device: torch.device) -> subprocess.Popen[bytes]:
    step.folder.mkdir(parents=True, exist_ok=True)
    command = step.command(device)
    log.info("%s: %s", step.name, " ".join(command[1:]))
    with (step.folder / "train.log").open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def _last_line(step: Step) -> str:
    path = step.folder / "train.log"
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return f"{lines[-1] if lines else 'no output'} ({path})"


def suite(config: WorldConfig, steps: list[Step]) -> str:
    """The YAML of a suite over the networks of a world that are there."""
    there = {step.name: str(step.product.resolve()) for step in steps if step.done}
    encoders = [name for name in (*ENCODERS, "interestyle") if name in there and name != "hyperstyle_w_encoder"]
    methods = [
        "sg2_w",
        "sg2_w_plus",
        *encoders,
        "pti",
        *[f"{name}+pti" for name in ("e4e", "interestyle") if name in there],
    ]
    others = [name for name in there if name not in ("generator", "directions", "start", *ENCODERS, *INTERESTYLE)]
    methods += others
    networks = [name for name in (*ENCODERS, "interestyle") if name in there] + others
    settings: dict[str, Any] = {name: {"weights": there[name]} for name in networks}
    faces = config.domain == "faces"
    if config.data == "celeba":
        dataset: dict[str, Any] = {"name": "celeba", "limit": 16}
    else:
        options = {
            "path": str(Path(config.data).expanduser().resolve()),
            "align": config.align,
            "domain": config.domain,
            "resolution": config.resolution,
        }
        dataset = {"name": "folder", "limit": 16, "options": options}
    metrics = ["mse", "psnr", "lpips_alex", *(["id_sface"] if faces else [])]
    content = {
        "name": config.name,
        "title": f"StyleGAN inversion on {config.name}",
        "generator": there.get("generator", ""),
        "methods": methods,
        "datasets": [dataset],
        "protocols": {"reconstruction": {"metrics": metrics}, "locality": {}, "latent": {}},
        "reference_method": "pti",
        "stage_settings": settings,
    }
    return (
        "# Written by `train world`; the images are those that the networks were trained on, or a sample of them.\n"
        + (OmegaConf.to_yaml(OmegaConf.create(content)))
    )
