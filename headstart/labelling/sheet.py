"""`labels.csv`: one row an answer, on disk before the next item is shown."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, final

from filelock import FileLock, Timeout

from headstart.contracts.cells import is_blank
from headstart.data.tables.delimited import long_fields
from headstart.errors import HeadstartError
from headstart.features.export import whole

PATH, LABEL = "path", "label"
Content = tuple[str, ...]  # what a manifest's columns hold of an item: its path, its text or two


@dataclass(frozen=True)
class _Row:
    """A row, its label last; where it ends in the file, and whether a line's end is there."""

    cells: Content
    end: int
    whole: bool = True


@final
class Sheet:
    """A manifest of answers that one process at a time appends to; `fit` reads it.

    Entering raises HeadstartError for a file that is no such table or can't be written. A line that
    a crash left torn is cut off.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = (*columns, LABEL)
        place = path.with_name(f".{path.name}.lock")
        self._lock = FileLock(str(place), thread_local=False)  # a page may leave it elsewhere
        self._rows: list[_Row] = []
        self._head = 0

    def __enter__(self) -> Sheet:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise HeadstartError(
                f"{self.path} is open on another page. Close that one, or name another --out."
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            self._open()
        except (OSError, csv.Error, HeadstartError) as error:
            self._close()
            if isinstance(error, OSError):
                raise self._unwritable(error) from None
            if isinstance(error, csv.Error):
                raise HeadstartError(
                    f"{self.path} is not valid CSV ({error}). Correct it, or name another file "
                    "with --out."
                ) from None
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def answers(self) -> dict[Content, str]:
        """The label of each item that has one; of several answers the last counts."""
        return {row: label for row, label in self.contents().items() if not is_blank(label)}

    def contents(self) -> dict[Content, str]:
        """The last label of each item that stands there, blank where there is none."""
        return {row.cells[:-1]: row.cells[-1] for row in self._rows}

    def add(self, content: Content, label: str) -> None:
        """Append an answer; it is on the disk when this returns. Raises OSError."""
        self.add_all([(content, label)])

    def add_all(self, answers: Sequence[tuple[Content, str]]) -> None:
        """Append some; all are on the disk when this returns, or none counts. Raises OSError."""
        end = self._rows[-1].end if self._rows else self._head
        rows = [(*content, label) for content, label in answers]
        lines = [_line(cells) for cells in rows]
        with self.path.open("r+b") as file:
            file.truncate(end)
            file.seek(end)
            _through(file, lines)
        ends = list(accumulate(map(len, lines), initial=end))[1:]
        self._rows += [_Row(cells, end) for cells, end in zip(rows, ends, strict=True)]

    def replace(self, changes: Mapping[Content, str | None]) -> None:
        """Give items of the table other labels, or with None no row; all at once, or none.

        Raises OSError.
        """
        rows = [
            (*content, label)
            for content, before in self.contents().items()
            if (label := changes.get(content, before)) is not None
        ]
        lines = [_line(cells) for cells in (self.columns, *rows)]
        with whole([self.path]) as (draft,), draft.open("wb") as file:
            _through(file, lines)
        self._head, *ends = accumulate(map(len, lines))
        self._rows = [_Row(cells, end) for cells, end in zip(rows, ends, strict=True)]

    def last(self) -> Content | None:
        """The item that was answered last."""
        return self._rows[-1].cells[:-1] if self._rows else None

    def undo(self) -> None:
        """Take back the last answer. Raises OSError."""
        end = self._rows[-2].end if len(self._rows) > 1 else self._head
        with self.path.open("r+b") as file:
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())
        self._rows.pop()

    def _unwritable(self, error: OSError) -> HeadstartError:
        return HeadstartError(
            f"{self.path} can't be written ({error.strerror}). Name another place with --out."
        )

    def _close(self) -> None:
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()

    def _open(self) -> None:
        if not self.path.exists() or not self.path.stat().st_size:
            first = _line(self.columns)
            with self.path.open("wb") as file:
                _through(file, [first])
            self._head = len(first)
            return
        header, *rows = [*_read(self.path.read_bytes())] or [_Row((), 0)]
        if header.cells != self.columns:
            raise HeadstartError(
                f"{self.path} has the columns {', '.join(header.cells)[:100] or 'of no table'}, "
                f"not {', '.join(self.columns)}. Name another file with --out."
            )
        self._head = header.end
        for row in rows:
            if len(row.cells) == len(self.columns) and (row.whole or row.cells[-1]):
                self._rows.append(row if row.whole else self._ended(row))
            elif row.whole:
                raise HeadstartError(
                    f"{self.path} has a row of {len(row.cells)} cells under {len(self.columns)} "
                    "columns. Correct it, or name another file with --out."
                )

    def _ended(self, last: _Row) -> _Row:
        """End the last line, which was left without an end by whoever wrote it."""
        with self.path.open("ab") as file:
            file.write(b"\n")
        return _Row(last.cells, last.end + 1)


def _through(file: BinaryIO, lines: Sequence[bytes]) -> None:
    """Write lines through to the disk."""
    file.writelines(lines)
    file.flush()
    os.fsync(file.fileno())


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(cells)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _read(content: bytes) -> Iterator[_Row]:
    """Each row that can be read, but for a last line that a crash left torn.

    Raises csv.Error for any other that can't be: what follows it would be lost.
    """
    lines = io.BytesIO(content).readlines()
    ends = [0, *accumulate(map(len, lines))]
    reader = csv.reader((line.decode("utf-8", "surrogateescape") for line in lines), strict=True)
    end = 0
    with long_fields():
        try:
            for cells in reader:
                end = ends[reader.line_num]
                if cells:
                    yield _Row(tuple(cells), end, content[end - 1 : end] == b"\n")
        except csv.Error:
            if b"\n" in content[end:]:
                raise
