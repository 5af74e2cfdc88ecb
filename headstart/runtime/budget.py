"""Wall-clock budgets: how long a run may take, and what part of that one piece of it may take."""

from __future__ import annotations

import os
import re
import time
from math import inf

from headstart.errors import HeadstartError

_process: list[float] = []  # when this process began, where it is one that runs a single command
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def age() -> float:
    """Seconds since this process began."""
    import psutil

    began: float = psutil.Process().create_time()
    return max(0.0, time.time() - began)


def count_the_process() -> None:
    """Let budgets count from when this process began, as its user does who waits for a command."""
    _process[:] = [time.monotonic() - age()]


def earlier() -> float:
    """Seconds that this process took until now, where they count; else none."""
    return time.monotonic() - _process[0] if _process else 0.0


def warm(seconds: float, computed: float) -> float:
    """Seconds that work takes once more which took `seconds` and computed for so many of them.

    What it read is in memory by then, so that only computing and waiting for a core count again.
    """
    import psutil

    crowd: float = psutil.getloadavg()[0] / (os.cpu_count() or 1)
    return min(seconds, computed * max(2.0, 1.0 + crowd))


class Budget:
    """A deadline, counted from the making, or none."""

    def __init__(self, seconds: float | None, earlier: float = 0.0) -> None:
        self._started = time.monotonic() - earlier
        self._seconds = seconds

    def __getstate__(self) -> tuple[float, float | None]:
        """How long it has run, as other machines' clocks begin elsewhere."""
        return self.elapsed(), self._seconds

    def __setstate__(self, state: tuple[float, float | None]) -> None:
        elapsed, self._seconds = state
        self._started = time.monotonic() - elapsed

    def keep(self, seconds: float, most: float = 0.5) -> None:
        """Let it end so much earlier, for what comes after; by a share of it at `most`."""
        if self._seconds is not None:
            self._seconds = max(self._seconds * (1.0 - most), self._seconds - seconds)

    @property
    def limited(self) -> bool:
        """Whether there is a deadline at all."""
        return self._seconds is not None

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def spent(self) -> float:
        """The share of the budget used so far; 0 without a budget."""
        return 0.0 if self._seconds is None else self.elapsed() / max(self._seconds, 1e-9)

    def left(self) -> float:
        """Seconds until the deadline; infinite without one."""
        return inf if self._seconds is None else self._seconds - self.elapsed()

    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.spent() >= 1.0

    def until(self, share: float) -> Budget:
        """What is left from now up to `share` of the whole, as a budget of its own."""
        if self._seconds is None:
            return Budget(None)
        return Budget(max(0.0, self._seconds * share - self.elapsed()))

    def part(self, waiting: int) -> Budget:
        """An equal part of what is left, for the next of so many that wait."""
        spent = self.spent()
        return self.until(spent + (1.0 - spent) / waiting)


def seconds(text: str) -> float:
    """Read a duration such as `90s`, `10m` or `1h30m`. Raises HeadstartError for others."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text.strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip().lower():
        raise HeadstartError(f"{text!r} is not a duration. Write it like 90s, 10m or 1h30m.")
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if total <= 0:
        raise HeadstartError(f"{text!r} leaves no time. Give more.")
    return total
