"""Translations that are looked up where a translation memory nearly knows the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from headstart.evidence.lookup import neighbours
from headstart.results.translations import Translated


@final
@dataclass(frozen=True)
class Memory:
    """Texts with their translations, and the likeness from which on one is looked up."""

    sources: Sequence[str]
    targets: Sequence[str]
    threshold: float

    def over(self, rows: Sequence[Translated]) -> list[Translated]:
        """The same rows; those whose text is like one in memory have its translation.

        Such a one has no score of the model, and the text that it was found by as `like`.
        """
        places, likeness = neighbours(self.sources, [row.source for row in rows])
        return [
            Translated(row.source, self.targets[place], 0.0, like=self.sources[place])
            if row.source.strip() and similarity >= self.threshold
            else row
            for row, place, similarity in zip(rows, places[:, 0], likeness[:, 0], strict=True)
        ]
