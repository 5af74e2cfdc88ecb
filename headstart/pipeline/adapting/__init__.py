"""From labelled data to other data without labels: the target, the methods on it, the choice."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headstart import catalog, drift, evidence
from headstart.adaptation import (
    SOURCE,
    Adapted,
    Candidate,
    candidates_on,
    chosen,
    disputed,
    gains,
    presence,
)
from headstart.contracts import Encoding, Examples
from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.data import IN_MEMORY, FileSource, Item
from headstart.data.targets import kind_named
from headstart.defaults import Settings
from headstart.drift import Reference
from headstart.drift.measures import measures_of
from headstart.errors import HeadstartError, OutOfTimeError, UnknownNameError
from headstart.evidence import ArmResult, Experiment
from headstart.evidence.fitting import answers
from headstart.evidence.judging import JUDGED
from headstart.labelling import Suggestion, suggestions
from headstart.labelling.pool import shown
from headstart.labelling.selection import doubt
from headstart.pipeline.adapting.target import LABEL_NEXT, MOST, Target
from headstart.pipeline.findings import Proof
from headstart.pipeline.finish import finish
from headstart.pipeline.options import Options
from headstart.pipeline.prepare import Transfer
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.pipeline.strategy_spec import FEATURES
from headstart.pipeline.suggesting import features_of
from headstart.results import Result
from headstart.runtime.workspace import Workspace
from headstart.serve.predictions import Prediction
from headstart.tracking import Followed

AUTO = "auto"


def target_of(options: Options, settings: Settings | None) -> tuple[Any, Options]:
    """The target, if there is one, and the options with its place in full, or its name."""
    target = options.get("adapt_to", settings.adapt_to if settings else None)
    if target is None:
        return None, options
    place = IN_MEMORY
    if isinstance(target, str | os.PathLike):
        target = place = os.path.abspath(os.fsdecode(target))
    return target, {**options, "adapt_to": place}


def demand_adaptable(settings: Settings, strategy: str | None) -> str | None:
    """The strategy to go on with, which is to extract features where there is a target.

    Raises HeadstartError for settings that adapting to a target can't have, or can't go without.
    """
    name = settings.adaptation
    if settings.adapt_to is None:
        for flag, value in (("target-labels", settings.target_labels), ("adaptation", name)):
            if value not in (None, AUTO):
                raise HeadstartError(
                    f"{flag} {value} has no target to adapt to. Name one with --adapt-to."
                )
        return strategy
    if name not in (AUTO, SOURCE) and name not in catalog.names("adaptations"):
        raise UnknownNameError("adaptation", name, {AUTO, *catalog.names("adaptations")})
    if name not in (AUTO, SOURCE):
        catalog.adaptation(name).demand()
    for flag, value, usual in (
        ("strategy", strategy or FEATURES, FEATURES),
        ("head", settings.head, Settings.head),
        ("tta", settings.tta, Settings.tta),
        ("judge", settings.judge if settings.judge == "cv" else "", ""),
    ):
        if value != usual:
            raise HeadstartError(
                f"{flag} {value} can't go with --adapt-to, which works on frozen features. "
                "Leave it out."
            )
    return FEATURES


def adapted(transfer: Transfer, data: Any, workspace: Workspace, run: Followed) -> Result:
    """Try the ways to answer on a target, choose one, save it, and say what is known of it.

    Raises HeadstartError where the source's targets are no classes, and for a target that a program
    held when a plan was made.
    """
    experiment, backbone = transfer.experiment, transfer.backbone
    if kind_named(experiment.dataset.kind).encoding is not Encoding.INDEX:
        raise HeadstartError(
            f"{experiment.dataset.root} is labelled with {experiment.dataset.kind}, and only "
            "classes can be adapted to a target. Leave out --adapt-to."
        )
    if isinstance(data, str) and data == IN_MEMORY:
        raise HeadstartError(
            "The plan was made with a target in memory, which is not kept. Fit anew with adapt_to=."
        )
    target = Target.of(data, experiment)
    source = evidence.features_arm(experiment, backbone)
    features = _features(target.items, transfer)
    outcome = _outcome(target, features, source, transfer)
    answering = outcome.handed_over.calibrated()
    rows = _label_next(outcome, answering, target, experiment)
    outcome = replace(outcome, ask=[row.name for row in rows])
    arms = {FEATURES: source} | _arm(answering, source, transfer)
    search = StrategySearch(
        experiment, backbone, transfer.strategy, {FEATURES: source}, ranking=transfer.ranking
    )
    naive = {"naive": evidence.naive_arm(experiment, source)}
    chosen_arm = list(arms)[-1]
    reference = _reference(features, answering, target, experiment)
    proof = Proof(
        search, naive | arms, chosen_arm, adaptation=outcome.to_json(), reference=reference
    )
    result = finish(proof, workspace)[0]
    inline = experiment.reader.modality.inline
    if rows and (inline or all(isinstance(row.item.source, FileSource) for row in rows)):
        suggestions.write(result.folder / LABEL_NEXT, rows)
    run.result(result.to_json)
    return result


def _outcome(
    target: Target, features: np.ndarray, source: ArmResult, transfer: Transfer
) -> Adapted:
    """All candidates on the target's features (T, D), and the choice among them."""
    experiment, settings = transfer.experiment, transfer.experiment.settings
    examples = experiment.examples(transfer.backbone)
    domains = _domains(examples, features, transfer)
    requested = None if settings.adaptation == AUTO else settings.adaptation
    methods, left_out = _methods(requested)
    candidates = candidates_on(
        domains,
        examples["validation"],
        source.model.head.cpu().eval(),
        methods,
        experiment.budget,
        experiment.progress,
        requested,
    )
    if requested is not None and all(each.name != requested for each in candidates):
        raise OutOfTimeError(f"The budget has no time for {requested}. Give a larger --budget.")
    by_labels = None
    if target.validation is not None:
        by_labels = gains(candidates, target.validation, settings.seed)
    classes = presence(domains)
    return Adapted(
        target.name,
        experiment.labels,
        candidates,
        classes,
        chosen(candidates, classes, by_labels, requested),
        by_labels,
        target.truth,
        notes=target.notes,
        seed=settings.seed,
        left_out=left_out,
    )


def _domains(examples: Mapping[str, Examples], target: np.ndarray, transfer: Transfer) -> Domains:
    """Source items in an order of their contents' own, so that none of files or names counts."""
    features, targets = examples["train"]
    items = transfer.experiment.dataset.split("train")
    order = sorted(range(len(items)), key=lambda place: items[place].digest)
    order = _sample(order, targets)
    labels = transfer.experiment.labels
    seed = transfer.experiment.settings.seed
    return Domains(features[order], targets[order], target, len(labels), seed)


def _sample(order: list[int], targets: np.ndarray) -> list[int]:
    """The first MOST source items, and of the others those whose class is none of theirs."""
    classes = set(targets[order[:MOST]])
    return order[:MOST] + [place for place in order[MOST:] if targets[place] not in classes]


def _features(items: Sequence[Item], transfer: Transfer) -> np.ndarray:
    experiment = transfer.experiment
    rows = features_of(
        items,
        transfer.backbone,
        experiment.reader,
        experiment.accelerator.device,
        experiment.progress,
    )
    return np.asarray(rows[np.arange(len(items))], dtype=np.float32)


def _methods(requested: str | None) -> tuple[dict[str, Adaptation], dict[str, str]]:
    """What is tried, and what is left out with the reason."""
    names = catalog.names("adaptations")
    methods: dict[str, Adaptation] = {}
    left_out: dict[str, str] = {}
    for name in sorted(names):
        method = catalog.adaptation(name)
        if method.by_name and name != requested:
            continue
        try:
            method.demand()
        except HeadstartError as error:
            left_out[name] = str(error)
            continue
        methods[name] = method
    return methods, left_out


def _arm(candidate: Candidate, source: ArmResult, transfer: Transfer) -> dict[str, ArmResult]:
    """The candidate as an arm that answers the source's items as it is."""
    experiment = transfer.experiment
    examples = experiment.examples(transfer.backbone)
    outputs = {split: answers(candidate.head, examples[split][0]) for split in JUDGED}
    seconds = source.arm.seconds + candidate.seconds
    name = FEATURES if candidate.name == SOURCE else candidate.name
    arm = evidence.arm_of(experiment, name, outputs, seconds)
    return {name: replace(source, arm=arm, network=source.model.with_head(candidate.head))}


def _reference(
    features: np.ndarray, candidate: Candidate, target: Target, experiment: Experiment
) -> Reference:
    """Items of the target as the model sees and answers them; no label of theirs is kept."""
    places = drift.chosen(len(features), experiment.settings.seed)
    measures = measures_of([target.items[n] for n in places], experiment.reader.modality)
    unknown = np.empty((len(places), 0), dtype=np.float32)
    return Reference.of(features[places], candidate.outputs[places], unknown, measures)


def _label_next(
    outcome: Adapted, answering: Candidate, target: Target, experiment: Experiment
) -> list[Suggestion]:
    """Items whose labels would tell the candidates apart, with what the chosen one answers."""
    if outcome.by_labels is not None or target.truth is not None:
        return []
    positions = disputed(outcome.candidates, seed=experiment.settings.seed)
    outputs = answering.outputs[positions]
    decoded = experiment.task.decode(outputs, experiment.labels) if len(positions) else []
    modality = experiment.reader.modality
    return [
        Suggestion(
            _absolute(item), shown(item, modality), Prediction("", answer).label, doubt(answer), 1
        )
        for place, answer in zip(positions, decoded, strict=True)
        for item in [target.items[place]]
    ]


def _absolute(item: Item) -> Item:
    """The item by its whole path, where it is a file: a table may lie anywhere."""
    if not isinstance(item.source, FileSource):
        return item
    return replace(item, id=os.path.abspath(item.source.path))
