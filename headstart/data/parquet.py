"""Rows of Parquet and Arrow files: content is read by row group, without temporary files."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.arrow import ArrowFile
from headstart.data.sources import Source
from headstart.errors import DataError

ARROW = frozenset({".arrow", ".feather"})

CACHE_BYTES = 512 * 2**20  # of row groups held at once; one larger than this is held alone


@dataclass(frozen=True)
class RowSource(Source):
    """The bytes in one row of a file of columns, as a binary column or a struct with `bytes`."""

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
    """The opened Parquet or Arrow file. Raises DataError naming it when pyarrow can't read it."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        return ArrowFile(path) if path.suffix.lower() in ARROW else ParquetFile(path)
    except (ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_column(path: Path, column: str, group: int) -> Any:
    """One leaf column of one row group. Raises DataError naming the file."""
    from pyarrow import ArrowException, compute

    try:
        with open_file(path) as file:
            whole = column in file.schema_arrow.names  # a column's own name may hold a point
            name, _, leaf = (column, "", "") if whole else column.partition(".")
            if isinstance(file, ArrowFile):
                values = file.column(group, name)
            else:
                values = file.read_row_group(group, columns=[column]).column(name)
        return compute.struct_field(values, leaf) if leaf else values
    except (ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def column_names(path: Path) -> list[str]:
    """The names of the top-level columns, in order."""
    with open_file(path) as file:
        return list(file.schema_arrow.names)


def group_sizes(path: Path) -> list[int]:
    """The number of rows in each row group."""
    with open_file(path) as file:
        if isinstance(file, ArrowFile):
            return [file.rows(group) for group in range(file.num_row_groups)]
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def first_rows(path: Path, count: int) -> list[dict[str, Any]]:
    """The text that stands in the first rows, by column; other columns are left out."""
    from pyarrow import ArrowException

    try:
        with open_file(path) as file:
            names = [field.name for field in file.schema_arrow if _holds_text(field.type)]
            if not names or not file.num_row_groups:
                return []
            if isinstance(file, ArrowFile):
                cells = [file.column(0, name).slice(0, count).to_pylist() for name in names]
                return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
            return list(next(file.iter_batches(count, columns=names)).to_pylist())
    except UnicodeDecodeError:  # is said where the column is read
        return []
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
    leaves = (
        {kind.field(i).name for i in range(kind.num_fields)} if types.is_struct(kind) else set()
    )
    if "bytes" in leaves:
        leaf, fallback = f"{column}.bytes", f"{column}.path"
    elif types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        leaf, fallback = column, ""
    elif _holds_text(kind):
        yield from values(path, column)
        return
    else:
        raise DataError(
            f"Column {column!r} of {path} holds {kind}, neither a path nor bytes. "
            "Name a column that holds one of the two."
        )
    for group, rows in enumerate(group_sizes(path)):
        missing = _nulls(path, leaf, group)
        paths = missing and "path" in leaves and read_column(path, fallback, group).to_pylist()
        for row in range(rows):
            if row not in missing:
                yield RowSource(path, leaf, group, row)
            else:
                yield _beside(path, column, paths[row]) if paths else None


def _beside(path: Path, column: str, value: str | None) -> str | None:
    """A path that stands instead of bytes. Raises DataError where it leads elsewhere."""
    if value is None or not os.path.isabs(value) or path.parent.absolute() in Path(value).parents:
        return value
    raise DataError(
        f"Column {column!r} of {path} names files elsewhere, such as {value!r}, and holds no "
        "bytes, as `to_parquet` of datasets writes it. Save the data set by `save_to_disk`, which "
        "keeps the bytes, and give that folder."
    )


def values(path: Path, column: str) -> Iterator[Any]:
    """Each row's value; integers of a Hugging Face ClassLabel column, or lists, as their names."""
    names = _class_names(path, column)

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return [named(each) for each in value]
        if isinstance(value, int):
            return names[value] if 0 <= value < len(names) else None
        return value

    for group, _ in enumerate(group_sizes(path)):
        plain = _plain(path, column, group)
        yield from map(named, plain) if names else plain


def _plain(path: Path, column: str, group: int) -> list[Any]:
    cells = read_column(path, column, group)
    try:
        return list(cells.to_pylist())
    except UnicodeDecodeError as error:
        row = sum(group_sizes(path)[:group]) + _first_bad(cells)
        raise DataError(
            f"{path} row {row} holds bytes in column {column!r} that are not UTF-8. "
            "Write the column anew from text that was decoded."
        ) from error
    except ValueError as error:  # a date beyond what Python's can be
        raise _unreadable(path, error) from error


def _first_bad(cells: Any) -> int:
    for row, cell in enumerate(cells):
        try:
            cell.as_py()
        except UnicodeDecodeError:
            return row
    return 0


def _holds_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    tests = (types.is_string, types.is_large_string, types.is_string_view)
    return any(test(kind) for test in tests)


def _nulls(path: Path, leaf: str, group: int) -> set[int]:
    """The rows of a group without bytes, read off the file's statistics where it keeps them."""
    with open_file(path) as file:
        if isinstance(file, ArrowFile):
            return _invalid(path, leaf, group)
        meta = file.metadata.row_group(group)
        for position in range(meta.num_columns):
            chunk = meta.column(position)
            if chunk.path_in_schema == leaf and chunk.statistics is not None:
                if chunk.statistics.has_null_count and chunk.statistics.null_count == 0:
                    return set()
    return _invalid(path, leaf, group)


def _invalid(path: Path, leaf: str, group: int) -> set[int]:
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
    kind = "Arrow" if path.suffix.lower() in ARROW else "Parquet"
    return DataError(f"{path} can't be read as {kind}: {reason}. Check the file.")
