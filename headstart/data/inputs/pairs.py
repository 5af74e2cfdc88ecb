"""Inputs with their targets, `(X, y)`, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.data.inputs.frames import (
    INPUT,
    TARGET,
    column_of,
    name_of,
    number_table,
    row_names,
    table_of,
)
from headstart.data.inputs.pictures import is_tensor
from headstart.data.inputs.tables import Table
from headstart.errors import DataError

NAME = Path("(X, y)")
_SINGLE = (str, bytes, Mapping, Set, Image.Image, Path)  # no lists of items
_PAIR = ("text 1", "text 2")  # the columns of texts that come in pairs


def pair_table(inputs: Any, targets: Any) -> Table:
    """Inputs and targets as a table of both.

    Inputs are a list, array, tensor or column of items, or a table of any library; targets a list,
    array, tensor or column, or several columns. Raises DataError where they are not as many, and
    for what is no such thing.
    """
    table, labels = item_table(inputs), _targets(targets)
    count = len(table.numbers())
    for values in labels.values():
        if len(values) != count:
            raise DataError(
                f"X has {count} items and y {len(values)}, and one belongs to each. "
                "Give as many of both."
            )
    clash = [name for name in labels if name in table.names]
    if clash:
        raise DataError(
            f"X has a column {clash[0]!r}, and y is called so too. Leave it out of X, or give the "
            f"table alone with label={clash[0]!r}."
        )
    first, own = table.column, list(labels.values())
    places = len(table.names)
    return replace(
        table,
        names=(*table.names, *labels),
        column=lambda place: first(place) if place < places else own[place - places],
        path=NAME,
        noun="item",
        content=table.content or (tuple(table.names) if places == 1 else ()),
        labels=tuple(labels),
    )


def item_table(inputs: Any) -> Table:
    """Inputs without targets as a table. Raises DataError for what is no list of items."""
    table = number_table(inputs) or table_of(inputs)
    if table is not None:
        labels = table.labels  # of a data set of pairs, whose place y takes
        names = tuple(name for name in table.names if name not in labels)
        return replace(table, names=names, labels=())
    cells = _listed(inputs, "X")
    pairs = bool(cells) and all(map(_is_pair, cells))
    columns = list(zip(*cells, strict=True)) if pairs else [cells]
    names = _PAIR if pairs else (INPUT,)
    return Table(
        names, lambda place: columns[place], content=names, ids=row_names(inputs), noun="item"
    )


def _targets(targets: Any) -> dict[str, Sequence[Any]]:
    """Columns of labels by name: one, or one for each number or label that an item may have."""
    table = table_of(targets)
    if table is not None:
        return {name: list(table.column(place)) for place, name in enumerate(table.names)}
    array = targets.detach().cpu().numpy() if is_tensor(targets) else targets
    if isinstance(array, np.ndarray) and array.ndim == 2 and array.shape[1] > 1:
        return {f"{TARGET} {n + 1}": column.tolist() for n, column in enumerate(array.T)}
    if isinstance(array, np.ndarray) and array.ndim == 2:
        array = array[:, 0]
    return {name_of(targets) or TARGET: _listed(array, "y")}


def _listed(values: Any, what: str) -> Sequence[Any]:
    """The elements of a collection. Raises DataError for what is one thing, or has no order."""
    column = column_of(values)
    if column is not None:
        return column
    scalar = isinstance(values, np.ndarray) and values.ndim == 0
    if isinstance(values, _SINGLE) or scalar or not (is_tensor(values) or _is_iterable(values)):
        raise DataError(
            f"{what} of (X, y) is of type {type(values).__name__}, which is no list of items. "
            "Give a list, an array or a column."
        )
    return list(values)


def _is_iterable(values: Any) -> bool:
    try:
        iter(values)
    except TypeError:
        return False
    return True


def _is_pair(cell: Any) -> bool:
    return (
        isinstance(cell, tuple | list) and len(cell) == 2 and all(isinstance(t, str) for t in cell)
    )


def inputs_alone(values: Any) -> Any:
    """X of a pair `(X, y)` of as many inputs and targets; all else as it is."""
    if not isinstance(values, tuple) or len(values) != 2:
        return values
    inputs, targets = values
    several = _are_several(inputs) and isinstance(targets, Sequence | np.ndarray)
    return inputs if several and len(inputs) == len(targets) and _are_labels(targets) else values


def _are_several(inputs: Any) -> bool:
    if isinstance(inputs, np.ndarray):
        return inputs.dtype.kind in "OUS" or inputs.ndim == 4
    return isinstance(inputs, list) or (is_tensor(inputs) and inputs.ndim == 4)


def _are_labels(targets: Any) -> bool:
    if isinstance(targets, np.ndarray):
        return targets.ndim in (1, 2)
    return isinstance(targets, list | tuple)
