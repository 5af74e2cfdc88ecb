"""A saved model scored on labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from headstart import evidence
from headstart.data import Data, Dataset, Item, data_of, demand_data, load_labelled
from headstart.data.targets import kind_named
from headstart.evidence.by_class import of_class
from headstart.evidence.sentences import Pairs, worth_a_look
from headstart.pipeline.metrics import one_group, others
from headstart.pipeline.opening import DataOptions, load, schema_for
from headstart.plan import overlap
from headstart.results import Evaluation
from headstart.runtime.progress import Progress, Show, as_progress
from headstart.serve import Predictor
from headstart.serve.noticing import between


def evaluate(
    model: str | Path,
    data: Any,
    *,
    progress: Show = None,
    **columns: Unpack[DataOptions],
) -> Evaluation:
    """Score a saved model on labelled data; overlaps with its training are named.

    `label`, `text` and `image` name the columns of a manifest, `group` the one of groups, whose
    items the interval takes as drawn together; `delimiter` stands between an item's labels, and
    `class_level` says which folders are the classes. What is not named is as it was in the
    training.
    """
    return scored(load(model), Path(model), data_of(data), as_progress(progress), columns, {})


def scored(
    predictor: Predictor,
    model: Path,
    data: Data,
    progress: Progress,
    columns: DataOptions,
    cached_features: dict[str, np.ndarray],
) -> Evaluation:
    """The same for a model that was opened from a folder.

    `cached_features` holds features by an item's digest, those that its network gave before; others
    are added.
    """
    demand_data(data)
    schema = schema_for(model, columns)
    dataset = load_labelled(
        data, predictor.reader.modality, predictor.labels, schema, progress=progress
    )
    items, targets = dataset.split("test"), dataset.targets("test")
    task = predictor.task
    features = None if task.reads_maps else _features(predictor, items, cached_features)
    outputs = predictor.outputs(items, features)
    draws, alone = (
        evidence.Draws(clusters=evidence.families(items)),
        of_class(task, outputs, targets),
    )
    return Evaluation(
        metric=task.metric,
        score=evidence.Assessor(task, targets, draws).interval(outputs),
        by_label=_by_label(alone, targets, dataset.labels),
        data=dataset.report.to_json(),
        overlap=overlap(model, items),
        metrics=others(task, outputs, targets, draws),
        shift="" if features is None else between(predictor, items, features, outputs),
        sentences=_sentences(predictor, dataset, outputs),
        alone=one_group(items),
    )


def _sentences(predictor: Predictor, dataset: Dataset, outputs: np.ndarray) -> dict[str, Any]:
    """Answers that are texts beside the right ones; empty for other answers."""
    metric, answers = predictor.task.judged_by(), predictor.task.predictions(outputs)
    if kind_named(dataset.kind).constant or metric is None:
        return {}
    test = Pairs.of(dataset.split("test"), predictor.reader.modality)
    return worth_a_look(metric, answers, test, Pairs((), (), ())) or {}


def _features(
    predictor: Predictor, items: Sequence[Item], cached_features: dict[str, np.ndarray]
) -> np.ndarray:
    """Features (N, D) of items, those that aren't known computed and kept."""
    unknown = [item for item in items if item.digest not in cached_features]
    if unknown:
        cached_features |= {
            i.digest: row for i, row in zip(unknown, predictor.features(unknown), strict=True)
        }
    return np.stack([cached_features[item.digest] for item in items])


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
