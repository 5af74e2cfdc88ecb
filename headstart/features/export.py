"""Features as files that other tools read: Parquet, CSV, and numpy's own two."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from headstart.contracts import Encoding
from headstart.data import Item
from headstart.data.targets import kind_named
from headstart.errors import HeadstartError
from headstart.runtime.places import demand_path

_CHUNK_BYTES = 8 << 20  # of features in memory at a time


class Rows(Protocol):
    """Features (N, D) float32 that are read when asked for, as those of the store."""

    def __len__(self) -> int: ...
    def __getitem__(self, positions: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Columns:
    """What stands beside the features: (N,) each. Labels are text, or float64 for one number."""

    ids: np.ndarray
    splits: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, items: Sequence[Item], kind: str) -> Columns:
        """Those of items whose targets are of a kind; several numbers stay text, as sets do."""
        texts = [item.label for item in items]
        numbers = bool(kind) and kind_named(kind).encoding is Encoding.AMOUNTS
        numbers = numbers and all(len(text.split()) == 1 for text in texts)
        return cls(
            np.array([item.id for item in items], dtype=str),
            np.array([item.split or "" for item in items], dtype=str),
            np.array(texts, dtype=np.float64 if numbers else str),
        )


def destination(path: Path) -> Path:
    """The place to write to. Raises HeadstartError where it is taken, or its suffix not known."""
    return demand_free(path, _files(path), list(_WRITERS), "features")


def demand_free(path: Path, files: Sequence[Path], suffixes: Sequence[str], what: str) -> Path:
    """A place where `files` are to be written, whose folder is there then.

    Raises HeadstartError where one of them is, or the path has none of the suffixes.
    """
    demand_path(path)
    if path.suffix.lower() not in suffixes:
        raise HeadstartError(
            f"{path} is of no kind that {what} are written in. "
            f"Name a file that ends in {', '.join(suffixes)}."
        )
    for each in files:
        if each.exists():
            raise HeadstartError(f"{each} already exists. Name a new file, or remove it first.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HeadstartError(
            f"{path} can't be made ({error.strerror}). Name a place that you may write to."
        ) from None
    return path


def write(path: Path, rows: Rows, columns: Columns) -> None:
    """Write features (N, D) and what stands beside them: whole, or not at all.

    Parquet and CSV have the columns id, split, label, f0 … fD-1; an .npz the arrays features, ids,
    labels, splits; an .npy the features alone, beside a .json of the others. All but .npz take
    little memory. Raises HeadstartError for a folder that can't be written.
    """
    with whole(_files(path)) as drafts:
        _WRITERS[path.suffix.lower()](drafts, rows, columns)


def _files(path: Path) -> list[Path]:
    """What is written: the file, and for .npy what goes beside it, which comes into place first."""
    return [path.with_suffix(".json"), path] if path.suffix.lower() == ".npy" else [path]


@contextmanager
def whole(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Files beside these, which take their places when all are whole."""
    drafts = [file.with_name(f".{file.name}.{os.getpid()}") for file in files]
    try:
        yield drafts
        for draft, file in zip(drafts, files, strict=True):
            os.replace(draft, file)
    except OSError as error:  # a full disk is told by the command line, which needs the file's name
        raise OSError(error.errno, error.strerror, str(files[-1])) from error
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def _chunks(rows: Rows) -> Iterator[tuple[slice, np.ndarray]]:
    """Some rows at a time, with where they stand."""
    count = len(rows)
    width = rows[np.arange(min(count, 1))].nbytes
    size = max(1, _CHUNK_BYTES // max(1, width))
    for start in range(0, count, size):
        place = slice(start, min(start + size, count))
        yield place, rows[np.arange(place.start, place.stop)]


def _table(drafts: Sequence[Path], rows: Rows, columns: Columns, csv: bool) -> None:
    import pyarrow as pa
    from pyarrow.csv import CSVWriter
    from pyarrow.parquet import ParquetWriter

    writer: Any = None
    try:
        for place, features in _chunks(rows):
            beside = {
                "id": pa.array(columns.ids[place].tolist()),
                "split": pa.array(columns.splits[place].tolist()),
                "label": pa.array(columns.labels[place].tolist()),
            }
            own = {f"f{n}": pa.array(column) for n, column in enumerate(features.T)}
            batch = pa.record_batch({**beside, **own})
            if writer is None:
                make = CSVWriter if csv else ParquetWriter
                writer = make(str(drafts[0]), batch.schema)
            writer.write_batch(batch)
    finally:
        if writer is not None:
            writer.close()


def _parquet(drafts: Sequence[Path], rows: Rows, columns: Columns) -> None:
    _table(drafts, rows, columns, csv=False)


def _csv(drafts: Sequence[Path], rows: Rows, columns: Columns) -> None:
    _table(drafts, rows, columns, csv=True)


def _npy(drafts: Sequence[Path], rows: Rows, columns: Columns) -> None:
    beside, file = drafts
    shape = (len(rows), rows[np.arange(1)].shape[1])
    whole = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
    for place, features in _chunks(rows):
        whole[place] = features
    whole.flush()
    lists = {name: values.tolist() for name, values in vars(columns).items()}
    beside.write_text(json.dumps(lists, ensure_ascii=False), encoding="utf-8")


def _npz(drafts: Sequence[Path], rows: Rows, columns: Columns) -> None:
    with open(drafts[0], "wb") as file:
        np.savez(file, features=rows[np.arange(len(rows))], **vars(columns))


_WRITERS: Mapping[str, Callable[[Sequence[Path], Rows, Columns], None]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".npy": _npy,
    ".npz": _npz,
}
