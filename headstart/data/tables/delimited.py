"""Tables of text whose columns are parted by commas, semicolons, tabs or pipes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from headstart.contracts.cells import number
from headstart.data.tables import barred, counted
from headstart.data.tables.header import HEADINGS, SAMPLE, Numbered, parted
from headstart.data.tables.interface import ItemTable, TableInMemory, column_names
from headstart.data.tables.text import opened, sample
from headstart.data.tables.whole_numbers import FEWEST, NumberTable, wide_numbers
from headstart.errors import DataError

DELIMITERS = ("\t", ";", "|", ",")  # where several fit alike, the one that texts hold least comes
_MOST_ROWS = 500
_FEWEST = 3  # lines that may be parted by spaces
_FILE = re.compile(r"[^\s,;|]+\.[A-Za-z][A-Za-z0-9]{1,4}")
_LONGEST = 2**31 - 1  # characters of a field; csv's own limit is less than a long text
_MOSTLY = 0.9  # rows that are alike below a title


def read(path: Path) -> list[ItemTable]:
    """The table. Raises DataError naming the line that can't be read.

    Comments and empty lines above the header are passed over, and rows without any value.
    """
    table = counted.read(path)
    if table is not None:
        return [table]
    start = sample(path)
    if barred.is_barred(*start):
        return [barred.read(path)]
    dialect = dialect_of(*start)
    try:
        return [_cut(path, dialect, quotes=True)]
    except DataError:
        if dialect.delimiter != "\t":
            raise
    return [_cut(path, dialect, quotes=False)]  # quotation marks that quote no field


def _cut(path: Path, dialect: Dialect, quotes: bool) -> ItemTable:
    with opened(path) as file, long_fields():
        reader = csv.reader(
            islice(file, dialect.above, None),
            delimiter=dialect.delimiter,
            skipinitialspace=dialect.spaced or dialect.delimiter == " ",
            strict=True,
            quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        )
        filled = (fields for fields in reader if any(map(str.strip, fields)))
        lines = ((reader.line_num + dialect.above, fields) for fields in filled)
        try:
            every = [*islice(lines, SAMPLE + 1)]
            numbers = _numbers(path, every, dialect.delimiter)
            if numbers is not None:
                return numbers
            every += lines
        except csv.Error as error:
            kind = "TSV" if dialect.delimiter == "\t" else "CSV"
            raise DataError(
                f"{path} line {reader.line_num + dialect.above} is not valid {kind}: {error}. "
                "Correct the line."
            ) from error
    header, rows, remark = parted(every)
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
    return TableInMemory(path, column_names(path, header), rows, remark=remark)


def _numbers(path: Path, head: Sequence[Numbered], delimiter: str) -> NumberTable | None:
    """The table where it is long, wide, and of nothing but whole numbers below its header."""
    header, rows, remark = parted(head)
    if len(head) <= SAMPLE or len(header) < FEWEST or header[0].startswith("#"):
        return None
    first = rows[0][0]
    array = wide_numbers(path, delimiter, first - 1)
    if array is None or array.shape[1] != len(header):
        return None
    return NumberTable(path, column_names(path, header), array, first, remark)


def _cell(fields: Sequence[str], number: int) -> str:
    return fields[number - 1].strip() if number <= len(fields) else ""


@dataclass(frozen=True)
class Dialect:
    """`above` counts the lines before the header, `spaced` says that a space follows delimiters."""

    delimiter: str
    above: int = 0
    spaced: bool = False


def dialect_of(text: str, cut: bool) -> Dialect:
    """The dialect of a table that begins with `text`, in which its last row may be `cut`.

    The delimiter is what parts the header in two or more and most rows in as many.
    """
    lines = text.splitlines(keepends=True)
    above = _above(lines)
    if above and lines[above - 1].lower().startswith("sep="):  # as Excel says it
        return Dialect(lines[above - 1][4:5], above)
    comments = [n for n in range(above) if lines[n].lstrip().startswith("#")]
    delimiter = _delimiter(lines[above:], cut)
    if comments and _is_header(lines[comments[-1]], lines[above:], delimiter):
        above = comments[-1]
    header = next(_rows(lines[above : above + 1], delimiter, spaced=False), [])
    return Dialect(delimiter, above, len(header) > 1 and all(w[:1] == " " for w in header[1:]))


@contextmanager
def long_fields() -> Iterator[None]:
    """Let fields be as long as texts are."""
    before = csv.field_size_limit(_LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _above(lines: Sequence[str]) -> int:
    """How many lines stand before the first that is no comment and not empty."""
    for place, line in enumerate(lines):
        word = line.strip().lower()
        if word and not word.startswith("#") and not (word[:4] == "sep=" and len(word) <= 5):
            return place
    return 0


def _delimiter(lines: Sequence[str], cut: bool) -> str:
    every = {each: _whole_rows(lines, each, cut) for each in DELIMITERS}
    fits = {each: _fit(rows) for each, rows in every.items()}
    if max(fits.values())[0] < 2:  # perhaps a title above
        below = {each: _fit(rows[_first_wide(rows) :]) for each, rows in every.items()}
        fits = {each: fit for each, fit in below.items() if fit[1] >= _MOSTLY} or fits
    best = max(fits, key=lambda each: fits[each])
    if fits[best][0] == 2:
        return best
    return " " if _are_spaced(lines[:-1] if cut else lines) else ","


def _are_spaced(lines: Sequence[str]) -> bool:
    """Whether spaces part every line in as many numbers, or in the name of a file and more."""
    rows = [line.split() for line in lines if line.strip()]
    if len(rows) < _FEWEST or len({*map(len, rows)}) > 1 or len(rows[0]) < 2:
        return False
    if all(_FILE.fullmatch(row[0]) for row in rows):
        return True
    amounts = [sum(number(word) is not None for word in row) for row in rows[1:]]
    return 2 * sum(amounts) > len(amounts) * len(rows[0])


def _whole_rows(lines: Sequence[str], delimiter: str, cut: bool) -> list[list[str]]:
    rows = list(_rows(lines, delimiter, spaced=True))
    return [row for row in (rows[:-1] if cut and len(rows) > 1 else rows) if row]


def _first_wide(rows: Sequence[Sequence[str]]) -> int:
    return next((place for place, row in enumerate(rows) if len(row) > 1), 0)


def _fit(rows: Sequence[Sequence[str]]) -> tuple[int, float]:
    """Whether the first row is parted (2) or not (1), and the share of others that are as it is."""
    if not rows:
        return 0, 0.0
    rest = rows[1:_MOST_ROWS]
    alike = sum(len(row) == len(rows[0]) for row in rest)
    return min(len(rows[0]), 2), alike / len(rest) if rest else 1.0


def _is_header(comment: str, lines: Sequence[str], delimiter: str) -> bool:
    """Whether a line with `#` in front names the columns of the rows below, rather than the next.

    It does where it has as many names, and no usual one stands in the line below it.
    """
    names = next(_rows([comment], delimiter, spaced=True), [])
    below = next(_rows(lines, delimiter, spaced=True), [])
    usual = any(word.strip().lower() in HEADINGS for word in below)
    return len(names) == len(below) > 1 and not usual


def _rows(lines: Sequence[str], delimiter: str, spaced: bool) -> Iterator[list[str]]:
    with long_fields():
        try:
            yield from csv.reader(lines, delimiter=delimiter, skipinitialspace=spaced)
        except csv.Error:
            return
