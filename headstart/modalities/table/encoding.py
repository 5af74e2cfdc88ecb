"""A row as numbers: how each column is written into them, fitted to rows without their labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from headstart.contracts.cells import is_blank, number
from headstart.contracts.written_numbers import NumberFormat
from headstart.errors import DataError
from headstart.modalities.table import columns, dates
from headstart.modalities.table.columns import Kind, kind_as, kind_of

Column = Mapping[str, Any]  # JSON: name, kind, and what values are read by
_MOST: Final = 40  # categories of a column that have a number of their own
_LEAST: Final = 0.002  # of the rows, and twice, below which categories are taken together
_SHOWN: Final = 5  # categories in a sentence
_STRANGE: Final = 50  # words in a column of numbers that stand for no value
_WIDEST: Final = 20_000  # numbers of a row
_PERCENT: Final = "percent"  # whether most numbers were written with its sign
_RANGE: Final = frozenset({"least", "most"})  # of what was learned from; older models lack it
_WHOLE: Final = "whole"  # whether all categories that were there have a number of their own
_PARTS: Final[Mapping[str, frozenset[str]]] = {
    columns.NUMBER: frozenset({"decimal", "mean", "scale", "log", "gaps", "blank"}),
    columns.DATE: frozenset({"order", "mean", "scale", "seasons", "gaps", "blank"}),
    columns.BOOLEAN: frozenset({"mean", "gaps"}),
    columns.CATEGORY: frozenset({"categories", "gaps"}),
}

_OPTIONAL: Final = {
    columns.NUMBER: _RANGE | {_PERCENT},
    columns.DATE: _RANGE,
    columns.CATEGORY: frozenset({_WHOLE}),
}


def fitted(
    rows: Sequence[Mapping[str, Any]],
    widths: Mapping[str, int] = MappingProxyType({}),
    kinds: Mapping[str, str] = MappingProxyType({}),
) -> list[Column]:
    """How the columns of these rows are written as numbers, in the order of the first row.

    Rows of other tables may lack some, which is no gap. `widths` says by kind how many features
    stand for a cell that is an item itself, `kinds` of what kind a column was named. Raises
    DataError for one that is not.
    """
    specs: list[Column | None] = []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        item_kind = next(
            (kind for value in values if isinstance(value, dict) for kind in value), None
        )
        if item_kind is not None and item_kind in widths:
            gaps = any(is_blank(value) for value in values)
            specs.append(
                {"name": name, "kind": item_kind, "gaps": gaps, "width": widths[item_kind]}
            )
        elif item_kind is None:
            own = kind_as(name, values, kinds[name]) if name in kinds else kind_of(name, values)
            specs.append(_fitted(name, values, own))
    return [spec for spec in specs if spec is not None]


def width(specs: Sequence[Column]) -> int:
    """How many numbers stand for a row, those of cells that are items among them."""
    return len(names_of(specs)) + sum(int(spec.get("width", 0)) for spec in specs)


def names_of(specs: Sequence[Column]) -> list[str]:
    """What each number of a row stands for: a column, and what of it."""
    return [f"{spec['name']}{part}" for spec in specs for part in _part_names(spec)]


def columns_of(specs: Sequence[Column]) -> list[str]:
    """The column that each number of a row is of."""
    wide = [spec["name"] for spec in specs for _ in range(spec.get("width", 0))]
    return [*(spec["name"] for spec in specs for _ in _part_names(spec)), *wide]


def encoded(row: Mapping[str, Any], specs: Sequence[Column]) -> np.ndarray:
    """A row as numbers (D,) float32, a missing value as what is usual. Raises DataError."""
    return np.array([value for spec in specs for value in _values(row, spec)], dtype=np.float32)


def outside(row: Mapping[str, Any], specs: Sequence[Column]) -> dict[str, str]:
    """The columns whose cell lies outside what was learned from, and what that was."""
    ranges = {spec["name"]: _range_left(row.get(spec["name"]), spec) for spec in specs}
    return {name: words for name, words in ranges.items() if words}


def sound(specs: Any) -> bool:
    """Whether a stranger's columns are such as `fitted` makes."""
    if not isinstance(specs, list) or not all(isinstance(spec, dict) for spec in specs):
        return False
    if not all(map(_sound, specs)):
        return False
    return 0 < width(specs) <= _WIDEST


def _fitted(name: str, values: Sequence[Any], kind: Kind) -> Column | None:
    numeric = kind.name == columns.NUMBER
    cells = [v for v in values if not is_blank(v) and not (numeric and columns.is_infinite(v))]
    gaps = len(cells) < len(values)
    spec: dict[str, Any] = {"name": name, "kind": kind.name, "gaps": gaps}
    if kind.name in (columns.CATEGORY, columns.ID, columns.TEXT):  # as all rows of the table had it
        least = max(2.0, _LEAST * len(values)) if len(values) >= 50 else 1.0
        common = [
            word for word, count in columns.counts(cells).most_common(_MOST) if count >= least
        ]
        whole = len(common) == len(columns.counts(cells))
        return {**spec, "kind": columns.CATEGORY, "categories": sorted(common), _WHOLE: whole}
    if kind.name == columns.BOOLEAN:
        marks = [columns.truth(cell) for cell in cells]
        return {**spec, "mean": float(np.mean([mark for mark in marks if mark is not None]))}
    if kind.name not in (columns.NUMBER, columns.DATE):
        return None
    spec |= {"decimal": kind.form} if kind.name == columns.NUMBER else {"order": kind.form}
    amounts = [_amount(cell, spec) for cell in cells]
    strange = sorted({str(c).strip() for c, a in zip(cells, amounts, strict=True) if a is None})
    values_there = np.array([amount for amount in amounts if amount is not None])
    spec |= {"blank": strange[:_STRANGE], "gaps": gaps or bool(strange)}
    spec |= {"least": float(values_there.min()), "most": float(values_there.max())}
    if numeric:
        spec[_PERCENT] = 2 * sum("%" in str(cell) for cell in cells) > len(cells)
        spec["log"] = columns.skewed(values_there)
        values_there = np.log(values_there) if spec["log"] else values_there
    else:
        spec["seasons"] = bool(np.ptp(values_there) > 366)
    scale = float(values_there.std())
    return {**spec, "mean": float(values_there.mean()), "scale": scale if scale > 0 else 1.0}


def _part_names(spec: Column) -> Iterator[str]:
    if spec["kind"] == columns.CATEGORY:
        yield from (f"={word}" for word in spec["categories"])
    elif "width" not in spec:
        yield ""
    if spec.get("seasons"):
        yield from (" (time of year, sine)", " (time of year, cosine)")
    if spec["gaps"]:
        yield " is missing"


def _values(row: Mapping[str, Any], spec: Column) -> Iterator[float]:
    value = row.get(spec["name"])
    missing = is_blank(value) or str(value).strip() in spec.get("blank", ())
    missing = missing or (spec["kind"] == columns.NUMBER and columns.is_infinite(value))
    if spec["kind"] == columns.CATEGORY:
        word = "" if missing else columns.category(value)
        yield from (float(word == category) for category in spec["categories"])
    elif "width" in spec:
        missing = not isinstance(value, dict)
    elif missing:
        yield from [0.0] * (3 if spec.get("seasons") else 1)
    elif spec["kind"] == columns.BOOLEAN:
        yield _demanded(columns.truth(value), value, spec) - spec["mean"]
    else:
        amount = _demanded(_amount(value, spec), value, spec)
        least = math.exp(spec["mean"] - 5 * spec["scale"]) if spec.get("log") else 0.0
        level = math.log(max(amount, least)) if spec.get("log") else amount
        yield (level - spec["mean"]) / spec["scale"]
        if spec.get("seasons"):
            turn = 2 * math.pi * dates.month(amount)
            yield from (math.sin(turn), math.cos(turn))
    if spec["gaps"]:
        yield float(missing)


def _range_left(value: Any, spec: Column) -> str:
    """What a column held where a cell lies outside of it; empty where it does not."""
    if is_blank(value) or str(value).strip() in spec.get("blank", ()):
        return ""
    if spec.get(_WHOLE) and columns.category(value) not in spec["categories"]:
        return ", ".join(spec["categories"][:_SHOWN]) + ", …" * (len(spec["categories"]) > _SHOWN)
    amount = _amount(value, spec) if "least" in spec else None
    bare = bool(spec.get(_PERCENT)) and "%" not in str(value)
    if amount is None or (spec["least"] <= amount <= spec["most"] and not bare):
        return ""
    ends = [spec["least"], spec["most"]]
    plain = spec["kind"] != columns.DATE
    words = " to ".join(f"{end:.6g}" if plain else dates.day(end) for end in ends)
    return words + " with %" * bare


def _amount(value: Any, spec: Column) -> float | None:
    if spec["kind"] == columns.DATE:
        return dates.days(value, spec["order"])
    return float(value) if isinstance(value, bool) else NumberFormat(spec["decimal"])(value)


def _demanded(amount: float | None, value: Any, spec: Column) -> float:
    if amount is None:
        what = {columns.DATE: "date", columns.BOOLEAN: "yes or no"}.get(spec["kind"], "number")
        raise DataError(
            f"its {spec['name']!r} is {str(value)[:40]!r}, which is no {what} as in training. "
            "Correct it, or leave it empty"
        )
    return amount


def _sound(spec: Column) -> bool:
    kind, name = str(spec.get("kind")), spec.get("name")
    if "width" in spec:
        whole = type(spec["width"]) is int and spec["width"] > 0
        plain = isinstance(name, str) and isinstance(spec.get("gaps"), bool)
        return whole and plain and set(spec) == {"name", "kind", "gaps", "width"}
    if not isinstance(name, str) or kind not in _PARTS:
        return False
    optional = _OPTIONAL.get(kind, frozenset())
    if set(spec) - optional != {"name", "kind", *_PARTS[kind]} or not isinstance(
        spec["gaps"], bool
    ):
        return False
    numbers = [spec[part] for part in ("mean", "scale", *_RANGE) if part in spec]
    words = [*spec.get("blank", []), *spec.get("categories", [])]
    return (
        all(isinstance(each, float) and number(each) is not None for each in numbers)
        and spec.get("scale", 1.0) > 0
        and all(isinstance(word, str) for word in words)
        and spec.get("decimal", ".") in (".", ",")
        and spec.get("order", "iso") in dates.ORDERS
        and all(
            isinstance(spec.get(flag, False), bool) for flag in ("log", "seasons", _WHOLE, _PERCENT)
        )
        and len(_RANGE & set(spec)) != 1
    )
