"""Parquet, Arrow and Feather files as tables: content is read by row group, never to a file."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from headstart.data.sources import Source
from headstart.data.tables.interface import ItemTable, demand_distinct
from headstart.data.tables.opening import ArrowFile, opened, unreadable
from headstart.errors import DataError

CACHE_BYTES = 512 * 2**20  # of row groups held at once; one larger than this is held alone
_BINARY = ("binary", "large_binary", "binary_view")
_TEXT = ("string", "large_string", "string_view")


@dataclass(frozen=True, slots=True)
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
        self.columns: OrderedDict[tuple[Path, str, int], Any] = OrderedDict()
        self.lock = threading.Lock()

    def column(self, path: Path, column: str, group: int) -> Any:
        key = (path, column, group)
        with self.lock:
            if key not in self.columns:
                self.columns[key] = _column(path, column, group)
            self.columns.move_to_end(key)
            values = self.columns[key]
            while len(self.columns) > 1 and self._size() > self.limit:
                self.columns.popitem(last=False)
            return values

    def _size(self) -> int:
        return sum(int(values.nbytes) for values in self.columns.values())


_CACHE = _RowGroups(CACHE_BYTES)


def read(path: Path) -> list[ColumnFile]:
    """The table, opened to see that it can be. Raises DataError when it can't."""
    table = ColumnFile(path)
    demand_distinct(path, table.names)
    return [table]


@final
@dataclass(frozen=True)
class ColumnFile(ItemTable):
    """A file of columns, of which only those that are asked for are read."""

    path: Path
    noun: str = "row"

    @cached_property
    def names(self) -> Sequence[str]:  # type: ignore[override]  # read off the file
        """The top-level columns."""
        return list(self._schema.names)

    @cached_property
    def _schema(self) -> Any:
        with opened(self.path) as file:
            return file.schema_arrow

    @cached_property
    def _sizes(self) -> list[int]:
        """The number of rows in each row group."""
        with opened(self.path) as file:
            if isinstance(file, ArrowFile):
                return [batch.num_rows for batch in file.batches]
            return [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]

    def numbers(self) -> Iterable[int]:
        """Rows from 0."""
        return range(sum(self._sizes))

    def values(self, column: str) -> Iterator[Any]:
        """Each row's value; integers of a Hugging Face ClassLabel column, or lists, as names."""
        names = self._class_names(column)

        def class_names(value: Any) -> Any:
            if isinstance(value, list):
                return [class_names(each) for each in value]
            if isinstance(value, int):
                return names[value] if 0 <= value < len(names) else None
            return value

        for group in range(len(self._sizes)):
            plain = self._plain(column, group)
            yield from map(class_names, plain) if names else plain

    def texts(self, column: str) -> Iterator[str | None]:
        """Each row's text, or None. Raises DataError when the column holds anything else."""
        if not _holds_text(self._kind(column)):
            raise DataError(
                f"Column {column!r} of {self.path} holds {self._kind(column)}, no text. "
                "Name a column that holds text."
            )
        yield from self.values(column)

    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The text that stands in the first rows, by column; other columns are left out."""
        names = [field.name for field in self._schema if _holds_text(field.type)]
        if not names or not self._sizes:
            return []
        try:
            with opened(self.path) as file:
                if isinstance(file, ArrowFile):
                    rows = file.batches[0].select(names).slice(0, count)
                else:
                    rows = next(file.iter_batches(count, columns=names))
                return list(rows.to_pylist())
        except UnicodeDecodeError:  # is said where the column is read
            return []

    def holds_bytes(self, column: str) -> bool:
        """Whether a column holds the bytes of files."""
        kind = self._kind(column)
        return "bytes" in _leaves(kind) or _is(kind, *_BINARY)

    def contents(self, column: str) -> Iterator[Source | str | None]:
        """What each row's content column holds, in order, without reading the content itself.

        Yields a source for bytes, a path still to be checked as text, or None for an empty row.
        Raises DataError when the column holds neither.
        """
        kind, leaf = self._kind(column), column
        leaves = _leaves(kind)
        if "bytes" in leaves:
            leaf = f"{column}.bytes"
        elif _holds_text(kind):
            yield from self.values(column)
            return
        elif not _is(kind, *_BINARY):
            raise DataError(
                f"Column {column!r} of {self.path} holds {kind}, neither a path nor bytes. "
                "Name a column that holds one of the two."
            )
        for group, rows in enumerate(self._sizes):
            missing = self._nulls(leaf, group)
            paths: list[Any] = []
            if missing and "path" in leaves:
                paths = _column(self.path, f"{column}.path", group).to_pylist()
            for row in range(rows):
                if row not in missing:
                    yield RowSource(self.path, leaf, group, row)
                else:
                    yield self._beside(column, paths[row]) if paths else None

    def _kind(self, column: str) -> Any:
        return self._schema.field(column).type

    def _beside(self, column: str, value: str | None) -> str | None:
        """A path that stands instead of bytes. Raises DataError where it leads elsewhere."""
        here = self.path.parent.absolute()
        if value is None or not os.path.isabs(value) or here in Path(value).parents:
            return value
        raise DataError(
            f"Column {column!r} of {self.path} names files elsewhere, such as {value!r}, and holds "
            "no bytes, as `to_parquet` of datasets writes it. Save the data set by `save_to_disk`, "
            "which keeps the bytes, and give that folder."
        )

    def _plain(self, column: str, group: int) -> list[Any]:
        cells = _column(self.path, column, group)
        try:
            return list(cells.to_pylist())
        except UnicodeDecodeError as error:
            row = sum(self._sizes[:group]) + _first_bad(cells)
            raise DataError(
                f"{self.path} row {row} holds bytes in column {column!r} that are not UTF-8. "
                "Write the column anew from text that was decoded."
            ) from error
        except ValueError as error:  # a date beyond what Python's can be
            raise unreadable(self.path, error) from error

    def _nulls(self, leaf: str, group: int) -> set[int]:
        """The rows of a group without bytes, by the file's statistics where it keeps them."""
        with opened(self.path) as file:
            if not isinstance(file, ArrowFile):
                meta = file.metadata.row_group(group)
                for chunk in map(meta.column, range(meta.num_columns)):
                    counts = chunk.statistics if chunk.path_in_schema == leaf else None
                    if counts is not None and counts.has_null_count and not counts.null_count:
                        return set()
        present = _column(self.path, leaf, group).is_valid().to_pylist()
        return {row for row, here in enumerate(present) if not here}

    def _class_names(self, column: str) -> list[str]:
        metadata = self._schema.metadata or {}
        try:
            feature = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"][column]
            feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)
            return [str(name) for name in feature["names"]]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            return []


def _column(path: Path, column: str, group: int) -> Any:
    """One leaf column of one row group. Raises DataError naming the file."""
    from pyarrow import compute

    with opened(path) as file:
        whole = column in file.schema_arrow.names  # a column's own name may hold a point
        name, _, leaf = (column, "", "") if whole else column.partition(".")
        if isinstance(file, ArrowFile):
            values = file.batches[group].column(name)
        else:
            values = file.read_row_group(group, columns=[column]).column(name)
        return compute.struct_field(values, leaf) if leaf else values


def _first_bad(cells: Any) -> int:
    for row, cell in enumerate(cells):
        try:
            cell.as_py()
        except UnicodeDecodeError:
            return row
    return 0


def _leaves(kind: Any) -> set[str]:
    """The names of a struct's fields; none of another type."""
    return {kind.field(n).name for n in range(kind.num_fields)} if _is(kind, "struct") else set()


def _holds_text(kind: Any) -> bool:
    return _is(kind.value_type if _is(kind, "dictionary") else kind, *_TEXT)


def _is(kind: Any, *names: str) -> bool:
    """Whether a type of Arrow is one of these."""
    from pyarrow import types

    return any(getattr(types, f"is_{name}")(kind) for name in names)
