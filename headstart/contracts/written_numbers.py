"""How a column writes its numbers: decimal sign, thousands, currency, percent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headstart.contracts.cells import is_blank, number

_SIGNS: Final = re.compile(  # what may stand around a number: currency, %, a code of three letters
    r"^(?:[A-Z]{3}\s?|[^\w\s.,()+\-−']{1,2}\s?)?(?P<core>.*?)(?:\s?(?:%|[A-Z]{3}|[^\w\s.,()]{1,2}))?$"
)
_SPACES: Final = "\u00a0\u202f\u2009\u2019' "
_POINT: Final = re.compile(rf"[+-]?([1-9]\d{{0,2}}(?:([,{_SPACES}])\d{{3}})(?:\2\d{{3}})*)(\.\d+)?")
_COMMA: Final = re.compile(
    rf"[+-]?([1-9]\d{{0,2}}(?:([.{_SPACES}])\d{{3}})(?:\2\d{{3}})*|\d+)(,\d+)?"
)
_AMOUNT: Final = re.compile(r"[1-9]\d{0,2}\.\d{3}")  # money with a point before three digits
_BOUNDS: Final = ("<", ">", "≤", "≥")
_LONGEST: Final = 40  # characters of a number


@dataclass(frozen=True)
class NumberFormat:
    """One way to write numbers: `decimal` is "." or ",", the other sign parts thousands."""

    decimal: str = "."

    def __call__(self, value: Any) -> float | None:
        """A cell as a finite number; None where it is none, written so or plainly."""
        plain = None if isinstance(value, str) and self.decimal == "," else number(value)
        if plain is not None or not isinstance(value, str) or len(value) > _LONGEST:
            return plain
        core, negative = _core(value)
        if core is None:
            return None
        pattern = _POINT if self.decimal == "." else _COMMA
        digits = core
        if pattern.fullmatch(core):
            grouping = "," if self.decimal == "." else "."
            digits = re.sub(rf"[{_SPACES}{grouping}]", "", core).replace(",", ".")
        amount = number(digits)
        return -amount if negative and amount is not None else amount


POINT: Final = NumberFormat(".")
COMMA: Final = NumberFormat(",")


def format_of(values: Iterable[Any], least: float = 0.9) -> NumberFormat | None:
    """The way in which most of a column's values are written; None where under `least` are numbers.

    Where half of them lie above or below a number, as in "<50", they are no numbers but classes.
    Of two that read as many the plain one, with a point: "1,234" is then a thousand and more. Money
    is not written with three decimals: points in "463.545 €" part thousands.
    """
    cells = [value for value in values if not is_blank(value)]
    bounds = sum(isinstance(cell, str) and cell.strip()[:1] in _BOUNDS for cell in cells)
    if not cells or 2 * bounds >= len(cells):
        return None
    best = max((POINT, COMMA), key=lambda form: sum(form(cell) is not None for cell in cells))
    if best is POINT and _are_thousands(cells):
        best = COMMA
    count = sum(best(cell) is not None for cell in cells)
    return best if count >= least * len(cells) else None


def _are_thousands(cells: Sequence[Any]) -> bool:
    """Whether all are money with a point before three digits, not all of it units as of fuel."""
    if not all(isinstance(cell, str) and any(map(_is_currency, cell)) for cell in cells):
        return False
    cores = [_core(cell)[0] or "" for cell in cells]
    return all(map(_AMOUNT.fullmatch, cores)) and any(core.index(".") > 1 for core in cores)


def _is_currency(sign: str) -> bool:
    return unicodedata.category(sign) == "Sc"


def plain_labels(values: Sequence[Any]) -> tuple[list[Any], bool]:
    """Labels with numbers as numbers where all are, and one is written with signs; and whether."""
    cells = [value for value in values if isinstance(value, str) and not is_blank(value)]
    if all(number(cell) is not None for cell in cells):
        return list(values), False
    form = format_of(values, 1.0)
    if form is None:
        return list(values), False
    return [form(value) if isinstance(value, str) else value for value in values], True


def _core(text: str) -> tuple[str | None, bool]:
    """What stands between currency and percent signs, and whether it is in accountants' brackets.

    None where it holds no digit.
    """
    plain = text.strip().replace("−", "-")
    negative = plain.startswith(("-", "(")) and not plain.startswith("--")
    bracketed = plain.startswith("(") and plain.endswith(")")
    plain = plain[1:-1] if bracketed else plain.removeprefix("-") if negative else plain
    match = _SIGNS.match(plain.strip())
    core = match["core"].strip() if match else ""
    sound = bool(core) and core[0] in "0123456789.+" and (bracketed or not text.startswith("("))
    return (core if sound else None), negative
