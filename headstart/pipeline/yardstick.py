"""The reference of a model that is handed over: what it answers to held-out items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from headstart.contracts import Backbone, Task
from headstart.contracts.model import Model
from headstart.data import Item
from headstart.data.targets import kind_named
from headstart.drift import MOST, Limits, Reference, chosen
from headstart.drift.measures import measures_of
from headstart.evidence import Evidence, Experiment, Price
from headstart.evidence.arms import unchanged
from headstart.evidence.calibration import folded
from headstart.evidence.judging import outputs_of
from headstart.pipeline.findings import Proof

Finding = dict[str, int | float | bool]
HELD_OUT = ("validation", "test")


def reference_of(proof: Proof) -> Reference | None:
    """Held-out items as the saved model sees and answers them; None where there are none.

    In folds these are all items, each answered by a model that had not seen it. None where a model
    was adapted to a target: items of the source are not what it will be asked.
    """
    if proof.adaptation is not None:
        return None
    experiment, outputs = proof.search.experiment, proof.model.arm.outputs
    calibrated = proof.calibrated
    scale = calibrated["temperature"] if calibrated and folded(proof.model.model, 1.0) else 1.0
    if proof.search.folding:
        dataset_of_folds = proof.experiment.dataset
        items, answers, targets = (
            dataset_of_folds.items,
            outputs["test"],
            dataset_of_folds.targets("test"),
        )
    else:
        dataset = experiment.dataset
        items = tuple(item for name in HELD_OUT for item in dataset.split(name))
        answers = np.concatenate([outputs[name] for name in HELD_OUT])
        targets = np.concatenate([dataset.targets(name) for name in HELD_OUT])
    if not items:
        return None
    frozen = _is_frozen(proof.model.model, proof.search.backbone)
    most = MOST if frozen else _affordable(experiment, proof.search.backbone)
    places = chosen(len(items), experiment.settings.seed, most)
    if not len(places):
        return None
    features = _features(experiment, proof, [items[place] for place in places])
    measures = measures_of([items[place] for place in places], experiment.reader.modality)
    return Reference.of(features, answers[places] / scale, targets[places], measures)


def referenced(proof: Proof, evidence: Evidence) -> Reference | None:
    """What the model is held to when it is used, which the evidence describes."""
    reference, experiment = reference_of(proof), proof.search.experiment
    if reference is not None:
        described_so = described(reference, experiment.task, experiment.labels)
        evidence.findings = {**evidence.findings, "reference": described_so}
    return reference


def _features(experiment: Experiment, proof: Proof, items: list[Item]) -> np.ndarray:
    """Features (N, D) of items by the saved model's network, from the store where it is frozen."""
    model, backbone = proof.model.model, proof.search.backbone
    if not _is_frozen(model, backbone):
        return outputs_of(experiment, model.with_head(nn.Identity()))(items)
    return experiment.rows_of(backbone, items)


def _affordable(experiment: Experiment, backbone: Backbone) -> int:
    """How many items a trained network may see once more, in half of the time that is left."""
    if not experiment.budget.limited:
        return MOST
    price = Price.of(experiment, backbone).item
    seconds = max(0.0, experiment.budget.left() / 2)
    return int(min(MOST, seconds / max(price, 1e-9)))


def _is_frozen(model: Model, backbone: Backbone) -> bool:
    return unchanged(model, backbone, len(backbone.stages))


def described(reference: Reference, task: Task, labels: Sequence[str]) -> Finding:
    """What evidence says of a reference: its items, and what familiarity and sets can promise."""
    encoding = kind_named(task.kind).encoding
    limits = Limits(reference, task.predictions(reference.outputs), labels, encoding)
    return {
        "items": len(reference),
        "least": round(limits.familiarity.least, 5),
        "sets": limits.sets is not None,
    }
