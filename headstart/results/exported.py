"""What writing features to a file answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.report.notebook import Printed


@dataclass(frozen=True, repr=False)
class Exported(Printed):
    """A file of features: of how many items, of what kind of labels, and items by split.

    `kind` is empty where the data name no labels; `engine`, where all features were stored already.
    """

    path: Path
    items: int
    dimensions: int
    kind: str
    splits: Mapping[str, int]
    engine: str

    def to_json(self) -> dict[str, Any]:
        """The facts as plain values."""
        return {**vars(self), "path": str(self.path), "splits": dict(self.splits)}

    def __str__(self) -> str:
        splits = ", ".join(f"{name} {count}" for name, count in self.splits.items())
        labels = self.kind or "no labels"
        return (
            f"{self.items} items of {self.dimensions} features each, with {labels}, "
            f"written to {self.path} ({splits})."
        )
