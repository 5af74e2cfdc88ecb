"""Parts that other packages bring along: names to `module:Class`, imported only when asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any


def advertised(kind: str) -> dict[str, str]:
    """What other packages offer of a kind, such as "hubs": name -> module:Class."""
    return {point.name: point.value for point in entry_points(group=f"headstart.{kind}")}


def located(value: str) -> Any:
    """The class that `module:Class` names."""
    module, _, attribute = value.partition(":")
    return getattr(import_module(module), attribute)
