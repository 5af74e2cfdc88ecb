"""Answers that point at places in an item, and the rows of features that such models lack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.contracts import Task
from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.features.reading import Reader


def placed(answer: dict[str, Any], item: Item, task: Task, reader: Reader) -> dict[str, Any]:
    """An answer in the item's own pixels, where it points at places; nothing stays nothing."""
    if not answer or not task.reads_maps:
        return answer
    extent = reader.modality.extent(item.read())
    return answer if extent is None else dict(task.placed(answer, extent))


def answers(
    outputs: np.ndarray, items: Sequence[Item], task: Task, labels: Sequence[str], reader: Reader
) -> list[dict[str, Any]]:
    """What outputs (N, …) say about items, in their order."""
    decoded = zip(task.decode(outputs, labels), items, strict=True)
    return [placed(answer, item, task, reader) for answer, item in decoded]


def demand_rows(task: Task) -> None:
    """Raise HeadstartError where a head reads maps, so that an item has no row of features."""
    if task.reads_maps:
        raise HeadstartError(
            f"The model answers with {task.kind} from maps of places, and has no row of features "
            "for an item. Use predict or evaluate."
        )
