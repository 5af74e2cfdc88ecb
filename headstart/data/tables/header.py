"""Which row of a table names its columns: not a title above, and perhaps none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from headstart.contracts.cells import number

HEADINGS = frozenset(  # of which a header has one
    "label labels class category target text sentence review image path file file_name filename"
    " id".split()
)
Numbered = tuple[int, Sequence[Any]]  # a row's number in its file, and its cells
_TITLES = 10  # rows with one cell that may stand above a header
SAMPLE = 1000  # rows that are looked at
_MOSTLY = 0.9
UNNAMED = "the table has no header, so that its columns are called `column 1`, `column 2`, …"


def parted(rows: Sequence[Numbered]) -> tuple[list[Any], list[Numbered], str]:
    """The header, the rows below it, and a sentence where the columns got names for lack of one."""
    if not rows:
        return [], [], ""
    place = _below_titles(rows)
    header = list(rows[place][1])
    if place or not _is_item(header, rows[1 : SAMPLE + 1]):
        return header, list(rows[place + 1 :]), ""
    return [f"column {number + 1}" for number in range(len(header))], list(rows), UNNAMED


def _below_titles(rows: Sequence[Numbered]) -> int:
    """The place of the header below titles, each alone in its row; 0 where none stand there.

    An empty row parts them from the header, or that has a usual name; wide rows follow it.
    """
    titles = 0
    for _, cells in rows[:_TITLES]:
        if not _is_title(cells):
            break
        titles += 1
    if not titles or titles >= len(rows) - 1 or titles == _TITLES:
        return 0
    apart = rows[titles][0] - rows[titles - 1][0] > 1
    usual = any(_word(cell).lower() in HEADINGS for cell in rows[titles][1])
    below = rows[titles + 1 : SAMPLE]
    wide = sum(_width(cells) > 1 for _, cells in below)
    return titles if (apart or usual) and wide >= _MOSTLY * len(below) else 0


def _is_title(cells: Sequence[Any]) -> bool:
    return _width(cells) == 1 and bool(_word(cells[0])) and _word(cells[0]).lower() not in HEADINGS


def _is_item(header: Sequence[Any], below: Sequence[Numbered]) -> bool:
    """Whether a first row is no header: what stands in it is a value of its column again and again.

    A usual name is one, and so are numbers that count the columns, as pandas writes them. Numbers
    alone, one with a fraction, name nothing, and neither do sentences over sentences.
    """
    words = [_word(cell) for cell in header]
    counted = [*map(str, range(len(words)))]
    if len(words) < 2 or words == counted or words == ["", *counted[:-1]]:
        return False
    if any(word.lower() in HEADINGS for word in words):
        return False
    for place, word in enumerate(words):
        counts = Counter(_word(cells[place]) for _, cells in below if place < len(cells))
        if word and counts[word] > 1:
            return True
    if all(number(word) is not None for word in words):
        return any("." in word for word in words)
    return all(_reads_as(word, place, below) for place, word in enumerate(words))


def _reads_as(word: str, place: int, below: Sequence[Numbered]) -> bool:
    """Whether a cell is as those below it: a number over numbers, or a sentence over sentences."""
    cells = [_word(row[place]) for _, row in below if place < len(row)]
    if number(word) is not None:
        return bool(cells) and all(number(cell) is not None for cell in cells)
    return _is_sentence(word) and 2 * sum(map(_is_sentence, cells)) > len(cells)


def _is_sentence(word: str) -> bool:
    return len(word.split()) > 2 or word.endswith((".", "!", "。"))


def _width(cells: Sequence[Any]) -> int:
    return sum(bool(_word(cell)) for cell in cells)


def _word(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()
