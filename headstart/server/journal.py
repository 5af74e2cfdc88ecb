"""The log of answers, a line each: what was answered is in it before the client hears of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, final

from filelock import FileLock, Timeout

from headstart.errors import HeadstartError

SUFFIX: Final = ".jsonl"
_BLOCK: Final = 1 << 16


@final
class Journal:
    """Lines that are appended to a file, of which one process is the only writer.

    What `write` has written stands there whatever becomes of the process; it is the system that
    brings it to the disk. A line that a killed process left torn was of no request that had been
    answered, and is removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self._lock = FileLock(f"{path}.lock")

    def open(self) -> Journal:
        """Make the file, and make it end with a whole line.

        Raises HeadstartError where another server writes to it, or it can't be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._append()
            os.ftruncate(self._file, _whole(self._file))
        except Timeout:
            raise HeadstartError(
                f"{self.path} is written by another server. Give a folder of its own with --log."
            ) from None
        except OSError as error:
            raise HeadstartError(
                f"{self.path} can't be written: {error.strerror}. Name another folder with --log, "
                "or keep none with --no-log."
            ) from None
        return self

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows, all or none. Raises OSError."""
        lines = [json.dumps(row, ensure_ascii=True, allow_nan=False, default=str) for row in rows]
        content = "".join(f"{line}\n" for line in lines).encode()
        if not self._in_place():  # as when old lines were moved away
            os.close(self._file)
            self._append()
        end = os.fstat(self._file).st_size
        try:
            while content:
                content = content[os.write(self._file, content) :]
        except OSError:
            os.ftruncate(self._file, end)
            raise

    def close(self) -> None:
        """Let others write."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._lock.release()

    def _append(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def _in_place(self) -> bool:
        try:
            at_path, own = os.stat(self.path), os.fstat(self._file)
        except FileNotFoundError:
            return False
        return (at_path.st_dev, at_path.st_ino) == (own.st_dev, own.st_ino)


def now() -> str:
    """The time as rows have it: UTC, to the millisecond, in an order that its text has too."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _whole(file: int) -> int:
    """Where the last whole line of an opened file ends."""
    end = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        place = os.pread(file, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0
