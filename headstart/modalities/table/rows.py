"""A row of a table as bytes: a JSON object of its cells, of which some may be whole items."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from headstart.contracts.cells import is_blank
from headstart.errors import DataError
from headstart.modalities.table import dates


def plain(column: str, value: Any, kind: str | None = None) -> Any:
    """A cell as JSON has it, blank ones as None; an item's bytes under the name of its kind.

    Raises DataError for no plain value.
    """
    if kind is not None and isinstance(value, bytes):
        return {kind: b64encode(value).decode("ascii")}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, date):
        return None if value != value else dates.written(value)
    if is_blank(value) or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if not isinstance(value, str | int | float | bool):
        raise DataError(
            f"column {column!r} holds {type(value).__name__}, which is no plain value. "
            "Leave it out with --drop."
        )
    return value


def written(cells: Mapping[str, Any]) -> bytes | None:
    """Plain cells as a row's bytes; None where all are blank."""
    if all(value is None for value in cells.values()):
        return None
    text = json.dumps(cells, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def row_of(raw: bytes) -> dict[str, Any]:
    """A row's cells by column. Raises DataError for what is no row."""
    try:
        content = json.loads(raw.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise DataError("it is no row of a table as JSON.") from error
    flat = isinstance(content, dict) and all(map(_is_cell, content.values()))
    if not flat or not content:
        raise DataError("it is no row of a table: a JSON object of plain values.")
    return dict(content)


def item_cells(row: Mapping[str, Any]) -> Iterator[tuple[str, str, bytes]]:
    """A row's cells that are items: column, kind, content. Raises DataError for what is none."""
    for name, value in row.items():
        for kind, content in value.items() if isinstance(value, dict) else ():
            try:
                yield name, kind, b64decode(content, validate=True)
            except (binascii.Error, ValueError) as error:
                raise DataError(f"its {name!r} holds no bytes of {kind}.") from error


def without_content(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same row, of items in it only their kind, so that many rows fit into memory."""
    return {n: dict.fromkeys(v, "") if isinstance(v, dict) else v for n, v in row.items()}


def _is_cell(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) == 1 and all(isinstance(each, str) for each in value.values())
    return isinstance(value, str | int | float | bool | None)
