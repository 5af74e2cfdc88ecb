"""Outcomes that are kept line by line, so that a benchmark that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Lines:
    """A file of JSON lines, one an outcome; `key` names the columns that tell outcomes apart."""

    path: Path
    key: tuple[str, ...]

    def rows(self) -> list[Row]:
        """All outcomes so far; a line that a killed run left half is none."""
        if not self.path.exists():
            return []
        return list(_whole(self.path.read_text(encoding="utf-8").splitlines()))

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        """Those of the wanted keys, as columns, of which there is no outcome yet."""
        done = {self._of(row) for row in self.rows()}
        return [each for each in rows if self._of(each) not in done]

    def once(self, cell: Row, work: Callable[[], Mapping[str, Any]]) -> None:
        """Do a piece of work and append its outcome to the columns that it is for."""
        row = cell | dict(work())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(row)}\n")  # the first break ends what was left half

    def _of(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.key)


def _whole(lines: Sequence[str]) -> Iterator[Row]:
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
