"""Rows of tables without labels: manifests, and tables in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, final

from headstart.contracts import Modality
from headstart.data import tables
from headstart.data.columns import choose_columns
from headstart.data.content_columns import NUMBERING
from headstart.data.manifests import Manifest
from headstart.data.remote import named
from headstart.data.schema import Columns, Schema
from headstart.data.sources import PAIR, FileSource, InlineSource, Input, PartSource, Row
from headstart.data.tables.interface import ItemTable
from headstart.data.tables.translations import folded, text_of, texts_in
from headstart.errors import DataError

Cell = Callable[[Sequence[Any], str], Input]  # the values in a row's columns, and its place
_TABLE = Path("The table")
_UNREAD = frozenset({"label", "labels", "split"})  # columns that no content is looked for in


@final
@dataclass(frozen=True)
class Table(ItemTable):
    """Columns by name, each as a list that is made when it is asked for.

    `content` and `labels` name the columns of those where the table's kind says it; `ids` are what
    its rows are called, where they have names.
    """

    names: Sequence[str]
    column: Callable[[int], Sequence[Any]]
    path: Path = _TABLE
    noun: str = "row"
    content: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    ids: Sequence[str] = ()

    def numbers(self) -> Sequence[int]:
        """The rows in order, from 0."""
        return range(len(self.column(0)) if self.names else 0)

    def values(self, column: str) -> Sequence[Any]:
        """Each row's value."""
        return self.column(list(self.names).index(column))

    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The first rows by column."""
        cells = ([*islice(self.values(name), count)] for name in self.names)
        return (dict(zip(self.names, row, strict=True)) for row in zip(*cells, strict=True))

    def unfolded(self) -> Table:
        """The same with a column for each language, where one holds texts by language."""
        column = folded(self.names)
        languages = texts_in(self.values(column)) if column else ()
        if not column or not languages or set(languages) & set(self.names):
            return self
        others = [name for name in self.names if name != column]

        def cells(place: int) -> Sequence[Any]:
            if place < len(others):
                return self.values(others[place])
            language = languages[place - len(others)]
            return [text_of(cell, language) for cell in self.values(column)]

        return replace(self, names=(*others, *languages), column=cells)

    def inputs(self, modality: Modality, schema: Schema, cell: Cell) -> Iterator[Input]:
        """One input a row. Raises DataError where no column holds the content."""
        schema = unlabelled_schema(self.names, modality, schema)
        plain = replace(self, path=_TABLE)  # of which there is only one
        content = self.content or choose_columns(plain, modality, schema).content
        for name in content:
            if self.names.count(name) > 1:
                raise DataError(f"The table has two columns {name!r}. Rename one of them.")
        contents: Iterable[Sequence[Any]]
        contents = zip(*(self.values(name) for name in content), strict=True)
        if modality.whole_rows:
            contents = ([dict(zip(content, row, strict=True))] for row in contents)
        ids = self.values(schema.group) if schema.group else None
        for row, values in enumerate(contents):
            place = f"row {row}"
            yield replace(cell(values, place), id=place if ids is None else str(ids[row]))


def manifest_inputs(path: Path, modality: Modality, schema: Schema) -> Iterator[Input]:
    """What a manifest lists, by its row's own id or by file and line. Raises DataError as it is."""
    # all rows count, whatever split they are of
    manifest = Manifest.within(path.parent, path, modality, "test")
    files = manifest.files_column(schema)
    schema = replace(schema, files=files) if files else schema
    contents = manifest.find(unlabelled_schema(tables.read(path)[0].names, modality, schema))
    return (_of_row(row, path, modality.whole_rows) for row in contents.rows)


def _of_row(row: Row, path: Path, whole: bool) -> Input:
    name = row.id
    if isinstance(row.source, InlineSource) and not whole:
        name = row.source.content.decode("utf-8", "replace").replace(PAIR, " | ")
    elif isinstance(row.source, FileSource | PartSource):
        name = named(path.parent / row.id)
    own = row.group if not row.id.startswith(f"{row.group} from ") else row.id
    return Input(name, row.source, own or row.id, row.missing)


def unlabelled_schema(names: Sequence[str], modality: Modality, schema: Schema) -> Schema:
    """How to read a table that may lack the columns that only training needs.

    The content's column is the one that is named, else the one that the model was fitted on, else
    the only one that it can be.
    Ids ride along as groups do: they are read and change nothing.
    """
    before = schema.before or Columns((), ())
    label = schema.label or before.label or None
    labels = {label, *before.labels}
    lower = {name.strip().lower(): name for name in reversed(names)}
    own = next((lower[word] for word in ("id", "idx", "index") if word in lower), None)
    if modality.whole_rows:
        group = None if own in (*labels, *before.content) else own
        return replace(schema, label=label, content=(), group=group, may_lack_label=True)
    content = (schema.files,) if schema.files else schema.content
    content = content or (before.content if set(before.content) <= set(names) else ())
    if not content and not any(word in lower for word in modality.columns):
        passed = NUMBERING | _UNREAD
        others = [n for n in names if n not in labels and n.strip().lower() not in passed]
        content = tuple(others) if len(others) == 1 else ()
    group = None if own in (*labels, *content) else own
    return Schema(label, content, group=group, may_lack_label=True, files=schema.files)
