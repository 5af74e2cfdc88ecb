"""Dates and times as tables write them, as days since 1970."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

_ISO: Final = re.compile(r"\d{4}([-/])\d{1,2}\1\d{1,2}([ T]\d{1,2}:\d{2}.*)?")
_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_NAMED: Final = re.compile(  # 5 Jan 2020, 05-Jan-2020, January 5th, 2020
    r"(?:(?P<day>\d{1,2})[ .-]*)?(?P<month>[A-Za-z]{3,9})\.?"
    r"(?(day)[ -]*|[ ]*(?P<after>\d{1,2})(?:st|nd|rd|th)?,?[ ]*)(?P<year>\d{4})"
)
_PARTED: Final = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[ T,]+(\d{1,2}):(\d{2})(?::\d{2})?)?"
)
ORDERS: Final = ("iso", "day", "month")  # what stands first
_DAY: Final = 86_400.0  # seconds


def days(value: Any, order: str) -> float | None:
    """A cell as days since 1970, by what stands first in it; None where it is no date."""
    text = str(value).strip() if isinstance(value, str) else ""
    try:
        if _ISO.fullmatch(text):
            moment = datetime.fromisoformat(_padded(text.replace("/", "-")))
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return moment.timestamp() / _DAY
        if by_name := _NAMED.fullmatch(text):
            month_ = _MONTHS.index(by_name["month"][:3].lower()) + 1
            day_ = int(by_name["day"] or by_name["after"])
            return datetime(int(by_name["year"]), month_, day_, tzinfo=UTC).timestamp() / _DAY
        match = _PARTED.fullmatch(text)
        if match is None or order == "iso":
            return None
        first, last = int(match[1]), int(match[3])
        day, month = (first, last) if order == "day" else (last, first)
        hour, minute = int(match[5] or 0), int(match[6] or 0)
        return datetime(int(match[4]), month, day, hour, minute, tzinfo=UTC).timestamp() / _DAY
    except (ValueError, OverflowError):
        return None


def order_of(cells: Sequence[Any], least: float = 0.9) -> tuple[str, bool] | None:
    """What stands first in a column's dates, and whether another order reads them all as well.

    None where under `least` of the cells are dates in any one order. Of days and months that could
    be either, points say days, as in Europe, and strokes months, as in the United States.
    """
    counts = {order: sum(days(cell, order) is not None for cell in cells) for order in ORDERS}
    best = max(counts.values())
    if not cells or best < least * len(cells):
        return None
    if counts["iso"] == best:
        return "iso", False
    likely = "day" if any("." in str(cell) for cell in cells) else "month"
    tied = counts["day"] == counts["month"]
    return (likely if tied else max(counts, key=lambda order: counts[order])), tied


def month(since: float) -> float:
    """The time of year, from 0 to 1, of days since 1970."""
    moment = datetime.fromtimestamp(since * _DAY, tz=UTC)
    start = datetime(moment.year, 1, 1, tzinfo=UTC)
    return (moment - start).total_seconds() / _DAY / 366.0


def written(value: date) -> str:
    """A date, or a date with a time, as ISO 8601 writes it."""
    return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()


def day(since: float) -> str:
    """Days since 1970 as a date."""
    try:
        return date.fromordinal(date(1970, 1, 1).toordinal() + int(since)).isoformat()
    except (ValueError, OverflowError):
        return f"{since:g}"


def _padded(text: str) -> str:
    """The same with two digits for month and day, as Python reads it."""
    year, month_, rest = text.split("-", 2)
    day = re.match(r"\d+", rest)
    digits = day[0] if day else ""
    return f"{year}-{int(month_):02}-{int(digits):02}{rest[len(digits) :]}"
