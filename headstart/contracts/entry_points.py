"""Parts that other packages bring along: names to `module:Class`, imported only when asked for."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any


def advertised(kind: str) -> dict[str, str]:
    """What other packages offer of a kind, such as "hubs": name -> module:Class."""
    return dict(_advertised(f"headstart.{kind}", tuple(sys.path)))


@cache
def _advertised(group: str, places: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The same, looked for once where packages lie, as that reads a file of each of them."""
    return tuple((point.name, point.value) for point in entry_points(group=group))


def located(value: str) -> Any:
    """The class that `module:Class` names."""
    module, _, attribute = value.partition(":")
    return getattr(import_module(module), attribute)
