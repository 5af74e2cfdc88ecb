"""Tables in the form of LIBSVM and SVMlight: a label, and the columns that are not 0."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart.data.tables.interface import ItemTable
from headstart.errors import DataError, reason

_SUFFIXES = (".svm", ".libsvm", ".svmlight", ".txt", ".data", ".dat", ".t", ".tr", ".val", "")
_NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?"
_LINE = re.compile(rf"{_NUMBER}(\s+\d+:{_NUMBER})*\s*(#.*)?")
_HEAD = 1 << 16  # bytes that say the form
_COLUMN = "column "
_MOST = 2000  # columns, beyond which most of a table would be empty


@final
@dataclass(frozen=True, eq=False)
class SparseTable(ItemTable):
    """Columns (N, C) by number, in the form of `scipy.sparse.csc_array`; 0 where a line has none.

    So is a column that none of its lines has, such as of a test set with a column fewer.
    """

    path: Path
    features: Any
    labels: Sequence[str]
    noun: str = "row"
    remark: str = (
        "each line holds a label and `column:number`, as LIBSVM's do, and 0 where it says nothing"
    )

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override]  # by their count
        """The label, and the columns from 1."""
        return ["label", *(f"{_COLUMN}{n + 1}" for n in range(self.features.shape[1]))]

    def has(self, column: str) -> bool:
        """Whether it is the label or a numbered column."""
        return column == "label" or column.startswith(_COLUMN)

    def numbers(self) -> Iterable[int]:
        """The rows from 1."""
        return range(1, len(self.labels) + 1)

    def values(self, column: str) -> Iterable[Any]:
        """The labels as text, or the numbers of a column."""
        if column == "label":
            return self.labels
        place = int(column.removeprefix(_COLUMN)) - 1
        if place >= self.features.shape[1]:
            return [0.0] * len(self.labels)
        cells: list[float] = self.features[:, [place]].toarray()[:, 0].tolist()
        return cells

    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The first rows by column."""
        rows = zip(self.labels, self.features[:count].toarray().tolist(), strict=False)
        return (dict(zip(self.names, (label, *row), strict=True)) for label, row in rows)


def read(path: Path) -> list[SparseTable] | None:
    """The table of such a file; None where it is of another form.

    Raises DataError for a line of another form, and for more columns than a table should have.
    """
    if not is_svmlight(path):
        return None
    from sklearn.datasets import load_svmlight_file

    try:
        features, labels = load_svmlight_file(str(path))
    except ValueError as error:
        raise DataError(
            f"{path} has a line that is not in LIBSVM's form ({reason(error)}). Correct the line."
        ) from error
    if features.shape[1] > _MOST:
        raise DataError(
            f"{path} has {features.shape[1]} columns, and at most {_MOST} are read of LIBSVM's "
            "form. Make fewer of them, such as by sklearn.decomposition.TruncatedSVD, and write a "
            "CSV."
        )
    written = [str(int(each)) if each.is_integer() else str(each) for each in labels.tolist()]
    return [SparseTable(path, features.tocsc(), written)]


def is_svmlight(path: Path) -> bool:
    """Whether all lines at the beginning of a file are of that form, and some have columns."""
    if path.suffix.lower() not in _SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(_HEAD)
    lines = [line.strip() for line in start.decode("latin-1").split("\n")]
    lines = [line for line in (lines[:-1] if len(start) == _HEAD else lines) if line]
    return any(":" in line for line in lines) and all(map(_LINE.fullmatch, lines))
