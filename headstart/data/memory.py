"""Anything a program holds that has labels, as a data set: found as folders and manifests are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, repeat
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image

from headstart.contracts import Modality
from headstart.data.columns import choose_columns
from headstart.data.containers import use
from headstart.data.inputs.frames import RowByRow, columns_of, table_of
from headstart.data.inputs.pairs import item_table, pair_table
from headstart.data.inputs.pictures import is_tensor
from headstart.data.inputs.reading import InputReader
from headstart.data.inputs.tables import Table
from headstart.data.items.tables import join
from headstart.data.manifests import SAMPLE, Listing
from headstart.data.records import Located, Record, parted, records_of, with_plain_labels
from headstart.data.remote import local
from headstart.data.schema import Columns, Schema
from headstart.data.sources import (
    SPLIT_WORDS,
    SPLITS,
    Contents,
    Data,
    FileSource,
    InMemory,
    Input,
    Source,
)
from headstart.data.tables.interface import demand_distinct
from headstart.errors import DataError

_STEADY = 8  # rows that are read twice, to see that they stay the same
_PIXELS = bytes | bytearray | memoryview | np.ndarray | Image.Image
_WANTED = (
    "Give a path, a table with a column of labels (pandas, polars, Arrow, Hugging Face), a torch "
    "Dataset of (input, target), or a pair (X, y)"
)


def data_of(data: Any, *, labelled: bool = True) -> Data:
    """Where a data set is: a path as it is, the pointers to what an address holds, or what a
    program holds.

    That is a data frame of pandas or polars, an Arrow table, a `Dataset` or `DatasetDict` of
    Hugging Face, a torch `Dataset` of (input, target), a pair (X, y), a mapping of columns, or one
    of splits to any of these; where it need not be `labelled`, also a list, array or column of
    items. Raises DataError for anything else, and for an address that can't be read.
    """
    if isinstance(data, InMemory):
        return data
    if isinstance(data, str | os.PathLike):
        return local(data, use)
    if isinstance(data, Mapping):
        return _of_mapping(data)
    table = _labelled(data)
    if table is None and not labelled and isinstance(data, Sequence | np.ndarray):
        table = item_table(data)
    if table is None:
        raise DataError(f"Data of type {type(data).__name__} name no labels. {_WANTED}.")
    return Tables(str(table.path), (("", table),))


def _labelled(data: Any) -> Table | None:
    if isinstance(data, tuple) and len(data) == 2:
        return pair_table(*data)
    table = table_of(data)
    return None if table is None else table.unfolded()


def _of_mapping(data: Mapping[Any, Any]) -> InMemory:
    """Splits, where each value holds a data set; columns otherwise."""
    kind = type(data).__name__
    values = {str(word): _labelled(value) for word, value in data.items()}
    tables = {word: table for word, table in values.items() if table is not None}
    if len(tables) < len(data) or not data:
        return Tables(kind, (("", columns_of(data)),))
    splits = [word for word in tables if word.lower() in SPLIT_WORDS]
    if not splits:
        raise DataError(
            f"{kind} has the splits {', '.join(map(repr, tables))}, none of which is called train, "
            "validation or test. Give one of them alone, or rename them."
        )
    splits.sort(key=lambda word: SPLITS.index(SPLIT_WORDS[word.lower()]))
    unused = tuple(f"Split {word!r} is not used." for word in tables if word not in splits)
    return Tables(kind, tuple((word, tables[word]) for word in splits), unused)


@final
@dataclass(frozen=True, eq=False)
class Tables(InMemory):
    """One table, or one for each word that names a split."""

    name: str
    parts: Sequence[tuple[str, Table]]
    warnings: tuple[str, ...] = ()

    def find(self, modality: Modality, schema: Schema) -> Contents:
        """Every row with its label. Raises DataError where no column holds content or label."""
        parts = []
        for word, table in self.parts:
            contents = _Rows(Path(self.name), table, modality, schema, word).contents()
            schema = replace(schema, label=schema.label or contents.column or None)
            parts.append(contents)
        joined = join(Path(self.name), parts)
        return replace(joined, warnings=(*joined.warnings, *self.warnings))


@final
@dataclass(frozen=True)
class _Rows:
    """A table in memory as it is read for one modality."""

    root: Path
    table: Table
    modality: Modality
    schema: Schema
    word: str

    def contents(self) -> Contents:
        """What the table lists."""
        if not any(True for _ in self.table.numbers()):
            raise DataError(f"{self.root} is empty. Give items with their labels.")
        columns = self.columns()
        contents = [self.table.values(name) for name in columns.content]
        if not self.modality.whole_rows:
            self._demand_usable(contents)
        several = len(columns.labels) > 1
        records = [
            replace(r, label=tuple(map(_plain, r.label)) if several else _plain(r.label))
            for r in records_of(self.table, columns, repeat(()))
        ]

        modality = self.modality
        if modality.whole_rows:
            modality = modality.settled(dict(zip(columns.content, contents, strict=True)))
        own = replace(self, modality=modality)

        def locate(record: Record, _: str | None) -> Located:
            each = own._input(contents, record.number)
            is_path = each.name != record.place and isinstance(each.source, FileSource | None)
            located = each.name if is_path else self._id(record), each.source, each.problem
            return parted(record, self.modality, f"{self.root} {record.place}", located)

        split = SPLIT_WORDS.get(self.word.lower())
        if self.modality.whole_rows:
            records = with_plain_labels(records, columns)
            names = columns.content
            contents = [[dict(zip(names, row, strict=True)) for row in zip(*contents, strict=True)]]
        listing = Listing(self.root, self.root, columns, records, locate, split)
        return listing.contents(self.word)

    def columns(self) -> Columns:
        """Which columns hold content and label. Raises DataError where that can't be told."""
        table, schema = self.table, self.schema
        demand_distinct(self.root, table.names)
        if table.content:
            absent = [name for name in schema.column_names if name not in table.names]
            if absent:
                raise DataError(
                    f"{self.root} has no column {absent[0]!r}: it holds inputs and their targets "
                    "alone. Leave the name out, or give a table."
                )
            return Columns(table.content, table.labels)
        if table.labels:
            schema = replace(schema, label=",".join(table.labels))
        pictures = [name for name in table.names if _is_pixels(_first(table.values(name)))]
        whole = self.modality.whole_rows
        if not (whole or self.modality.inline or schema.files or schema.content):
            schema = replace(schema, files=self._files(pictures))
        content = (schema.files, *schema.content)
        legible = tuple(n for n in table.names if n not in pictures or n in content or whole)
        shortened = replace(
            table,
            names=legible,
            column=lambda place: table.column(table.names.index(legible[place])),
            path=self.root,
        )
        return choose_columns(shortened, self.modality, schema)

    def _files(self, pictures: Sequence[str]) -> str | None:
        """The column of pictures, else the first one of words that names files."""
        before = self.schema.before
        if before and before.content and set(before.content) <= set(self.table.names):
            return before.content[0]
        columns = self.modality.columns
        ranked = sorted(pictures, key=lambda n: (n.lower() not in columns, pictures.index(n)))
        paths = (name for name in self.table.names if self._names_files(name))
        return next(iter(ranked), None) or next(paths, None)

    def _names_files(self, name: str) -> bool:
        values = [*islice((v for v in self.table.values(name) if isinstance(v, str)), SAMPLE)]
        here = sum("\0" not in value and os.path.isfile(value) for value in values)
        return bool(here) and 2 * here >= len(values)

    def _demand_usable(self, contents: Sequence[Sequence[Any]]) -> None:
        """Raise DataError for things of a wrong kind, and for rows that differ each time."""
        for cells in contents:
            first = _first(cells)
            if first is not None and len(contents) == 1:
                self._reader.cell([first], f"{self.table.noun} 0")
            for row in range(min(_STEADY, len(cells)) if isinstance(cells, RowByRow) else 0):
                if not self._is_steady(self._lazy(cells, row)):
                    raise DataError(
                        f"{self.root} gives {self.table.noun} {row} otherwise each time, as random "
                        "transforms do. Give it without them; training has views of its own."
                    )

    def _is_steady(self, source: Source) -> bool:
        try:
            return source.read() == source.read()
        except DataError:  # is left out, as any broken item
            return True

    @property
    def _reader(self) -> InputReader:
        return InputReader(self.modality, self.schema)

    def _input(self, contents: Sequence[Sequence[Any]], row: int) -> Input:
        """One row's content; pictures become files only when they are read."""
        place = f"{self.table.noun} {row}"
        if len(contents) == 1 and isinstance(contents[0], RowByRow):
            return Input(place, self._lazy(contents[0], row))
        values = [cells[row] for cells in contents]
        if len(values) == 1 and not self.modality.inline and _is_pixels(values[0]):
            return Input(place, self._lazy(contents[0], row))
        return self._reader.cell(values, place)

    def _lazy(self, cells: Sequence[Any], row: int) -> Source:
        return _Cell(cells, row, self._reader.cell, f"{self.table.noun} {row}")

    def _id(self, record: Record) -> str:
        name = self.table.ids[record.number] if self.table.ids else record.place
        return f"{self.word} {name}" if self.word else name


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Cell(Source):
    """What stands in one cell, as the bytes of a file each time that it is read."""

    cells: Sequence[Any]
    row: int
    cell: Callable[[Sequence[Any], str], Input]
    place: str

    def read(self) -> bytes:
        """The bytes. Raises DataError for what is no item."""
        each = self.cell([self.cells[self.row]], self.place)
        if each.source is None:
            raise DataError(each.problem)
        return each.source.read()


def _first(cells: Sequence[Any]) -> Any:
    """The first cell that holds something; None where that can't be read."""
    try:
        return next((cell for cell in cells if cell is not None), None)
    except DataError:
        return None


def _is_pixels(cell: Any) -> bool:
    """Whether a cell holds a picture, or the bytes of a file."""
    return isinstance(cell, _PIXELS | Mapping) or is_tensor(cell)


def _plain(label: Any) -> Any:
    """A label as Python's own values: numbers, text, or a list of them."""
    if isinstance(label, np.generic):
        return label.item()
    if isinstance(label, np.ndarray) or is_tensor(label):
        return label.tolist()
    if isinstance(label, set | frozenset):
        return sorted(map(_plain, label), key=str)
    return [_plain(each) for each in label] if isinstance(label, tuple | list) else label
