"""Texts parted by ` ||| `, as aligners of words read them: `the cat ||| le chat`."""

from __future__ import annotations

from pathlib import Path

from headstart.contracts.scripts import language
from headstart.data.tables.header import HEADINGS, UNNAMED
from headstart.data.tables.interface import TableInMemory, column_names
from headstart.data.tables.text import opened
from headstart.errors import DataError

_SIGN = "|||"
_FEWEST = 2  # lines
_NAMES = HEADINGS | {"source", "target", "src", "tgt"}


def is_barred(text: str, cut: bool) -> bool:
    """Whether all whole lines of a file that begins with `text` are parted in as many texts."""
    lines = [line for line in text.splitlines() if line.strip()]
    counts = {line.count(_SIGN) for line in (lines[:-1] if cut else lines)}
    return len(lines) >= _FEWEST and len(counts) == 1 and 0 not in counts


def read(path: Path) -> TableInMemory:
    """The table: a first line names the columns only where it holds languages or usual names.

    Raises DataError for a line that is not parted as the first.
    """
    with opened(path, newline="\n") as file:
        every = [
            (n, [cell.strip() for cell in line.split(_SIGN)])
            for n, line in enumerate(file, start=1)
            if line.strip()
        ]
    width = len(every[0][1])
    for line, cells in every:
        if len(cells) != width:
            raise DataError(
                f"{path} line {line} is parted in {len(cells)} by {_SIGN}, and the first line in "
                f"{width}. Correct the line."
            )
    header = every[0][1]
    if all(language(name) or name.lower() in _NAMES for name in header):
        return TableInMemory(path, column_names(path, header), every[1:])
    names = [f"column {n + 1}" for n in range(width)]
    return TableInMemory(path, names, every, remark=UNNAMED)
