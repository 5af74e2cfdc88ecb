"""One model before and after it learned more, on items that neither learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from headstart.contracts import Task
from headstart.data import Item
from headstart.evidence.assessor import Assessor, families
from headstart.evidence.intervals import Interval
from headstart.evidence.resampling import Draws

_NAMED = 20  # items that are named


@final
@dataclass(frozen=True)
class HeldOut:
    """Held-out items with their targets, and the outputs (N, labels) for them before and after.

    `spread` is what the variance of a mean is multiplied by, where folds answered.
    """

    items: Sequence[Item]
    targets: np.ndarray
    before: np.ndarray
    after: np.ndarray
    spread: float = 1.0


@final
@dataclass(frozen=True)
class BeforeAfter:
    """What a model scored before and after, and the change, positive where it is better now.

    `lost` are items that were answered better before, `won` those that are now, both by name;
    `by_label` holds for classes the items, and the scores before and after.
    """

    before: Interval
    after: Interval
    change: Interval
    items: int
    lost: Sequence[str] = ()
    won: int = 0
    by_label: Sequence[tuple[str, int, float, float]] = ()

    @classmethod
    def of(cls, task: Task, held_out: HeldOut, labels: Sequence[str], seed: int) -> BeforeAfter:
        """Both scores with intervals over other items than these; the change over the same ones."""
        targets = held_out.targets
        scores = [task.scores(own, targets) for own in (held_out.before, held_out.after)]
        judge = Assessor(task, targets, Draws(seed, families(held_out.items), held_out.spread))
        before, after = judge.interval(held_out.before), judge.interval(held_out.after)
        change = judge.gain(held_out.after, held_out.before)
        by_label: list[tuple[str, int, float, float]] = []
        for number, label in enumerate(labels if targets.ndim == 1 else ()):
            own = targets == number
            if own.any():
                both = held_out.before, held_out.after
                shares = [float((o[own].argmax(axis=1) == number).mean()) for o in both]
                by_label.append((label, int(own.sum()), shares[0], shares[1]))
        worse = np.flatnonzero(scores[1] < scores[0])
        lost = [held_out.items[place].id for place in worse.tolist()]
        won = int((scores[1] > scores[0]).sum())
        return cls(before, after, change, len(targets), lost, won, tuple(by_label))

    @property
    def is_worse(self) -> bool:
        """Whether it is, by more than the interval of the change."""
        return self.change.high < 0

    @property
    def is_better(self) -> bool:
        """The same of better."""
        return self.change.low > 0

    def to_json(self) -> dict[str, Any]:
        """{"items", "before", "after", "change", "lost", "won", "by_label"}."""
        names = ("label", "items", "before", "after")
        rows = [
            dict(zip(names, (label, items, round(before, 5), round(after, 5)), strict=True))
            for label, items, before, after in self.by_label
        ]
        return {
            "items": self.items,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "change": self.change.to_json(),
            "lost": {"items": len(self.lost), "first": list(self.lost[:_NAMED])},
            "won": self.won,
            "by_label": rows,
        }
