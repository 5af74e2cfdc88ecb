"""Two saved models beside one another, on the same labelled items."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from headstart import artifact
from headstart.data import Dataset, Item, data_of, load_labelled
from headstart.drift import FILE as REFERENCE
from headstart.errors import HeadstartError
from headstart.evidence import Assessor, Draws, Interval, families
from headstart.evidence.by_class import of_class
from headstart.pipeline.opening import DataOptions, load, schema_for
from headstart.plan import overlap
from headstart.results.comparison import Compared, Comparison, changes
from headstart.runtime.progress import Show, as_progress
from headstart.serve import Predictor

_WARMED = 8  # items answered before the clock runs


def compare(
    first: str | Path,
    second: str | Path,
    data: Any,
    *,
    progress: Show = None,
    **columns: Unpack[DataOptions],
) -> Comparison:
    """Say by how much a second saved model beats a first one on labelled data, and at what cost.

    What names columns, groups and classes is as in `evaluate`. Items that either was trained on are
    counted and named, not left out. Raises HeadstartError where the two don't answer the same
    question: other labels, task or kind of input. Both are judged by the metric of the first.
    """
    data, progress = data_of(data), as_progress(progress)
    folders = Path(first), Path(second)
    models = load(folders[0]), load(folders[1])
    _demand_alike(folders, models)
    sides, alone, judges, answers = [], [], [], []
    for folder, model in zip(folders, models, strict=True):
        # each with its own order of labels; the second check of the items is remembered
        own = model.labels, schema_for(folder, columns)
        dataset = load_labelled(data, model.reader.modality, *own, progress=progress)
        progress.say(f"Asking {folder} about {len(dataset.items)} items.")
        outputs, seconds = _answered(model, dataset.items)
        targets, draws = dataset.targets("test"), Draws(clusters=families(dataset.items))
        alone.append(of_class(model.task, outputs, targets))
        judges.append(Assessor(model.task, targets, draws, by=models[0].task))
        answers.append(outputs)
        sides.append(_side(folder, model, dataset, judges[-1].interval(outputs), seconds))
    return Comparison(
        metric=models[0].task.metric,
        items=len(targets),
        first=sides[0],
        second=sides[1],
        difference=judges[1].gain(answers[1], answers[0], of=judges[0]),
        by_label=changes(alone[0], alone[1], targets, dataset.labels),
        less_is_better=models[0].task.sign < 0,
    )


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
    outputs = model.outputs(items)
    return outputs, (time.monotonic() - began) / len(items)


def _side(
    folder: Path, model: Predictor, dataset: Dataset, score: Interval, seconds: float
) -> Compared:
    files = folder.glob("*.safetensors")
    return Compared(
        model=str(folder),
        score=score,
        parameters=sum(parameter.numel() for parameter in model.model.parameters()),
        size=sum(file.stat().st_size for file in files if file.name != REFERENCE),
        seconds=seconds,
        overlap=overlap(folder, dataset.items),
    )
