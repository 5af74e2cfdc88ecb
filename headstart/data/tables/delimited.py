"""Tables of text whose columns are parted by commas, semicolons, tabs or pipes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from headstart.data.tables.dialect import Dialect, dialect_of, long_fields
from headstart.data.tables.header import parted
from headstart.data.tables.interface import TableInMemory, named
from headstart.data.tables.text import opened, sample
from headstart.errors import DataError


def read(path: Path) -> list[TableInMemory]:
    """The table. Raises DataError naming the line that can't be read.

    Comments and empty lines above the header are passed over, and rows without any value.
    """
    dialect = dialect_of(*sample(path))
    try:
        return [_cut(path, dialect, quotes=True)]
    except DataError:
        if dialect.delimiter != "\t":
            raise
    return [_cut(path, dialect, quotes=False)]  # quotation marks that quote no field


def _cut(path: Path, dialect: Dialect, quotes: bool) -> TableInMemory:
    with opened(path) as file, long_fields():
        reader = csv.reader(
            islice(file, dialect.above, None),
            delimiter=dialect.delimiter,
            skipinitialspace=dialect.spaced,
            strict=True,
            quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        )
        try:
            every = [
                (reader.line_num + dialect.above, fields)
                for fields in reader
                if any(map(str.strip, fields))
            ]
        except csv.Error as error:
            kind = "TSV" if dialect.delimiter == "\t" else "CSV"
            raise DataError(
                f"{path} line {reader.line_num + dialect.above} is not valid {kind}: {error}. "
                "Correct the line."
            ) from error
    header, rows, remark = parted(every)
    if every and every[0][1][0].startswith("__label__"):
        raise DataError(
            f"{path} has the form of fastText, with `__label__` before each text. Write it as a "
            "table with a column of labels and one of texts."
        )
    if header and header[0].startswith("#"):
        header[0] = header[0].lstrip("#")
    while header and not header[-1].strip() and not any(_cell(r, len(header)) for _, r in rows):
        header.pop()
    for line, fields in rows:
        if header and any(fields[len(header) :]):
            raise DataError(
                f"{path} line {line} has {len(fields)} fields under {len(header)} columns. "
                "Put quotation marks around a field that holds the delimiter."
            )
    return TableInMemory(path, named(path, header), rows, remark=remark)


def _cell(fields: Sequence[str], number: int) -> str:
    return fields[number - 1].strip() if number <= len(fields) else ""
