"""A saved model scored on labelled data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

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
    task = predictor.task
    features = None if task.reads_maps else predictor.features(items)
    outputs = predictor.outputs(items, features)
    score, alone = evidence.judged_task(task, outputs, targets), of_class(task, outputs, targets)
    repeated = overlap(Path(model), items)
    more = others(task, outputs, targets)
    evaluation = Evaluation.of((task.metric, score, more), alone, targets, dataset, repeated)
    shift = "" if features is None else between(predictor, features, outputs)
    return replace(evaluation, shift=shift)
