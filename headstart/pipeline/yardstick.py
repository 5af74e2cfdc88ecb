"""The reference of a model that is handed over: what it answers to held-out items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.contracts import Backbone, Modality, Task
from headstart.contracts.frozen import FrozenModel, Network, as_model
from headstart.data import Item
from headstart.data.targets import kind_named
from headstart.drift import MOST, TOKENS_A_WORD, Limits, Reference, chosen
from headstart.evidence import Evidence, Experiment, Price
from headstart.evidence.arms import unchanged
from headstart.evidence.calibration import folded
from headstart.evidence.judging import outputs_of
from headstart.pipeline.findings import Proof

if TYPE_CHECKING:  # so that frozen features need no torch
    pass

Finding = dict[str, int | float | bool]
HELD_OUT = ("validation", "test")


def reference_of(proof: Proof, temperature: float = 1.0) -> Reference | None:
    """Held-out items as the saved model sees and answers them; None where there are none.

    In folds these are all items, each answered by a model that had not seen it. None where a model
    was adapted to a target: items of the source are not what it will be asked. Outputs are
    divided by the `temperature` of the saved model.
    """
    if proof.adaptation is not None:
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
    is_scaled = calibrated and folded(proof.model.network, 1.0)
    reference = reference_of(proof, calibrated["temperature"] if is_scaled else 1.0)
    if reference is not None:
        described_so = described(reference, experiment.task, experiment.labels)
        evidence.findings = {**evidence.findings, "reference": described_so}
    return reference


def measures_of(items: Sequence[Item], modality: Modality) -> dict[str, np.ndarray]:
    """Numbers about items by name, (N,) each: of texts their tokens, and how many a word takes.

    An encoder that does not know a language has no words of it, and splits them into many pieces.
    """
    if not modality.ragged or not items:
        return {}
    pieces = [modality.pieces(item.read()) for item in items]
    tokens = np.array([len(own) for own in pieces], dtype=np.float32)
    words = np.array([len({number for _, number in own}) for own in pieces], dtype=np.float32)
    return {"tokens": tokens, TOKENS_A_WORD: tokens / np.maximum(words, 1)}


def _features(experiment: Experiment, proof: Proof, items: list[Item]) -> np.ndarray:
    """Features (N, D) of items by the saved model's network, from the store where it is frozen."""
    network, backbone = proof.model.network, proof.search.backbone
    if not _is_frozen(network, backbone):
        from torch import nn

        model = as_model(network)
        return outputs_of(experiment, model.with_head(nn.Identity()))(items)
    examples = experiment.examples(backbone)
    names = ("train", "validation", "test")
    place_of = {
        item.id: (name, place)
        for name in names
        for place, item in enumerate(experiment.dataset.split(name))
    }
    rows = [place_of[item.id] for item in items]
    return np.stack([examples[name][0][place] for name, place in rows])


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
