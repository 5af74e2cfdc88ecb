"""Tables and columns of any library, in memory: pandas, polars, Arrow, data sets of other tools."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.data.inputs.datasets import hugging_face_table, torch_table
from headstart.data.inputs.tables import Table


def table_of(given: Any) -> Table | None:
    """What a data frame, a data set, or a table of whatever speaks Arrow's protocol holds.

    None for others. Raises DataError for a data set whose rows can't be told apart or counted.
    """
    pandas = sys.modules.get("pandas")  # what is not imported made nothing
    if pandas is not None and isinstance(given, pandas.DataFrame):
        names = tuple(map(str, given.columns))
        path = Path(type(given).__name__)
        return Table(names, lambda place: _listed(given.iloc[:, place]), path, ids=row_names(given))
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(given, polars.DataFrame):
        path = Path(type(given).__name__)
        return Table(tuple(given.columns), lambda place: given.to_series(place).to_list(), path)
    return hugging_face_table(given) or torch_table(given) or _arrow_table(given)


def _arrow_table(given: Any) -> Table | None:
    if not _speaks_arrow(given):
        return None
    import pyarrow as pa

    try:
        table = pa.table(given)
    except (pa.ArrowException, TypeError, ValueError):
        return None  # a column
    names, path = tuple(table.column_names), Path(type(given).__name__)
    return Table(names, lambda place: table.column(place).to_pylist(), path)


def column_of(given: Any) -> Sequence[Any] | None:
    """The values of a column of pandas, polars or pyarrow, None where one is missing."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(given, pandas.Series | pandas.Index):
        return _listed(given.to_series() if isinstance(given, pandas.Index) else given)
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(given, polars.Series):
        listed: Sequence[Any] = given.to_list()
        return listed
    if not _speaks_arrow(given):
        return None
    import pyarrow as pa

    values: Sequence[Any] = pa.chunked_array(given).to_pylist()
    return values


def name_of(column: Any) -> str:
    """What a column calls itself, empty where it has no name."""
    name = getattr(column, "name", None)
    return name if isinstance(name, str) else ""


def row_of(given: Mapping[Any, Any]) -> Table:
    """A mapping from columns to the values of one row."""
    values = list(given.values())
    return Table(tuple(map(str, given)), lambda place: [values[place]])


def columns_of(given: Mapping[Any, Any]) -> Table:
    """A mapping from columns to the values of all rows."""
    values = [column_of(column) or list(column) for column in given.values()]
    return Table(tuple(map(str, given)), lambda place: values[place], Path(type(given).__name__))


def row_names(given: Any) -> Sequence[str]:
    """The labels of a pandas index, where they tell rows apart and are no mere positions."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(given, pandas.DataFrame | pandas.Series):
        return ()
    index = given.index
    has_names = not isinstance(index, pandas.RangeIndex) and index.is_unique
    return [str(label) for label in index] if has_names else ()


def _listed(series: Any) -> Sequence[Any]:
    values: Sequence[Any] = series.astype(object).where(series.notna(), None).tolist()
    return values


def _speaks_arrow(given: Any) -> bool:
    kind = type(given)
    return any(
        getattr(kind, name, None) is not None
        for name in ("__arrow_c_stream__", "__arrow_c_array__")
    )
