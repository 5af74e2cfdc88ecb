"""Several data sets as one that all tasks are trained on, and the experiments on each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np

from headstart.contracts import Backbone, Encoding
from headstart.contracts.labels import Names
from headstart.contracts.several import Part, Several
from headstart.data import Dataset, Item
from headstart.data.targets import kind_named
from headstart.errors import HeadstartError
from headstart.evidence import ArmResult, Experiment, arm_of
from headstart.evidence.judging import judge
from headstart.pipeline.prepare import RunContext, fitted_modality
from headstart.pipeline.several.members import Member
from headstart.pipeline.several.task_progress import TaskProgress
from headstart.runtime.progress import Progress


@final
@dataclass(frozen=True)
class Merged:
    """The experiment of each task, whose splits agree, with the backbone that they share."""

    each: Mapping[str, Experiment]
    backbone: Backbone

    @classmethod
    def read(cls, members: Sequence[Member], backbone: str, progress: Progress) -> Merged:
        """The tasks' data, read and split alike. Raises HeadstartError for what can't be."""
        contexts = {
            m.name: RunContext.of(m.settings, TaskProgress(progress, m.name)) for m in members
        }
        network = contexts[members[0].name].load(backbone)
        modality = fitted_modality(network, members[0].settings)
        parts = agreed({m.name: contexts[m.name].read(m.data, modality) for m in members})
        each = {name: contexts[name].experiment(part, network) for name, part in parts.items()}
        return cls(each, network)

    def joint(self, progress: Progress, names: Sequence[str] = ()) -> Experiment:
        """All tasks, or some, as one that is trained on all of their items."""
        each = {name: self.each[name] for name in names or self.each}
        parts = {name: _part(experiment) for name, experiment in each.items()}
        first = next(iter(each.values()))
        task = Several(parts, first.settings.joint == "uncertainty")
        data = merged({name: experiment.dataset for name, experiment in each.items()})
        return replace(first, dataset=data, task=task, task_settings={}, progress=progress)

    def apart(self, joint: ArmResult, names: Sequence[str] = ()) -> dict[str, ArmResult]:
        """What a network of all or some tasks is to each: under its head, on its own items."""
        members = list(names or self.each)
        heads = dict(zip(members, joint.model.head.children(), strict=True))
        results = {}
        for name in members:
            experiment, model = self.each[name], joint.model.with_head(heads[name])
            outputs, seconds = judge(experiment, model), joint.arm.seconds
            own = arm_of(experiment, joint.arm.strategy, outputs, seconds, joint.arm.steps)
            results[name] = replace(joint, arm=own, network=model, first=None)
        return results


def merged(parts: Mapping[str, Dataset]) -> Dataset:
    """All items of data sets whose splits agree, each once; what it is labelled with, as JSON.

    Targets (N, columns of all tasks) are not a number where an item is not in a set.
    """
    labels: dict[str, dict[str, str]] = {}
    items: dict[str, Item] = {}
    for name, part in parts.items():
        for item in part.items:
            items.setdefault(item.identity, item)
            labels.setdefault(item.identity, {})[name] = item.label
    every = tuple(replace(item, label=json.dumps(labels[key])) for key, item in items.items())
    names = tuple(f"{name}: {label}" for name, part in parts.items() for label in part.labels)
    first = next(iter(parts.values()))
    return Dataset(
        first.root, every, names, first.report, Several.kind, encode=partial(_encoded, parts)
    )


def _encoded(parts: Mapping[str, Dataset], labels: Sequence[str], names: Names) -> np.ndarray:
    """The columns of each data set, as its kind of target encodes what is labelled in it."""
    rows = [json.loads(label) for label in labels]
    columns = []
    for name, part in parts.items():
        there = [place for place, row in enumerate(rows) if name in row]
        some = part.items[0].label  # which gives rows of none their shape
        kind = kind_named(part.kind)
        own = kind.encode([*(rows[place][name] for place in there), some], part.labels)[:-1]
        block = np.full((len(rows), own.shape[1] if own.ndim > 1 else 1), np.nan, np.float32)
        block[there] = own[:, None] if own.ndim == 1 else own
        columns.append(block)
    return np.concatenate(columns, axis=1)


def agreed(parts: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """The data sets with the same split for an item in all of them: that of the first one.

    So nothing that one task holds out has been learned from for another. Raises HeadstartError
    where one is left without items in a split.
    """
    split_of: dict[str, str | None] = {}
    for part in parts.values():
        for item in part.items:
            split_of.setdefault(item.identity, item.split)
    each = {
        name: replace(part, items=tuple(replace(i, split=split_of[i.identity]) for i in part.items))
        for name, part in parts.items()
    }
    for name, part in each.items():
        empty = [split for split in ("train", "validation", "test") if not part.split(split)]
        if empty:
            raise HeadstartError(
                f"{name} has no item for {empty[0]} where the other tasks leave it some. "
                "Label more of its items, or leave it out."
            )
    return each


def _part(experiment: Experiment) -> Part:
    task, targets = experiment.task, experiment.dataset.targets("train")
    naive = np.tile(task.naive(targets, experiment.labels), (len(targets), 1))
    unit = float(task.losses(naive, targets).mean())
    numbered = kind_named(experiment.dataset.kind).encoding is Encoding.INDEX
    return Part(task, experiment.labels, numbered, max(unit, 1e-6))
