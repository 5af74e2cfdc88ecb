"""Whether the rows in a file are known to be right, so that they need not be read to say so."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import final

import numpy as np

from headstart.features.cache import write_whole
from headstart.features.store.records import Index, sums_of

CHUNK_BYTES = 8 * 2**20  # read at once when all rows are compared with their checksums


@final
class Verified:
    """The state of `rows.bin` in which all its rows were right, noted in `verified.json`.

    A state is the file's size, time of change and identity, and the bytes of a row. It is noted
    after all rows were compared with their checksums, and after an append to a file in that state.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._rows = folder / "rows.bin"
        self._note = folder / "verified.json"
        self._size = size
        self._last_state: dict[str, int] | None = None

    def holds(self) -> bool:
        """Whether the file is in the state that was noted."""
        with suppress(OSError, ValueError):
            state = self._state()
            return state == self._last_state or state == json.loads(self._note.read_text("utf-8"))
        return False

    def note(self) -> None:
        """Note the present state. Raises OSError where it can't be written."""
        self.remember()
        write_whole(self._note, json.dumps(self._last_state))

    def remember(self) -> None:
        """Note the present state for this process only."""
        self._last_state = self._state()

    def wrong(self, index: Index) -> np.ndarray:
        """The numbers of the rows whose checksum is not the index's; reads all, a chunk at once."""
        step = max(1, CHUNK_BYTES // self._size)
        wrong = [np.zeros(0, np.int64)]
        for start in range(0, len(index), step):
            count = min(step, len(index) - start)
            data = np.fromfile(self._rows, np.uint8, count * self._size, offset=start * self._size)
            sums = sums_of(data.reshape(count, self._size))
            wrong.append(start + np.flatnonzero(sums != index.sums[start : start + count]))
        return np.concatenate(wrong)

    def _state(self) -> dict[str, int]:
        status = self._rows.stat()
        return {
            "row": self._size,
            "size": status.st_size,
            "changed": status.st_mtime_ns,
            "inode": status.st_ino,
        }
