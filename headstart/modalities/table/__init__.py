"""Rows of tables: checked, their columns read by what they hold, written as numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, final

import numpy as np

from headstart.contracts import Backbone, Check, Modality, Preprocess
from headstart.contracts.backbone import Fed, Feeding
from headstart.errors import DataError, HeadstartError
from headstart.modalities.table import encoding
from headstart.modalities.table.columns import HELD, Kind, kind_remarks, kinds_of
from headstart.modalities.table.rows import item_cells, plain, row_of, without_content, written

_FEWEST: Final = 10  # rows, below which much looks like the label by chance
_SAME: Final = 0.9999  # correlation with the label from which on a column is the label
FILE: Final = "columns.json"  # among a backbone's files
_NUMBERS: Final = "columns"  # what the cheap baseline of mixed rows goes by
_NONE: Final[Mapping[str, Any]] = {}


@final
class Table(Modality):
    """A row of a table as a JSON object of its cells.

    The preprocessing holds `width` and `columns`, one mapping each: name, kind (number, category,
    date, boolean) and what its cells are read by. A number is standardised, on a scale of
    logarithms where those are far less lopsided; a category is a number of 0 or 1 for each that is
    frequent; a date its day and, over more than a year, its season. A missing value counts as the
    mean, with a mark of its own where the rows that were fitted to had gaps; an unseen category as
    none of the known ones.

    Where the backbone has `parts`, cells may be items of their modalities, such as texts and
    pictures: a column of that kind has the `width` of the part's features. `kinds` are those that
    the user says columns are of, `item_kinds` the columns of such cells, `specs` the fitted
    columns.
    """

    suffixes: ClassVar[frozenset[str]] = frozenset({".row"})
    columns: ClassVar[tuple[str, ...]] = ("row",)
    whole_rows: ClassVar[bool] = True
    in_arrays: ClassVar[bool] = True

    def __init__(
        self,
        modality_by_name: Callable[[str], Modality] | None = None,
        parts: Mapping[str, Modality] = _NONE,
        kinds: Mapping[str, str] = _NONE,
        item_kinds: Mapping[str, str] = _NONE,
        specs: Sequence[encoding.Column] = (),
    ) -> None:
        self.modality_by_name = modality_by_name
        self.parts = parts
        self.kinds = kinds
        self.item_kinds = item_kinds
        self.specs = specs

    def composed(self, modality_by_name: Callable[[str], Modality]) -> Modality:
        """The same that finds the modalities of its cells."""
        return Table(modality_by_name)

    def fitted(self, backbone: Fed) -> Modality:
        """The same with the modalities of the backbone's parts and, where known, its columns."""
        specs = backbone.preprocess.get("columns", ())
        parts = {
            name: self._modality(name).fitted(
                Feeding(entry["preprocess"], backbone.origin, _files_under(backbone.files, name))
            )
            for name, entry in backbone.preprocess.get("parts", _NONE).items()
        }
        wide = {spec["name"]: spec["kind"] for spec in specs if "width" in spec}
        return Table(
            self.modality_by_name, parts, backbone.preprocess.get("kinds", _NONE), wide, specs
        )

    def reading(self, backbones: Sequence[Fed]) -> Table:
        """One that reads texts, pictures and sounds where any of these does."""
        each = [self.fitted(backbone) for backbone in backbones]
        parts = {k: v for one in each if isinstance(one, Table) for k, v in one.parts.items()}
        kinds = {k: v for one in each if isinstance(one, Table) for k, v in one.kinds.items()}
        return Table(self.modality_by_name, parts, kinds)

    def settled(self, table: Mapping[str, Sequence[Any]]) -> Table:
        """The same that knows which columns hold items of its parts."""
        if self.specs or not self.parts:
            return self
        kinds = self._kinds(table)
        wide = {name: kind.name for name, kind in kinds.items() if kind.name in self.parts}
        return Table(self.modality_by_name, self.parts, self.kinds, wide)

    def holds(self) -> Mapping[str, Modality]:
        """The columns whose cells are items of other modalities."""
        return {name: self.parts[kind] for name, kind in self.item_kinds.items()}

    def fitted_columns(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those that a column of the fitted ones has; all where none is fitted."""
        names = {spec["name"] for spec in self.specs} or set(columns)
        return tuple(name for name in columns if name in names)

    def check(self, raw: bytes) -> Check:
        """Say why a row, or an item in it, can't be used, and what is peculiar of items in it."""
        try:
            row = row_of(raw)
        except DataError as error:
            return Check(problem=str(error).rstrip("."))
        notes: list[str] = []
        for name, kind, content in item_cells(row):
            check = self.parts[kind].check(content) if kind in self.parts else Check()
            if check.problem is not None:
                return Check(problem=f"its {name!r} {check.problem.removeprefix('it ')}")
            notes.extend(check.notes)
        return Check(notes=tuple(dict.fromkeys(notes)))

    def columns_of(
        self, table: Mapping[str, Sequence[Any]]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Those that are read, and sentences on all.

        Numbers, categories, dates and truth values are, and items of the backbone's parts. Raises
        DataError for a column that the user says the kind of where it is not there or of another.
        """
        absent = next((name for name in self.kinds if name not in table), None)
        if absent is not None:
            raise DataError(
                f"kinds= names {absent!r}, which is no column that is learned from; those are "
                f"{', '.join(map(repr, table))}. Name one of these, or leave it out."
            )
        return kind_remarks(table, self._kinds(table), self.parts)

    def row(self, cells: Mapping[str, Any]) -> bytes | None:
        """A row's cells as JSON; None where all are blank. Raises DataError for no plain value."""
        return written(
            {name: plain(name, v, self.item_kinds.get(name)) for name, v in cells.items()}
        )

    def apart(self, raw: bytes, preprocess: Preprocess) -> tuple[np.ndarray, dict[str, bytes]]:
        """A row's numbers (D,) float32, and the items in it by column.

        Raises DataError for what is no row, and for a cell that is not of its column's kind.
        """
        if not preprocess.get("columns"):
            raise HeadstartError(
                "table:columns knows no columns before it is fitted to rows. "
                "Give a saved model, or fit one first."
            )
        row, specs = row_of(raw), preprocess["columns"]
        wide = {spec["name"]: spec["kind"] for spec in specs if "width" in spec}
        cells = {name: each for name, kind, each in item_cells(row) if wide.get(name) == kind}
        return encoding.encoded(row, specs), cells

    def prepared(self, backbone: Backbone, sample: Iterable[bytes]) -> Backbone:
        """The backbone with its columns fitted to rows; as it is where they are known.

        Raises DataError where no column is left to learn from.
        """
        if backbone.preprocess["columns"]:
            return backbone
        widths = {name: part.feature_dim for name, part in backbone.parts.items()}
        kinds = backbone.preprocess.get("kinds", _NONE)
        specs = encoding.fitted([without_content(row_of(raw)) for raw in sample], widths, kinds)
        if not encoding.sound(specs):
            raise DataError(
                "No column of the table varies over the rows that are learned from, or they make "
                "too many numbers. Give other columns, or more rows."
            )
        width = encoding.width(specs)
        preprocess = {**backbone.preprocess, "columns": specs, "width": width}
        content = json.dumps(preprocess, ensure_ascii=False, indent=1).encode()
        files = {**backbone.files, FILE: content}
        return replace(backbone, preprocess=preprocess, feature_dim=width, files=files)

    def accepts(self, preprocess: Preprocess) -> bool:
        """Whether all columns are there and of a known kind, and so are the parts they need."""
        specs, parts = preprocess.get("columns"), preprocess.get("parts", {})
        keys = set(preprocess) - {"parts", "kinds"}
        if keys != {"columns", "width"} or not encoding.sound(specs) or not isinstance(parts, dict):
            return False
        wide = {spec["kind"] for spec in specs or [] if "width" in spec}
        right = encoding.width(specs or []) == preprocess["width"] and wide <= parts.keys()
        return right and all(
            isinstance(entry, dict) and self._modality(name).accepts(entry.get("preprocess", {}))
            for name, entry in parts.items()
        )

    def decode(
        self, raw: bytes, preprocess: Preprocess, rng: np.random.Generator | None = None
    ) -> Any:
        """The row as numbers (D,) float32; where cells are items, these decoded beside them.

        There are no random views of a row. Raises DataError as `apart` does.
        """
        numbers, cells = self.apart(raw, preprocess)
        wide = [spec for spec in preprocess["columns"] if "width" in spec]
        if not wide:
            return numbers
        decoded = {}
        for spec in wide:
            name, kind = spec["name"], spec["kind"]
            if name in cells:
                own = preprocess["parts"][kind]["preprocess"]
                decoded[name] = self.parts[kind].decode(cells[name], own)
        return numbers, decoded

    def collate(self, items: Sequence[Any], preprocess: Preprocess) -> Any:
        """Rows as numbers (N, D) float32; where cells are items, a mapping as `Joined` takes it."""
        import torch

        wide = [spec for spec in preprocess["columns"] if "width" in spec]
        if not wide:
            return torch.from_numpy(self.arrays(items, preprocess))
        from headstart.contracts.joined import NUMBERS, ROWS

        inputs = {NUMBERS: torch.from_numpy(np.stack([numbers for numbers, _ in items]))}
        for place, spec in enumerate(wide):
            name, kind = spec["name"], spec["kind"]
            rows = [row for row, (_, cells) in enumerate(items) if name in cells]
            inputs[f"{place}.{ROWS}"] = torch.tensor(rows, dtype=torch.int64)
            if rows:
                own = preprocess["parts"][kind]["preprocess"]
                batch = self.parts[kind].collate([items[row][1][name] for row in rows], own)
                arrays = batch if isinstance(batch, Mapping) else {"": batch}
                inputs |= {f"{place}.{key}": value for key, value in arrays.items()}
        return inputs

    def arrays(self, items: Sequence[Any], preprocess: Preprocess) -> Any | None:
        """Rows as an array of numbers (N, D); None where cells are items."""
        return None if self.item_kinds else np.stack(items)

    def wording(self, raw: bytes) -> str:
        """The row's cells that are not blank, each with its column."""
        try:
            row = row_of(raw)
        except DataError as error:
            return str(error)
        kinds = {name: self.parts.get(kind) for name, kind in self.item_kinds.items()}
        for name, kind, content in item_cells(row):
            modality = kinds.get(name)
            row[name] = (modality.wording(content) if modality else None) or f"[{kind}]"
        return ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)

    def statistics(self, raw: bytes) -> Mapping[str, np.ndarray] | None:
        """The plain columns of rows that hold items, so that these are seen to be worth more."""
        if not self.item_kinds:
            return None
        numbers = encoding.encoded(row_of(raw), self.specs)
        return {_NUMBERS: numbers} if len(numbers) else None

    def outside(self, raw: bytes, preprocess: Preprocess) -> Mapping[str, str]:
        """Numbers, dates and categories that no row which was learned from had."""
        return encoding.outside(row_of(raw), preprocess["columns"])

    def feature_columns(self, preprocess: Preprocess) -> list[str]:
        """Of which column each number of a row is."""
        return encoding.columns_of(preprocess["columns"])

    def giveaways(
        self, rows: Sequence[np.ndarray], targets: np.ndarray, preprocess: Preprocess
    ) -> list[str]:
        """Which columns are the label in disguise: any one number of a row that says it alone."""
        return giveaways(rows, targets, encoding.names_of(preprocess["columns"]))

    def _kinds(self, table: Mapping[str, Sequence[Any]]) -> dict[str, Kind]:
        others = {name: self._modality(name) for name in HELD if self.modality_by_name}
        return kinds_of(table, {**others, **self.parts}, self.kinds)

    def _modality(self, name: str) -> Modality:
        if self.modality_by_name is None:
            raise HeadstartError(
                f"Rows with cells of {name} are read by a modality of the catalog."
            )
        return self.modality_by_name(name)


def _files_under(files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    """A part's own files."""
    start = f"{name}/"
    return {n.removeprefix(start): content for n, content in files.items() if n.startswith(start)}


def giveaways(rows: Sequence[np.ndarray], targets: np.ndarray, names: Sequence[str]) -> list[str]:
    """Sentences on numbers of rows (D,), called `names`, that say targets by themselves."""
    if len(rows) < _FEWEST or not names:
        return []
    numbers = np.stack(rows).astype(np.float64)
    goals = targets.reshape(len(rows), -1).astype(np.float64)
    if targets.ndim == 1:  # class numbers: one mark each
        goals = (targets[:, None] == np.unique(targets)).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled, ends = ((part - part.mean(0)) / part.std(0) for part in (numbers, goals))
        alike = np.abs(np.nan_to_num(scaled.T @ ends / len(rows))).max(axis=1)
    return [
        f"`{name}` says the label by itself (correlation {likeness:.4f}), which a new row may "
        "not know. Leave its column out with --drop if so."
        for name, likeness in zip(names, alike, strict=True)
        if likeness > _SAME
    ]
