"""A saved model scored on labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from headstart import evidence
from headstart.data import data_of, demand_data, load_labelled
from headstart.evidence.by_class import of_class
from headstart.pipeline.metrics import others
from headstart.pipeline.opening import DataOptions, load, schema_for
from headstart.plan import overlap
from headstart.results import Evaluation
from headstart.runtime.progress import Show, as_progress
from headstart.serve.noticing import between


def evaluate(
    model: str | Path,
    data: Any,
    *,
    progress: Show = None,
    **columns: Unpack[DataOptions],
) -> Evaluation:
    """Score a saved model on labelled data; overlaps with its training are named.

    `label`, `text` and `image` name the columns of a manifest, `delimiter` stands between an item's
    labels; `class_level` says which folders are the classes. What is not named is as it was in the
    training.
    """
    data, progress = data_of(data), as_progress(progress)
    predictor = load(model)
    demand_data(data)
    schema = schema_for(Path(model), columns)
    dataset = load_labelled(
        data, predictor.reader.modality, predictor.labels, schema, progress=progress
    )
    items, targets = dataset.split("test"), dataset.targets("test")
    features = predictor.features(items)
    outputs = predictor.outputs(items, features)
    task = predictor.task
    score, alone = evidence.judged_task(task, outputs, targets), of_class(task, outputs, targets)
    return Evaluation(
        metric=task.metric,
        score=score,
        by_label=_by_label(alone, targets, dataset.labels),
        data=dataset.report.to_json(),
        overlap=overlap(Path(model), items),
        metrics=others(task, outputs, targets),
        shift=between(predictor, features, outputs),
    )


def _by_label(
    alone: np.ndarray, targets: np.ndarray, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """The items of each class and what they score, where targets are numbers of classes.

    `alone` (N,) are the scores of items among those of their class.
    """
    scores = {
        name: alone[targets == number]
        for number, name in enumerate(labels if targets.ndim == 1 else ())
    }
    return {
        name: {"items": len(own), "value": round(float(own.mean()), 5)}
        for name, own in scores.items()
        if len(own)
    }
