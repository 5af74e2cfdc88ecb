"""Which columns of a manifest hold content, label, split and group."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from headstart.contracts import Modality
from headstart.contracts.cells import are_marks, are_signs
from headstart.contracts.metric import SEQUENCES
from headstart.data.class_names import twins
from headstart.data.content_columns import (
    counters,
    is_passed,
    lack_of_content,
    may_hold_content,
    no_column,
    span,
)
from headstart.data.directions import demand_direction
from headstart.data.grouping import owner_column
from headstart.data.schema import Columns, Schema
from headstart.data.split_columns import numbers_folds, split_column
from headstart.data.tables.interface import ItemTable
from headstart.data.unnamed_columns import class_columns, naming, other_texts, text_columns
from headstart.errors import DataError

_LABELS = ("label", "labels")  # columns that hold the label whatever else is there


def choose_columns(table: ItemTable, modality: Modality, schema: Schema) -> Columns:
    """The columns of a manifest that hold content, label and split.

    Raises DataError listing the columns there are when content or label can't be told.
    """
    if not table.names:
        raise DataError(f"{table.path} is empty. Give a table with a header and rows.")
    choice = _Choice(table, modality, schema)
    content, split = choice.content(), choice.split
    labels = choice.labels(content)
    return Columns(
        content,
        labels,
        None if split in (*labels, *content) else split,
        "; ".join(filter(None, (table.remark, choice.remark(content, labels), *choice.passed))),
        choice.group(content, labels),
        span(choice.lower, modality, (*content, *labels)),
        choice.kind(labels),
        owner_column(table, (*labels, split)),
    )


def holds_content(table: ItemTable, modality: Modality, schema: Schema) -> bool:
    """Whether a column can be told to hold the content."""
    with suppress(DataError):
        return bool(_Choice(table, modality, schema).content())
    return False


@dataclass(frozen=True)
class _Choice:
    table: ItemTable
    modality: Modality
    schema: Schema

    @property
    def path(self) -> Path:
        return self.table.path

    @property
    def names(self) -> Sequence[str]:
        return self.table.names

    @property
    def lower(self) -> dict[str, str]:
        """Names by how they read in lower case; of two alike, the one written so, else the first"""
        every = {name.lower(): name for name in reversed(self.names)}
        return every | {name: name for name in self.names if name == name.lower()}

    @property
    def listed(self) -> str:
        return ", ".join(repr(name) for name in self.names) or "none"

    @cached_property
    def split(self) -> str | None:
        """The column that says which split a row is in, of those that the user doesn't name."""
        own = {*self.schema.column_names, *self._columns_of(self.schema.label or "")}
        return split_column(self.table, [name for name in self.names if name not in own])

    @cached_property
    def _folds(self) -> tuple[str, ...]:
        own = {*self.schema.column_names, *self._columns_of(self.schema.label or "")}
        return tuple(n for n in self.names if n not in own and numbers_folds(self.table, n))

    @cached_property
    def _twins(self) -> dict[str, str]:
        """Columns that say again what the label's says, by numbers or names, and that column."""
        labels = self._columns_of(self.schema.label or "")
        named = {*self.schema.column_names}.difference(labels)
        names = [name for name in self.names if name not in named]
        return twins(self.table, names, labels, self.schema.kind not in (None, "classes"))

    @property
    def passed(self) -> tuple[str, ...]:
        """A sentence on each column left out of what is learned: folds, twins, and other texts."""
        folds = [
            f"`{name}` numbers folds and is not used (--group {name} keeps each in one split)"
            for name in self._folds
        ]
        classes = [
            f"`{name}` says the same classes as `{other}` and is not used (--label {name} takes it)"
            for name, other in self._twins.items()
        ]
        return (*folds, *classes, *other_texts(self._texts, self.names))

    def content(self) -> tuple[str, ...]:
        if self.modality.whole_rows:
            return self._row[0]
        if self.schema.files is not None:
            return (self._of_files(self.schema.files),)
        if self.schema.content:
            return self._content_columns(self.schema.content)
        before = self.schema.before
        if before and before.content and set(before.content) <= set(self.names):
            return before.content
        usual = [self.lower[name] for name in self.modality.columns if name in self.lower]
        label = self.schema.label or self._named_label(())
        labels = self._columns_of(label) if label else []
        usual = [name for name in usual if self.schema.label is None or name not in labels]
        if usual:
            return (usual[0],)
        self._demand_direction()
        others = [name for name in self._others(()) if name not in labels]
        if not may_hold_content(self.table, others, self.modality):
            raise self._without_content(others)
        if self.modality.inline and labels and set(labels) <= set(self.names) and len(others) == 1:
            return (others[0],)
        if self._texts:
            return (self._texts[0],)
        raise self._no_column()

    @cached_property
    def _texts(self) -> list[str]:
        """The columns of texts where no header names any, the longest first."""
        return text_columns(self.table, self._others(())) if self.modality.inline else []

    def labels(self, content: tuple[str, ...]) -> tuple[str, ...]:
        label = self.schema.label
        if label in content:
            raise DataError(
                f"{self.path} can't have content and label in one column, {label!r}. Name another."
            )
        if label is not None:
            if self.schema.may_lack_label and not set(self._columns_of(label)) <= set(self.names):
                return ()
            return tuple(dict.fromkeys(map(self._demanded, self._columns_of(label))))
        before = self.schema.before
        if before and before.labels and set(before.labels) <= set(self.names).difference(content):
            return before.labels
        likely = [n for n in self._others(content) if n.lower() not in self.modality.columns]
        possible = [n for n in self.names if n not in (*content, self.schema.group)]
        free = self.schema.content or not self.modality.whole_rows  # which leave ids and such out
        named = [] if self.modality.whole_rows else [n for n in self._twins.values() if n in likely]
        few = class_columns(self.table, likely) if content[0] in self._texts else []
        only = (names[0] for names in (likely, named, possible, few) if free and len(names) == 1)
        label_columns = self._named_label(content) or next(only, None)
        if self.schema.may_lack_label and label_columns not in likely:
            return ()
        return self._marks(likely) if label_columns is None else (label_columns,)

    def kind(self, labels: tuple[str, ...]) -> str:
        """The kind of target that the label column's name says, where the user doesn't."""
        spoken = len(labels) == 1 and labels[0].lower() in self.modality.transcripts
        return SEQUENCES if spoken and self.schema.label is None else ""

    def group(self, content: tuple[str, ...], labels: tuple[str, ...]) -> str | None:
        group = self.schema.group
        if group is None:
            before = self.schema.before
            return before.group if before and before.group in self.names else None
        if group in (*labels, *(() if self.modality.whole_rows else content)):
            raise DataError(
                f"{self.path} can't have the groups in {group!r}, which is the content or the "
                "label. Name another column."
            )
        return self._demanded(group)

    def remark(self, content: tuple[str, ...], labels: tuple[str, ...]) -> str:
        """Empty where all was asked for, and where nothing else could be meant."""
        if self.modality.whole_rows:
            return "; ".join(self._row[1]) if labels else ""
        plain = {content[0], *labels} == {self.modality.columns[0], "label"} == set(self.names)
        if plain or not labels or (self.schema.content and self.schema.label):
            return ""
        parts, verb = " and ".join(f"`{n}`" for n in content), "is" if len(content) == 1 else "are"
        what = "text" if self.modality.inline else "content"
        ends = span(self.lower, self.modality, (*content, *labels))
        what += f" from `{ends[0]}` to `{ends[1]}`" if ends else ""
        plural = "s" if len(labels) > 1 else ""
        names = naming(self.table, labels)
        return f"{parts} {verb} the {what}, `{'`, `'.join(labels)}` the label{plural}{names}"

    @cached_property
    def _row(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns that a row is made of, and sentences on how they are read.

        Raises DataError where one that a model reads is not there, and where none is left.
        """
        before = self.schema.before
        if before and before.content:
            content = self.modality.fitted_columns(before.content)
            absent = next((name for name in content if not self.table.has(name)), None)
            if absent is None:
                return content, ()
            raise DataError(
                f"{self.path} has no column {absent!r}, which the model reads; its columns: "
                f"{self.listed}. Add it, empty where nothing is known."
            )
        label = self.schema.label or self._named_label(()) or ""
        passed = {*map(self._demanded, self.schema.drop), *self._columns_of(label)}
        others = {*self._others(())} - passed
        counting, rows = counters(self.table, passed | {self.schema.group, self.split})
        free = [name for name in self.names if name in others or name in rows]
        columns = self._content_columns(self.schema.content) if self.schema.content else free
        used, remarks = self.modality.columns_of({n: [*self.table.values(n)] for n in columns})
        remarks = (*remarks, *([] if self.schema.content else counting))
        if not used:
            raise no_column(self.table, self.listed, remarks)
        return used, remarks

    def _marks(self, likely: Sequence[str]) -> tuple[str, ...]:
        """The columns of 0 and 1, or of 1 and -1, if all that may hold labels are such.

        Raises DataError otherwise, as no column is the label.
        """
        self._demand_direction()
        marks = [name for name in likely if are_marks(self.table.values(name))]
        signs = [name for name in likely if are_signs(self.table.values(name))]
        if len(likely) > 1 and len(likely) in (len(marks), len(signs)):
            return tuple(likely)
        more = f", or several of 0 and 1 by --label {','.join(marks[:3])}" * (len(marks) > 1)
        raise DataError(
            f"{self.path} has no column 'label'; its columns: {self.listed}. "
            f"Say which one holds the label (--label, or label= from Python){more}."
        )

    def _without_content(self, others: Sequence[str]) -> DataError:
        sentence = lack_of_content(self.table, others, self.modality)
        rest = " Where they are categories, -b table:columns learns from rows."
        return DataError(f"{self.path} {sentence}") if sentence else self._no_column(rest)

    def _demand_direction(self) -> None:
        if self.schema.label is None:
            demand_direction(self.table, self._others(()), fitted=bool(self.schema.before))

    def _named_label(self, content: tuple[str, ...]) -> str | None:
        names = (*_LABELS, *self.modality.transcripts)
        usual = (self._twins.get(own, own) for name in names if (own := self.lower.get(name)))
        return next((name for name in usual if name not in content), None)

    def _others(self, content: tuple[str, ...]) -> list[str]:
        excluded = (*content, self.schema.group, self.split, *self._folds, *self._twins)
        return [name for name in self.names if name not in excluded and not is_passed(name)]

    def _content_columns(self, content: tuple[str, ...]) -> tuple[str, ...]:
        most = len(self.names) if self.modality.whole_rows else 2 if self.modality.inline else 1
        if len(content) > most:
            what = "Texts come in at most two columns" if most == 2 else "The content is one column"
            raise DataError(f"{self.path} can't be read by {len(content)} columns. {what}.")
        return tuple(self._demanded(name) for name in content)

    def _of_files(self, name: str) -> str:
        if self.modality.inline:
            raise DataError(
                f"{self.path} is read as texts, and {name!r} was named as a column of pictures. "
                "Name the column of texts (--text), or a backbone for pictures."
            )
        return self._demanded(name)

    def _columns_of(self, label: str) -> list[str]:
        """The column of this name, or those between its commas."""
        return [label] if label in self.names else [each.strip() for each in label.split(",")]

    def _demanded(self, name: str) -> str:
        if name in self.names:
            return name
        raise DataError(
            f"{self.path} has no column {name!r}; its columns: {self.listed}. Name one of these."
        )

    def _no_column(self, rest: str = "") -> DataError:
        what, name = ("text", "text") if self.modality.inline else ("paths", "image")
        name = "source" if self.schema.kind == SEQUENCES and not self.schema.before else name
        return DataError(
            f"{self.path} has no column for the content; its columns: {self.listed}. "
            f"Say which one holds the {what} (--{name}, or {name}= from Python).{rest}"
        )
