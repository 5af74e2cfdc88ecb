"""Rows of tables: checked, their columns read by what they hold, written as numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import numpy as np

from headstart.contracts import Backbone, Check, Modality, Preprocess
from headstart.contracts.cells import is_blank
from headstart.errors import DataError, HeadstartError
from headstart.modalities.table import dates, encoding
from headstart.modalities.table.columns import select

if TYPE_CHECKING:
    from torch import Tensor

FILE: Final = "columns.json"  # among a backbone's files
_SAME: Final = 0.9999  # correlation with the label from which on a column is the label


@final
class Table(Modality):
    """A row of a table as a JSON object of its cells.

    The preprocessing holds `width` and `columns`, one mapping each: name, kind (number, category,
    date, boolean) and what its cells are read by. A number is standardised, on a scale of
    logarithms where those are far less lopsided; a category is a number of 0 or 1 for each that is
    frequent; a date its day and, over more than a year, its season. A missing value counts as the
    mean, with a mark of its own where the rows that were fitted to had gaps; an unseen category as
    none of the known ones.
    """

    suffixes: ClassVar[frozenset[str]] = frozenset({".row"})
    columns: ClassVar[tuple[str, ...]] = ("row",)
    whole_rows: ClassVar[bool] = True

    def check(self, raw: bytes) -> Check:
        """Say why a row can't be used."""
        try:
            _row(raw)
        except DataError as error:
            return Check(problem=str(error).rstrip("."))
        return Check()

    def columns_of(
        self, table: Mapping[str, Sequence[Any]]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Those that hold numbers, categories, dates or truth values, and sentences on all."""
        return select(table)

    def row(self, cells: Mapping[str, Any]) -> bytes | None:
        """A row's cells as JSON; None where all are blank. Raises DataError for no plain value."""
        plain = {name: _plain(name, value) for name, value in cells.items()}
        if all(value is None for value in plain.values()):
            return None
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )

    def prepared(self, backbone: Backbone, sample: Sequence[bytes]) -> Backbone:
        """The backbone with its columns fitted to rows; as it is where they are known.

        Raises DataError where no column is left to learn from.
        """
        if backbone.preprocess["columns"]:
            return backbone
        specs = encoding.fitted([_row(raw) for raw in sample])
        if not encoding.sound(specs):
            raise DataError(
                "No column of the table varies over the rows that are learned from, or they make "
                "too many numbers. Give other columns, or more rows."
            )
        width = len(encoding.names_of(specs))
        preprocess = {"columns": specs, "width": width}
        content = json.dumps(preprocess, ensure_ascii=False, indent=1).encode()
        return replace(backbone, preprocess=preprocess, feature_dim=width, files={FILE: content})

    def accepts(self, preprocess: Preprocess) -> bool:
        """Whether all columns are there and of a known kind."""
        specs = preprocess.get("columns")
        right = set(preprocess) == {"columns", "width"} and encoding.sound(specs)
        return right and len(encoding.names_of(specs or [])) == preprocess["width"]

    def decode(
        self, raw: bytes, preprocess: Preprocess, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """The row as numbers (D,) float32. There are no random views of a row.

        Raises DataError for what is no row, and for a cell that is not of its column's kind.
        """
        if not preprocess.get("columns"):
            raise HeadstartError(
                "table:columns knows no columns before it is fitted to rows. "
                "Give a saved model, or fit one first."
            )
        return encoding.encoded(_row(raw), preprocess["columns"])

    def collate(self, items: Sequence[np.ndarray], preprocess: Preprocess) -> Tensor:
        """Rows as numbers (N, D) float32."""
        import torch

        return torch.from_numpy(self.arrays(items, preprocess))

    def arrays(self, items: Sequence[np.ndarray], preprocess: Preprocess) -> np.ndarray:
        """The same as an array."""
        return np.stack(items)

    def wording(self, raw: bytes) -> str:
        """The row's cells that are not blank, each with its column."""
        try:
            cells = _row(raw)
        except DataError as error:
            return str(error)
        return ", ".join(f"{name} {value}" for name, value in cells.items() if value is not None)

    def feature_columns(self, preprocess: Preprocess) -> list[str]:
        """Of which column each number of a decoded row is."""
        return encoding.columns_of(preprocess["columns"])

    def giveaways(
        self, items: Sequence[np.ndarray], targets: np.ndarray, preprocess: Preprocess
    ) -> list[str]:
        """Which columns are the label in disguise: any one number of a row that says it alone."""
        if len(items) < 10:
            return []
        rows = np.stack(items).astype(np.float64)
        goals = targets.reshape(len(rows), -1).astype(np.float64)
        if targets.ndim == 1:  # class numbers: one mark each
            goals = (targets[:, None] == np.unique(targets)).astype(np.float64)
        names = encoding.names_of(preprocess["columns"])
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled, ends = ((part - part.mean(0)) / part.std(0) for part in (rows, goals))
            alike = np.abs(np.nan_to_num(scaled.T @ ends / len(rows))).max(axis=1)
        return [
            f"`{name}` says the label by itself (correlation {likeness:.4f}), which a new row may "
            "not know. Leave its column out with --drop if so."
            for name, likeness in zip(names, alike, strict=True)
            if likeness > _SAME
        ]


def _row(raw: bytes) -> dict[str, Any]:
    try:
        content = json.loads(raw.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise DataError("it is no row of a table as JSON.") from error
    flat = isinstance(content, dict) and all(
        isinstance(value, str | int | float | bool | None) for value in content.values()
    )
    if not flat or not content:
        raise DataError("it is no row of a table: a JSON object of plain values.")
    return dict(content)


def _plain(name: str, value: Any) -> Any:
    """A cell as JSON has it, blank ones as None."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, date):
        return None if value != value else dates.written(value)
    if is_blank(value) or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if not isinstance(value, str | int | float | bool):
        raise DataError(
            f"column {name!r} holds {type(value).__name__}, which is no plain value. "
            "Leave it out with --drop."
        )
    return value
