"""Manifests in a folder: which of its tables list the items, and for which split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from headstart.contracts import Modality
from headstart.data.items.split_lists import says_splits
from headstart.data.manifests import Manifest
from headstart.data.names import lists_no_items, split_in, split_of
from headstart.data.paths import Paths
from headstart.data.schema import Schema
from headstart.data.sources import SPLITS, Contents, FileSource
from headstart.data.tables import READ, SUFFIXES
from headstart.data.trees import Folder
from headstart.errors import DataError, UndirectedError

_LOOSE = READ - SUFFIXES  # of files that may be tables or texts


@dataclass(frozen=True)
class Table:
    """A table in the folder; `split` and `word` say what it is called after, if it is."""

    path: Path
    split: str | None = None
    word: str = ""
    before: str = ""  # what stands in its name before the split's word


@dataclass(frozen=True)
class Tables:
    """The tables that may list the items of the folder `top`."""

    top: Folder
    paths: Paths
    modality: Modality
    schema: Schema

    def every(self) -> list[Table]:
        """Those in the folder or its `data` folder, else in folders of splits, else of lists."""
        data = self.top.folder("data")
        here = [table_of(each, name) for each in (self.top, data) if each for name in each.tables]
        return [table for table in here if table] or self._in_splits() or self._beside_items()

    def _beside_items(self) -> list[Table]:
        """Those in folders without any item, beside folders that hold some, as `meta/esc50.csv`."""
        if self.modality.inline or not self.top.items:
            return []
        folders = (folder for folder in self.top.folders if not folder.items)
        tables = (
            table_of(each, name)
            for top in folders
            for each, _ in top.below()
            for name in each.tables
        )
        return [table for table in tables if table and table.path.suffix.lower() != ".json"]

    def _in_splits(self) -> list[Table]:
        tables = []
        for folder in self.top.folders:
            split = folder.split
            inner = folder.full[0] if len(folder.full) == 1 and not folder.tables else folder
            for name in inner.tables if split in SPLITS else ():
                if not lists_no_items(name):
                    tables.append(Table(inner.path / name, split, folder.name))
        return tables

    def list_items(self, table: Table) -> bool:
        """Whether a table can be read as a manifest of items that are here."""
        with suppress(DataError):
            if not self.modality.inline:
                return self._manifest(table).lists_files()
            schema = replace(self.schema, may_lack_label=True)
            contents = Manifest(table.path, self.paths, self.modality).find(schema)
            return any(row.source is not None for row in contents.rows)
        return False

    def read(self, tables: Sequence[Table]) -> Contents:
        """What the tables list. Raises DataError where they tell of more than one data set."""
        of_splits = [table for table in tables if table.split]
        if len(of_splits) == len(tables) or any(table.split == "train" for table in of_splits):
            of_splits = self._with_content(_with_training(of_splits))
            self._demand_one_set(of_splits)
            unused = [table for table in tables if table not in of_splits]
            return _warned(self._by_split(of_splits), unused, of_splits[0].before)
        if len(tables) > 1:
            tables = [each for each in tables if not says_splits(each.path)] or tables
            tables = self.with_label(tables) or tables
        if len(tables) > 1:
            names = " and ".join(table.path.name for table in tables[:2])
            raise DataError(
                f"{self.paths.root} holds more than one manifest ({names}). Give the path of the "
                "one to read in place of the folder."
            )
        contents = self._manifest(tables[0]).find(self.schema)
        return self._unlisted(_split_by_folders(contents))

    def alone(self, error: DataError) -> Contents:
        """What the one file lists that may be a table, where no folder holds items: `fra.txt`.

        Raises `error` where there is none such or several, and DataError for what the one lacks.
        """
        contained = self.modality.inline or self.modality.whole_rows
        names = {*self.top.files, *self.top.others} if contained and not self.top.full else ()
        loose = [table_of(self.top, n) for n in sorted(names) if Path(n).suffix.lower() in _LOOSE]
        tables = [table for table in loose if table and self._holds_rows(table)]
        if len(tables) != 1:
            raise error
        contents = self._manifest(replace(tables[0], split=None, word="")).find(self.schema)
        remark = f"`{tables[0].path.name}` is read as a table"
        return replace(contents, remarks=(remark, *contents.remarks))

    def _holds_rows(self, table: Table) -> bool:
        """Whether a table can be read, but for what says its labels."""
        try:
            return bool(self._manifest(table).find(replace(self.schema, may_lack_label=True)).rows)
        except UndirectedError:
            return True
        except DataError:
            return False

    def with_label(self, tables: Sequence[Table]) -> list[Table]:
        """Those that have the label columns that the user names."""
        label = self.schema.label
        return [each for each in tables if label and self._manifest(each).has_columns(label)]

    def _by_split(self, by_split: Sequence[Table]) -> Contents:
        """The first table's label column decides; a table without it has no labels."""
        first, *others = by_split
        parts = [self._manifest(first).find(self.schema)]
        schema = self.schema
        if parts[0].columns:
            schema = replace(schema, label=parts[0].column, may_lack_label=True)
        unlabelled: dict[str, str] = {}
        for table in others:
            part = self._manifest(table).find(schema)
            if part.column:
                parts.append(part)
            else:
                unlabelled.setdefault(table.split or "", table.word)
        contents = join(self.paths.root, parts)
        without = {
            split: word for split, word in unlabelled.items() if split not in contents.split_names
        }
        return replace(contents, unlabelled=without)

    def _with_content(self, by_split: Sequence[Table]) -> list[Table]:
        """Those by split that hold texts, where texts are wanted: a later one may hold labels."""
        first, *others = sorted(by_split, key=lambda table: SPLITS.index(table.split or ""))
        if not self.modality.inline:
            return [first, *others]
        return [first, *(t for t in others if self._manifest(t).holds_content(self.schema))]

    def _manifest(self, table: Table) -> Manifest:
        return Manifest(table.path, self.paths, self.modality, table.split, table.word)

    def _demand_one_set(self, by_split: Sequence[Table]) -> None:
        before = {table.before: table.path for table in reversed(by_split)}
        if len(before) > 1:
            names = " and ".join(sorted(path.name for path in before.values())[:2])
            raise DataError(
                f"{self.paths.root} holds more than one data set ({names}). "
                "Keep each in its own folder."
            )
        firsts: dict[str | None, Path] = {}
        for table in by_split:
            first = firsts.setdefault(table.split, table.path)
            if _form(first) != _form(table.path):
                raise DataError(
                    f"{self.paths.root} holds more than one table of {table.word!r} ({first.name} "
                    f"and {table.path.name}). Give the path of the one to read, or move the other "
                    "away."
                )

    def _unlisted(self, contents: Contents) -> Contents:
        listed = {row.id for row in contents.rows if isinstance(row.source, FileSource)}
        count = self.top.items - len(listed)
        if not listed or count < 1:
            return contents
        what = (
            "1 file that no row lists is" if count == 1 else f"{count} files that no row lists are"
        )
        return replace(contents, warnings=(*contents.warnings, f"{what} not used."))


def join(root: Path, parts: Sequence[Contents]) -> Contents:
    """What lies in several parts of one data set."""
    notes: Counter[str] = Counter()
    for part in parts:
        notes.update(part.notes)
    return Contents(
        root,
        tuple(row for part in parts for row in part.rows),
        parts[0].kind,
        parts[0].column,
        columns=parts[0].columns,
        content=parts[0].content,
        owner=parts[0].owner,
        split_names={split: name for part in parts for split, name in part.split_names.items()},
        notes=dict(notes),
        warnings=tuple(dict.fromkeys(sentence for part in parts for sentence in part.warnings)),
        remarks=tuple(dict.fromkeys(sentence for part in parts for sentence in part.remarks)),
    )


def _with_training(by_split: Sequence[Table]) -> Sequence[Table]:
    """Those of the one set that has a split for training and others, as CoLA's `in_domain_…`."""
    sets = {table.before for table in by_split if table.split == "train"}
    own = [table for table in by_split if table.before in sets]
    return own if len(sets) == 1 and len({table.split for table in own}) > 1 else by_split


def _warned(contents: Contents, unused: Sequence[Table], before: str) -> Contents:
    def why(table: Table) -> str:
        if not table.split:
            return "is of no split"
        return "holds no texts" if table.before == before else "is of another set"

    sentences = (f"{each.path.name} {why(each)} and is not used." for each in unused)
    return replace(contents, warnings=(*contents.warnings, *sentences))


def _form(path: Path) -> str:
    """A name without what counts the parts of one table: digits, and the hash of a part."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "0", path.stem.lower())


def table_of(folder: Folder, name: str) -> Table | None:
    """A table in a folder, with the split that it is called after; None where it lists none."""
    if lists_no_items(name):
        return None
    split = split_in(Path(name).stem)
    return Table(folder.path / name, *split) if split else Table(folder.path / name)


def _split_by_folders(contents: Contents) -> Contents:
    """The splits that the first folders of the rows' ids name, where all do and no column does.

    Folders that all share, such as `data`, say nothing.
    """
    if contents.split_names:
        return contents
    ways = {row.id: row.id.split("/")[:-1] for row in contents.rows}
    levels = zip(*ways.values(), strict=False)
    shared = sum(1 for _ in takewhile(lambda names: len({*names}) == 1, levels))
    words = {name: way[shared] for name, way in ways.items() if len(way) > shared}
    split = {word: split_of(word) for word in {*words.values(), ""}}
    splits = {split[words.get(row.id, "")]: words.get(row.id, "") for row in contents.rows}
    if len(splits) < 2 or "train" not in splits or not set(splits) <= set(SPLITS):
        return contents
    rows = tuple(replace(row, split=split[words[row.id]]) for row in contents.rows)
    sentence = "the first folder of a path says which split it is in"
    names = {name: word for name, word in splits.items() if name}
    return replace(contents, rows=rows, split_names=names, remarks=(*contents.remarks, sentence))
