"""The reference of a model that is handed over: what it answers to held-out items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.contracts import Backbone, Task
from headstart.contracts.frozen import FrozenModel, Network, as_model
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


def reference_of(proof: Proof, temperature: float = 1.0) -> Reference | None:
    """Held-out items as the saved model sees and answers them; None where there are none.

    In folds these are all items, each answered by a model that had not seen it. Where a model was
    adapted they are the target's: items of the source are not what it will be asked. Outputs are
    divided by the `temperature` of the saved model.
    """
    if proof.adaptation is not None:
        return proof.reference
    if proof.search.experiment.task.reads_maps:
        return None
    experiment, outputs = proof.search.experiment, proof.model.arm.outputs
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
    frozen = _is_frozen(proof.model.network, proof.search.backbone)
    most = MOST if frozen else _affordable(experiment, proof.search.backbone)
    places = chosen(len(items), experiment.settings.seed, most)
    if not len(places):
        return None
    features = _features(experiment, proof, [items[place] for place in places])
    measures = measures_of([items[place] for place in places], experiment.reader.modality)
    return Reference.of(features, answers[places] / temperature, targets[places], measures)


def referenced(proof: Proof, evidence: Evidence) -> Reference | None:
    """What the model is held to when it is used, which the evidence describes."""
    calibrated, experiment = evidence.findings.get("calibration"), proof.search.experiment
    is_scaled = folded(proof.model.network, 1.0) is not None
    temperature = calibrated["temperature"] if calibrated and is_scaled else 1.0
    reference = reference_of(proof, temperature)
    if reference is not None:
        described_so = described(reference, experiment.task, experiment.labels)
        evidence.findings = {**evidence.findings, "reference": described_so}
    return reference


def _features(experiment: Experiment, proof: Proof, items: list[Item]) -> np.ndarray:
    """Features (N, D) of items by the saved model's network, from the store where it is frozen."""
    network, backbone = proof.model.network, proof.search.backbone
    if not _is_frozen(network, backbone):
        from torch import nn

        model = as_model(network)
        return outputs_of(experiment, model.with_head(nn.Identity()))(items)
    return experiment.rows_of(backbone, items)


def _affordable(experiment: Experiment, backbone: Backbone) -> int:
    """How many items a trained network may see once more, in half of the time that is left."""
    if not experiment.budget.limited:
        return MOST
    price = Price.of(experiment, backbone).item
    seconds = max(0.0, experiment.budget.left() / 2)
    return int(min(MOST, seconds / max(price, 1e-9)))


def _is_frozen(network: Network, backbone: Backbone) -> bool:
    if isinstance(network, FrozenModel) and network.backbone is backbone:
        return True
    return unchanged(as_model(network), backbone, len(backbone.stages))


def described(reference: Reference, task: Task, labels: Sequence[str]) -> Finding:
    """What evidence says of a reference: its items, and what familiarity and sets can promise."""
    encoding = kind_named(task.kind).encoding
    limits = Limits(reference, task.predictions(reference.outputs), labels, encoding)
    return {
        "items": len(reference),
        "least": round(limits.familiarity.least, 5),
        "sets": limits.sets is not None,
    }
