"""A saved model in another form, beside what it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.evidence import Interval
from headstart.report import as_columns
from headstart.report.notebook import Printed


@dataclass(frozen=True)
class Row:
    """One of both: its score, bytes of its files of weights, seconds from a raw item to answers."""

    name: str
    score: Interval
    size: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return {**vars(self), "score": self.score.to_json()}


@dataclass(frozen=True, repr=False)
class ExportedModel(Printed):
    """A form of a saved model, run in its own runtime on raw items that both answered.

    `changed` counts the answers that differ, `largest` is the largest change of a number in them.
    `seen` are the items that the model was made from, None where that isn't recorded.
    """

    folder: Path
    form: str
    metric: str
    items: int
    seen: int | None
    original: Row
    exported: Row
    changed: int
    largest: float

    @property
    def columns(self) -> tuple[str, ...]:
        """The heads of the table."""
        return ("", self.metric, "MB", "ms an item", "changed answers")

    @property
    def rows(self) -> Sequence[tuple[str, ...]]:
        """The table: the saved model, then the form."""
        changed = ("", f"{self.changed} of {self.items}")
        names = ("the saved model", self.form)
        return [
            (
                name,
                f"{each.score.value:.3f}",
                f"{each.size / 1e6:.2f}",
                f"{1000 * each.seconds:.2f}",
                last,
            )
            for name, each, last in zip(names, (self.original, self.exported), changed, strict=True)
        ]

    @property
    def note(self) -> str:
        """What of the items the model was made from."""
        if self.seen:
            return f"The model was made from {self.seen} of the {self.items} items; both flatter."
        return ""

    def to_json(self) -> dict[str, Any]:
        """{"out", "form", "metric", "items", "seen", "original", "exported", "changed", …}."""
        own = {name: value for name, value in vars(self).items() if name != "folder"}
        rows = {"original": self.original.to_json(), "exported": self.exported.to_json()}
        return {"out": str(self.folder), **own, **rows}

    def __str__(self) -> str:
        lines = [as_columns(self.columns, self.rows), self.note, f"Saved in {self.folder}"]
        return "\n\n".join(line for line in lines if line)
