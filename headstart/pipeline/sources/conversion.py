"""A source's rows in the target's columns and units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.contracts import Encoding
from headstart.contracts.cells import is_blank
from headstart.contracts.written_numbers import POINT, format_of
from headstart.data import Dataset
from headstart.data.targets import kind_named
from headstart.errors import DataError
from headstart.pipeline.sources.mapping import ColumnMap, TableMap
from headstart.pipeline.sources.tables import SourceTable, Table


@dataclass(frozen=True, eq=False)
class Converted:
    """Labelled rows of a source by the target's columns.

    Targets are class numbers (S,), or numbers (S, 1) standardised by their own mean and spread;
    `scale` is that spread in the target's units, empty where the mapping gives none.
    """

    name: str
    rows: Sequence[dict[str, Any]]
    targets: np.ndarray
    columns: frozenset[str]
    scale: tuple[float, ...]
    passed: int  # rows without a label that the target knows

    def sentence(self) -> str:
        """What was read."""
        left_out = f"; {self.passed} without such a label are left out" if self.passed else ""
        names = ", ".join(f"`{name}`" for name in sorted(self.columns))
        return f"{self.name}: {len(self.rows)} rows to learn from by {names}{left_out}."


def converted(source: SourceTable, mapped: TableMap, target: Table, dataset: Dataset) -> Converted:
    """A source as its mapping says. Raises DataError for labels of another kind."""
    columns = {
        name: _cells(source.cells[part.source], part, target[name])
        for name, part in mapped.columns.items()
    }
    for name, cells in columns.items():
        _demand_alike(source, name, cells, target[name])
    labels = source.cells[mapped.label.source]
    if kind_named(dataset.kind).encoding is Encoding.INDEX:
        numbers = {label: number for number, label in enumerate(dataset.labels)}
        words = [_renamed(value, mapped.label) for value in labels]
        usable = np.array([word in numbers for word in words], dtype=bool)
        targets = np.array([numbers[word] for word in words if word in numbers], dtype=np.int64)
        scale: tuple[float, ...] = ()
        _demand_several(source, mapped, targets)
    else:
        amounts = _amounts(labels, mapped.label.factor)
        usable = np.array([amount is not None for amount in amounts], dtype=bool)
        values = np.array([amount for amount in amounts if amount is not None])
        _demand_several(source, mapped, values)
        spread = float(values.std())
        targets = ((values - values.mean()) / spread).astype(np.float32)[:, None]
        scale = () if mapped.label.standardise else (spread,)
    places = np.flatnonzero(usable)
    rows = [{name: cells[place] for name, cells in columns.items()} for place in places]
    passed = len(usable) - len(places)
    return Converted(source.key, rows, targets, frozenset(columns), scale, passed)


def _cells(values: Sequence[Any], part: ColumnMap, target: Sequence[Any]) -> list[Any]:
    if part.values:
        return [None if is_blank(value) else _renamed(value, part) for value in values]
    if part.standardise:
        return _standardised(values, target)
    return list(values) if part.factor == 1.0 else list(_amounts(values, part.factor))


def _amounts(values: Sequence[Any], factor: float) -> list[float | None]:
    form = format_of(values, 0.0) or POINT
    amounts = [None if is_blank(value) else form(value) for value in values]
    return [None if amount is None else amount * factor for amount in amounts]


def _standardised(values: Sequence[Any], target: Sequence[Any]) -> list[float | None]:
    """Amounts as many spreads from the mean as in the target: on logarithms where all are above 0.

    Rows that are learned from say what is usual in the target.
    """
    own, others = _amounts(values, 1.0), _amounts(target, 1.0)
    mine, theirs = (
        np.array([amount for amount in part if amount is not None]) for part in (own, others)
    )
    if not len(mine) or not len(theirs):
        return [None] * len(values)
    powers = bool(mine.min() > 0 and theirs.min() > 0)
    if powers:
        mine, theirs = np.log(mine), np.log(theirs)
    spread = float(mine.std()) or 1.0

    def moved(amount: float) -> float:
        level = np.log(amount) if powers else amount
        there = (level - mine.mean()) / spread * theirs.std() + theirs.mean()
        return float(np.exp(there) if powers else there)

    return [None if amount is None else moved(amount) for amount in own]


def _demand_alike(
    source: SourceTable, name: str, cells: Sequence[Any], target: Sequence[Any]
) -> None:
    """Raise DataError where one of the two holds numbers and the other does not."""
    own, theirs = format_of(cells), format_of(target)
    words = {str(cell).strip() for cell in cells if not is_blank(cell)}
    marks = words <= {"0", "1", "0.0", "1.0"}  # which may stand for no and yes
    if not marks and (own is None) is not (theirs is None):
        what = ("numbers", "words") if theirs is None else ("words", "numbers")
        raise DataError(
            f"{source.path} has {what[0]} for {name!r}, which holds {what[1]} in the table that is "
            "fitted to. Map another column, or say by `values` what its words are."
        )


def _renamed(value: Any, part: ColumnMap) -> str:
    word = str(value).strip()
    return part.values.get(word, word)


def _demand_several(source: SourceTable, mapped: TableMap, targets: np.ndarray) -> None:
    if len(np.unique(targets)) < 2:
        raise DataError(
            f"{source.path} has fewer than two different labels of the target's kind in "
            f"{mapped.label.source!r}. Name another label in its mapping, or leave it out."
        )
