"""What ranking tables to learn from answers with: what each is worth beside the target's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.evidence import Interval, gained
from headstart.evidence.intervals import verdict
from headstart.report import as_columns
from headstart.report.notebook import Printed

ALONE = "no other table"


@dataclass(frozen=True)
class RankedSource:
    """One table, or several: what the target's rows reach beside it, and how much more that is."""

    name: str
    score: Interval
    gain: Interval | None = None  # over the target's rows alone, where it isn't these

    def to_json(self) -> dict[str, Any]:
        """{"source", "value", "low", "high", "gain"}."""
        gain: Mapping[str, Any] | None = self.gain.to_json() if self.gain else None
        return {"source": self.name} | self.score.to_json() | {"gain": gain}


@dataclass(frozen=True, repr=False)
class SourceRanking(Printed):
    """Tables from the best to the worst, judged by folds of so many rows of the target."""

    rows: tuple[RankedSource, ...]
    metric: str
    items: int
    less_is_better: bool = False

    def to_json(self) -> dict[str, Any]:
        """{"ranking": [{"source", "value", "low", "high", "gain"}], "metric", "items"}."""
        ranking = [row.to_json() for row in self.rows]
        return {"ranking": ranking, "metric": self.metric, "items": self.items}

    def __str__(self) -> str:
        titles = ("learned from", self.metric, "95 % interval", "gain", "95 % interval", "transfer")
        table = as_columns(titles, [self._cells(row) for row in self.rows])
        return f"{table}\n\nJudged by folds of {self.items} rows; the gain is over {ALONE}."

    def _cells(self, row: RankedSource) -> tuple[str, ...]:
        score = f"{row.score.value:.3f}", f"{row.score.low:.3f} – {row.score.high:.3f}"
        if row.gain is None:
            return row.name, *score, "", "", ""
        ahead, low, high = gained(row.gain, self.metric, self.less_is_better)
        return row.name, *score, ahead, f"{low} to {high}", verdict(row.gain)
