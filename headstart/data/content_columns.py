"""Whether columns may hold what items are made of."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.contracts import Modality
from headstart.contracts.cells import is_blank, number
from headstart.data.tables.interface import ItemTable


def may_hold_content(table: ItemTable, names: Sequence[str], modality: Modality) -> bool:
    """Whether any of the columns may hold content: numbers and categories don't.

    Paths have dots or slashes; texts have words, or differ from row to row. A single column
    beside the label may hold texts, however few differ.
    """
    columns = [[str(v) for v in table.values(n) if not is_blank(v)] for n in names]
    words = [cells for cells in columns if any(number(cell) is None for cell in cells)]
    if not any(True for _ in table.numbers()):
        return True
    if not modality.inline:
        return any(any(set("./\\") & set(cell) for cell in cells) for cells in words)
    if len(words) == len(names) == 1:
        return True
    return any(
        len(set(cells)) > len(cells) / 2 or sum(len(c.split()) for c in cells) > 3 * len(cells)
        for cells in words
    )
