"""What the label cells of a table say, whoever wrote them: none, lists, whole numbers, several."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from headstart.contracts.cells import MISSING, number
from headstart.contracts.targets import Targets
from headstart.data.schema import Schema
from headstart.data.sources import Contents, Row
from headstart.data.targets.marks import of_columns
from headstart.errors import DataError

_LISTS = ("[", "(", "{")
_LONGEST = 100_000  # characters of a cell that is looked at as a list
_ARRAY = re.compile(r"\[\s*(?:'[^']*'|\"[^\"]*\")(?:\s+(?:'[^']*'|\"[^\"]*\"))+\s*\]")  # NumPy's
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+(?:,\d+)?(?:[eE][+-]?\d+)?\s*")
_PAIR = re.compile(r"\d{1,3},\d{1,2}")  # which may as well be two numbers of classes
_THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(?:,\d{3})+\s*")
_POINT_AFTER_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+")
_COMMA_AFTER_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_WITH_COMMAS = (_DECIMAL_COMMA, _THOUSANDS, _POINT_AFTER_THOUSANDS, _COMMA_AFTER_THOUSANDS)
_DATE = re.compile(r"\d{4}([-/])\d\d?\1\d\d?([T ]\d\d?:\d\d.*)?|\d\d?([./-])\d\d?\3(\d\d){1,2}")
_BOOLEANS = frozenset({"true", "false"})


def settle(
    contents: Contents, schema: Schema, kind: Targets | None = None, labels: Collection[str] = ()
) -> Contents:
    """The same rows with what their cells mean, and sentences on what was taken for what.

    Folders' names are left as they are. `kind` is the kind of target that the user names; `known`
    are the labels of a model: each is one, whatever it looks like. Raises DataError for dates, and
    for numbers that can be read in two ways.
    """
    if contents.kind:
        return contents
    if len(contents.columns) > 1:
        return of_columns(contents, kind)
    missing = MISSING if kind is None else kind.missing
    rows, sentences = _without_missing(contents.rows, schema, {*labels}, missing)
    verbatim = kind is not None and kind.verbatim
    lists = None if verbatim or schema.delimiter else _as_lists(rows)
    if lists is None and not schema.delimiter:
        before, rows = rows, _as_written(rows, kind, labels)
        sentences += _of_commas(before, rows)
    return replace(contents, rows=tuple(lists or rows), remarks=(*contents.remarks, *sentences))


def _of_commas(before: Sequence[Row], after: Sequence[Row]) -> list[str]:
    """A sentence where a comma between whole numbers was taken for a decimal sign."""
    pairs = ((one.value, other.value) for one, other in zip(before, after, strict=True))
    changed = ((a, b) for a, b in pairs if a is not b and _PAIR.fullmatch(str(a)))
    first = next(changed, None)
    if first is None:
        return []
    return [f"{first[0]!r} is read as the number {first[1]} (--delimiter ',' parts it in two)"]


def _without_missing(
    rows: Sequence[Row], schema: Schema, labels: set[str], missing: frozenset[str]
) -> tuple[Sequence[Row], list[str]]:
    words = missing if schema.missing is None else {w.strip() for w in schema.missing.split(",")}
    words = {*words, ""} - labels - ({""} if schema.delimiter else set())
    counts: Counter[str] = Counter()
    settled = []
    for row in rows:
        word = row.value.strip() if isinstance(row.value, str) else None
        if word in words:
            counts[str(word)] += 1
            row = replace(row, value=None)
        settled.append(row)
    listed = ", ".join(f"{word!r} {count}" for word, count in sorted(counts.items()) if word)
    sentence = f"labels that count as missing: {listed} (--missing '' keeps them as classes)"
    return settled, [sentence] if listed else []


def _as_lists(rows: Sequence[Row]) -> list[Row] | None:
    """The rows with lists for text that is written as one; None where any text is not."""
    changed, some = [], False
    for row in rows:
        if isinstance(row.value, str):
            value = _list(row.value)
            if value is None:
                return None
            row, some = replace(row, value=value), True
        changed.append(row)
    return changed if some else None


def _list(text: str) -> list[Any] | None:
    """What a list, tuple or set means that Python, JSON or NumPy wrote; None for other text."""
    text = text.strip()
    if not text.startswith(_LISTS) or len(text) > _LONGEST:
        return None
    if _ARRAY.fullmatch(text):  # in which Python would join the words to one
        return [first or second for first, second in re.findall(r"'([^']*)'|\"([^\"]*)\"", text)]
    for parse in (json.loads, _literal):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, list | tuple | set) else None
    return None


def _literal(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # backslashes that escape nothing
        return ast.literal_eval(text)


def _as_written(rows: Sequence[Row], kind: Targets | None, labels: Collection[str]) -> list[Row]:
    """The rows with one spelling for each number and truth value."""
    labelled = [row for row in rows if row.value is not None and row.value == row.value]
    values = [row.value for row in labelled]
    if kind is None and labelled and all(map(_is_date, values)):
        raise DataError(
            f"{labelled[0].place} has the date {str(values[0])!r} as its label, as all others have "
            "one. Name another column by --label, or take each as a class by --targets classes."
        )
    unit = "" if kind is not None and kind.verbatim else _common_unit(values)
    if unit:
        rows = [_changed(row, lambda value: _amount(value)[0], labels) for row in rows]
        labelled = [row for row in rows if row.value is not None]
        values = [row.value for row in labelled]
    plain = None if kind is not None and kind.verbatim else _without_commas(labelled, unit)
    if plain:
        return [_changed(row, lambda v: plain(v) if isinstance(v, str) else v, ()) for row in rows]
    if all(isinstance(v, bool) or str(v).strip().lower() in _BOOLEANS for v in values):
        return [_changed(row, lambda v: str(v).strip().capitalize(), labels) for row in rows]
    numbers = [number(value) for value in values]
    if all(value is not None and value.is_integer() for value in numbers):
        return [_changed(row, _whole, labels) for row in rows]
    return list(rows)


def _common_unit(values: Sequence[Any]) -> str:
    """The sign of a currency, or of percent, that stands beside every number; none if not all."""
    units = {_amount(value)[1] if isinstance(value, str) else "" for value in values}
    return units.pop() if len(units) == 1 else ""


def _amount(value: str) -> tuple[str, str]:
    """A number without the one sign beside it, and that sign; as it is where it has none."""
    text = value.strip()
    signs = [sign for sign in text if sign == "%" or unicodedata.category(sign) == "Sc"]
    rest = text.replace(signs[0], "", 1).strip() if len(signs) == 1 else ""
    beside = rest and (text.strip("+-").startswith(signs[0]) or text.endswith(signs[0]))
    return (rest, signs[0]) if beside and _is_number(rest) else (value, "")


def _changed(row: Row, spelling: Callable[[Any], Any], labels: Collection[str]) -> Row:
    value = row.value
    if value is None or value != value or str(value).strip() in labels:
        return row
    return replace(row, value=spelling(value))


def _whole(value: Any) -> Any:
    """1.0 as 1; what has leading zeros or an exponent stays as it is written."""
    if isinstance(value, str):
        return re.sub(r"^\s*([+-]?\d+)\.0*\s*$", r"\1", value)
    return int(value)


def _without_commas(rows: Sequence[Row], unit: str) -> Callable[[str], str] | None:
    """How numbers with commas are written without, where all are numbers and some have commas.

    Raises DataError where a comma may stand before a fraction or between thousands; no currency has
    fractions of three digits.
    """
    words = [row.value for row in rows]
    texts = [word.strip() for word in words if isinstance(word, str)]
    commas = [word for word in texts if "," in word]
    if not commas or not all(_is_number(word) for word in words):
        return None
    if any(map(_POINT_AFTER_THOUSANDS.fullmatch, commas)):
        fit = all(_THOUSANDS.fullmatch(w) or _POINT_AFTER_THOUSANDS.fullmatch(w) for w in commas)
        return (lambda word: word.replace(",", "")) if fit else None
    if any(map(_COMMA_AFTER_THOUSANDS.fullmatch, commas)):
        dots = (word for word in texts if "." in word)
        fit = all(map(_COMMA_AFTER_THOUSANDS.fullmatch, dots))
        return (lambda word: word.replace(".", "").replace(",", ".")) if fit else None
    if all(map(_THOUSANDS.fullmatch, commas)):
        if unit not in ("", "%"):
            return lambda word: word.replace(",", "")
        place, word = next((r.place, r.value) for r in rows if str(r.value).strip() == commas[0])
        raise DataError(
            f"{place} has {word!r} as its label, whose comma may stand before a fraction or "
            "between thousands. Write a point, or no comma."
        )
    fit = all(map(_DECIMAL_COMMA.fullmatch, commas))
    return (lambda word: word.replace(",", ".")) if fit else None


def _is_number(value: Any) -> bool:
    return number(value) is not None or (
        isinstance(value, str) and any(form.fullmatch(value.strip()) for form in _WITH_COMMAS)
    )


def _is_date(value: Any) -> bool:
    if isinstance(value, date | datetime):
        return True
    return isinstance(value, str) and bool(_DATE.fullmatch(value.strip()))
