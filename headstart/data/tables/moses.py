"""Pairs of files as Moses reads them: `corpus.en` and `corpus.uk`, a text a line in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from headstart.contracts.scripts import language
from headstart.data.tables.interface import TableInMemory
from headstart.data.tables.text import opened
from headstart.errors import DataError


def read(path: Path) -> list[TableInMemory]:
    """The table of a file and those beside it: a column a language, a row a line.

    Raises DataError where they have different numbers of lines.
    """
    files = sides(path.parent)[path.stem]
    columns = {file.suffix[1:]: _lines(file) for file in files}
    first, *others = columns.items()
    for name, lines in others:
        if len(lines) != len(first[1]):
            raise DataError(
                f"{path.with_suffix('.' + first[0])} has {len(first[1])} lines and "
                f"{path.stem}.{name} {len(lines)}, so that lines don't belong together. "
                "Give files of as many lines."
            )
    rows = [(n, row) for n, row in enumerate(zip(*columns.values(), strict=True), start=1)]
    return [TableInMemory(path, [*columns], rows)]


def sides(folder: Path) -> dict[str, list[Path]]:
    """Files whose names differ in a language at their end, by what is before it."""
    groups: defaultdict[str, list[Path]] = defaultdict(list)
    for file in _files(folder):
        if language(file.suffix[1:]):
            groups[file.stem].append(file)
    return {stem: files for stem, files in groups.items() if len(files) > 1}


def is_side(path: Path) -> bool:
    """Whether a file is one of such a pair."""
    return bool(language(path.suffix[1:])) and path in sides(path.parent).get(path.stem, ())


def _files(folder: Path) -> Iterable[Path]:
    every = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return (path for path in every if path.is_file())


def _lines(path: Path) -> list[str]:
    """Only a line feed ends a line: others stand in texts."""
    with opened(path, newline="\n") as file:
        return [line.rstrip("\r\n") for line in file]
