"""Two saved models beside one another, on the same labelled items."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from headstart import artifact
from headstart.data import Dataset, Item, data_of, load_labelled
from headstart.errors import HeadstartError
from headstart.evidence import average
from headstart.evidence.by_class import within
from headstart.pipeline.asking import Asked, asked_schema
from headstart.pipeline.opening import load
from headstart.plan import trained_on
from headstart.results.comparison import Compared, Comparison
from headstart.runtime.progress import Show, as_progress
from headstart.serve import Predictor

_WARMED = 8  # items answered before the clock runs


def compare(
    first: str | Path,
    second: str | Path,
    data: Any,
    *,
    progress: Show = None,
    **columns: Unpack[Asked],
) -> Comparison:
    """Say by how much a second saved model beats a first one on labelled data, and at what cost.

    What names columns and classes is as in `evaluate`. Items that either was trained on are
    counted and named, not left out. Raises HeadstartError where the two don't answer the same
    question: other labels, task or kind of input.
    """
    data, progress = data_of(data), as_progress(progress)
    folders = Path(first), Path(second)
    models = load(folders[0]), load(folders[1])
    _demand_alike(folders, models)
    task = models[0].task  # both are judged by one metric
    sides, scores, alone = [], [], []
    for folder, model in zip(folders, models, strict=True):
        # each with its own order of labels; the second check of the items is remembered
        schema = asked_schema(folder, columns)
        dataset = load_labelled(
            data, model.reader.modality, model.labels, schema, progress=progress
        )
        progress.say(f"Asking {folder} about {len(dataset.items)} items.")
        found, seconds = _answered(model, dataset.items)
        targets = dataset.targets("test")
        scores.append(task.scores(found, targets))
        alone.append(within(task, found, targets, targets))
        sides.append(_side(folder, model, dataset, scores[-1], seconds))
    given = (targets, dataset.labels, (alone[0], alone[1]))
    return Comparison.of(task.metric, (sides[0], sides[1]), (scores[0], scores[1]), *given)


def _demand_alike(folders: tuple[Path, Path], models: tuple[Predictor, Predictor]) -> None:
    """Raise HeadstartError for models that don't answer the same question."""
    tasks = [artifact.read(folder).task for folder in folders]
    if tasks[0] != tasks[1]:
        raise HeadstartError(
            f"{folders[0]} is for {tasks[0]} and {folders[1]} for {tasks[1]}. "
            "Give two models for the same task."
        )
    one, other = (set(model.labels) for model in models)
    if one != other:
        only = [
            f"{folder} alone knows {', '.join(sorted(own)[:5])}"
            for folder, own in zip(folders, (one - other, other - one), strict=True)
            if own
        ]
        raise HeadstartError(
            f"{folders[0]} and {folders[1]} have different labels: {'; '.join(only)}. "
            "Give two models with the same labels."
        )


def _answered(model: Predictor, items: Sequence[Item]) -> tuple[np.ndarray, float]:
    """Outputs for all items, and the seconds that one took once all was warm."""
    model.outputs(items[:_WARMED])
    began = time.monotonic()
    found = model.outputs(items)
    return found, (time.monotonic() - began) / len(items)


def _side(
    folder: Path, model: Predictor, dataset: Dataset, scores: np.ndarray, seconds: float
) -> Compared:
    seen = trained_on(folder)
    return Compared(
        model=str(folder),
        score=average(scores),
        parameters=sum(parameter.numel() for parameter in model.model.parameters()),
        size=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        seconds=seconds,
        overlap=None if seen is None else sum(item.identity in seen for item in dataset.items),
    )
