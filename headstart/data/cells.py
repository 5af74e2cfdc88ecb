"""Cells of a table's rows that are items themselves: texts, and files by their paths."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from headstart.contracts import Modality
from headstart.contracts.cells import is_blank
from headstart.data.paths import Paths, Way
from headstart.data.sources import InlineSource, Source, text_content
from headstart.data.trees import walk

_SAMPLE = 100  # cells that say from where their paths count


@final
@dataclass(frozen=True)
class CellFinder:
    """Looks up the cells of one column; `first` are folders of its paths that aren't here."""

    modality: Modality
    paths: Paths
    base: Path
    first: Way

    @classmethod
    def of(
        cls,
        root: Path,
        base: Path,
        modality: Modality,
        cells: Mapping[str, Sequence[Any]],
        split: str | None,
    ) -> dict[str, CellFinder]:
        """One for each column of a modality of rows whose `cells` are items.

        Paths count from `base`, and lie in `root`; files of one kind are listed once.
        """
        paths: dict[int, Paths] = {}
        finders = {}
        for name, own in modality.holds().items():
            files = paths.setdefault(id(own), Paths(root, partial(_ways, root, own)))
            values = [v for v in cells[name][:_SAMPLE] if isinstance(v, str) and v.strip()]
            first = () if own.inline else files.elsewhere(values, base, split)
            finders[name] = cls(own, files, base, first)
        return finders

    def find(self, value: Any, place: str, split: str | None) -> tuple[Source | None, str]:
        """What stands in a cell, or why it can't be told; neither where it is blank.

        Raises DataError for a path that leaves the data set's folder.
        """
        if is_blank(value) or isinstance(value, Source):
            return value if isinstance(value, Source) else None, ""
        if self.modality.inline:
            return InlineSource(text_content([str(value)])), ""
        _, source, missing = self.paths.find(str(value), self.base, place, split, self.first)
        present = source is not None and os.path.isfile(source.path)
        missing = missing or ("" if present else "names no file here")
        return source, missing and f"{missing}: {str(value)[:60]}"


def _ways(root: Path, modality: Modality) -> Sequence[Way]:
    return walk(root, modality).every()
