"""How items look to people, and to what needs no network."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import ClassVar

from headstart.contracts.task import Array


class Presented(ABC):  # noqa: B024  # every part has a default
    """The side of a modality that pages, explanations and cheap baselines see.

    `plays` says that items can be `played`.
    """

    plays: ClassVar[bool] = False

    def text(self, raw: bytes) -> str | None:
        """The words of an item, which a cheap baseline goes by; None where it has none."""

    def wording(self, raw: bytes) -> str | None:
        """An item as text for people, on pages; None where it is a picture."""
        return self.text(raw)

    def statistics(self, raw: bytes) -> Mapping[str, Array] | None:
        """What a cheap baseline goes by where there are no words: named arrays (K,)."""

    def shown(self, raw: bytes, side: int) -> Array | None:
        """An item as people see it, (H, W, 3) uint8, its shorter side at most `side`; or None.

        Raises DataError for bytes that are no item.
        """

    def played(self, raw: bytes) -> bytes | None:
        """The beginning of an item as a small MP3; None where there is nothing to hear."""

    def pieces(self, raw: bytes) -> Sequence[tuple[str, int]]:
        """What each unit of a ragged item stands for, and its word's number, -1 for no word."""
        return ()
