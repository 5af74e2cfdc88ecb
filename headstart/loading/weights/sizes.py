"""What a stranger's files may ask for: checked before anything is made as they say."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from headstart.errors import HeadstartError, WeightsError
from headstart.loading.meta import without_values
from headstart.loading.preprocess import WIDEST

_COUNTED: Final = ("layers", "depth", "groups", "group_num", "stages", "heads", "blocks")
_MOST: Final = 4096  # layers, heads and the like
_REPEATED: Final = 1024  # of them, in an option that no file of its own checks
_NUMBER: Final = re.compile(r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_LARGEST: Final = 1 << 31  # any number
_LONGEST: Final = 4096  # entries of a list
_DEEPEST: Final = 8
_WIDE: Final = 3 * 1024 * 1024  # numbers of an item; what fewer need is found where they are
_SLACK: Final = 1 << 24  # numbers that a network may have beside those of its weights: a pooler


def check_sizes(raw: Mapping[str, Any], path: Path) -> None:
    """Raise HeadstartError for numbers, lists and nesting that no network has."""
    problem = _problem("", raw, 0)
    if problem:
        raise HeadstartError(f"{path} {problem}. Copy or download it again.")


def check_options(options: Mapping[str, str], what: str | Path) -> None:
    """Raise HeadstartError for options with numbers that no network has."""
    for name, text in options.items():
        for number in map(float, _NUMBER.findall(text) if "sha256" not in name else ()):
            is_count = any(word in name for word in (*_COUNTED, "repeats"))
            side = any(word in name for word in ("size", "height"))
            most = _REPEATED if is_count else WIDEST if side else _LARGEST
            if abs(number) > most:
                raise HeadstartError(
                    f"{what} says {name}={text[:80]}, more than any network has. "
                    "Copy it again, or make the model again."
                )


def _problem(name: str, value: Any, depth: int) -> str | None:
    if depth > _DEEPEST:
        return f"is nested more than {_DEEPEST} deep"
    if isinstance(value, Mapping):
        problems = (_problem(str(key), inner, depth + 1) for key, inner in value.items())
        return next(filter(None, problems), None)
    if isinstance(value, list):
        if len(value) > _LONGEST and value and not isinstance(value[0], str):
            return f"has {len(value):,} entries in {name!r}"
        return next(filter(None, (_problem(name, inner, depth + 1) for inner in value)), None)
    if isinstance(value, float) and not math.isfinite(value):
        return f"says {name}={value}, which is no number"
    if isinstance(value, int) and not isinstance(value, bool):
        most = _MOST if any(word in name for word in _COUNTED) else _LARGEST
        if abs(value) > most:
            return f"says {name}={value:,}, more than any network has"
    return None


def check_network(
    make: Callable[[], nn.Module | None],
    count: int | None,
    what: str | Path,
    sides: Sequence[int] | None = None,
) -> None:
    """Make the network without memory for its tensors, and compare its size with what there is.

    `count` is how many numbers its weights hold, None where they are random; `sides` is the shape
    of an item that it reads. Raises WeightsError where the weights hold far less than the network,
    HeadstartError where there is not the memory for it or for what it computes. What `make` raises
    passes; None, of a network that can't be made so, is not looked at.
    """
    with without_values():
        network = make()
    if network is None:
        return
    size = sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers()))
    if count is not None and size > 2 * count + _SLACK:
        raise WeightsError(
            f"{what} describes a network of {size:,} numbers, and the weights hold {count:,}. "
            "Give the description of these weights."
        )
    if 4 * size > _memory():
        raise HeadstartError(
            f"{what} describes a network of {size:,} numbers, more than fit into the memory. "
            "Give a smaller one."
        )
    wide = sides is not None and math.prod(sides) > _WIDE
    if sides and wide and 4 * _activations(network, sides) > _memory():
        raise HeadstartError(
            f"{what} reads items of {'x'.join(map(str, sides))}, more than fit into the memory "
            "with what it computes of them. Give a smaller size."
        )


def _activations(network: nn.Module, sides: Sequence[int]) -> int:
    """The most numbers that enter and leave a module at once, for two items."""
    most = 2 * math.prod(sides)

    def look(module: nn.Module, inputs: Any, outputs: Any) -> None:
        nonlocal most
        tensors = [each for each in (*inputs, outputs) if isinstance(each, Tensor)]
        most = max(most, sum(tensor.numel() for tensor in tensors))

    hook = nn.modules.module.register_module_forward_hook(look)
    try:
        with torch.no_grad():
            network.eval()(torch.empty(2, *sides, device="meta"))
    except Exception:  # a network that can't run without values, or not at this size
        return most
    finally:
        hook.remove()
    return most


def numbers(file: Path) -> int:
    """How many numbers a file of weights holds, at most."""
    return numbers_in_header(file) or (file.stat().st_size if file.is_file() else 0)


def numbers_in_header(file: Path) -> int | None:
    """How many numbers a safetensors file holds; None of another, and of a damaged one."""
    try:
        with safe_open(file, framework="pt") as opened:
            return sum(int(math.prod(opened.get_slice(n).get_shape())) for n in opened.keys())
    except (SafetensorError, OSError, ValueError):  # reading it says what is wrong
        return None


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not on this system
        return 1 << 40
