"""Labels in several columns: one of 0 and 1 for each label, or one for each number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headstart.contracts.cells import is_blank, mark, number
from headstart.contracts.targets import Encoding, Targets
from headstart.data.sources import Contents, Row
from headstart.errors import DataError

_UNCERTAIN = -1.0  # as CheXpert writes it


def of_columns(contents: Contents, kind: Targets | None) -> Contents:
    """Rows whose value is a cell of each label column, with what the cells mean together.

    Where all are 0 and 1, the columns are labels: classes if each row has exactly one, else label
    sets. Otherwise they are numbers. A `kind` that is named may want one of these.
    Raises DataError naming the row for anything else.
    """
    needs_marks = None if kind is None else kind.marks
    marks = needs_marks is not False and _hold_marks(contents.rows)
    if needs_marks and not marks:
        raise _no_mark(contents)
    if not marks:
        rows = [_numbers(row, contents.columns) for row in contents.rows]
        return replace(contents, rows=tuple(rows))
    contents = _with_zeros(contents)
    rows = [_marked(row, contents.columns) for row in contents.rows]
    whole = [row.value for row in contents.rows if not _is_empty(row)]
    blank = sum(is_blank(cell) for cells in whole for cell in cells)
    doubtful = sum(_UNCERTAIN in map(mark, cells) for cells in whole)
    sentences = [f"the label columns of 0 and 1 are {', '.join(contents.columns)}"]
    sentences += [f"{blank} empty cells of them count as 0"] if blank else []
    if doubtful:
        sentences.append(f"{doubtful} rows with a -1 have no certain labels and are left out")
    labelled = _labelled(contents, rows)
    single = all(row.value is None or len(row.value) == 1 for row in labelled)
    if single if kind is None else kind.encoding is Encoding.INDEX:
        places = {id(row) for row in labelled}
        rows = [_single(row) if id(row) in places else replace(row, value=None) for row in rows]
    return replace(contents, rows=tuple(rows), remarks=(*contents.remarks, *sentences))


def _with_zeros(contents: Contents) -> Contents:
    """Where every cell is 1 or -1, as CelebA writes them, -1 is 0."""
    cells = {
        None if is_blank(cell) else mark(cell) for row in contents.rows for cell in row.value or ()
    }
    if cells != {1.0, _UNCERTAIN}:
        return contents
    rows = (
        replace(row, value=tuple(max(mark(c) or 0, 0) for c in row.value)) for row in contents.rows
    )
    return replace(
        contents,
        rows=tuple(rows),
        remarks=(*contents.remarks, "a -1 counts as 0, as none is there"),
    )


def _labelled(contents: Contents, rows: Sequence[Row]) -> list[Row]:
    """The rows but those of splits in which no row has a label, as of a competition's test."""
    some = {row.split for row in rows if row.value}
    return [row for row in rows if row.split in some or row.split not in contents.split_names]


def _is_empty(row: Row) -> bool:
    return row.value is None or all(map(is_blank, row.value))


def _hold_marks(rows: Sequence[Row]) -> bool:
    cells = {mark(cell) for row in rows for cell in row.value or () if not is_blank(cell)}
    return cells <= {0.0, 1.0, _UNCERTAIN}


def _marked(row: Row, names: Sequence[str]) -> Row:
    if _is_empty(row) or _UNCERTAIN in map(mark, row.value):
        return replace(row, value=None)
    return replace(row, value=[n for n, cell in zip(names, row.value, strict=True) if mark(cell)])


def _single(row: Row) -> Row:
    if row.value is None:
        return row
    if len(row.value) != 1:
        raise DataError(
            f"{row.place} has a 1 in {len(row.value)} label columns, where one class is wanted. "
            "Give each row one, or use --targets label-sets."
        )
    return replace(row, value=row.value[0])


def _numbers(row: Row, names: Sequence[str]) -> Row:
    if row.value is None or any(map(is_blank, row.value)):
        return replace(row, value=None)
    for name, cell in zip(names, row.value, strict=True):
        if number(cell) is None:
            raise DataError(
                f"{row.place} has {cell!r} in the label column {name!r}, which is no number. "
                "Several label columns hold 0 and 1, or numbers; else name one by --label."
            )
    return replace(row, value=[number(cell) for cell in row.value])


def _no_mark(contents: Contents) -> DataError:
    place, name, cell = next(
        (row.place, name, cell)
        for row in contents.rows
        for name, cell in zip(contents.columns, row.value or (), strict=False)
        if not is_blank(cell) and mark(cell) not in (0.0, 1.0, _UNCERTAIN)
    )
    return DataError(
        f"{place} has {cell!r} in the label column {name!r}, which is neither 0 nor 1. "
        "Correct the row, or use --targets numbers."
    )
