"""Sheets of Excel workbooks, read by openpyxl."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from headstart.data.tables.header import parted
from headstart.data.tables.interface import TableInMemory, column_names
from headstart.errors import DataError
from headstart.runtime.installed import installation

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
            cells = [list(sheet.iter_rows(values_only=True)) for sheet in book]
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
    sheets = [_sheet(path, rows) for rows in cells if any(map(any, rows))]
    if not sheets:
        raise DataError(f"{path} has no sheet with anything in it. Check the file.")
    return sheets


def _sheet(path: Path, rows: Iterable[Sequence[Any]]) -> TableInMemory:
    numbered = enumerate(rows, start=1)
    filled = [(n, row) for n, row in numbered if any(value not in (None, "") for value in row)]
    header, below, remark = parted(filled)
    while header and not any(any(row[len(header) - 1 :]) for _, row in [(0, header), *below]):
        header.pop()
    return TableInMemory(path, column_names(path, header), below, "row", remark, typed=True)
