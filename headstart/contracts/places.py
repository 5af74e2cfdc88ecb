"""Places in items that labels may point at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """The width and height of a picture as it is seen, in pixels.

    `turn` is what made the stored pixels so: quarters clockwise, and 4 more where they were
    mirrored left to right before; 0 where nothing did.
    """

    width: int
    height: int
    turn: int = 0

    @property
    def sideways(self) -> bool:
        """Whether the stored pixels are as high as it is wide."""
        return self.turn % 2 == 1


@dataclass(frozen=True)
class Motion:
    """Where a random view moved what a picture shows: mirrored first, then made smaller."""

    mirrored: bool
    scale: float
