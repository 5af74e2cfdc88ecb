"""What a thing is, and which inputs it stands for: files, folders, tables, pictures, texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image

from headstart.contracts import Modality
from headstart.contracts.cells import is_blank
from headstart.data.containers import packed, use
from headstart.data.inputs.frames import column_of, row_of, row_or_rows, table_of
from headstart.data.inputs.pairs import inputs_alone
from headstart.data.inputs.pictures import as_array, encoded, pictures_of
from headstart.data.inputs.tables import manifest_inputs
from headstart.data.items import find_inputs
from headstart.data.remote import address, by_address, local, named
from headstart.data.remote.addresses import UNFETCHED, shown
from headstart.data.schema import GUESSED, Schema
from headstart.data.sources import (
    NO_CONTENT,
    FileSource,
    InlineSource,
    Input,
    RowSource,
    of_texts,
)
from headstart.data.tables import READ, SUFFIXES
from headstart.errors import DataError

_NO_ITEM = frozenset(  # suffixes of tables and archives: their content is no single item
    {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xls", ".xlsx", ".ods", ".arrow"}
    | {".feather", ".db", ".sqlite", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z"}
)


@by_address
def inputs_of(data: Any, modality: Modality, schema: Schema = GUESSED) -> Iterator[Input]:
    """What is to be answered about, one after the other, each read when its turn comes.

    `given` is one of these, or a list, tuple, array or iterator of them: a file, a folder of files
    or a manifest, as a `Path`; a string, which is a text where texts are wanted, and else a path;
    bytes or an opened file, as the content of one item; a PIL image; pixels (H, W), (H, W, 1, 3 or
    4) or (N, H, W, C), as bytes, booleans, fractions from 0 to 1 or 16-bit grey, of torch with the
    channels first; a table or a column of pandas, polars or pyarrow, a data set of Hugging Face, or
    a row as a mapping, whose columns `schema` names; a torch data set of pairs, or `(X, y)`, whose
    targets are left alone; two strings where the schema names two columns of text.

    Something that can't be read is an input with its problem, and so is a path or an address among
    several that can't. Raises DataError for what is none of
    these, and for a string that may be meant as a text or as a manifest.
    """
    reader = InputReader(modality, schema)
    data = inputs_alone(data)
    if modality.inline:
        _demand_no_manifest(data)
    alone = reader.of(data, "the input")
    if alone is not None:
        return alone
    if isinstance(data, Set) or not isinstance(data, Iterable):
        raise reader.refusal(data, "the input")
    return chain.from_iterable(
        reader.one_of_several(each, f"item {place}") for place, each in enumerate(data)
    )


@final
@dataclass(frozen=True)
class InputReader:
    """What a thing stands for, where items of a modality are wanted."""

    modality: Modality
    schema: Schema

    def demanded(self, data: Any, place: str) -> Iterator[Input]:
        """The inputs of one element of several. Raises DataError for what is none."""
        before = self.schema.before.content if self.schema.before else ()
        width = len(self.schema.content or before)
        pair = isinstance(data, tuple | list) and len(data) == width > 1
        if pair and all(isinstance(part, str) for part in data):
            return iter([of_texts(data)])
        inputs = self.of(data, place)
        if inputs is None:
            raise self.refusal(data, place)
        return inputs

    def one_of_several(self, data: Any, place: str) -> Iterator[Input]:
        """The same, where a path or an address that can't be read is an input with its problem."""
        try:
            yield from self.demanded(data, place)
        except DataError as error:
            if not isinstance(data, str | os.PathLike):
                raise
            name = os.fsdecode(data)
            why = str(error).rstrip(".")
            own = f"it {why.removeprefix(f'{name} ')}" if why.startswith(f"{name} ") else why
            yield Input(name, None, problem=own)

    def of(self, data: Any, place: str) -> Iterator[Input] | None:
        """The inputs that a thing stands for by itself; None where it is not known."""
        if isinstance(data, Input):
            return iter([data])
        if isinstance(data, str) and self.modality.inline:
            return iter([of_texts([data])])
        if isinstance(data, str | os.PathLike):
            return self._of_name(os.fsdecode(data))
        array = None if self.modality.whole_rows else as_array(data)
        if array is not None:
            return self._array(array, place)
        content = self._content(data, place)
        return iter([content]) if content is not None else self._table(data, place)

    def _of_name(self, name: str) -> Iterator[Input]:
        """A file, those in a folder, or the rows of a manifest, here or by address."""
        path = local(name, use) if address(name) else Path(name)
        try:
            here = bool(name) and os.path.exists(path)
        except ValueError:  # a zero byte
            here = False
        if not here:
            return iter([Input(name or "''", None, problem="it does not exist")])
        if path.is_dir():
            parts = packed(path, self.modality)
            if parts:
                each = (manifest_inputs(p, self.modality, self.schema) for p in parts)
                return chain.from_iterable(each)
            files = find_inputs([path], self.modality)
            return (Input(named(p), FileSource(p)) for p in files)
        suffix = path.suffix.lower()
        known = READ if self.modality.whole_rows else SUFFIXES
        if suffix in known or packed(path, self.modality):
            return manifest_inputs(path, self.modality, self.schema)
        if suffix in _NO_ITEM:
            raise DataError(
                f"{path} is a table or an archive that can't be read here. Give a file, a folder, "
                f"or a manifest ({', '.join(sorted(SUFFIXES))})."
            )
        return iter([Input(named(path), FileSource(path))])

    def _array(self, data: np.ndarray, place: str) -> Iterator[Input]:
        if data.dtype.kind in "OUS":
            column = data.ndim == 0 or data.shape[1:] == (1,)
            values = (data.reshape(-1) if column else data).tolist()
            return (self.cell([value], f"item {number}") for number, value in enumerate(values))
        if self.modality.inline:
            raise self.refusal(data, place)
        return (self._picture(name, picture) for name, picture in pictures_of(data, place))

    def _content(self, data: Any, place: str) -> Input | None:
        """What holds the content of one item itself."""
        if isinstance(data, bytes | bytearray | memoryview):
            raw = bytes(data)
            name = raw.decode("utf-8", "replace") if self.modality.inline else place
            return Input(name, InlineSource(raw))
        if isinstance(data, Image.Image) and not self.modality.inline:
            return self._picture(str(getattr(data, "filename", "") or place), data)
        if callable(getattr(data, "read", None)):
            return self._opened(data, place)
        return None

    def _picture(self, name: str, picture: Image.Image) -> Input:
        try:
            return Input(name, InlineSource(encoded(picture)))
        except DataError as error:
            return Input(name, None, problem=str(error))

    def _opened(self, file: Any, place: str) -> Input:
        """A file that the user opened, as one item."""
        name = getattr(file, "name", None)
        title = name if isinstance(name, str) else place
        if os.path.splitext(title)[1].lower() in SUFFIXES | _NO_ITEM:
            raise DataError(
                f"{title} was given opened, and only its path says that it is a table. "
                "Give the path."
            )
        content = file.read()
        if isinstance(content, str) and self.modality.inline:
            return replace(of_texts([content]), name=title)
        if not isinstance(content, bytes):
            raise DataError(f"{title} does not give bytes. Open it with 'rb', or give its path.")
        return Input(title, InlineSource(content))

    def _table(self, data: Any, place: str) -> Iterator[Input] | None:
        if isinstance(data, Image.Image):  # it offers its pixels as a column
            return None
        if self.modality.whole_rows:
            data = row_or_rows(data)
        table = row_of(data) if isinstance(data, Mapping) else table_of(data)
        if table is not None:
            inputs = table.inputs(self.modality, self.schema, self.cell)
            if self.modality.whole_rows and isinstance(data, Mapping):
                name = place.replace("item", "row").removeprefix("the ").replace("input", "row 0")
                return (replace(each, name=name) for each in inputs)
            return inputs
        column = column_of(data)
        if column is None:
            return None
        return (self.cell([value], f"row {row}") for row, value in enumerate(column))

    def cell(self, values: Sequence[Any], place: str) -> Input:
        """What stands in the columns of one row. Raises DataError for what is no item."""
        if self.modality.whole_rows and isinstance(values[0], Mapping):
            return self._row(values[0], place)
        if self.modality.inline and not isinstance(values[0], bytes | os.PathLike):
            texts = ["" if _missing(value) else value for value in values]
            for text in texts:
                if not isinstance(text, str):
                    raise self.refusal(text, place)
            return of_texts(texts) if any(texts) else Input(place, None, problem=NO_CONTENT)
        value = values[0]
        if isinstance(value, Mapping):  # as data sets of Hugging Face keep pictures
            value = value.get("bytes") or value.get("path")
        if _missing(value) or (isinstance(value, str) and not value):
            return Input(place, None, problem=NO_CONTENT)
        if isinstance(value, str | os.PathLike) and address(value):
            return Input(shown(address(value)), None, problem=f"it {UNFETCHED}")
        inputs = list(self.demanded(value, place))
        if len(inputs) != 1:
            raise DataError(
                f"{place.capitalize()} names {str(value)[:60]!r}, which holds {len(inputs)} items. "
                "Name one file in each row."
            )
        return inputs[0]

    def _row(self, cells: Mapping[str, Any], place: str) -> Input:
        """A row, with what its cells name or hold where these are items."""
        row = dict(cells)
        for name, modality in self.modality.holds().items():
            if _missing(row.get(name)) or (isinstance(row[name], str) and is_blank(row[name])):
                row[name] = None
                continue
            value = str(row[name]) if modality.inline else row[name]
            each = InputReader(modality, GUESSED).cell([value], place)
            if each.source is None and each.problem != NO_CONTENT:
                return Input(place, None, problem=f"its {name!r} can't be used: {each.problem}")
            row[name] = each.source
        source = RowSource.of(self.modality, row)
        return Input(place, source, problem="" if source else NO_CONTENT)

    def refusal(self, data: Any, place: str) -> DataError:
        """The error for what can't be an input."""
        what, advice = "picture", "paths, PIL images, bytes, or arrays of uint8 (H, W, C)"
        if self.modality.whole_rows:
            what, advice = "row", "a table's path, a data frame, rows as dict, or numbers (N, D)"
        if self.modality.inline:
            what, advice = "text", "strings, or files as pathlib.Path"
        return DataError(
            f"{place.capitalize()} is {_kind(data)}, which is no {what}. Give {advice}."
        )


def _demand_no_manifest(data: Any) -> None:
    """A string is a text, but one alone that names a table here was hardly meant as one."""
    one = data[0] if isinstance(data, list | tuple) and len(data) == 1 else data
    if not isinstance(one, str) or os.path.splitext(one)[1].lower() not in SUFFIXES:
        return
    if not set(one) & set("\0\n") and os.path.isfile(one):
        raise DataError(
            f"{one!r} is a text, as every string, and a table of that name is here. "
            "Give pathlib.Path(...) for its rows, or bytes for the text."
        )


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _kind(data: Any) -> str:
    """What a thing is, for a message."""
    if isinstance(data, np.ndarray):
        return f"an array of {data.dtype} {data.shape}"
    return f"of type {type(data).__name__}"
