"""Sheets of Excel workbooks, read by openpyxl."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart.data.tables.header import parted
from headstart.data.tables.interface import ItemTable, TableInMemory, named
from headstart.errors import DataError

_MOST = 2 << 30  # bytes that a workbook may unpack to


@final
@dataclass(frozen=True)
class Sheet(ItemTable):
    """One sheet; a workbook types as numbers what was a text of digits, so texts may be numbers."""

    path: Path
    title: str
    cells: TableInMemory
    noun: str = "row"
    remark: str = ""

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override]  # read off the cells
        """The names in its first row that has any value."""
        return self.cells.names

    def numbers(self) -> Iterable[int]:
        """The rows as Excel counts them."""
        return self.cells.numbers()

    def values(self, column: str) -> Iterable[Any]:
        """The cells of one column, formulas by the value they had when the file was saved."""
        return self.cells.values(column)

    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The first rows by column."""
        return self.cells.first_rows(count)

    def texts(self, column: str) -> Iterable[Any]:
        """The cells as text."""
        values = self.values(column)
        return (str(v) if isinstance(v, int | float) else v for v in values)

    contents = texts


def read(path: Path) -> list[Sheet]:
    """The sheets that hold anything. Raises DataError when the file can't be read."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise DataError(
            f"{path} needs openpyxl, which isn't installed. "
            "Install it by `pip install 'headstart[excel]'`, or save the sheet as CSV."
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
    sheets = [_sheet(path, title, rows) for title, rows in cells.items() if any(map(any, rows))]
    if not sheets:
        raise DataError(f"{path} has no sheet with anything in it. Check the file.")
    return sheets


def _sheet(path: Path, title: str, rows: Iterable[Sequence[Any]]) -> Sheet:
    numbered = enumerate(rows, start=1)
    filled = [(n, row) for n, row in numbered if any(value not in (None, "") for value in row)]
    header, below, remark = parted(filled)
    while header and not any(any(row[len(header) - 1 :]) for _, row in [(0, header), *below]):
        header.pop()
    cells = TableInMemory(path, named(path, header), below, "row", remark)
    return Sheet(path, title, cells, remark=remark)
