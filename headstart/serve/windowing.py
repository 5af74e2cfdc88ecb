"""How long recordings are looked at: in windows, one every so often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from headstart.errors import HeadstartError

_SHORTEST: Final = 1e-3  # seconds between two windows
_MOST: Final = 1_000_000  # windows of one recording


@final
@dataclass(frozen=True)
class Windowing:
    """How a recording is looked at: `window` seconds at a time, one every `hop` seconds.

    Absent, a window is what the network hears at a time, and the hop half of that. An event is what
    is at least as likely as `least`, on the average of the windows that hold it.
    """

    window: float | None = None
    hop: float | None = None
    least: float = 0.5

    def __post_init__(self) -> None:
        """Raise HeadstartError for lengths that are none, and for no probability."""
        for name, value in (("window", self.window), ("hop", self.hop)):
            if value is not None and not _SHORTEST <= value < float("inf"):
                raise HeadstartError(
                    f"--{name} {value:g} is no length of sound. Give it in seconds, such as 1.5."
                )
        if not 0 <= self.least <= 1:
            raise HeadstartError(
                f"--least {self.least:g} is no probability. Give a number from 0 to 1."
            )

    def spans(self, length: float, usual: float) -> np.ndarray:
        """Where windows begin and end in a recording of `length` seconds, (N, 2).

        The last one ends where the recording does; a shorter recording is one window. Raises
        HeadstartError for more windows than can be answered.
        """
        window = min(self.window or usual, length)
        hop = self.hop or (self.window or usual) / 2
        if (length - window) / hop > _MOST:
            raise HeadstartError(
                f"--hop {hop:g} makes {(length - window) / hop:.0f} windows of one recording. "
                "Give a longer one."
            )
        starts = np.append(np.arange(0, length - window, hop), length - window)
        return np.round(np.stack([starts, starts + window], axis=1), 6)  # equal edges are equal
