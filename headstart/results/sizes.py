"""What work will take, before it is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from headstart.report.notebook import Printed


@dataclass(frozen=True, repr=False)
class Sizes(Printed):
    """Features of so many items, reckoned from a sample: seconds of the clock, and bytes.

    `checking` is done by the process that asks, `extracting` by the workers; `memory` is of all
    processes together, at most; `disk` of the stored features.
    """

    items: int
    sample: int
    where: str
    workers: int
    engine: str
    checking: float
    extracting: float
    memory: int
    disk: int

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.items} items, by {self.sample} of them on an idle machine like this one:\n"
            f"  checking    {_duration(self.checking)}\n"
            f"  extracting  {_duration(self.extracting)} in {self.workers} "
            f"worker{'s' * (self.workers != 1)} ({self.where}, {self.engine})\n"
            f"  memory      {self.memory / 1e9:.1f} GB at most, in all processes\n"
            f"  disk        {self.disk / 1e6:.1f} MB of features"
        )


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
