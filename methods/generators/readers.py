"""Reading and writing generators: `load_generator` is the one door."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from datasets import assets
from datasets.checkpoints import check_tensors, describe, entries, header, read_checkpoint, reading
from datasets.module_pickles import Record, StoredTensor
from datasets.scope import TIGHT_FACES, Scope
from inversion_bench.files import atomic
from inversion_bench.registry import Registry, near_miss
from methods.generators.ada import STYLERES, STYLERES_CLAMP, config_from_ada, from_ada, is_ada
from methods.generators.ada_pickle import conv_clamp
from methods.generators.stylegan2 import Generator, GeneratorConfig

WEIGHTS = Path(__file__).parent / "weights"
_FILTERS = re.compile(r"(^|\.)(blur|upsample)\.kernel$")
MEAN_DRAWS = 10_000
SCOPES = {"toy": TIGHT_FACES}  # of generators whose file declares none
# A target is a function without arguments that returns a Generator.
GENERATORS: Registry[Callable[[], Generator]] = Registry(
    "generator", {"toy": "methods.generators.readers:toy_generator"}, "inversion_bench.generators"
)


def bundled() -> dict[str, Path]:
    """Generators that the suite carries, by name."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def load_generator(source: str | Path) -> Generator:
    """A StyleGAN2 generator in eval mode, float32, on the CPU, frozen.

    A file without the mean of W is warned of, and the mean is computed with a fixed seed (`mean_source`). Frame and
    domain of its images (`scope`) come from a header of this suite, or from the name of an official generator.

    Args:
        source: a name in GENERATORS ("toy": random weights, for tests), of a bundled generator (`celeba64`) or of an
            asset; `package.module:function` that returns a Generator; or a file, whatever its suffix: safetensors of
            this suite, config-f (`g_ema`, `latent_avg`; an encoder's file gives its decoder), or a network that
            StyleGAN2-ADA pickled (G_ema) or PTI tuned. Nothing in it is run.

    Raises:
        FileNotFoundError: there is neither such a name nor such a file.
        ValueError: names the file, and what was found.

    Example:
        >>> load_generator("celeba64").resolution
        64
    """
    name, named = assets.expanded(str(source)), bundled()
    if name in GENERATORS and not Path(name).is_file():
        return _declared(GENERATORS.get(name)().eval().requires_grad_(False), name)
    path = named.get(name) or Path(assets.resolve(name))
    if not path.exists():
        known = [*GENERATORS.names(), *named]
        raise FileNotFoundError(f"no generator {name!r}: {near_miss(name, known)}known: {', '.join(known)}, or a file")
    with reading(path, "generator"):
        own = header(path)
        content = read_checkpoint(path)
        made = _own(content, own, path) if "config" in own else _published(content, path)
    return _declared(made, name)


def _declared(generator: Generator, name: str) -> Generator:
    """The generator with the scope of its name, where its file declares none."""
    known = assets.registry().get(name)
    of_name = Scope(known.frame, known.domain) if known else SCOPES.get(Path(name).stem, Scope())
    generator.scope = generator.scope.over(of_name)
    return generator


def trained_on(source: str | Path) -> str:
    """The data that a bundled generator or a .safetensors file was trained on, "" if its header does not say."""
    path = bundled().get(str(source)) or Path(assets.resolve(str(source)))
    return header(path).get("data", "") if path.is_file() else ""


def toy_generator(seed: int = 0) -> Generator:
    """A small 64 px generator of random weights: for tests and the smoke suite, not for figures."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = Generator(GeneratorConfig(64, (16, 16, 8, 8, 8), z_dim=16, w_dim=16, mapping_layers=2))
    return _finish(generator, mean_known=False)


def save_generator(
    generator: Generator, path: Path, half: bool = False, card: dict[str, str] | None = None, filters: bool = False
) -> None:
    """Write a generator as safetensors with its shape in the header.

    Args:
        generator: the generator.
        path: of the file.
        half: float16 weights, for files that are committed.
        card: further facts for the header.
        filters: whether the constant filters are written, too, which other programs expect.
    """
    own = generator.state_dict().items()
    state = {k: v.detach().cpu().contiguous() for k, v in own if filters or not _FILTERS.search(k)}
    scope = {key: value for key, value in asdict(generator.scope).items() if value}
    card = {"mean_of_w": generator.mean_source, **scope, **(card or {})}
    if half:
        state = {k: v.half() for k, v in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        save_file(state, temporary, metadata={"config": json.dumps(asdict(generator.config)), **card})


def export_generator(generator: Generator, path: Path) -> None:
    """Write a generator for other programs.

    Args:
        generator: the generator; of a tuned one all weights are written.
        path: .pt for config-f's layout (`g_ema` with the noise maps and filters, `latent_avg`), which
            rosinality/stylegan2-pytorch and the encoders' repositories load; else safetensors of the same tensors.
    """
    if generator.config.conv_clamp is not None:
        warnings.warn(
            f"{path}: this generator bounds its layers' outputs (conv_clamp {generator.config.conv_clamp:g}); programs "
            "that read config-f's layout do not",
            stacklevel=2,
        )
    if path.suffix != ".pt":
        return save_generator(generator, path, filters=True)
    state = {key: value.detach().cpu().clone() for key, value in generator.state_dict().items()}
    mean = state.pop("latent_avg")
    with atomic(path) as temporary:
        torch.save({"g_ema": state, "latent_avg": mean}, temporary)


def build(config: GeneratorConfig, state: dict[str, Tensor], path: Path) -> Generator:
    """A generator from config-f tensors. Raises ValueError that lists missing, unexpected and non-finite ones."""
    if config.mapping_layers > len(state):
        raise ValueError(f"{path}: says {config.mapping_layers} mapping layers and holds {len(state)} tensors")
    with torch.device("meta"):  # a header may lie about the size; this costs nothing
        expected = Generator(config).state_dict()
    # Filters are constants of the network; files may hold them or not.
    filters = {k for k in expected if _FILTERS.search(k)}
    maps = {k for k in expected if k.startswith("noises.")}
    check_tensors(path, state, expected, optional=filters | maps | {"latent_avg"})
    generator = Generator(config)
    generator.load_state_dict({**generator.state_dict(), **{k: v.float() for k, v in state.items()}})
    if drawn := sorted(maps - set(state)):
        noise = torch.Generator().manual_seed(0)
        for key in drawn:
            generator.get_buffer(key).copy_(torch.randn(expected[key].shape, generator=noise))
        warnings.warn(f"{path}: has no noise maps; {len(drawn)} are drawn with seed 0", stacklevel=2)
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


def _own(state: dict[str, Tensor], card: Mapping[str, str], path: Path) -> Generator:
    settings = json.loads(card["config"])
    settings["channels"] = tuple(settings["channels"])
    generator = build(GeneratorConfig(**settings), state, path)
    generator.scope = Scope(card.get("frame", ""), card.get("domain", ""))
    return generator


def config_from_state(state: dict[str, Tensor], path: Path) -> GeneratorConfig:
    """Shape of the network behind a config-f state dict."""
    levels = len([k for k in state if re.fullmatch(r"to_rgbs\.\d+\.bias", k)])
    if "input.input" not in state or "style.1.weight" not in state or not levels:
        raise ValueError(f"{path}: holds no config-f generator; its first keys are {list(state)[:4]}")
    channels = state["to_rgbs.0.bias"].numel()
    if channels != 3:
        raise ValueError(f"{path}: its images have {channels} channel{'s' * (channels > 1)}; 3 (RGB) are read")
    widths = [state["conv1.conv.weight"].shape[1]]
    widths += [state[f"convs.{2 * i + 1}.conv.weight"].shape[1] for i in range(levels)]
    return GeneratorConfig(
        resolution=4 * 2**levels,
        channels=tuple(widths),
        z_dim=state["style.1.weight"].shape[1],
        w_dim=state["style.1.weight"].shape[0],
        mapping_layers=len([k for k in state if re.fullmatch(r"style\.\d+\.weight", k)]),
    )


def _published(content: Any, path: Path) -> Generator:
    """The generator in a file of others: wherever its tensors lie, the moving average before the trained weights."""
    held = dict(entries(content))
    places = [match[1] for name in held if (match := _SIGN.match(name))]
    if not places:
        raise ValueError(
            f"{path}: holds no config-f generator, nor one of StyleGAN2-ADA; looked for g_ema, G_ema, decoder or its "
            f"bare tensors, found {describe(content)}"
        )
    place = min(places, key=_rank)
    if _rank(place) == _TRAINED:
        warnings.warn(
            f"{path}: has no moving average of the weights (g_ema, G_ema); {place.rstrip('.')!r} is taken", stacklevel=4
        )
    below = {name.removeprefix(place): value for name, value in held.items() if name.startswith(place)}
    state = {name: value for name, value in below.items() if isinstance(value, Tensor | StoredTensor)}
    mean = content.get("latent_avg") if isinstance(content, Mapping) else None
    if mean is not None and not torch.is_tensor(mean):
        raise ValueError(f"{path}: latent_avg is not a tensor but of type {type(mean).__name__}")
    if not place:
        state.pop("latent_avg", None)
    modules = {f"{name}." if name else "": value for name, value in held.items() if isinstance(value, Record)}
    clamp = conv_clamp((name.removeprefix(place), value) for name, value in modules.items() if name.startswith(place))
    if clamp is None and any(f".{STYLERES}" in name for name in state):
        clamp = STYLERES_CLAMP
    unpacked = {name: value.unpack() if isinstance(value, StoredTensor) else value for name, value in state.items()}
    return from_state(unpacked, mean, path, clamp)


_SIGN = re.compile(r"(|.*\.)(?:conv1\.conv\.modulation\.weight|synthesis\.b4\.conv1\.weight)$")
_TRAINED = 2


def _rank(place: str) -> int:
    """Which of several generators of a file is taken: the lowest."""
    last = place.rstrip(".").lower().rpartition(".")[2]
    return 0 if "ema" in last or "smooth" in last else 1 if last in ("", "decoder") else _TRAINED


def from_state(state: dict[str, Tensor], mean: Tensor | None, path: Path, clamp: float | None = None) -> Generator:
    """A generator from tensors in either layout.

    Args:
        state: its tensors.
        mean: W's mean [w_dim], or a row of it for each W+ layer, where the file has one.
        path: of the file, for messages.
        clamp: bound on the layers' outputs of StyleGAN2-ADA's networks.

    Raises:
        ValueError: names the file, and what does not fit.
    """
    with reading(path, "generator"):
        if is_ada(state):
            return build(config_from_ada(state, clamp), from_ada(state), path)
        config = config_from_state(state, path)
        if mean is not None:
            if mean.shape[-1:] != (config.w_dim,) or mean.ndim > 2 or not mean.numel():
                raise ValueError(f"latent_avg is {list(mean.shape)}, expected [{config.w_dim}] or rows of it")
            state = {**state, "latent_avg": mean.reshape(-1, config.w_dim)[0]}
        return build(config, state, path)
