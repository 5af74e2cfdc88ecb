"""A saved model scored on labelled data, each of its tasks that these have labels for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np

from headstart.data import data_of
from headstart.errors import DataError, HeadstartError
from headstart.loading import members, record
from headstart.pipeline import evaluating, opening
from headstart.pipeline.opening import DataOptions
from headstart.pipeline.several.opening import networks_of
from headstart.pipeline.several.task_progress import TaskProgress
from headstart.results import Evaluation
from headstart.results.several import Evaluations
from headstart.runtime.progress import Show, as_progress


def evaluate(
    model: str | Path, data: Any, *, progress: Show = None, **columns: Unpack[DataOptions]
) -> Evaluation:
    """Score a saved model on labelled data; overlaps with its training are named.

    `label`, `text` and `image` name the columns of a manifest, `group` the one of groups, whose
    items the interval takes as drawn together; `delimiter` stands between an item's labels, and
    `class_level` says which folders are the classes. What is not named is as it was in the
    training. Of several tasks each is scored that the data have labels for, and the answer is
    `Evaluations`, which no type of a path can tell. Raises HeadstartError where that is none.
    """
    place = Path(model)
    if not members.are_in(place):
        return evaluating.evaluate(place, data, progress=progress, **columns)
    if columns.get("label"):
        own_folders = ", ".join(map(str, members.read(place).values()))
        raise HeadstartError(
            f"A label column was named, and {place} answers several tasks. Leave it out, or give "
            f"one of {own_folders}."
        )
    source, show, folders = data_of(data), as_progress(progress), members.read(place)
    networks, rows = networks_of(folders), dict[str, dict[str, np.ndarray]]()
    each: dict[str, Evaluation] = {}
    without: dict[str, str] = {}
    for name, own in folders.items():
        cached_features = rows.setdefault(networks[name], {})
        own_columns: DataOptions = {**columns, "label": record.read(own)["settings"].get("label")}
        predictor, task_progress = opening.load(own), TaskProgress(show, name)
        try:
            each[name] = evaluating.scored(
                predictor, own, source, task_progress, own_columns, cached_features
            )
        except DataError as error:
            without[name] = str(error)
    if not each:
        raise DataError(next(iter(without.values())))
    return cast(Evaluation, Evaluations(each, without))
