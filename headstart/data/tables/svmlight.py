"""Tables in the form of LIBSVM and SVMlight: a label, and the columns that are not 0."""

from __future__ import annotations

import re
from pathlib import Path

from headstart.data.tables.interface import TableInMemory
from headstart.errors import DataError

_SUFFIXES = (".svm", ".libsvm", ".svmlight", ".txt", ".data", ".dat", ".t", ".tr", ".val", "")
_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_LINE = re.compile(rf"{_NUMBER}(\s+\d+:{_NUMBER})*\s*(#.*)?")
_HEAD = 1 << 16  # bytes that say the form
_REMARK = "each line holds a label and `column:number`, as LIBSVM's do, and 0 where it says nothing"
_MOST = 2000  # columns, beyond which most of a table would be empty


def read(path: Path) -> list[TableInMemory] | None:
    """The table of such a file, with 0 where a line says nothing; None where it is of another form.

    Raises DataError for a line of another form, and for more columns than a table should have.
    """
    if not is_svmlight(path):
        return None
    from sklearn.datasets import load_svmlight_file

    try:
        features, labels = load_svmlight_file(str(path))
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path} has a line that is not in the form of LIBSVM ({reason}). Correct the line."
        ) from error
    if features.shape[1] > _MOST:
        raise DataError(
            f"{path} has {features.shape[1]} columns, and at most {_MOST} are read of LIBSVM's "
            "form. Make fewer of them, such as by sklearn.decomposition.TruncatedSVD, and write a "
            "CSV."
        )
    cells = zip(labels.tolist(), features.toarray().tolist(), strict=True)
    rows = [(n, (_written(label), *row)) for n, (label, row) in enumerate(cells, start=1)]
    names = ["label", *(f"column {n + 1}" for n in range(features.shape[1]))]
    return [TableInMemory(path, names, rows, "row", _REMARK)]


def _written(label: float) -> str:
    return str(int(label)) if label.is_integer() else str(label)


def is_svmlight(path: Path) -> bool:
    """Whether all lines at the beginning of a file are of that form, and some have columns."""
    if path.suffix.lower() not in _SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(_HEAD)
    lines = [line.strip() for line in start.decode("latin-1").split("\n")]
    lines = [line for line in (lines[:-1] if len(start) == _HEAD else lines) if line]
    return any(":" in line for line in lines) and all(map(_LINE.fullmatch, lines))
