"""A source developed from several data sets: one network from random weights, a head each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from headstart import artifact, evidence
from headstart.contracts import Encoding
from headstart.contracts.labels import Names
from headstart.contracts.several import Part, Several
from headstart.data import Dataset, Item
from headstart.data.targets import kind_named
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.evidence import ArmResult, Experiment
from headstart.evidence.judging import judge
from headstart.loading import members as listed
from headstart.pipeline.developing import demand_learned, developed, from_random
from headstart.pipeline.prepare import RunContext, Transfer, fitted_modality
from headstart.pipeline.several.joining import check_all, demand_free, keep_once
from headstart.pipeline.several.members import Member, folders
from headstart.pipeline.several.opening import results
from headstart.pipeline.several.said import Said
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.results.several import Results
from headstart.runtime.progress import Progress
from headstart.runtime.workspace import Workspace

_STRATEGY = "full-fine-tuning"
_LOOKED_AT = 2  # items of each task that the saved model is compared on


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


def pretrain_several(
    members: Sequence[Member],
    backbone: str,
    out: Path,
    settings: Settings,
    progress: Progress,
    anyway: bool,
) -> Results:
    """Train one network from random weights for all tasks, and save it with a head for each.

    Each is checked on its own held-out items against its own naive model. Losses are divided by the
    naive model's and weigh the same. Raises HeadstartError where it does not beat that on one,
    unless `anyway`.
    """
    demand_free(out)
    contexts = {
        each.name: RunContext.of(each.settings, Said(progress, each.name)) for each in members
    }
    network = next(iter(contexts.values())).load(backbone)
    modality = fitted_modality(network, settings)
    parts = agreed({m.name: contexts[m.name].read(m.data, modality) for m in members})
    each = {name: contexts[name].experiment(part, network) for name, part in parts.items()}
    spec = StrategySpec.of(_STRATEGY, settings)
    scratch, protocol = from_random(Transfer(_joint(each, parts), network, spec))
    arms = _apart(each, scratch)
    for name, (naive, own) in arms.items():
        demand_learned(each[name], own, naive, anyway)
    names = folders(parts)
    for name, (naive, own) in arms.items():
        with Workspace(out / names[name], shares=True) as workspace:
            transfer = Transfer(each[name], network, spec)
            developed(transfer, {"naive": naive, str(spec): own}, protocol, workspace)
    listed.write(out, names, {"backbone": backbone, "versions": artifact.versions()})
    keep_once([out / name for name in names.values()])
    looked_at = [item for part in parts.values() for item in part.split("test")[:_LOOKED_AT]]
    check_all(out, looked_at, progress)
    return results(out, fresh=True)


def _joint(each: Mapping[str, Experiment], parts: Mapping[str, Dataset]) -> Experiment:
    """All tasks as one, trained on all items."""
    tasks = {name: _part(experiment) for name, experiment in each.items()}
    first = next(iter(each.values()))
    return replace(first, dataset=merged(parts), task=Several(tasks), task_settings={})


def _part(experiment: Experiment) -> Part:
    task, targets = experiment.task, experiment.dataset.targets("train")
    naive = np.tile(task.naive(targets, experiment.labels), (len(targets), 1))
    unit = float(task.losses(naive, targets).mean())
    numbered = kind_named(experiment.dataset.kind).encoding is Encoding.INDEX
    return Part(task, experiment.labels, numbered, max(unit, 1e-6))


def _apart(
    each: Mapping[str, Experiment], joint: ArmResult
) -> dict[str, tuple[ArmResult, ArmResult]]:
    """For each task its naive model, and the network with its own head on its own items."""
    heads = dict(zip(each, joint.model.head.children(), strict=True))
    arms = {}
    for name, experiment in each.items():
        model = joint.model.with_head(heads[name])
        outputs = judge(experiment, model)
        seconds, steps = joint.arm.seconds, joint.arm.steps
        arm = evidence.arm_of(experiment, "scratch", outputs, seconds, steps=steps)
        own = replace(joint, arm=arm, model=model)
        arms[name] = evidence.naive_arm(experiment, own), own
    return arms
