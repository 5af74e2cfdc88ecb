"""How much of all requests is worked on: what doesn't fit is refused at once."""

from __future__ import annotations

from math import ceil
from types import TracebackType
from typing import Final, final

from headstart.server.limits import Limits
from headstart.server.refusals import RefusedError, busy

_SLOWEST: Final = 60  # seconds that a client is told to wait, at most
_LAST: Final = 0.1  # the share that the last batch has in the pace


@final
class Room:
    """Items and bytes of all requests that are worked on. Used by the event loop alone."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.items = self.bytes = 0
        self._pace = 0.01  # seconds for an item

    def measure(self, items: int, seconds: float) -> None:
        """Learn from a batch how long items take."""
        self._pace += _LAST * (seconds / items - self._pace)

    def retry_after(self) -> int:
        """Seconds till what waits now is answered, as far as can be told."""
        return min(_SLOWEST, max(1, ceil(self.items * self._pace)))


@final
class Place:
    """What one request takes of the room, until it is left."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._items = self._bytes = 0

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._room.items -= self._items
        self._room.bytes -= self._bytes

    def take_items(self, count: int) -> None:
        """Room for more items. Raises RefusedError: 503 where there is none now, 413 if ever."""
        room = self._room
        if self._items + count > room.limits.waiting:
            raise RefusedError(
                413, f"More than {room.limits.waiting} items never fit. Send fewer at once."
            )
        if room.items + count > room.limits.waiting:
            raise busy(f"{room.items} items wait for an answer already.", room.retry_after())
        room.items += count
        self._items += count

    def take_bytes(self, count: int) -> None:
        """Room for more of a body. Raises RefusedError (503) where there is none."""
        room = self._room
        if room.bytes + count > room.limits.bodies:
            raise busy("Other requests fill the memory that there is.", room.retry_after())
        room.bytes += count
        self._bytes += count
