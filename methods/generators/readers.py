"""Reading and writing generators: `load_generator` is the one door."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from methods.generators.ada import config_from_ada, from_ada, is_ada
from methods.generators.stylegan2 import Generator, GeneratorConfig

WEIGHTS = Path(__file__).parent / "weights"
_FILTERS = re.compile(r"(^|\.)(blur|upsample)\.kernel$")


def embedded() -> dict[str, Path]:
    """Generators that the suite carries, by name."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def load_generator(source: str | Path) -> Generator:
    """A StyleGAN2 generator in eval mode, float32, on the CPU, frozen.

    source: "toy" (random weights, for tests), the name of an embedded generator (`faces64`), or a file:
    .safetensors of this suite, or .pt of config-f (`g_ema`, `latent_avg`). Raises FileNotFoundError, or ValueError
    that names the file and what was found in it.
    """
    if source == "toy":
        return toy_generator()
    named = embedded()
    path = named.get(str(source)) or Path(source)
    if not path.exists():
        raise FileNotFoundError(
            f"no generator {str(source)!r}: neither a file nor an embedded one ({', '.join(['toy', *named])})"
        )
    readers = {".safetensors": _load_safetensors, ".pt": _load_config_f, ".pth": _load_config_f}
    if path.suffix not in readers:
        raise ValueError(f"{path}: generators are read from .safetensors and .pt files, found {path.suffix!r}")
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
    if half:
        state = {k: v.half() for k, v in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, metadata={"config": json.dumps(asdict(generator.config)), **(card or {})})


def build(config: GeneratorConfig, state: dict[str, Tensor], path: Path) -> Generator:
    """A generator from config-f tensors. Raises ValueError that lists missing, unexpected and non-finite ones."""
    generator = Generator(config)
    expected = generator.state_dict()
    # Filters are constants of the network; files may hold them or not.
    needed = {k for k in expected if not _FILTERS.search(k)} - {"latent_avg"}
    missing = sorted(needed - set(state))
    extra = sorted(set(state) - set(expected))
    shapes = [
        f"{k} {list(state[k].shape)} instead of {list(expected[k].shape)}"
        for k in state
        if k in expected and state[k].shape != expected[k].shape
    ]
    broken = [k for k, v in state.items() if not bool(v.isfinite().all())]
    for found, what in (
        (missing, "lacks"),
        (extra, "has unexpected"),
        (shapes, "has wrong shapes"),
        (broken, "is not finite in"),
    ):
        if found:
            raise ValueError(f"{path}: {what} {', '.join(found[:4])}{' ...' if len(found) > 4 else ''} ({len(found)})")
    generator.load_state_dict({**expected, **{k: v.float() for k, v in state.items()}})
    return _finish(generator, mean_known="latent_avg" in state)


def _finish(generator: Generator, mean_known: bool) -> Generator:
    generator.eval().requires_grad_(False)
    if not mean_known:
        # As the encoders do when a file has none, but with a fixed seed.
        z = torch.randn(10_000, generator.z_dim, generator=torch.Generator().manual_seed(0))
        generator.latent_avg.copy_(generator.style(z).mean(0))
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
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for broken or unsafe files
        raise ValueError(f"{path}: not a checkpoint of plain tensors ({error})") from error
    state = dict(checkpoint.get("g_ema", checkpoint)) if isinstance(checkpoint, dict) else {}
    if is_ada(state):
        return build(config_from_ada(state), from_ada(state), path)
    config = config_from_state(state, path)
    mean = checkpoint.get("latent_avg")
    if mean is not None:
        state["latent_avg"] = mean.reshape(-1, config.w_dim)[0]
    return build(config, state, path)
