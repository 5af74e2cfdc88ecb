"""Opening files of columns, here or elsewhere: Parquet, Arrow and Feather."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from headstart.data.remote import Pointer, Remote, pointer_at
from headstart.errors import DataError, reason

ARROW = frozenset({".arrow", ".feather"})
_FOOTERS: dict[Pointer, Any] = {}  # of Parquet files elsewhere
_MOST_FOOTERS = 256


@final
class ArrowFile:
    """An opened file of Arrow, mapped into memory: a batch is a row group."""

    def __init__(self, path: Path) -> None:
        import pyarrow

        pointer = pointer_at(path)
        if pointer is not None:
            file = pyarrow.PythonFile(Remote(pointer), "r")
            if file.read(6) != b"ARROW1":
                raise DataError(
                    f"{path} is a stream of Arrow, of which no part can be read by itself. Write "
                    "it as Parquet, or copy it to this machine."
                )
            reader = pyarrow.ipc.open_file(file)
            self.schema_arrow, self.batches = reader.schema, _Batches(reader)
            return
        file = pyarrow.memory_map(str(path))
        footed = file.read(6) == b"ARROW1"  # unlike a stream
        file.seek(0)
        table = (pyarrow.ipc.open_file if footed else pyarrow.ipc.open_stream)(file).read_all()
        self.schema_arrow, self.batches = table.schema, table.to_batches()


@final
class _Batches(Sequence[Any]):
    """The batches of a file elsewhere, each read when it is asked for."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __len__(self) -> int:
        return int(self._reader.num_record_batches)

    def __getitem__(self, place: Any) -> Any:
        if not 0 <= place < len(self):
            raise IndexError(place)
        return self._reader.get_batch(place)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The opened Parquet or Arrow file. Raises DataError naming it when pyarrow can't read it."""
    from pyarrow import ArrowException

    try:
        if path.suffix.lower() in ARROW:
            yield ArrowFile(path)
        else:
            with _parquet(path) as file:
                yield file
    except UnicodeDecodeError:
        raise
    except (ArrowException, OSError, ValueError) as error:
        raise unreadable(path, error) from error


def _parquet(path: Path) -> Any:
    """The opened file; of one elsewhere the footer is read once."""
    from pyarrow import PythonFile
    from pyarrow.parquet import ParquetFile

    pointer = pointer_at(path)
    if pointer is None:
        return ParquetFile(path)
    known = _FOOTERS.get(pointer)
    file = ParquetFile(PythonFile(Remote(pointer), "r"), metadata=known)
    if known is None:
        while len(_FOOTERS) >= _MOST_FOOTERS:
            _FOOTERS.pop(next(iter(_FOOTERS)))
        _FOOTERS[pointer] = file.metadata
    return file


def unreadable(path: Path, error: Exception) -> DataError:
    """That pyarrow can't read a file, in its words."""
    kind = "Arrow" if path.suffix.lower() in ARROW else "Parquet"
    return DataError(f"{path} can't be read as {kind}: {reason(error)}. Check the file.")
