"""Rows of Parquet files: their content is read by row group, without temporary files."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.sources import Source
from headstart.errors import DataError

CACHE_BYTES = 512 * 2**20  # of row groups held at once; one larger than this is held alone


@dataclass(frozen=True)
class RowSource(Source):
    """The bytes in one row of a Parquet file, as a binary column or a struct with `bytes`."""

    path: Path
    column: str  # the leaf that holds the bytes: "image" or "image.bytes"
    group: int
    row: int  # within the row group

    def read(self) -> bytes:
        """The row's bytes. Raises DataError naming the file when it can't be read."""
        value = _CACHE.column(self.path, self.column, self.group)[self.row].as_py()
        return value if isinstance(value, bytes) else b""


class _RowGroups:
    """The row groups read last, least recently used dropped first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held: OrderedDict[tuple[Path, str, int], Any] = OrderedDict()
        self.lock = threading.Lock()

    def column(self, path: Path, column: str, group: int) -> Any:
        key = (path, column, group)
        with self.lock:
            if key not in self.held:
                self.held[key] = read_column(path, column, group)
            self.held.move_to_end(key)
            values = self.held[key]
            while len(self.held) > 1 and self._size() > self.limit:
                self.held.popitem(last=False)
            return values

    def _size(self) -> int:
        return sum(int(values.nbytes) for values in self.held.values())


_CACHE = _RowGroups(CACHE_BYTES)


def open_file(path: Path) -> Any:
    """The opened Parquet file. Raises DataError naming it when pyarrow can't read it."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def read_column(path: Path, column: str, group: int) -> Any:
    """One leaf column of one row group. Raises DataError naming the file."""
    from pyarrow import ArrowException, compute

    try:
        with open_file(path) as file:
            whole = column in file.schema_arrow.names  # a column's own name may hold a point
            name, _, leaf = (column, "", "") if whole else column.partition(".")
            values = file.read_row_group(group, columns=[column]).column(name)
        return compute.struct_field(values, leaf) if leaf else values
    except (ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def column_names(path: Path) -> list[str]:
    """The names of the top-level columns, in order."""
    with open_file(path) as file:
        return list(file.schema_arrow.names)


def first_rows(path: Path, count: int) -> list[dict[str, Any]]:
    """The text that stands in the first rows, by column; other columns are left out."""
    from pyarrow import ArrowException

    try:
        with open_file(path) as file:
            names = [field.name for field in file.schema_arrow if _holds_text(field.type)]
            batches = file.iter_batches(count, columns=names) if names else iter(())
            batch = next(batches, None)
            return [] if batch is None else list(batch.to_pylist())
    except (ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def holds_bytes(path: Path, column: str) -> bool:
    """Whether a column holds the bytes of files."""
    from pyarrow import types

    with open_file(path) as file:
        kind = file.schema_arrow.field(column).type
    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def texts(path: Path, column: str) -> Iterator[str | None]:
    """Each row's text, or None. Raises DataError when the column holds anything else."""
    with open_file(path) as file:
        kind = file.schema_arrow.field(column).type
    if not _holds_text(kind):
        raise DataError(
            f"Column {column!r} of {path} holds {kind}, no text. Name a column that holds text."
        )
    yield from values(path, column)


def contents(path: Path, column: str) -> Iterator[Source | str | None]:
    """What each row's content column holds, in order, without reading the content itself.

    Yields a source for bytes, a path still to be checked as text, or None for an empty row.
    Raises DataError when the column holds neither.
    """
    from pyarrow import types

    with open_file(path) as file:
        kind = file.schema_arrow.field(column).type
        groups = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
    leaves = (
        {kind.field(i).name for i in range(kind.num_fields)} if types.is_struct(kind) else set()
    )
    if "bytes" in leaves:
        leaf, fallback = f"{column}.bytes", f"{column}.path"
    elif types.is_binary(kind) or types.is_large_binary(kind):
        leaf, fallback = column, ""
    elif _holds_text(kind):
        yield from values(path, column)
        return
    else:
        raise DataError(
            f"Column {column!r} of {path} holds {kind}, neither a path nor bytes. "
            "Name a column that holds one of the two."
        )
    for group, rows in enumerate(groups):
        missing = _nulls(path, leaf, group)
        paths = missing and "path" in leaves and read_column(path, fallback, group).to_pylist()
        for row in range(rows):
            if row not in missing:
                yield RowSource(path, leaf, group, row)
            else:
                yield paths[row] if paths else None


def values(path: Path, column: str) -> Iterator[Any]:
    """Each row's value; integers of a Hugging Face ClassLabel column, or lists, as their names."""
    names = _class_names(path, column)

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return [named(each) for each in value]
        if isinstance(value, int):
            return names[value] if 0 <= value < len(names) else None
        return value

    with open_file(path) as file:
        groups = file.num_row_groups
    for group in range(groups):
        plain = read_column(path, column, group).to_pylist()
        yield from map(named, plain) if names else plain


def _holds_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    tests = (types.is_string, types.is_large_string, types.is_string_view)
    return any(test(kind) for test in tests)


def _nulls(path: Path, leaf: str, group: int) -> set[int]:
    """The rows of a group without bytes, read off the file's statistics where it keeps them."""
    with open_file(path) as file:
        meta = file.metadata.row_group(group)
        for position in range(meta.num_columns):
            chunk = meta.column(position)
            if chunk.path_in_schema == leaf and chunk.statistics is not None:
                if chunk.statistics.has_null_count and chunk.statistics.null_count == 0:
                    return set()
    present = read_column(path, leaf, group).is_valid().to_pylist()
    return {row for row, here in enumerate(present) if not here}


def _class_names(path: Path, column: str) -> list[str]:
    with open_file(path) as file:
        metadata = file.schema_arrow.metadata or {}
    try:
        feature = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"][column]
        feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)
        return [str(name) for name in feature["names"]]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return []


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else "it is damaged"
    return DataError(f"{path} can't be read as Parquet: {reason}. Check the file.")
