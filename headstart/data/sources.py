"""Where the raw bytes of one item lie, and what a search for items found."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.data.remote.pointers import pointer_at
from headstart.errors import DataError

if TYPE_CHECKING:
    from headstart.contracts import Modality
    from headstart.data.schema import Schema

SPLITS = ("train", "validation", "test")
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
    "holdout": "test",
}
NO_CONTENT = "the row names no content"
PAIR = "\x1e"  # the record separator stands between the two texts of a pair


def text_content(texts: Sequence[str]) -> bytes:
    """A text, or two that are a pair, as the content of an item: UTF-8.

    Half a surrogate pair is kept, so that the check of the item finds it.
    """
    return PAIR.join(text.replace(PAIR, " ") for text in texts).encode("utf-8", "surrogatepass")


class Source(ABC):
    """A place to read one item's raw bytes from; safe to use from several threads."""

    __slots__ = ()

    @abstractmethod
    def read(self) -> bytes:
        """The item's bytes. Raises DataError naming the file when it can't be read."""


@dataclass(frozen=True, slots=True)
class FileSource(Source):
    """A file of its own, here or where its pointer leads."""

    path: Path

    def read(self) -> bytes:
        """The file's bytes. Raises DataError naming the file when it can't be read."""
        try:
            pointer = pointer_at(self.path)
            if pointer is not None:
                return pointer.read()
            if not stat.S_ISREG(os.stat(self.path).st_mode):  # a pipe or device might never end
                raise OSError(errno.EINVAL, "not a regular file")
            return self.path.read_bytes()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(
                f"{self.path} can't be read: {reason}. Check the file and its permissions."
            ) from error


@dataclass(frozen=True, slots=True)
class InlineSource(Source):
    """Content that a manifest's column holds itself."""

    content: bytes

    def read(self) -> bytes:
        """The content."""
        return self.content


@dataclass(frozen=True, slots=True)
class PartSource(Source):
    """A part of what another source holds, as the modality cuts it."""

    whole: Source
    modality: Modality
    start: float | None
    end: float | None

    def read(self) -> bytes:
        """The part's bytes. Raises DataError where there is none."""
        return self.modality.part(self.whole.read(), self.start, self.end)


@dataclass(frozen=True, slots=True)
class RowSource(Source):
    """A table's row as its modality writes it, whose cells may be sources of items."""

    modality: Modality
    cells: Mapping[str, Any]

    def read(self) -> bytes:
        """The row's bytes. Raises DataError, naming the column, for a cell that can't be read."""
        row = {n: v.read() if isinstance(v, Source) else v for n, v in self.cells.items()}
        content = self.modality.row(row)
        if content is None:
            raise DataError(NO_CONTENT)
        return content

    @classmethod
    def of(cls, modality: Modality, cells: Mapping[str, Any]) -> Source | None:
        """That of a row; None where all is blank. Raises DataError for a cell that can't be."""
        if any(isinstance(value, Source) for value in cells.values()):
            return cls(modality, cells)
        content = modality.row(cells)
        return None if content is None else InlineSource(content)


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled example, read only when asked.

    `id` is the path relative to the data root with forward slashes, or `file.parquet#17`. `label`
    is written as its kind of target writes it: equal labels are equal strings. `digest` is the
    BLAKE2b hash of the raw bytes (32 hex digits), empty until they were read. `identity` is equal
    for items that count as identical (hex digits); where the modality knows no better, the digest.
    `group` is what a column of groups says of it, empty where there is none. `cluster` is equal for
    items that are never parted, as near copies and those of one group (hex digits); where nothing
    is known to belong with it, the identity. Different clusters are what counts as independent.
    """

    id: str
    label: str
    split: str | None
    source: Source
    digest: str = ""
    identity: str = ""
    group: str = ""
    cluster: str = ""

    def __post_init__(self) -> None:
        if not self.identity:
            object.__setattr__(self, "identity", self.digest)
        if not self.cluster:
            object.__setattr__(self, "cluster", self.identity)

    def read(self) -> bytes:
        """The raw bytes. Raises DataError where they can't be read, or differ from when checked."""
        raw = self.source.read()
        if self.digest and digest(raw) != self.digest:
            raise DataError(
                f"{self.id} has changed since it was checked. Run the command again, and leave the "
                "data alone while it runs."
            )
        return raw


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to answer about, not yet read.

    `name` is its file or the text itself, else its place among several; `id` is what a table calls
    its row, empty elsewhere; `problem` says why there is no source.
    """

    name: str
    source: Source | None
    id: str = ""
    problem: str = ""

    @property
    def item(self) -> Item:
        """It as an item without a label. Raises DataError where it has no content."""
        if self.source is None:
            raise self.unusable(self.problem)
        return Item(self.id or self.name, "", None, self.source)

    def unusable(self, problem: str) -> DataError:
        """The error of an input that a model can't answer about."""
        title = self.name if isinstance(self.source, FileSource | None) else repr(self.name[:60])
        return DataError(f"{title} can't be used: {problem}. Give another.")


def of_texts(texts: Sequence[str]) -> Input:
    """One text, or two that are a pair."""
    source = InlineSource(text_content(texts)) if any(texts) else None
    return Input(" | ".join(texts), source, problem="" if source else NO_CONTENT)


def digest(raw: bytes) -> str:
    """The content hash of an item: BLAKE2b, 16 bytes, as hex."""
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Row:
    """One example as the data set writes it, its label not yet understood.

    `place` is for messages, such as `file.csv line 3`; `missing` says why there is no source.
    """

    id: str
    place: str
    value: Any
    split: str | None
    source: Source | None
    missing: str = ""
    group: str = ""


@dataclass(frozen=True)
class Contents:
    """What lies in a data set before any item was opened.

    `kind` is the kind of target that the layout says, empty where the values tell; `column` names
    what holds the labels; `remarks` are sentences on how a manifest was understood; `split_names`
    maps each split the layout names to the data set's own word for it; `unlabelled` those that have
    no labels, so that none of their items is among the rows; `columns` and `content` are a
    manifest's columns of labels and content; `repaired` are places in annotations, and what was
    wrong there and put right or left out; `advice` is what to do where folders name one class
    alone; `owner` is a column that may be one of groups. Where there are several of labels, a row's
    value is a tuple of their cells.
    """

    root: Path
    rows: tuple[Row, ...]
    kind: str = ""
    column: str = ""
    split_names: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    empty_classes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    unlabelled: Mapping[str, str] = field(default_factory=dict)
    repaired: tuple[tuple[str, str], ...] = ()
    advice: str = ""
    owner: str = ""

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of labels, or what else the labels are called by."""
        return self.columns or (self.column,)

    @property
    def by_column(self) -> dict[str, tuple[str, ...]]:
        """The columns of content and labels, for the report; none where it is no manifest."""
        return {"content": self.content, "label": self.columns} if self.content else {}


class InMemory(ABC):
    """A data set that a program holds, in the place of a folder's or manifest's path."""

    name: str  # for messages, such as DataFrame

    @abstractmethod
    def find(self, modality: Modality, schema: Schema) -> Contents:
        """Every item with its label. Raises DataError where nothing says either."""

    def __str__(self) -> str:
        return self.name


Data = Path | InMemory  # where a data set is
