"""Windows over maps: their sizes, and the padding that Keras calls same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from headstart.errors import HeadstartError
from headstart.hubs.keras.modules import Edges


def channels_last(config: Mapping[str, Any]) -> None:
    """Raise HeadstartError where a layer wants its channels first."""
    if config.get("data_format") == "channels_first":
        raise HeadstartError("it wants channels first")


def pair(value: Any) -> tuple[int, int]:
    """Two whole numbers from one or two."""
    both = value if isinstance(value, Sequence) else (value, value)
    height, width = (int(side) for side in both)
    return height, width


def edges(
    config: Mapping[str, Any], maps: Tensor, window: Sequence[int], steps: Sequence[int]
) -> Edges:
    """How much to pad maps at the left, right, top and bottom; the odd one goes to the end.

    Raises HeadstartError for another padding than same and valid.
    """
    padding = config.get("padding", "valid")
    if padding == "valid":
        return 0, 0, 0, 0
    if padding != "same":
        raise HeadstartError(f"padding={padding} is not known")
    spread = pair(config.get("dilation_rate", 1))
    found: list[int] = []
    for size, side, step, gap in zip(maps.shape[2:], window, steps, spread, strict=True):
        reach = (side - 1) * gap + 1
        total = max((-(-size // step) - 1) * step + reach - size, 0)
        found += [total // 2, total - total // 2]
    top, bottom, left, right = found
    return left, right, top, bottom


def symmetric(found: Edges) -> tuple[int, int] | None:
    """The padding of rows and of columns, where both ends have the same; None otherwise."""
    left, right, top, bottom = found
    return (top, left) if left == right and top == bottom else None


def borders(value: Any) -> Edges:
    """The edges that Keras gives as one number, two, or two pairs."""
    if not isinstance(value, Sequence):
        value = (value, value)
    rows, columns = (pair(side) for side in value)
    return columns[0], columns[1], rows[0], rows[1]
