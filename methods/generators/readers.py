"""Reading and writing generators: `load_generator` is the one door."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from datasets import assets
from datasets.checkpoints import check_tensors, part, read_checkpoint, tensors
from inversion_bench.registry import Registry, near_miss
from methods.generators.ada import config_from_ada, from_ada, is_ada
from methods.generators.ada_pickle import read_generator
from methods.generators.stylegan2 import Generator, GeneratorConfig

WEIGHTS = Path(__file__).parent / "weights"
_FILTERS = re.compile(r"(^|\.)(blur|upsample)\.kernel$")
MEAN_DRAWS = 10_000
# A target is a function without arguments that returns a Generator.
GENERATORS: Registry[Callable[[], Generator]] = Registry(
    "generator", {"toy": "methods.generators.readers:toy_generator"}, "inversion_bench.generators"
)


def bundled() -> dict[str, Path]:
    """Generators that the suite carries, by name."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def load_generator(source: str | Path) -> Generator:
    """A StyleGAN2 generator in eval mode, float32, on the CPU, frozen.

    A file without the mean of W is warned of, and the mean is computed with a fixed seed (`mean_source`).

    Args:
        source: a name in GENERATORS ("toy": random weights, for tests), of a bundled generator (`faces64`) or of an
            asset; `package.module:function` that returns a Generator; or a file: .safetensors of this suite, .pt of
            config-f (`g_ema`, `latent_avg`; an encoder's file gives its decoder), or .pkl of StyleGAN2-ADA (G_ema;
            nothing in it is run).

    Raises:
        FileNotFoundError: there is neither such a name nor such a file.
        ValueError: names the file, and what was found.

    Example:
        >>> load_generator("faces64").resolution
        64
    """
    name, named = str(source), bundled()
    readers = {
        ".safetensors": _load_safetensors,
        ".pt": _load_config_f,
        ".pth": _load_config_f,
        ".pkl": _load_ada,
    }
    if name in GENERATORS and Path(name).suffix not in readers:
        return GENERATORS.get(name)().eval().requires_grad_(False)
    path = named.get(name) or Path(assets.resolve(name))
    if not path.exists():
        known = [*GENERATORS.names(), *named]
        raise FileNotFoundError(f"no generator {name!r}: {near_miss(name, known)}known: {', '.join(known)}, or a file")
    if path.suffix not in readers:
        raise ValueError(f"{path}: generators are read from {', '.join(readers)} files, found {path.suffix!r}")
    try:
        return readers[path.suffix](path)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        if str(path) in str(error):
            raise
        # A file may hold anything: whatever its content runs into, the answer names the file.
        raise ValueError(f"{path}: no generator that can be read ({type(error).__name__}: {error})") from error


def toy_generator(seed: int = 0) -> Generator:
    """A small 64 px generator of random weights: for tests and the smoke suite, not for figures."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = Generator(GeneratorConfig(64, (16, 16, 8, 8, 8), z_dim=16, w_dim=16, mapping_layers=2))
    return _finish(generator, mean_known=False)


def save_generator(generator: Generator, path: Path, half: bool = False, card: dict[str, str] | None = None) -> None:
    """Write weights, shape and card; half: float16 weights, for files that are committed."""
    state = {k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items() if not _FILTERS.search(k)}
    card = {"mean_of_w": generator.mean_source, **(card or {})}
    if half:
        state = {k: v.half() for k, v in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, metadata={"config": json.dumps(asdict(generator.config)), **card})


def build(config: GeneratorConfig, state: dict[str, Tensor], path: Path) -> Generator:
    """A generator from config-f tensors. Raises ValueError that lists missing, unexpected and non-finite ones."""
    if config.mapping_layers > len(state):
        raise ValueError(f"{path}: says {config.mapping_layers} mapping layers and holds {len(state)} tensors")
    with torch.device("meta"):  # a header may lie about the size; this costs nothing
        expected = Generator(config).state_dict()
    # Filters are constants of the network; files may hold them or not.
    filters = {k for k in expected if _FILTERS.search(k)}
    check_tensors(path, state, expected, optional=filters | {"latent_avg"})
    generator = Generator(config)
    generator.load_state_dict({**generator.state_dict(), **{k: v.float() for k, v in state.items()}})
    generator = _finish(generator, mean_known="latent_avg" in state)
    if "latent_avg" not in state:
        warnings.warn(f"{path}: has no mean of W (latent_avg); {generator.mean_source} stands for it", stacklevel=2)
    return generator


def _finish(generator: Generator, mean_known: bool) -> Generator:
    generator.eval().requires_grad_(False)
    if not mean_known:
        # As the encoders do when a file has none, but with a fixed seed.
        z = torch.randn(MEAN_DRAWS, generator.z_dim, generator=torch.Generator().manual_seed(0))
        generator.latent_avg.copy_(generator.style(z).mean(0))
        generator.mean_source = f"the mean over {MEAN_DRAWS:,} latents of seed 0"
    return generator


def _load_safetensors(path: Path) -> Generator:
    with safe_open(path, framework="pt") as handle:
        metadata = handle.metadata() or {}
        if "config" not in metadata:
            raise ValueError(f"{path}: no generator of this suite (its header has no `config`)")
        state = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    settings = json.loads(metadata["config"])
    settings["channels"] = tuple(settings["channels"])
    return build(GeneratorConfig(**settings), state, path)


def config_from_state(state: dict[str, Tensor], path: Path) -> GeneratorConfig:
    """Shape of the network behind a config-f state dict."""
    levels = len([k for k in state if re.fullmatch(r"to_rgbs\.\d+\.bias", k)])
    if "input.input" not in state or "style.1.weight" not in state or not levels:
        raise ValueError(f"{path}: holds no config-f generator; its first keys are {list(state)[:4]}")
    widths = [state["conv1.conv.weight"].shape[1]]
    widths += [state[f"convs.{2 * i + 1}.conv.weight"].shape[1] for i in range(levels)]
    return GeneratorConfig(
        resolution=4 * 2**levels,
        channels=tuple(widths),
        z_dim=state["style.1.weight"].shape[1],
        w_dim=state["style.1.weight"].shape[0],
        mapping_layers=len([k for k in state if re.fullmatch(r"style\.\d+\.weight", k)]),
    )


def _load_config_f(path: Path) -> Generator:
    checkpoint = read_checkpoint(path)
    if not isinstance(checkpoint, dict):
        raise ValueError(f"{path}: holds no generator but {type(checkpoint).__name__}")
    if "state_dict" in checkpoint:  # an encoder's file, which carries the generator that it was trained with
        state = part(tensors(checkpoint["state_dict"], path, "state_dict"), "decoder.")
    elif "g_ema" in checkpoint:
        state = tensors(checkpoint["g_ema"], path, "g_ema")
    else:
        state = tensors({k: v for k, v in checkpoint.items() if k != "latent_avg"}, path)
    return from_state(state, checkpoint.get("latent_avg"), path)


def from_state(state: dict[str, Tensor], mean: Tensor | None, path: Path) -> Generator:
    """A generator from tensors in either layout; mean: W's mean [w_dim] or rows of it, where the file has one."""
    if is_ada(state):
        return build(config_from_ada(state), from_ada(state), path)
    config = config_from_state(state, path)
    if mean is not None:
        state = {**state, "latent_avg": mean.reshape(-1, config.w_dim)[0]}
    return build(config, state, path)


def _load_ada(path: Path) -> Generator:
    state, clamp = read_generator(path)
    return build(config_from_ada(state, clamp), from_ada(state), path)
