"""Tables of texts in several languages, of which one is translated to another."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.contracts.cells import is_blank, number
from headstart.contracts.scripts import language
from headstart.data.tables.header import UNNAMED
from headstart.data.tables.interface import ItemTable
from headstart.data.unnamed_columns import class_columns
from headstart.errors import UndirectedError

_PAIRS = (("source", "target"), ("src", "tgt"))  # columns of texts and what they are translated to


def demand_direction(table: ItemTable, names: Sequence[str], fitted: bool = False) -> None:
    """Raise UndirectedError where some of a table's columns, by `names`, are languages.

    Nothing then says which of them is the answer. What reads for a `fitted` model has other flags.
    """
    flags = ("--text", "--label") if fitted else ("--source", "--target")
    lower = {name.lower(): name for name in names}
    spoken = [name for name in names if language(name) and _has_words(table, name)]
    spoken = spoken or [lower[n] for pair in _PAIRS if set(pair) <= lower.keys() for n in pair]
    if len(spoken) < 2:
        _demand_no_bare_texts(table, names, flags)
        return
    one, other = spoken[:2]
    raise UndirectedError(
        f"{table.path} has texts in {len(spoken)} languages, {', '.join(map(repr, spoken))}, and "
        f"nothing says which is translated. Give {flags[0]} {one} {flags[1]} {other}, or the "
        "other way round."
    )


def _demand_no_bare_texts(table: ItemTable, names: Sequence[str], flags: tuple[str, str]) -> None:
    """Raise UndirectedError where columns without a header hold texts and no class, as pairs do."""
    bare = names if UNNAMED in table.remark else ()
    texts = [name for name in bare if _has_texts(table, name)]
    if len(texts) < 2 or class_columns(table, [name for name in bare if name not in texts]):
        return
    one, other = texts[:2]
    classes = "" if flags[0] == "--text" else "; for classes name them by --text and --label"
    raise UndirectedError(
        f"{table.path} has no header, and texts in {one!r} and {other!r}. To translate, give "
        f"{flags[0]} '{one}' {flags[1]} '{other}'{classes}."
    )


def _has_texts(table: ItemTable, name: str) -> bool:
    """Whether most cells are of several words and come once."""
    cells = [str(value) for value in table.values(name) if not is_blank(value)]
    words = sum(len(cell.split()) for cell in cells)
    return words >= 2 * len(cells) > 0 and 2 * len(set(cells)) > len(cells)


def _has_words(table: ItemTable, name: str) -> bool:
    return any(number(value) is None and not is_blank(value) for value in table.values(name))
