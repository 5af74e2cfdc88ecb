"""Manifests: tables that list items and their labels in text, JSON, Parquet, Arrow or Excel."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart.contracts import Modality
from headstart.data import tables
from headstart.data.cells import CellFinder
from headstart.data.columns import choose_columns, holds_content
from headstart.data.paths import Paths
from headstart.data.records import Located, Record, parted, records_of, with_plain_labels
from headstart.data.schema import GUESSED, Columns, Schema
from headstart.data.sources import (
    NO_CONTENT,
    Contents,
    InlineSource,
    PartSource,
    Row,
    RowSource,
    Source,
    text_content,
)
from headstart.data.split_columns import split_named, word_for
from headstart.data.tables.interface import ItemTable
from headstart.data.tables.pixels import Pictured, pictured
from headstart.data.trees import walk
from headstart.errors import DataError

SAMPLE = 100  # rows that are looked at to tell which column names files
_NO_SPLIT = "the row names no split"


Locate = Callable[[Record, str | None], Located]  # a row of a split, if it is of one


@dataclass(frozen=True)
class Manifest:
    """A file of tables that lists items; paths count from its folder, and lie in that of `paths`.

    Where all its rows are of one `split`, `word` is the data set's own word for it.
    """

    path: Path
    paths: Paths
    modality: Modality
    split: str | None = None
    word: str = ""

    @classmethod
    def within(
        cls, root: Path, path: Path, modality: Modality, split: str | None = None, word: str = ""
    ) -> Manifest:
        """One whose paths lie in the folder `root`."""
        paths = Paths(root, lambda: walk(root, modality).every())
        return cls(path, paths, modality, split, word)

    def find(self, schema: Schema) -> Contents:
        """What it lists; a row without content has no source.

        Where the file is of no split, a column of that name says it. Raises DataError for a file
        that can't be read, a missing column, a path that leaves the data set's folder, and a split
        that is none.
        """
        table, columns = self._with_columns(schema)
        modality, whole = self.modality, self.modality.whole_rows
        if whole:
            modality = modality.settled({n: [*table.values(n)] for n in columns.content})
        cell_modalities = modality.holds()
        cells = table.texts if modality.inline else table.values if whole else table.contents
        every = (table.contents(n) if n in cell_modalities else cells(n) for n in columns.content)
        records = records_of(table, columns, zip(*every, strict=True))
        finders: dict[str, CellFinder] = {}
        if whole:
            records = with_plain_labels(records, columns)
            places = {name: columns.content.index(name) for name in cell_modalities}
            values = {name: [r.content[n] for r in records] for name, n in places.items()}
            root, base = self.paths.root, self.path.parent
            finders = CellFinder.of(root, base, modality, values, self.split)
            locate = self._rows(columns, modality, finders)
        else:
            inline = self.modality.inline
            locate = self._texts(columns) if inline else self._files(columns, records)
        listing = Listing(self.path, self.paths.root, columns, records, locate, self.split)
        contents = listing.contents(self.word)
        paths = {id(each.paths): each.paths for each in finders.values()}.values()
        remarks = (sentence for each in (self.paths, *paths) for sentence in each.remarks())
        return replace(contents, remarks=(*contents.remarks, *remarks))

    def lists_files(self) -> bool:
        """Whether it has a column that names files there are, or holds their bytes."""
        return any(
            any(map(table.holds_bytes, table.names)) or self._with_files(table, GUESSED).files
            for table in self._tables()
        )

    def files_column(self, schema: Schema) -> str | None:
        """The column of the first table that is named as one of paths, or whose values are."""
        return self._with_files(self._tables()[0], schema).files

    def has_columns(self, names: str) -> bool:
        """Whether a table in it has the column of this name, or all those between its commas."""
        wanted = {names}, {each.strip() for each in names.split(",")}
        return any(each <= {*t.names} for t in self._tables() for each in wanted)

    def holds_content(self, schema: Schema) -> bool:
        """Whether a column holds content: none does where there are labels alone."""
        return any(holds_content(t, self.modality, schema) for t in self._tables())

    def _tables(self) -> Sequence[ItemTable]:
        every = tables.read(self.path)
        return [pictured(table) for table in every] if self.modality.pixels else every

    def _with_columns(self, schema: Schema) -> tuple[ItemTable, Columns]:
        """The first table in the file that has the columns, such as of a workbook's, and them."""
        errors: list[DataError] = []
        for table in self._tables():
            try:
                own = self._with_files(table, schema)
                return table, choose_columns(table, self.modality, own)
            except DataError as error:
                errors.append(error)
        raise errors[0]

    def _with_files(self, table: ItemTable, schema: Schema) -> Schema:
        """The schema with the column that names files here, unless the user or its name says it."""
        before = schema.before
        contained = self.modality.inline or self.modality.whole_rows
        if contained or schema.files or schema.content:
            return schema
        if before and before.content and set(before.content) <= set(table.names):
            return schema
        excluded = (*(schema.label or "").split(","), schema.label, schema.group)
        if isinstance(table, Pictured):
            return replace(schema, files=table.column)
        passed = ("label", "labels", "split")
        free = [n for n in table.names if n not in excluded and n.lower() not in passed]
        rows = table.first_rows(SAMPLE)
        columns = self.modality.columns
        name = self.paths.column(free, columns, rows, self.path.parent, self.split)
        return replace(schema, files=name) if name else schema

    def _rows(
        self, columns: Columns, modality: Modality, finders: Mapping[str, CellFinder]
    ) -> Locate:
        """The record's row as the modality writes it, with the files that its cells name."""

        def locate(record: Record, split: str | None) -> Located:
            place = f"{self.path} {record.place}"
            cells = dict(zip(columns.content, record.content, strict=True))
            for name, finder in finders.items():
                source, missing = finder.find(cells[name], place, split)
                if missing:
                    return self._id(record), None, f"its {name!r} {missing}"
                cells[name] = source
            try:
                source = RowSource.of(modality, cells)
            except DataError as error:
                raise DataError(f"{place}: {error}") from error
            return self._id(record), source, NO_CONTENT

        return locate

    def _texts(self, columns: Columns) -> Locate:
        """The texts in the record's columns; those that aren't Unicode fail their check."""

        def locate(record: Record, _: str | None) -> Located:
            for column, value in zip(columns.content, record.content, strict=True):
                if not isinstance(value, str | None):
                    raise DataError(
                        f"{self.path} {record.place} has {value!r} in column {column!r}, which is "
                        "no text. Give text, or name another column."
                    )
            parts = [value or "" for value in record.content]
            source = InlineSource(text_content(parts)) if any(parts) else None
            return self._id(record), source, NO_CONTENT

        return locate

    def _files(self, columns: Columns, records: Sequence[Record]) -> Locate:
        """The file that the record names, or the bytes that it holds."""
        base, (column,) = self.path.parent, columns.content
        first_cells = (record.content[0] for record in records[:SAMPLE])
        values = [value for value in first_cells if isinstance(value, str) and value.strip()]
        first = self.paths.elsewhere(values, base, self.split)

        def locate(record: Record, split: str | None) -> Located:
            (content,) = record.content
            place = f"{self.path} {record.place}"
            if content is None or content == "" or isinstance(content, Source):
                located = self._id(record), content or None, NO_CONTENT
                return parted(record, self.modality, place, located)
            if not isinstance(content, str):
                raise DataError(
                    f"{place} has {content!r} in column {column!r}, which is no path. "
                    "Give a path relative to the manifest."
                )
            located = self.paths.find(content, base, place, split, first)
            return parted(record, self.modality, place, located)

        return locate

    @cached_property
    def _name(self) -> str:
        return Path(os.path.abspath(self.path)).relative_to(self.paths.root).as_posix()

    def _id(self, record: Record) -> str:
        return f"{self._name}#{record.number}"


@dataclass(frozen=True)
class Listing:
    """The rows of a table that lists items, and how each row's content is located.

    `split` is what the table is called after; a column may say that some rows of `train` are held
    out.
    """

    path: Path
    root: Path
    columns: Columns
    records: Sequence[Record]
    locate: Locate
    split: str | None = None

    def contents(self, word: str = "") -> Contents:
        """What it lists; `word` is the data set's own for its split. Raises DataError for none."""
        columns = self.columns
        splits = _Splits.of(columns, self.records).within(self.split)
        rows = []
        for record in self.records:
            place = f"{self.path} {record.place}"
            own = splits.of_row(place, record) if splits.names else self.split
            name, source, missing = self.locate(record, self.split or own)
            if splits.names and own is None:
                missing = _NO_SPLIT if source else missing
                source = None
            missing = "" if source else missing
            group = _text(record.group)
            if isinstance(source, PartSource) and columns.group is None:
                group = name.partition(" from ")[0]  # parts of one recording belong together
            rows.append(Row(name, place, record.label, own, source, missing, group))
        return Contents(
            self.root,
            tuple(rows),
            columns.kind,
            columns.label,
            split_names=splits.names or ({self.split: word} if self.split and word else {}),
            remarks=(*((columns.remark,) if columns.remark else ()), *splits.remarks),
            columns=columns.labels,
            content=columns.content,
            owner=columns.owner,
        )


@dataclass(frozen=True)
class _Splits:
    """The splits that a manifest's own column names, if any of its values is a split's name."""

    column: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: Columns, records: Sequence[Record]) -> _Splits:
        column = columns.split
        if column is None:
            return cls()
        cells = {str(record.split): record.split for record in records}.values()
        words = {split_named(column, cell): word_for(column, cell) for cell in cells}
        names = {split: word for split, word in words.items() if split}
        if not names:
            return cls(column, remarks=(f"`{column}` names no split and is not used",))
        return cls(column, names, (f"`{column}` says which split a row is in",))

    def within(self, split: str | None) -> _Splits:
        """The same for a table called after a split, of which only that of training is parted."""
        if split is None or (split == "train" and split in self.names and len(self.names) > 1):
            return self
        sentence = f"`{self.column}` is not used, as the table is called after a split"
        return _Splits(remarks=self.remarks if {*self.names} <= {split} else (sentence,))

    def of_row(self, place: str, record: Record) -> str | None:
        split = split_named(self.column, record.split) if self.names else ""
        if split is None:
            raise DataError(
                f"{place} has {record.split!r} as its split, which is none of train, validation "
                "and test. Correct the row."
            )
        return split or None


def _text(value: Any) -> str:
    """A cell as text, empty where it is."""
    return "" if value is None or value != value else str(value).strip()
