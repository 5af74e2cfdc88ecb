"""What a place that keeps runs is told, and what it must offer."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run:
    """A run as it begins: where its model will lie, and what was asked for, by name."""

    out: Path
    arguments: Mapping[str, Any]
    offline: bool

    @property
    def name(self) -> str:
        """What the run is called: the name of its model's folder."""
        return self.out.name


class Tracker(ABC):
    """One run's record in an experiment tracker; any method may raise what its library raises.

    A tracker of another name takes one file here and one line in `headstart.tracking.TRACKERS`.
    """

    where: str  # the place of the record, as a person finds it

    @classmethod
    @abstractmethod
    def begin(cls, run: Run) -> Tracker:
        """Open a record and write what was asked for into it."""

    @abstractmethod
    def row(self, training: str, step: int, numbers: Mapping[str, float]) -> None:
        """Write how a training stands after so many steps."""

    @abstractmethod
    def result(self, numbers: Mapping[str, float], words: Mapping[str, str]) -> None:
        """Write what came of the run."""

    @abstractmethod
    def end(self, failed: bool) -> None:
        """Close the record."""


def plain(name: str) -> str:
    """A name that every tracker accepts: letters, digits, and `_ - . / ` and spaces."""
    return re.sub(r"[^\w./ -]+", "_", name)


def numbers_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Every arm's numbers and the gain's: `arms/scratch/value`, `gain/low` and so on."""
    parts = {f"arms/{name}": arm for name, arm in result["arms"].items()}
    parts |= {name: result[name] for name in ("gain", "over_naive") if result.get(name)}
    return {
        plain(f"{part}/{name}"): float(value)
        for part, row in parts.items()
        for name, value in row.items()
        if isinstance(value, int | float)
    }


def words_of(result: Mapping[str, Any]) -> dict[str, str]:
    """The verdict, what was handed over, and the folder of the artifact."""
    names = ("verdict", "strategy", "backbone", "metric")
    return {name: str(result[name]) for name in names} | {"artifact": str(result["out"])}
