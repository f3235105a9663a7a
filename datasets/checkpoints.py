"""Checkpoints: `read_checkpoint` is the one door for weights, whatever form they have; networks are filled from here.

A file is known by its first bytes (datasets.file_kinds), then by the names in it, never by its suffix. Nothing in it
is run. What a file claims is compared with what it holds before memory is taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from datasets import file_kinds
from datasets.module_pickles import MOST_EXPANDED, Record, StoredTensor, read_pickle, read_torch
from datasets.pickles import UnsafePickleError
from datasets.torch_files import load_plain
from inversion_bench.errors import AssetMissingError

COUNTERS = re.compile(r"(^|\.)num_batches_tracked$")  # older releases of torch wrote none
Network = TypeVar("Network", bound=torch.nn.Module)
_PARALLEL = re.compile(r"(^|(?<=\.))module\.")
MOST_EXPANDED_IN_ALL = 2**29  # numbers that a file's tensors may claim beyond those that it holds
_MOST_ENTRIES, _DEPTH = 1_000_000, 32
# What a file holds, by a name in it, with where that belongs; the first that fits.
_SIGNS: tuple[tuple[str, str], ...] = (
    (r"(^|\.)synthesis\.(L\d+_\d+_\d+|input\.(freqs|transform))",
     "a StyleGAN3 generator (or StyleGAN-XL's, -T's): only StyleGAN2's are read"),
    (r"(^|\.)hypernet\.", "a HyperStyle hypernetwork; `stage_settings.hyperstyle.weights=FILE` takes it"),
    (r"(^|\.)grid_align\.", "HFGI's networks; `stage_settings.hfgi.weights=FILE` takes it"),
    (r"(^|\.)modify_feature_", "StyleRes; `stage_settings.styleres.weights=FILE` takes it"),
    (r"(^|\.)(fs_backbone|fuser)\.", "StyleFeatureEditor; `stage_settings.sfe.weights=FILE` takes it"),
    (r"(^|\.)encoder\.(\w+\.)*?(input_layer|styles|body|conv1)\.",
     "an encoder of pSp's or e4e's kind; `stage_settings.STAGE.weights=FILE` takes it"),
    (r"(^|\.)synthesis\.b4\.", "a StyleGAN2-ADA generator; `generator=FILE` takes it"),
    (r"(^|\.)conv1\.conv\.modulation\.", "a StyleGAN2 generator; `generator=FILE` takes it"),
    (r"^direction\.", "edit directions of this suite; `edit --directions FILE` takes them"),
    (r"^comp$", "GANSpace's components; `edit --directions FILE` takes them"),
    (r"(^|\.)(b4\.(epilogue|conv|fc|out)|final_linear|b\d+\.fromrgb)(\.|$)", "a discriminator"),
    (r"(^|\.)param_groups(\.|$)", "the state of an optimizer, which has no weights"),
)  # fmt: skip


def read_checkpoint(path: Path) -> Any:
    """The content of a file of weights.

    Args:
        path: safetensors, a file of `torch.save`, a pickle of modules, or an array (.npy); the suffix does not matter.

    Returns:
        Tensors on the CPU and plain Python values as the file nests them; pickled modules as Records.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is something else; the message names the file, what it is and the way on.
    """
    kind = file_kinds.identify(path)
    with reading(path, "checkpoint"):
        if kind == "safetensors":
            return read_safetensors(path)[0]
        if kind == "numpy":
            return torch.as_tensor(np.load(path, allow_pickle=False))
        try:
            content = read_pickle(path) if kind == "pickle" else _read_torch(path)
        except UnsafePickleError as error:
            raise UnsafePickleError(f"{path}: {error}") from None
        except ValueError as error:
            raise ValueError(f"{path}: not a checkpoint of plain tensors ({error})") from error
        _check_claims(content, path)
        return content


def _read_torch(path: Path) -> Any:
    """Plain values, or else whole modules and options of unknown classes, as names and data."""
    try:
        with path.open("rb") as handle:
            return load_plain(handle, path.name)
    except ValueError as refusal:
        try:
            return read_torch(path)
        except Exception:  # the first reader says it better
            raise refusal from None


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the header's metadata of a safetensors file; errors as `read_checkpoint`."""
    if file_kinds.identify(path) != "safetensors":
        raise ValueError(f"{path}: no safetensors but a file of torch or numpy")
    with reading(path, "safetensors file"), safe_open(path, framework="pt") as handle:
        return {key: handle.get_tensor(key) for key in handle.keys()}, handle.metadata() or {}  # noqa: SIM118


def header(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file's header; nothing for files of other kinds. Errors as `read_checkpoint`."""
    if file_kinds.identify(path) != "safetensors":
        return {}
    with reading(path, "safetensors file"), safe_open(path, framework="pt") as handle:
        return dict(handle.metadata() or {})


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """A file may hold anything: whatever its content runs into becomes a ValueError that names the file."""
    try:
        yield
    except (AssetMissingError, FileNotFoundError):
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        # A ValueError says what is wrong; others are what a wrong content ran into.
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}: no {what} that can be read ({reason})") from error


def entries(content: Any) -> Iterator[tuple[str, Any]]:
    """All that a checkpoint holds, by names with dots: tensors, modules (Records) and values.

    DataParallel's `module.` is left out of names. Raises ValueError for a file that nests without end.
    """
    stack: list[tuple[str, Any, int]] = [("", content, 0)]
    for _count in range(_MOST_ENTRIES):
        if not stack:
            return
        name, value, depth = stack.pop()
        below: Any = {}
        if isinstance(value, Record):
            yield name, value
            below = value.children()
        elif isinstance(value, Mapping):
            below = value
        elif isinstance(value, list | tuple):
            below = dict(enumerate(value))
        else:
            yield name, value
        if depth > _DEPTH:
            raise ValueError(f"its content nests deeper than {_DEPTH} levels")
        named = [(f"{name}.{key}" if name else str(key), each, depth + 1) for key, each in below.items()]
        stack += [(_PARALLEL.sub("", key), each, level) for key, each, level in reversed(named)]
    raise ValueError(f"it holds more than {_MOST_ENTRIES:,} entries")


def describe(content: Any) -> str:
    """What a checkpoint's content looks like, for messages: a network that its names tell, or its first names."""
    if torch.is_tensor(content):
        return f"one tensor {list(content.shape)}; a direction's file goes to `edit --directions FILE`"
    names = [name for name, _ in entries(content)]
    for pattern, what in _SIGNS:
        if any(re.search(pattern, name) for name in names):
            return what
    if isinstance(content, Record):
        return f"a pickled {content.class_name}"
    if isinstance(content, list | tuple):
        return f"a sequence of {len(content)} without names"
    if not isinstance(content, Mapping):
        return f"one {type(content).__name__}"
    keys = list(map(str, content))
    return f"{', '.join(keys[:4]) or 'nothing'}{' ...' if len(keys) > 4 else ''}"


def _check_claims(content: Any, path: Path) -> None:
    """Raises ValueError for tensors that claim far more numbers than the file holds for them."""
    total = 0
    for name, value in entries(content):
        if not torch.is_tensor(value) or value.layout != torch.strided:
            continue
        stored = value.untyped_storage().nbytes() // max(1, value.element_size())
        total += max(0, value.numel() - stored)
        if value.numel() - stored > MOST_EXPANDED or total > MOST_EXPANDED_IN_ALL:
            raise ValueError(
                f"{path}: {name or 'its tensor'} claims {value.numel():,} numbers {list(value.shape)}, the file holds "
                f"{stored:,} of them"
            )


def tensors(content: Any, path: Path, entry: str = "") -> dict[str, Tensor]:
    """A state dict, without the `module.` of DataParallel in its names.

    Args:
        content: of a checkpoint.
        path: of the checkpoint, for messages.
        entry: part of the file, for messages.

    Raises:
        ValueError: content is not a state dict.
    """
    where = f"{path}: {entry}" if entry else str(path)
    if isinstance(content, Record):  # a whole module
        found = entries(content)
        content = {name: value.unpack() for name, value in found if isinstance(value, StoredTensor)}
    if not isinstance(content, Mapping):
        raise ValueError(f"{where} is not a state dict but of type {type(content).__name__}")
    state: dict[str, Tensor] = {}
    for key, value in content.items():
        name = _PARALLEL.sub("", str(key))
        if not torch.is_tensor(value):
            raise ValueError(f"{where}: {key} is not a tensor but of type {type(value).__name__}")
        if name in state:
            raise ValueError(f"{where}: {name} is there twice, with and without DataParallel's prefix")
        state[name] = value
    return state


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors with a prefix such as "decoder.", which is removed."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def check_tensors(
    path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], optional: Collection[str] = ()
) -> None:
    """Compare a file's tensors with those of a network.

    Args:
        path: of the file, for messages.
        tensors: the file's.
        expected: the state dict of the network, possibly on the meta device.
        optional: names that the file may lack, besides the counters of batch norms.

    Raises:
        ValueError: tensors are missing, unexpected, not finite or of another shape; the message lists them.
    """
    if tensors and not set(tensors) & set(expected):
        raise ValueError(
            f"{path}: another network: it holds {describe(dict(tensors))}; "
            f"looked for {', '.join(list(expected)[:3])} ..."
        )
    missing = sorted(k for k in expected if k not in tensors and k not in optional and not COUNTERS.search(k))
    extra = sorted(set(tensors) - set(expected))
    shapes = [
        f"{k} {list(v.shape)} instead of {list(expected[k].shape)}"
        for k, v in tensors.items()
        if k in expected and v.shape != expected[k].shape
    ]
    broken = [k for k, v in tensors.items() if not bool(_distinct(v).isfinite().all())]
    problems = {"lacks": missing, "has unexpected": extra, "has wrong shapes": shapes, "is not finite in": broken}
    for problem, names in problems.items():
        if names:
            raise ValueError(
                f"{path}: {problem} {', '.join(names[:4])}{' ...' if len(names) > 4 else ''} ({len(names)})"
            )


def _distinct(value: Tensor) -> Tensor:
    """A tensor without the repetitions of `expand`, which take no room in a file."""
    for dim, stride in enumerate(value.stride()):
        if not stride and value.shape[dim]:
            value = value.narrow(dim, 0, 1)
    return value


def fill(path: Path, network: torch.nn.Module, tensors: Mapping[str, Tensor], optional: Collection[str] = ()) -> None:
    """Load a file's tensors into a network as float32; arguments and errors as of `check_tensors`."""
    own = network.state_dict()
    check_tensors(path, tensors, own, optional)
    network.load_state_dict({**own, **{k: v.to(own[k].dtype) for k, v in tensors.items()}})


def assemble(
    path: Path, build: Callable[[], Network], tensors: Mapping[str, Tensor], optional: Collection[str] = ()
) -> Network:
    """A network with a file's tensors, float32, in eval mode and frozen; arguments and errors as of `check_tensors`.

    `build` makes the network, on the meta device, as random initialisation would take seconds; buffers that no file has
    need to be set afterwards.
    """
    with torch.device("meta"):
        network = build()
    own = network.state_dict()
    check_tensors(path, tensors, own, optional)
    counters = {key: torch.zeros((), dtype=torch.int64) for key in own if COUNTERS.search(key)}
    filled = counters | {key: value.to(own[key].dtype) for key, value in tensors.items()}
    network.load_state_dict(filled, strict=False, assign=True)
    return network.eval().requires_grad_(False)
