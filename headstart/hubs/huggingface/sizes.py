"""What a stranger's config.json may ask for: checked before anything is made as it says."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from headstart.errors import HeadstartError, WeightsError

_COUNTED: Final = ("layers", "depth", "groups", "group_num", "stages", "heads", "blocks")
_MOST: Final = 4096  # layers, heads and the like
_LARGEST: Final = 1 << 31  # any number
_LONGEST: Final = 4096  # entries of a list
_DEEPEST: Final = 8
_SLACK: Final = 1 << 24  # numbers that a network may have beside those of its weights: a pooler


def check_sizes(raw: Mapping[str, Any], path: Path) -> None:
    """Raise HeadstartError for numbers, lists and nesting that no network has."""
    problem = _problem("", raw, 0)
    if problem:
        raise HeadstartError(f"{path} {problem}. Copy or download it again.")


def _problem(name: str, value: Any, depth: int) -> str | None:
    if depth > _DEEPEST:
        return f"is nested more than {_DEEPEST} deep"
    if isinstance(value, Mapping):
        return _first(_problem(str(key), inner, depth + 1) for key, inner in value.items())
    if isinstance(value, list):
        if len(value) > _LONGEST and value and not isinstance(value[0], str):
            return f"has {len(value):,} entries in {name!r}"
        return _first(_problem(name, inner, depth + 1) for inner in value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"says {name}={value}, which is no number"
    if isinstance(value, int) and not isinstance(value, bool):
        most = _MOST if any(word in name for word in _COUNTED) else _LARGEST
        if abs(value) > most:
            return f"says {name}={value:,}, more than any network has"
    return None


def _first(problems: Any) -> str | None:
    return next(filter(None, problems), None)


def check_network(make: Callable[[], nn.Module], files: Sequence[Path], path: Path) -> None:
    """Make the network without memory for its tensors, and compare its size with what there is.

    Raises WeightsError where `files` of weights hold far less than it, HeadstartError where there
    is not the memory for it. What `make` raises passes.
    """
    with torch.device("meta"):
        network = make()
    size = sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers()))
    held = sum(map(_numbers, files))
    if files and size > 2 * held + _SLACK:
        raise WeightsError(
            f"{path} describes a network of {size:,} numbers, and the weights hold {held:,}. "
            "Give the config.json of these weights."
        )
    if 4 * size > _memory():
        raise HeadstartError(
            f"{path} describes a network of {size:,} numbers, more than fit into the memory. "
            "Give a smaller model."
        )


def _numbers(file: Path) -> int:
    """How many numbers a file of weights holds, at most."""
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, framework="pt") as opened:
                return sum(math.prod(opened.get_slice(n).get_shape()) for n in opened.keys())
        except (SafetensorError, OSError, ValueError):
            pass  # reading it says what is wrong
    return file.stat().st_size if file.is_file() else 0


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not on this system
        return 1 << 40
