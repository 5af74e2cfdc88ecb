"""Arrow and Feather files, as streams or with a footer, mapped into memory batch by batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

_FOOTED = b"ARROW1"


@final
class ArrowFile:
    """An opened file with what is used of pyarrow's ParquetFile: a batch is a row group."""

    def __init__(self, path: Path) -> None:
        import pyarrow

        self._map = pyarrow.memory_map(str(path))
        footed = self._map.read(len(_FOOTED)) == _FOOTED
        self._map.seek(0)
        if footed:
            reader = pyarrow.ipc.open_file(self._map)
            self._batches = [reader.get_batch(n) for n in range(reader.num_record_batches)]
        else:
            reader = pyarrow.ipc.open_stream(self._map)
            self._batches = list(reader)
        self.schema_arrow = reader.schema
        self.num_row_groups = len(self._batches)

    def __enter__(self) -> ArrowFile:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing: columns that were handed out stay mapped."""

    def rows(self, group: int) -> int:
        """The number of rows in a batch."""
        return int(self._batches[group].num_rows)

    def column(self, group: int, name: str) -> Any:
        """A column of a batch."""
        return self._batches[group].column(name)
