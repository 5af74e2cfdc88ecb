"""The features that everything else stands on: of all items, or of those there is time for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headstart import evidence
from headstart.contracts import Backbone
from headstart.data import Dataset, Item, nested
from headstart.errors import OutOfTimeError
from headstart.evidence import ArmResult, Experiment
from headstart.evidence.pricing import demand_time
from headstart.runtime.budget import Budget

SHARE = 0.5  # of the time that is left, for the features of fewer items
_TRIES = 4  # of a price
_LEAST = 2  # items of each class that stay in each split, as far as there are any


def features_in_time(experiment: Experiment, backbone: Backbone) -> tuple[Experiment, ArmResult]:
    """The features' arm, and the target with the items that it is of.

    Where the budget has no time for all items, it is of a part of each split in which every label
    keeps its share.
    """
    try:
        if not experiment.task.has_probe:
            demand_time(experiment, backbone)
        return experiment, evidence.features_arm(experiment, backbone)
    except OutOfTimeError as error:
        count = SHARE * max(0.0, experiment.budget.left()) / (error.price or np.inf)
        share = min(1.0, count / len(experiment.dataset.items))
    fewer = replace(experiment, dataset=_part(experiment.dataset, share))
    sentence = shortened(fewer.dataset, experiment.dataset)
    if sentence:
        experiment.progress.warn(sentence)
    unhurried = replace(fewer, budget=Budget(None))  # a model there must be
    return fewer, evidence.features_arm(unhurried, backbone)


def has_time(experiment: Experiment, backbone: Backbone, what: str, trainings: int = 1) -> bool:
    """Whether the budget has time for the shortest of so many trainings; said where it hasn't.

    What others compute meanwhile makes single passes many times as slow, so that a price is only
    too high once it was so several times.
    """
    if not experiment.budget.limited:
        return True
    for _ in range(_TRIES):
        price = evidence.Price.of(experiment, backbone)
        if trainings * price.least + price.evaluation < experiment.budget.left():
            return True
    experiment.progress.say(f"{what} is left out, as the budget leaves no time for it.")
    return False


def shortened(part: Dataset, whole: Dataset) -> str:
    """A sentence on the items that were left out, empty where all are there."""
    if len(part.items) == len(whole.items):
        return ""
    return (
        f"The budget has no time for all of the data: {len(part.items)} of {len(whole.items)} "
        "items are used. Give more with --budget."
    )


def fewer(experiment: Experiment, positions: Sequence[int] | np.ndarray) -> Experiment:
    """The same target with only some of the training items."""
    train = experiment.dataset.split("train")
    ids = {train[place].id for place in positions}

    def stays(item: Item) -> bool:
        return item.split != "train" or item.id in ids

    items = tuple(item for item in experiment.dataset.items if stays(item))
    return replace(experiment, dataset=replace(experiment.dataset, items=items))


def _part(dataset: Dataset, share: float) -> Dataset:
    """A share of each split, and of each class some items."""
    ids: set[str] = set()
    for name in ("train", "validation", "test"):
        targets, items = dataset.targets(name), dataset.split(name)
        if items:
            ids |= {items[place].id for place in _places(targets, share)}
    return replace(dataset, items=tuple(item for item in dataset.items if item.id in ids))


def _places(targets: np.ndarray, share: float) -> Sequence[int]:
    order = nested(targets)
    places = dict.fromkeys(order[: max(_LEAST, int(share * len(order)))].tolist())
    if targets.ndim == 1:
        for label in np.unique(targets):
            own = order[targets[order] == label]
            places |= dict.fromkeys(own[:_LEAST].tolist())
    return list(places)
