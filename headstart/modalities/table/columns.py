"""What a column of a table holds, told from its values: numbers, categories, dates, ids, texts."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headstart.contracts.cells import is_blank, number
from headstart.contracts.written_numbers import format_of
from headstart.errors import DataError
from headstart.modalities.table import dates

if TYPE_CHECKING:
    from headstart.contracts import Modality

NUMBER, CATEGORY, DATE, BOOLEAN = "number", "category", "date", "boolean"
TEXT, ID, CONSTANT, EMPTY = "text", "id", "constant", "empty"
READ: Final = (NUMBER, CATEGORY, DATE, BOOLEAN)  # kinds that a model learns from
HELD: Final = (TEXT, "image", "audio")  # those of cells that are items of other modalities
_PLURALS: Final = {
    NUMBER: "numbers",
    CATEGORY: "categories",
    DATE: "dates",
    BOOLEAN: "yes or no",
    TEXT: "texts",
    "image": "pictures",
    "audio": "sounds",
}
_LEFT_OUT: Final = {
    ID: "only tells rows apart",
    CONSTANT: "holds one value",
    EMPTY: "holds no value",
    TEXT: "holds free text (-b 'table:columns?text=REF' has it read)",
    "image": "names pictures (-b 'table:columns?image=REF' has them seen)",
    "audio": "names sounds (-b 'table:columns?audio=REF' has them heard)",
}
_PLAIN: Final = (  # what no picture is kept as
    *(str, int, float, bool, date, Decimal, np.generic),
    *(list, tuple, set, type(None)),
)
_TRUE: Final = frozenset({"yes", "true", "y", "t"})
_FALSE: Final = frozenset({"no", "false", "n", "f"})
_UNKNOWN: Final = frozenset(  # what people write where a number is not known
    {"?", "-", "--", "–", ".", "..", "x", "n.a.", "unknown", "missing", "not available", "none"}
)
_CODE: Final = re.compile(r"0\d+")  # digits that are no amount, such as 00012
_DIGIT: Final = re.compile(r"\d")
_COUNTS: Final = re.compile(r"(row)?_?(id|ids|idx|index|key|uuid|guid|rownames?|rownumber|nr|no|#)")
_FEW: Final = 20  # rows, below which little is told from all values being different
_CODES: Final = 5  # rows, from which on values with digits that all differ are codes of rows
_WORDS: Final = 3.0  # in a cell on average, from which on a column holds texts
_WORDS_OF_MANY: Final = 0.5  # of the values differ: categories that never come again


@dataclass(frozen=True)
class Kind:
    """What a column holds; `form` is how its numbers or dates are written, `said` what to say."""

    name: str
    form: str = ""
    remark: str = ""


def kind_of(column: str, values: Sequence[Any]) -> Kind:
    """What a column's cells are. Blank ones are passed over."""
    filled = [value for value in values if not is_blank(value)]
    cells = [value for value in filled if not is_infinite(value)]
    if not cells:
        return Kind(EMPTY)
    words = [_word(cell) for cell in cells]
    different = len(set(words))
    if different == 1:
        return Kind(CONSTANT)
    if {word.lower() for word in words} <= _TRUE | _FALSE:
        return Kind(BOOLEAN)
    if any(_CODE.fullmatch(word) for word in words):
        return _kind_of_words(words, different)
    dated = dates.order_of(words)
    if dated is not None:
        order, tied = dated
        remark = (
            f"`{column}` is read with the {order} first, which its dates leave open" if tied else ""
        )
        return Kind(DATE, order, remark)
    form = format_of(cells)
    if form is not None:
        is_id = _only_counts(column, [form(cell) for cell in cells])
        endless = len(filled) - len(cells)
        more = "values, which count" if endless > 1 else "value, which counts"
        remark = f"`{column}` holds {endless} infinite {more} as missing" if endless else ""
        return Kind(ID) if is_id else Kind(NUMBER, form.decimal, remark)
    rest = [cell for cell in cells if _word(cell).lower() not in _UNKNOWN]
    form = format_of(rest, 1.0) if 2 * len(rest) > len(cells) > len(rest) else None
    if form is not None:
        signs = sorted({_word(cell) for cell in cells if _word(cell).lower() in _UNKNOWN})
        sign_names = " and ".join(map(repr, signs))
        remark = f"`{column}` holds {sign_names} {len(cells) - len(rest)} times, as missing numbers"
        return Kind(NUMBER, form.decimal, remark)
    return _kind_of_words([_word(cell) for cell in filled], len(set(map(_word, filled))))


def kinds_of(
    table: Mapping[str, Sequence[Any]],
    modalities: Mapping[str, Modality],
    stated: Mapping[str, str],
) -> dict[str, Kind]:
    """What each column holds: as the user `stated` it, else told; files by these modalities.

    Raises DataError for a column that is not of the kind it was named.
    """
    return {
        name: kind_as(name, values, stated[name])
        if name in stated
        else _files(values, modalities) or kind_of(name, values)
        for name, values in table.items()
    }


def kind_as(column: str, values: Sequence[Any], name: str) -> Kind:
    """A column as one of a kind that it was named. Raises DataError where its cells are not."""
    cells = [value for value in values if not is_blank(value)]
    if name == NUMBER:
        form = format_of([cell for cell in cells if not is_infinite(cell)])
        kind = Kind(name, form.decimal) if form else None
    elif name == DATE:
        dated = dates.order_of([_word(cell) for cell in cells])
        kind = Kind(name, dated[0]) if dated else None
    else:
        marks = name != BOOLEAN or all(truth(cell) is not None for cell in cells)
        kind = Kind(name) if marks else None
    if kind is None and cells:
        raise DataError(
            f"Column {column!r} was named one of kind {name}, and {str(cells[0])[:40]!r} is none. "
            f"Leave it out of kinds=, or name another kind: {', '.join((*READ, *HELD))}."
        )
    return kind or Kind(EMPTY)


def kind_remarks(
    table: Mapping[str, Sequence[Any]], kinds: Mapping[str, Kind], parts: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that are read, and sentences on how, and on those that are not.

    `parts` are kinds of whole items that the backbone reads.
    """
    learned_kinds = (*READ, *parts)
    used = tuple(name for name, kind in kinds.items() if kind.name in learned_kinds)
    sentences = []
    for kind, why in _LEFT_OUT.items():
        names = [n for n, own in kinds.items() if own.name == kind and kind not in parts]
        if names:
            verb = "" if len(names) == 1 else "each "
            sentences.append(f"left out: {_listed(names)}, which {verb}{why}")
    by_kind = {
        kind: [name for name, own in kinds.items() if own.name == kind] for kind in learned_kinds
    }
    sign_names = [f"{_PLURALS.get(k, k)} {_listed(names)}" for k, names in by_kind.items() if names]
    remarks = [kind.remark for kind in kinds.values() if kind.remark]
    return used, tuple(filter(None, ("; ".join(sign_names), *sentences, *remarks)))


def _files(values: Sequence[Any], modalities: Mapping[str, Modality]) -> Kind | None:
    """A column that names files of a modality, by their suffixes, or holds what is no plain value.

    Of the latter pictures are thought first.
    """
    plain = all(isinstance(value, _PLAIN) for value in values)
    cells = [value for value in values if not is_blank(value)] if plain else []
    for name, modality in modalities.items():
        if modality.inline:
            continue
        if not plain or (cells and _named_so(cells, modality.suffixes)):
            return Kind(name)
    return None


def _named_so(cells: Sequence[Any], suffixes: Collection[str]) -> bool:
    return all(
        isinstance(cell, str) and os.path.splitext(cell.strip())[1].lower() in suffixes
        for cell in cells
    )


def truth(value: Any) -> float | None:
    """A cell of a column of yes and no as 1 or 0; None where it is neither."""
    word = _word(value).lower()
    if word in _TRUE | _FALSE:
        return float(word in _TRUE)
    amount = number(value)
    return amount if amount in (0.0, 1.0) else None


def is_infinite(value: Any) -> bool:
    """Whether a cell is no amount as it has no end: one that a division by zero leaves."""
    word = _word(value).lower().lstrip("+-−") if isinstance(value, str | float) else ""
    return word in ("inf", "infinity", "∞")


def category(value: Any) -> str:
    """A cell of a column of categories as text: 3, 3.0 and "3" are one."""
    amount = number(value) if not isinstance(value, str) or not _CODE.match(value.strip()) else None
    whole = amount is not None and float(amount).is_integer() and abs(amount) < 2**53
    return str(int(amount)) if whole and amount is not None else _word(value)


def counts(values: Sequence[Any]) -> Counter[str]:
    """How often each category occurs."""
    return Counter(category(value) for value in values if not is_blank(value))


def skewed(values: np.ndarray) -> bool:
    """Whether amounts above 0 are spread like powers: their logarithms are far less lopsided."""
    if len(values) < _FEW or values.min() <= 0:
        return False
    return abs(_skew(np.log(values))) < 0.5 * abs(_skew(values)) and _skew(values) > 1.0


def _skew(values: np.ndarray) -> float:
    spread = values.std()
    return float((((values - values.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0


def _only_counts(column: str, amounts: Sequence[float | None]) -> bool:
    """Whether whole numbers tell rows apart: by their name, or as each is one more."""
    counts = [amount for amount in amounts if amount is not None]
    if len(set(counts)) < len(counts) or any(not amount.is_integer() for amount in counts):
        return False
    steps = {after - before for before, after in pairwise(counts)}
    has_id_name = _COUNTS.fullmatch(column.strip().lower().replace(" ", "_")) is not None
    has_id_name = has_id_name or column.strip().lower().endswith(("_id", " id"))
    return has_id_name or (len(counts) >= _FEW and steps == {1.0})


def _kind_of_words(words: Sequence[str], different: int) -> Kind:
    """Categories, texts, or names that tell rows apart."""
    length = sum(len(word.split()) for word in words) / len(words)
    if len(words) < _FEW:
        coded = different == len(words) >= _CODES and all(map(_DIGIT.search, words))
        return Kind(TEXT if length > 2 * _WORDS else ID if coded and length < 2 else CATEGORY)
    if different > _WORDS_OF_MANY * len(words):
        return Kind(TEXT if length >= _WORDS else ID if different > 0.9 * len(words) else CATEGORY)
    return Kind(CATEGORY)


def _word(value: Any) -> str:
    return str(value).strip()


def _listed(names: Sequence[str]) -> str:
    examples = ", ".join(f"`{name}`" for name in names[:12])
    return examples + (f" and {len(names) - 12} more" if len(names) > 12 else "")
