"""Two saved models on the same labelled items: which answers better, is smaller, is faster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.evidence import Interval, gained, paired
from headstart.report import as_columns
from headstart.report.notebook import Printed

LEVEL_SPEED = 1.1  # times as fast, below which neither counts as faster


@dataclass(frozen=True)
class Compared:
    """One of the two: its score, its size, its speed, and what of the items it had seen before.

    `size` is in bytes of weights, `seconds` the time for one item, raw file to answer; `overlap`
    counts the items it was trained or selected on, None where that isn't recorded.
    """

    model: str
    score: Interval
    parameters: int
    size: int
    seconds: float
    overlap: int | None

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values, the speed in items a second too."""
        speed = round(1 / self.seconds, 2) if self.seconds else None
        return {**vars(self), "score": self.score.to_json(), "speed": speed}


@dataclass(frozen=True)
class Change:
    """What the second model gains over the first on the items of one label."""

    label: str
    items: int
    first: float
    second: float
    difference: Interval

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        numbers = {"first": round(self.first, 5), "second": round(self.second, 5)}
        return {**vars(self), **numbers, "difference": self.difference.to_json()}


def changes(
    before: np.ndarray, after: np.ndarray, targets: np.ndarray, labels: Sequence[str]
) -> tuple[Change, ...]:
    """What two models score on the items of each label, (N,) each; none where items have several.

    The scores are those of items among those of their label.
    """
    rows = []
    for number, label in enumerate(labels if targets.ndim == 1 else ()):
        own = targets == number
        if own.any():
            one, other = before[own], after[own]
            means = float(one.mean()), float(other.mean())
            rows.append(Change(label, int(own.sum()), *means, paired(other, one)))
    return tuple(rows)


@dataclass(frozen=True, repr=False)
class Comparison(Printed):
    """The second model minus the first, on `items` items that both answered.

    The interval is that of the mean difference when items are resampled, each with both answers.
    """

    metric: str
    items: int
    first: Compared
    second: Compared
    difference: Interval
    by_label: tuple[Change, ...]
    less_is_better: bool = False

    @property
    def better(self) -> str | None:
        """The model whose scores are higher by more than chance, if either's are."""
        if self.difference.low > 0:
            return self.second.model
        return self.first.model if self.difference.high < 0 else None

    @property
    def smaller(self) -> str | None:
        """The model with fewer parameters."""
        one, other = self.first, self.second
        if one.parameters == other.parameters:
            return None
        return min(one, other, key=lambda each: each.parameters).model

    @property
    def faster(self) -> str | None:
        """The model that takes clearly less time for an item."""
        one, other = sorted((self.first, self.second), key=lambda each: each.seconds)
        return one.model if one.seconds * LEVEL_SPEED < other.seconds else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the items a model has seen before, as far as it is known."""
        sentences = []
        for each in (self.first, self.second):
            if each.overlap:
                sentences.append(
                    f"{each.model} was trained on {each.overlap} of the {self.items} items; "
                    "its score flatters."
                )
            if each.overlap is None:
                sentences.append(f"What {each.model} was trained on is not recorded.")
        return tuple(sentences)

    def to_json(self) -> dict[str, Any]:
        """{"metric", "items", "first", "second", "difference", "by_label", "better", …}."""
        return {
            "metric": self.metric,
            "items": self.items,
            "first": self.first.to_json(),
            "second": self.second.to_json(),
            "difference": self.difference.to_json(),
            "by_label": [change.to_json() for change in self.by_label],
            "better": self.better,
            "smaller": self.smaller,
            "faster": self.faster,
            "warnings": list(self.warnings),
        } | ({"less_is_better": True} if self.less_is_better else {})

    def __str__(self) -> str:
        parts = [self._headline(), self._sides()]
        if self.by_label:
            parts.append(self._changes())
        return "\n\n".join([*parts, *(f"Warning: {text}" for text in self.warnings)])

    def _headline(self) -> str:
        gap, low, high = gained(self.difference, self.metric, self.less_is_better)
        outcome = f"{self.better} answers better" if self.better else "Neither answers better"
        lines = [
            f"{outcome}: {self.second.model} minus {self.first.model} is {gap}, "
            f"95 % interval {low} to {high}, on {self.items} items."
        ]
        lines.append(f"{self.smaller} is smaller." if self.smaller else "Both are of one size.")
        lines.append(f"{self.faster} is faster." if self.faster else "Both are about as fast.")
        return "\n".join(lines)

    def _sides(self) -> str:
        titles = ("model", self.metric, "95 % interval", "parameters", "MB", "items/s", "seen")
        rows = [
            (
                each.model,
                f"{each.score.value:.3f}",
                f"{each.score.low:.3f} – {each.score.high:.3f}",
                f"{each.parameters / 1e6:.2f}M",
                f"{each.size / 1e6:.1f}",
                f"{1 / each.seconds:.0f}" if each.seconds else "",
                "?" if each.overlap is None else str(each.overlap),
            )
            for each in (self.first, self.second)
        ]
        return as_columns(titles, rows)

    def _changes(self) -> str:
        titles = ("label", "items", "first", "second", "difference", "95 % interval")
        rows = [
            (
                change.label,
                str(change.items),
                f"{change.first:.3f}",
                f"{change.second:.3f}",
                f"{change.difference.value:+.3f}",
                f"{change.difference.low:+.3f} – {change.difference.high:+.3f}",
            )
            for change in sorted(self.by_label, key=lambda change: change.difference.value)
        ]
        return as_columns(titles, rows)
