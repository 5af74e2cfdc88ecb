"""Tables and columns in memory: pandas, polars, Arrow, data sets of Hugging Face and torch."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, final

import numpy as np

from headstart.data.inputs.tables import Table
from headstart.errors import DataError

INPUT, TARGET = "input", "label"  # the columns of pairs without names


def table_of(data: Any) -> Table | None:
    """What a data frame, a data set, or a table of whatever speaks Arrow's protocol holds.

    None for others. Raises DataError for a data set whose rows can't be told apart or counted.
    """
    if isinstance(data, Table):
        return data
    pandas = sys.modules.get("pandas")  # what is not imported made nothing
    if pandas is not None and isinstance(data, pandas.DataFrame):
        names = tuple(map(str, data.columns))
        path = Path(type(data).__name__)
        return Table(names, lambda place: _listed(data.iloc[:, place]), path, ids=row_names(data))
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(data, polars.DataFrame):
        path = Path(type(data).__name__)
        return Table(tuple(data.columns), lambda place: data.to_series(place).to_list(), path)
    return hugging_face_table(data) or torch_table(data) or _arrow_table(data)


def _arrow_table(data: Any) -> Table | None:
    if not _speaks_arrow(data):
        return None
    import pyarrow as pa

    try:
        table = pa.table(data)
    except (pa.ArrowException, TypeError, ValueError):
        return None  # a column
    names, path = tuple(table.column_names), Path(type(data).__name__)
    return Table(names, lambda place: table.column(place).to_pylist(), path)


def column_of(data: Any) -> Sequence[Any] | None:
    """The values of a column of pandas, polars or pyarrow, None where one is missing."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.Series | pandas.Index):
        return _listed(data.to_series() if isinstance(data, pandas.Index) else data)
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(data, polars.Series):
        listed: Sequence[Any] = data.to_list()
        return listed
    if not _speaks_arrow(data):
        return None
    import pyarrow as pa

    values: Sequence[Any] = pa.chunked_array(data).to_pylist()
    return values


def name_of(column: Any) -> str:
    """What a column calls itself, empty where it has no name."""
    name = getattr(column, "name", None)
    return name if isinstance(name, str) else ""


def row_of(data: Mapping[Any, Any]) -> Table:
    """A mapping from columns to the values of one row."""
    values = list(data.values())
    return Table(tuple(map(str, data)), lambda place: [values[place]])


def row_or_rows(data: Any) -> Any:
    """A row of pandas as a mapping, rows of numbers (N, D) as a table; all else as it is."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.Series):
        return data.to_dict()
    return number_table(data) or data


def number_table(data: Any) -> Table | None:
    """Rows of numbers (N, D) with a column for each place; None for all else."""
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.dtype.kind not in "iufb":
        return None
    names = tuple(f"column {number + 1}" for number in range(data.shape[1]))
    return Table(names, lambda place: data[:, place].tolist(), Path("array"))


def columns_of(data: Mapping[Any, Any]) -> Table:
    """A mapping from columns to the values of all rows."""
    values = [column_of(column) or list(column) for column in data.values()]
    return Table(tuple(map(str, data)), lambda place: values[place], Path(type(data).__name__))


def row_names(data: Any) -> Sequence[str]:
    """The labels of a pandas index, where they tell rows apart and are no mere positions."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(data, pandas.DataFrame | pandas.Series):
        return ()
    index = data.index
    has_names = not isinstance(index, pandas.RangeIndex) and index.is_unique
    return [str(label) for label in index] if has_names else ()


def _listed(series: Any) -> Sequence[Any]:
    values: Sequence[Any] = series.astype(object).where(series.notna(), None).tolist()
    return values


def _speaks_arrow(data: Any) -> bool:
    kind = type(data)
    return any(
        getattr(kind, name, None) is not None
        for name in ("__arrow_c_stream__", "__arrow_c_array__")
    )


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
        return _class_names(list(plain[name]), plain.features[name])

    return Table(names, column, Path(type(dataset).__name__))


def _class_names(values: list[Any], feature: Any) -> Sequence[Any]:
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
