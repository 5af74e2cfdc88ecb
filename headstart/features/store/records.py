"""The index of a store: one record a row, checked and searched as arrays."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from headstart.features.cache import RECORD_BYTES

RECORD = np.dtype([("digest", "V16"), ("row", "<u4"), ("record", "<u4")])
DIGEST = "S16"  # compared in full, zero bytes included: all have one length


def digests_of(texts: Sequence[str] | np.ndarray) -> np.ndarray:
    """Digests of 32 hex digits each as an array (N,) of 16 bytes. Raises ValueError for others.

    Such an array stands for itself.
    """
    if isinstance(texts, np.ndarray) and texts.dtype == DIGEST:
        return texts
    return np.frombuffer(bytes.fromhex("".join(texts)), DIGEST).reshape(len(texts))


def records_of(digests: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Records (N,) of rows with these digests (N,) and CRC-32 sums (N,), each with its own sum."""
    records = np.zeros(len(digests), RECORD)
    records["digest"] = digests.view("V16")
    records["row"] = sums
    records["record"] = sums_of(_bytes_of(records)[:, :-4])
    return records


def sums_of(rows: np.ndarray) -> np.ndarray:
    """The CRC-32 of each row of an array (N, …)."""
    content = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
    size = len(content) // max(1, len(rows))
    each = (zlib.crc32(content[place * size : (place + 1) * size]) for place in range(len(rows)))
    return np.fromiter(each, np.uint32, len(rows))


@final
class Index:
    """The records in a file, each read once: rows by digest, and the sum each row must have.

    Where several intact records name one digest, the last one counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.forget_all()

    def __len__(self) -> int:
        return len(self.sums)

    def forget_all(self) -> None:
        """Know of no record, as at first."""
        self._digests = np.zeros(0, DIGEST)
        self.sums = np.zeros(0, np.uint32)
        self.intact = np.zeros(0, bool)
        self._order: np.ndarray | None = None

    def read(self, whole: int) -> None:
        """Learn of the records up to number `whole`."""
        start = len(self)
        records = np.fromfile(
            self._path, RECORD, max(0, whole - start), offset=start * RECORD_BYTES
        )
        intact = records["record"] == sums_of(_bytes_of(records)[:, :-4])
        self._digests = np.concatenate([self._digests, records["digest"].view(DIGEST)])
        self.sums = np.concatenate([self.sums, records["row"]])
        self.intact = np.concatenate([self.intact, intact])
        self._order = None

    def find(self, digests: np.ndarray) -> np.ndarray:
        """The number of each digest's row (N,), −1 where there is none."""
        if self._order is None:
            numbers = np.flatnonzero(self.intact)
            self._order = numbers[np.argsort(self._digests[numbers], kind="stable")]
            self._sorted = self._digests[self._order]
        if not len(self._order):
            return np.full(len(digests), -1)
        places = np.searchsorted(self._sorted, digests, side="right") - 1
        present = self._sorted[places] == digests  # place −1 is the last one, which is larger
        return np.where(present, self._order[places], -1)

    def strike(self, numbers: np.ndarray) -> None:
        """Forget these rows, and overwrite their records in the file, if it may be written."""
        self.intact[numbers] = False
        self._order = None
        with open(self._path, "r+b") as file:
            for number in numbers:
                file.seek(int(number) * RECORD_BYTES)
                file.write(bytes(RECORD_BYTES))  # its checksum can't be zero, so it isn't intact


def _bytes_of(records: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(records).view(np.uint8).reshape(len(records), RECORD_BYTES)
