"""Sheets of Excel workbooks, read by openpyxl."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.data.names import split_of
from headstart.data.sources import SPLITS
from headstart.data.tables.header import parted
from headstart.data.tables.interface import TableInMemory, column_names
from headstart.errors import DataError
from headstart.runtime.installed import installation

_SPLIT = "split"  # the column that says which split a row is in
_MOST = 2 << 30  # bytes that a workbook may unpack to


def read(path: Path) -> list[TableInMemory]:
    """The sheets that hold anything. Raises DataError when the file can't be read."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise DataError(
            f"{path} needs openpyxl, which isn't installed. "
            f"Install it by `{installation('excel')}`, or save the sheet as CSV."
        ) from error
    try:
        with zipfile.ZipFile(path) as file:
            if sum(member.file_size for member in file.infolist()) > _MOST:
                raise DataError(f"{path} unpacks to more than 2 GiB. Save the sheet as CSV.")
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            cells = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}
        finally:
            book.close()
    except DataError:
        raise
    except Exception as error:  # the library lets through whatever its parsers raise
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(
            f"{path} can't be read as an Excel workbook: {reason}. "
            "Save it again as .xlsx without a password, or as CSV."
        ) from error
    sheets = {name: _sheet(path, rows) for name, rows in cells.items() if any(map(any, rows))}
    if not sheets:
        raise DataError(f"{path} has no sheet with anything in it. Check the file.")
    return _joined(sheets) or [_alone(name, sheet, len(sheets)) for name, sheet in sheets.items()]


def _alone(name: str, sheet: TableInMemory, count: int) -> TableInMemory:
    remark = f"of {count} sheets {name!r} alone is read" if count > 1 else ""
    return replace(sheet, remark="; ".join(filter(None, (sheet.remark, remark))))


def _joined(sheets: Mapping[str, TableInMemory]) -> list[TableInMemory]:
    """The sheets that are called after splits as one table; none where those are not there.

    They have the same columns. The rows of each are counted on from the last of the one before.
    """
    splits = {name: split_of(name) for name in sheets}
    parts = {name: sheet for name, sheet in sheets.items() if splits[name] in SPLITS}
    first = next(iter(parts.values()), None)
    words = {splits[name] for name in parts}
    if first is None or "train" not in words or not 1 < len(parts) == len(words):
        return []
    if _SPLIT in first.names or any(part.names != first.names for part in parts.values()):
        return []
    rows: list[tuple[int, Sequence[Any]]] = []
    for name, part in parts.items():
        last = rows[-1][0] if rows else 0
        width = len(part.names)
        rows += [
            (last + n, (*row[:width], *[None] * (width - len(row)), name)) for n, row in part.rows
        ]
    remark = f"the sheets {' and '.join(map(repr, parts))} are joined, whose rows are counted on"
    return [replace(first, names=[*first.names, _SPLIT], rows=rows, remark=remark)]


def _sheet(path: Path, rows: Iterable[Sequence[Any]]) -> TableInMemory:
    numbered = enumerate(rows, start=1)
    filled = [(n, row) for n, row in numbered if any(value not in (None, "") for value in row)]
    header, below, remark = parted(filled)
    while header and not any(any(row[len(header) - 1 :]) for _, row in [(0, header), *below]):
        header.pop()
    return TableInMemory(path, column_names(path, header), below, "row", remark, typed=True)
