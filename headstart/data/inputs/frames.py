"""Tables and columns of any library, in memory: pandas, polars, Arrow, data sets of other tools."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.data.inputs.datasets import hugging_face_table, torch_table
from headstart.data.inputs.tables import Table


def table_of(data: Any) -> Table | None:
    """What a data frame, a data set, or a table of whatever speaks Arrow's protocol holds.

    None for others. Raises DataError for a data set whose rows can't be told apart or counted.
    """
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
