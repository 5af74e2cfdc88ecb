"""How many labels the transfer saved, by learning curves of it and of the network from scratch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart import evidence
from headstart.contracts import Task
from headstart.data.targets import kind_named
from headstart.defaults import Recipe
from headstart.evidence import ArmResult
from headstart.evidence.forecast import forecast
from headstart.evidence.labels import Curve, saved, scratch_curve, transfer_curve
from headstart.pipeline.affordable import fewer
from headstart.pipeline.strategy_spec import FEATURES
from headstart.runtime.budget import Budget

if TYPE_CHECKING:
    from headstart.pipeline.findings import Proof

BETTER = (
    "The curve is of a probe on frozen features, which the model handed over clearly beats: how "
    "many labels that model saves is not known."
)
UNKNOWN = "Scratch was ended by the budget, so how many labels it would need is not known."
UNLEARNED = "Scratch learned nothing from all labels, so how many it would need is not known."
BEFOREHAND = (
    "What is trained on fewer labels begins with a vocabulary that has seen all of them, and would "
    "reach less with its own."
)


def labels(proof: Proof) -> dict[str, Any] | None:
    """The learning curves over labels and what they say; None where folds judge, or no probe.

    Where answers are texts, which no probe gives, the transfer is trained on fewer pairs, too.
    """
    kind = kind_named(proof.experiment.dataset.kind)
    if proof.search.folding or (kind.constant and not proof.experiment.task.has_probe):
        return None
    experiment, seed = proof.experiment, proof.experiment.settings.seed
    until = experiment.budget.until(1.0)
    curve = _probed_curve if experiment.task.has_probe else _trained_curve
    ours, cut = curve(proof, until)
    clusters = evidence.families(experiment.dataset.split("test"))
    ours = replace(ours, clusters=clusters)
    later = forecast(ours)
    finding = {"counts": list(ours.counts), "transfer": ours.points(), "scratch": []}
    sentences, saving = [later.sentence], None
    scratch = proof.arms.get("scratch")
    if scratch is not None and scratch.recipe is not None:
        theirs, skipped = scratch_curve(
            experiment.dataset.targets("train"),
            scratch.arm.scores,
            partial(_scratch_on, proof, scratch.recipe),
            scratch.training.seconds,
            until,
            seed,
        )
        shown = replace(theirs, sign=experiment.task.sign, clusters=clusters)
        finding["scratch"] = shown.points()
        doubt = _doubt(proof, scratch)
        saved_labels = saved(ours, theirs)
        saving = None if doubt else saved_labels.to_json()
        skipped = "" if doubt == UNKNOWN else skipped
        sentences = [doubt or saved_labels.sentence, skipped, cut, later.sentence]
    if type(experiment.task).prepared is not Task.prepared:
        sentences.append(BEFOREHAND)
    sentence = " ".join(filter(None, sentences)).replace(" labels", f" {kind.unit}")
    finding |= {} if kind.constant else {"unit": kind.unit}
    return {**finding, "saved": saving, "said": sentence, "forecast": later.points or []}


def _probed_curve(proof: Proof, until: Budget) -> tuple[Curve, str]:
    """What a probe on the frozen features reaches with fewer labels."""
    experiment = proof.experiment
    ours = transfer_curve(
        experiment.task,
        experiment.labels,
        experiment.examples(proof.search.backbone),
        proof.arms[FEATURES].arm.scores,
        seed=experiment.settings.seed,
        until=until,
    )
    return ours, ""


def _trained_curve(proof: Proof, until: Budget) -> tuple[Curve, str]:
    """What the strategy reaches that was trained on a quarter and a half of the items."""
    experiment, search, transfer = proof.experiment, proof.search, proof.transfer

    def train_at(positions: np.ndarray) -> np.ndarray | None:
        place = experiment.workspace and experiment.workspace / f"on-{len(positions)}-items"
        part = replace(fewer(experiment, positions), workspace=place)
        spec, features = search.chosen, search.arms[FEATURES]
        again = evidence.strategy_arm(
            part, search.backbone, spec.build(), str(spec), features, until
        )
        return None if again.training.cut else again.arm.scores

    ours, skipped = scratch_curve(
        experiment.dataset.targets("train"),
        transfer.arm.scores,
        train_at,
        transfer.training.seconds,
        until,
        experiment.settings.seed,
    )
    return replace(ours, sign=experiment.task.sign), skipped.replace("Scratch", "The transfer")


def _doubt(proof: Proof, scratch: ArmResult) -> str:
    """Why it isn't known how many labels were saved, empty where it is."""
    if scratch.training.cut:
        return UNKNOWN
    if unlearned(proof):
        return UNLEARNED
    return BETTER if proof.experiment.task.has_probe and beats_features(proof) else ""


def beats_features(proof: Proof) -> bool:
    """Whether what is handed over is clearly better than the probe that the curve is of."""
    return _ahead(proof, proof.model, proof.arms[FEATURES])


def _scratch_on(proof: Proof, recipe: Recipe, positions: np.ndarray) -> np.ndarray | None:
    """Scores of training from random weights on some of the training items; None where cut."""
    if len(positions) < 2:  # a single item teaches nothing, and some networks can't take it
        return None
    result = proof.search.scratch_like(recipe, fewer(proof.experiment, positions))
    return None if result.training.cut else result.arm.scores


def unlearned(proof: Proof) -> bool:
    """Whether a network was trained from scratch and does not clearly beat the naive model."""
    scratch = proof.arms.get("scratch")
    return scratch is not None and not _ahead(proof, scratch, proof.arms["naive"])


def _ahead(proof: Proof, arm: ArmResult, other: ArmResult) -> bool:
    """Whether one arm is clearly better than another on the held-out items."""
    judge = evidence.Assessor.of(proof.experiment, spread=proof.search.spread)
    return judge.gain(arm.arm.outputs["test"], other.arm.outputs["test"]).low > 0
