"""What `suggest` answers with: the items whose labels would help most, and why these."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart.data import FileSource, Item
from headstart.features.export import demand_free, whole
from headstart.labelling.history import Change
from headstart.labelling.pool import Pool
from headstart.report import as_columns
from headstart.report.notebook import Printed
from headstart.serve.written import harmless

SUFFIXES = (".csv",)
_TITLES = ("label next", "doubt", "stands for", "the model says")


@final
@dataclass(frozen=True)
class Suggestion:
    """An item worth a label: how unsure the model is, from 0 to 1, and how many items it is like.

    `covers` counts the items of the pool, itself included, that are nearer to it than to any other
    item that has a label or is suggested.
    """

    item: Item
    name: str
    predicted: str
    doubt: float
    covers: int

    def to_json(self) -> dict[str, Any]:
        """{"path", "hash", "predicted", "doubt", "covers"}."""
        return {
            "path": self.name,
            "hash": self.item.identity,
            "predicted": self.predicted,
            "doubt": round(self.doubt, 4),
            "covers": self.covers,
        }

    def cells(self) -> tuple[str, str, str, str]:
        """The item and its three reasons, each in one short line."""
        plain = "".join(sign if sign.isprintable() else "?" for sign in self.name)
        items = "1 item" if self.covers == 1 else f"{self.covers} items"
        return plain, f"{self.doubt:.2f}", items, self.predicted


@final
@dataclass(frozen=True, repr=False)
class Suggestions(Printed):
    """Items in the order in which their labels help; `change` is what the last ones changed."""

    model: str
    rows: Sequence[Suggestion]
    pool: Pool
    remarks: Sequence[str] = ()
    change: Change | None = None
    forecast: str = ""
    out: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """{"model", "suggestions": [{"path", …}], "pool", "change", "forecast", "remarks"}."""
        return {
            "model": self.model,
            "suggestions": [row.to_json() for row in self.rows],
            "pool": self.pool.to_json(),
            "change": self.change.to_json() if self.change else None,
            "forecast": self.forecast,
            "remarks": list(self.remarks),
            "out": str(self.out) if self.out else None,
        }

    def __str__(self) -> str:
        lines = [as_columns(_TITLES, [row.cells() for row in self.rows])]
        lines += [*self.pool.remarks(), *self.remarks]
        lines += [self.change.sentence] if self.change else []
        lines += [self.forecast] if self.forecast else []
        lines += [f"They stand in {self.out}: fill in its column `label`."] if self.out else []
        return "\n".join(lines)


def destination(path: Path) -> Path:
    """The place of a table. Raises HeadstartError where it is taken, or no .csv."""
    return demand_free(path, [path], SUFFIXES, "suggestions")


def write(path: Path, rows: Sequence[Suggestion]) -> None:
    """Write a table with an empty column `label`; filled in, it is a manifest that `fit` reads.

    Files are named from the table's folder where they lie in it, or else as they were given; texts
    stand there in full. Whole, or not at all.
    """
    texts = not all(isinstance(row.item.source, FileSource) for row in rows)
    with whole([path]) as (draft,), draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        first = "text" if texts else "path"
        writer.writerow([first, "label", "predicted", "doubt", "covers"])
        for row in rows:
            content = _content(row, path.absolute().parent, texts)
            reasons = (harmless(row.predicted), f"{row.doubt:.4f}", row.covers)
            writer.writerow([harmless(content), "", *reasons])


def _content(row: Suggestion, folder: Path, text: bool) -> str:
    if text:
        return row.item.read().decode("utf-8", "replace")
    place = os.path.abspath(row.item.id)
    inside = Path(place).is_relative_to(folder)
    return Path(place).relative_to(folder).as_posix() if inside else row.item.id
