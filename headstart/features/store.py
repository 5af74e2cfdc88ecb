"""Activations on disk: content-addressed, append-only, memory-mapped.

One folder holds the activations of one (weights, boundary, preprocessing, precision): `rows.bin`,
fixed-size rows; `index.bin`, one record a row (digest of the item, checksum of the row, checksum of
the record); and `meta.json`. A row counts once its record is whole, and the record is written after
the row has reached the disk, so a run killed at any byte loses at most the rows it was writing.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_dir

from headstart.errors import HeadstartError

RECORD = np.dtype([("digest", "V16"), ("row", "<u4"), ("record", "<u4")])


def cache_folder() -> Path:
    """Where activations are kept: HEADSTART_CACHE, or the user's cache folder."""
    return Path(os.environ.get("HEADSTART_CACHE") or user_cache_dir("headstart"))


class FeatureStore:
    """Rows of one shape and type, found by the digest of the item they were computed from."""

    def __init__(
        self, key: Mapping[str, Any], shape: Sequence[int], root: Path | None = None
    ) -> None:
        text = json.dumps(dict(key), sort_keys=True)
        name = blake2b(text.encode(), digest_size=16).hexdigest()
        self.folder = (root or cache_folder()) / "features" / name
        self.shape = tuple(shape)
        self._key = dict(key)
        self._size = int(np.prod(self.shape)) * 4
        self._rows: dict[bytes, int] = {}
        self._seen = 0

    def missing(self, digests: Sequence[str]) -> list[int]:
        """Positions of the digests that have no row yet, each digest once."""
        self._refresh()
        found: dict[bytes, int] = {}
        for position, digest in enumerate(digests):
            key = bytes.fromhex(digest)
            if key not in self._rows:
                found.setdefault(key, position)
        return sorted(found.values())

    def append(self, digests: Sequence[str], rows: np.ndarray) -> None:
        """Add rows. Raises HeadstartError when the disk is full; what was there stays whole."""
        data = np.ascontiguousarray(rows, dtype="<f4").reshape(len(digests), -1)
        records = np.zeros(len(digests), RECORD)
        for position, digest in enumerate(digests):
            records[position]["digest"] = np.void(bytes.fromhex(digest))
            records[position]["row"] = zlib.crc32(data[position].tobytes())
            records[position]["record"] = _record_sum(records[position])
        try:
            self._write(data, records)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HeadstartError(
                    f"The cache {self.folder.parent.parent} is on a full disk. "
                    "Free some space, or point HEADSTART_CACHE elsewhere."
                ) from None
            raise HeadstartError(
                f"The cache {self.folder.parent.parent} can't be written ({error.strerror}). "
                "Point HEADSTART_CACHE at a folder of yours."
            ) from None

    def rows(self, digests: Sequence[str]) -> Rows:
        """The rows of these items, read when asked for. Raises KeyError where one is missing."""
        self._refresh()
        where = np.array([self._rows[bytes.fromhex(digest)] for digest in digests], dtype=np.int64)
        return Rows(self.folder / "rows.bin", self.shape, where)

    def _write(self, data: np.ndarray, records: np.ndarray) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(str(self.folder / "lock")):
            meta = self.folder / "meta.json"
            if not meta.exists():
                meta.write_text(json.dumps({"key": self._key, "shape": self.shape}, indent=1))
            self._refresh()
            for name, content, whole in (
                ("rows.bin", data, self._seen * self._size),
                ("index.bin", records, self._seen * RECORD.itemsize),
            ):
                with open(self.folder / name, "ab") as file:
                    file.truncate(whole)  # a torn tail of a killed run
                    file.write(content.tobytes())
                    file.flush()
                    os.fsync(file.fileno())
            self._refresh()

    def _refresh(self) -> None:
        """Learn of rows that this or another process has appended since."""
        index, rows = self.folder / "index.bin", self.folder / "rows.bin"
        if not index.exists() or not rows.exists():
            return
        whole = min(index.stat().st_size // RECORD.itemsize, rows.stat().st_size // self._size)
        if whole <= self._seen:
            return
        count = whole - self._seen
        records = np.fromfile(index, RECORD, count, offset=self._seen * RECORD.itemsize)
        data = np.memmap(rows, np.uint8, "r", self._seen * self._size, (count, self._size))
        for record, row in zip(records, data, strict=True):
            intact = record["record"] == _record_sum(record) and record["row"] == zlib.crc32(row)
            if intact:
                self._rows[record["digest"].tobytes()] = self._seen
            self._seen += 1


class Rows:
    """Stored rows in the order they were asked for; indexing reads only what it needs from disk."""

    def __init__(self, path: Path, shape: tuple[int, ...], where: np.ndarray) -> None:
        self._where = where
        total = int(where.max()) + 1 if len(where) else 0
        self._map = (
            np.memmap(path, "<f4", "r", shape=(total, *shape))
            if total
            else np.zeros((0, *shape), "<f4")
        )

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        return np.asarray(self._map[self._where[positions]])

    def all(self) -> np.ndarray:
        """Every row, in memory."""
        return np.asarray(self._map[self._where])


def _record_sum(record: Any) -> int:
    return zlib.crc32(record["digest"].tobytes() + int(record["row"]).to_bytes(4, "little"))
