"""Activations on disk: content-addressed, append-only, memory-mapped.

One folder holds the activations of one (weights, boundary, preprocessing, precision): `rows.bin`,
fixed-size rows; `index.bin`, one record a row (digest of the item, checksum of the row, checksum of
the record); `meta.json`, what the rows are; `verified.json`, the state of `rows.bin` (size, time of
change) in which its rows are known to be right; `users/`, locks of the processes that use it.

Guarantees. A row counts once its record is whole, and a record is written after its row has reached
the disk: a run killed at any byte loses at most what it had not flushed. A damaged row is never
served: if `rows.bin` is not in the state that `verified.json` names, `missing` compares the
checksum of every row and counts the damaged ones as missing; damage that leaves size and time as
they were (a failing disk) is found when the row is first read, by the checksum again, and raises.
An unchanged store thus opens without reading its rows. Several processes may append at once.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, final

import numpy as np
from filelock import FileLock

from headstart.errors import HeadstartError
from headstart.features.cache import Use, write_whole
from headstart.features.store.ragged import Addresses, RaggedRows
from headstart.features.store.records import (
    RECORD,
    Index,
    digests_of,
    records_of,
    sums_of,
)
from headstart.features.store.rows import STORED, Precision, Rows, narrowed, widened
from headstart.features.store.shapes import Shape, demand_exact
from headstart.features.store.verified import Verified
from headstart.runtime.places import cache_folder

__all__ = [
    "RECORD",
    "STORED",
    "Addresses",
    "FeatureStore",
    "Precision",
    "RaggedRows",
    "Rows",
    "Shape",
    "cache_folder",
]
Digests = Sequence[str] | np.ndarray  # 32 hex digits each, or 16 bytes
GROUP_BYTES, GROUP_SECONDS = 16 * 2**20, 2.0  # what a killed run may lose, and compute again


@final
class FeatureStore:
    """Rows of one shape and type, found by the digest of the item they were computed from.

    A row is one array, or several by name, which are stored and checked together.
    `dtype` is "fp32" or "bf16"; bf16 rounds to nearest even and halves the size. Each `append` is
    on disk when it returns; inside `with store:` rows wait to be written in groups, which is
    faster, until `flush`, `missing`, `rows` or the end of the block.
    """

    def __init__(
        self,
        key: Mapping[str, Any],
        shape: Sequence[int] | Shape,
        root: Path | None = None,
        dtype: Precision = "fp32",
    ) -> None:
        self.folder = _folder(key, dtype, root)
        self.shape = shape if isinstance(shape, Shape) else Shape.alone(shape)
        self.dtype = dtype
        self._meta = {"key": dict(key), "shape": self.shape.to_json(), "dtype": dtype}
        self._numbers = self.shape.numbers
        self._size = self._numbers * STORED[dtype].itemsize
        self._lock = FileLock(self.folder / "lock")
        self._use: Use | None = None
        self._index = Index(self.folder / "index.bin")
        self._inode = 0
        self._verified = Verified(self.folder, self._size)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._since = 0.0
        self._grouping = False

    @staticmethod
    def shape_of(key: Mapping[str, Any], root: Path | None = None) -> Shape | None:
        """The shape that an earlier run stored under this key; None where none is known."""
        for dtype in STORED:
            with suppress(OSError, ValueError, KeyError, TypeError):
                text = (_folder(key, dtype, root) / "meta.json").read_text(encoding="utf-8")
                return Shape.from_json(json.loads(text)["shape"])
        return None

    def __enter__(self) -> FeatureStore:
        self._grouping = True
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._grouping = False
        with suppress(HeadstartError) if error else nullcontext():  # the first error is told
            self.flush()

    def missing(self, digests: Digests) -> list[int]:
        """Positions of the digests that have no sound row yet, each digest once.

        Reads all rows if their file was changed by anything but an append. Raises HeadstartError
        where rows still wait and can't be written.
        """
        self.flush()
        self._look()
        self._verify()
        own_digests = digests_of(digests)
        absent = np.flatnonzero(self._index.find(own_digests) < 0)
        _, first = np.unique(own_digests[absent], return_index=True)
        return [int(position) for position in absent[np.sort(first)]]

    def append(self, digests: Digests, rows: Any) -> None:
        """Add rows (N, …), an array or a mapping of arrays, which are copied.

        Raises HeadstartError when the disk is full; what was there stays whole.
        """
        data = narrowed(self.shape.joined(rows, len(digests)), self.dtype)
        demand_exact(rows, widened(data), self.shape)
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((digests_of(digests), data))
        waiting = sum(data.nbytes for _, data in self._waiting)
        late = time.monotonic() - self._since >= GROUP_SECONDS
        if not self._grouping or late or waiting >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Raises HeadstartError if that fails; those rows are then forgotten."""
        waiting, self._waiting = self._waiting, []
        if waiting:  # what a failed write leaves is forgotten, or every later call would fail
            with _as_headstart_errors(self.folder.parent.parent):
                self._write(np.concatenate([digests for digests, _ in waiting]), waiting)

    def rows(self, digests: Digests) -> Rows:
        """The rows of these items, read when asked for. Raises KeyError where one is missing."""
        self.flush()
        self._look()
        where = self._index.find(digests_of(digests))
        if (where < 0).any():
            raise KeyError(digests[int(np.argmax(where < 0))])
        content: np.ndarray = np.zeros((0, self._numbers), STORED[self.dtype])
        if len(where):
            total = (int(where.max()) + 1, self._numbers)
            path = self.folder / "rows.bin"
            content = np.asarray(np.memmap(path, STORED[self.dtype], "r", shape=total))
        sums, strike = self._index.sums[where], partial(self._strike, self._inode)
        return Rows(where, sums, self.shape, content, strike, self._use)

    def _strike(self, inode: int, numbers: np.ndarray) -> Path:
        """Count damaged rows as missing from now on, if the index is still the same file."""
        with suppress(OSError), self._lock:
            self._refresh()
            if inode == self._inode:
                self._index.strike(numbers)
        return self.folder

    def _write(self, digests: np.ndarray, waiting: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._enter()
        with self._lock:
            self._describe()
            self._refresh()
            sound = self._verified.holds() or not len(self._index)
            new = self._index.find(digests) < 0  # another process may have been faster
            data = np.split(new, np.cumsum([len(rows) for _, rows in waiting])[:-1])
            blocks = [rows[rows_of] for (_, rows), rows_of in zip(waiting, data, strict=True)]
            sums = np.concatenate([sums_of(block) for block in blocks])
            whole = len(self._index)
            _extend(self.folder / "rows.bin", whole * self._size, blocks)
            records = records_of(digests[new], sums)
            _extend(self.folder / "index.bin", whole * RECORD.itemsize, [records])
            self._refresh()
            if sound:
                with suppress(OSError):  # the rows are safe; they will be compared once more
                    self._verified.note()

    def _look(self) -> None:
        """See what is there; a cache that can't be written can still be read."""
        with suppress(OSError):
            if self.folder.is_dir():
                self._enter()
        self._refresh()

    def _enter(self) -> None:
        """Say that this process uses the store, so that nobody removes it."""
        if self._use is None or not self._use.holds:
            self._index.forget_all()  # if it was removed by hand, what is there now is another
            self._use = Use(self.folder)

    def _describe(self) -> None:
        """Make `meta.json` say what the rows are."""
        path, text = self.folder / "meta.json", json.dumps(self._meta, indent=1)
        with suppress(OSError, ValueError):
            if path.read_text(encoding="utf-8") == text:
                return
        write_whole(path, text)

    def _refresh(self) -> None:
        """Learn of rows that this or another process has appended since."""
        try:
            index = (self.folder / "index.bin").stat()
            rows = (self.folder / "rows.bin").stat()
        except OSError:
            self._index.forget_all()
            return
        whole = min(index.st_size // RECORD.itemsize, rows.st_size // self._size)
        if index.st_ino != self._inode or whole < len(self._index):  # not the files we knew
            self._index.forget_all()
            self._inode = index.st_ino
        if whole > len(self._index):
            self._index.read(whole)

    def _verify(self) -> None:
        """Strike rows whose checksum is wrong, unless the file is as it was when all were right."""
        if not len(self._index) or self._verified.holds():
            return
        with suppress(OSError), self._lock:  # a writer may be about to note its rows
            self._refresh()
            if not self._verified.holds():
                self._index.strike(self._verified.wrong(self._index))
                self._verified.note()
            return
        self._index.intact[self._verified.wrong(self._index)] = False  # it can only be read
        self._verified.remember()


def _folder(key: Mapping[str, Any], dtype: str, root: Path | None) -> Path:
    text = json.dumps(dict(key), sort_keys=True) + ("" if dtype == "fp32" else dtype)
    name = blake2b(text.encode(), digest_size=16).hexdigest()
    return (root or cache_folder()) / "features" / name


def _extend(path: Path, whole: int, blocks: Sequence[np.ndarray]) -> None:
    """Add to a file after its first `whole` bytes; what follows them a killed run left torn."""
    with open(path, "ab") as file:
        file.truncate(whole)
        for block in blocks:
            file.write(block.data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _as_headstart_errors(cache: Path) -> Iterator[None]:
    """Turn the system's refusals into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HeadstartError(
                f"The cache {cache} is on a full disk. "
                "Free some space, or point HEADSTART_CACHE elsewhere."
            ) from None
        raise HeadstartError(
            f"The cache {cache} can't be written ({error.strerror}). "
            "Point HEADSTART_CACHE at a folder of yours."
        ) from None
