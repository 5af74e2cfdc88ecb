"""Lists of files below their count and the names of their columns, as CelebA has them."""

from __future__ import annotations

import re
from pathlib import Path

from headstart.data.tables.interface import TableInMemory, column_names
from headstart.data.tables.text import opened
from headstart.errors import DataError

_FILE = re.compile(r"\S+\.[A-Za-z][A-Za-z0-9]{1,4}")
_COUNT = re.compile(r"\d{1,18}")
_KEY = "file"  # the first column, which CelebA doesn't name


def read(path: Path) -> TableInMemory | None:
    """The table; None where the file is of another form.

    Its first line is a number, the second names columns parted by spaces, the others are rows, each
    with the name of a file first. Raises DataError for a row of another length.
    """
    with opened(path) as file:
        count, names = file.readline().strip(), file.readline().split()
        if not (_COUNT.fullmatch(count) and names):
            return None
        row = file.readline().split()
        if not (row and _FILE.fullmatch(row[0]) and 0 <= len(row) - len(names) < 2):
            return None
        rows = [(3, row), *((n, line.split()) for n, line in enumerate(file, start=4))]
    names = [*([_KEY] if len(row) > len(names) else []), *names]
    rows = [(line, cells) for line, cells in rows if cells]
    for line, cells in rows:
        if len(cells) != len(names):
            raise DataError(
                f"{path} line {line} has {len(cells)} words under {len(names)} columns. "
                "Correct the line."
            )
    remark = (
        "" if len(rows) == int(count) else f"the list counts {count} files and names {len(rows)}"
    )
    return TableInMemory(path, column_names(path, names), rows, remark=remark)
