"""Data sets of Hugging Face and of torch as tables, whose pictures are read row by row."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, final

from headstart.data.inputs.tables import Table
from headstart.errors import DataError

INPUT, TARGET = "input", "label"  # the columns of pairs without names


@final
class RowByRow(Sequence[Any]):
    """A column whose cells are made one at a time, each anew when it is asked for."""

    def __init__(self, count: int, cell: Callable[[int], Any]) -> None:
        self._count, self._cell = count, cell
        self._lock = threading.Lock()  # as files behind a data set may stand one reader at a time

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: Any) -> Any:
        """One cell, or several. Raises DataError for whatever the data set raises."""
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(self._count))]
        if not 0 <= row < self._count:
            raise IndexError(row)
        try:
            with self._lock:
                return self._cell(row)
        except DataError:
            raise
        except Exception as error:  # the data set is of any author
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            what = f"{type(error).__name__}: {reason}"
            raise DataError(f"row {row} can't be read ({what})") from error


def hugging_face_table(dataset: Any) -> Table | None:
    """The rows of a `datasets.Dataset`, pictures as the bytes that it keeps; None for others."""
    datasets = sys.modules.get("datasets")  # what is not imported made nothing
    if datasets is None:
        return None
    if isinstance(dataset, datasets.IterableDataset):
        raise DataError(
            "IterableDataset can't be split, as its rows are not known beforehand. Give a Dataset, "
            "such as by `Dataset.from_generator`."
        )
    if not isinstance(dataset, datasets.Dataset):
        return None
    plain = dataset.with_format(None)
    pictures = [n for n, kind in plain.features.items() if isinstance(kind, datasets.Image)]
    for name in pictures:
        plain = plain.cast_column(name, datasets.Image(decode=False))
    names = tuple(plain.column_names)

    def column(place: int) -> Sequence[Any]:
        name = names[place]
        if name in pictures:
            return RowByRow(len(plain), lambda row: plain[row][name])
        return _named(list(plain[name]), plain.features[name])

    return Table(names, column, Path(type(dataset).__name__))


def _named(values: list[Any], feature: Any) -> Sequence[Any]:
    """Numbers of classes as their names, in lists too; all else as it is."""
    names = getattr(getattr(feature, "feature", feature), "names", None)
    if not isinstance(names, list):
        return values

    def name(value: Any) -> Any:
        if isinstance(value, list):
            return [name(each) for each in value]
        inside = isinstance(value, int) and 0 <= value < len(names)
        return names[value] if inside else None  # -1 stands for no label

    return [name(value) for value in values]


def torch_table(dataset: Any) -> Table | None:
    """The pairs (input, target) of a torch `Dataset`, inputs row by row; None for others.

    Numbers of classes are their names where the data set has `classes`, as torchvision's do. Raises
    DataError for one without a length, and for items that are no pair.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(dataset, torch.utils.data.Dataset):
        return None
    kind = type(dataset).__name__
    if isinstance(dataset, torch.utils.data.IterableDataset):
        raise DataError(
            f"{kind} can't be split, as its items are not known beforehand. Give a Dataset with "
            "`__len__` and `__getitem__`."
        )
    inputs = RowByRow(len(dataset), lambda row: _pair(dataset, row)[0])

    @cache  # as each is read with its input
    def targets() -> Sequence[Any]:
        classes = getattr(dataset, "classes", None)
        names = classes if isinstance(classes, list | tuple) else ()
        cells = RowByRow(len(dataset), lambda row: _class(_pair(dataset, row)[1], names))
        try:
            return list(cells)
        except DataError as error:
            raise DataError(f"{kind} can't be used, as {error}. Correct it.") from error

    def column(place: int) -> Sequence[Any]:
        return targets() if place else inputs

    return Table((INPUT, TARGET), column, Path(kind), "item", content=(INPUT,), labels=(TARGET,))


def _pair(dataset: Any, row: int) -> tuple[Any, Any]:
    item = dataset[row]
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    raise DataError(f"item {row} is of type {type(item).__name__} and no pair of input and target")


def _class(target: Any, names: Sequence[Any]) -> Any:
    number = target.item() if getattr(target, "ndim", None) == 0 else target
    inside = isinstance(number, int) and 0 <= number < len(names)
    return str(names[number]) if inside else number
