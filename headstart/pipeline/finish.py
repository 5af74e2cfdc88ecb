"""The end of a run: evidence and model written, checked in a fresh process, and put in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from headstart import artifact, defaults
from headstart.artifact import Record
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.evidence import Arm, ArmResult, Evidence, Experiment
from headstart.evidence.calibration import folded
from headstart.pipeline.checking import check
from headstart.pipeline.explaining import explanations
from headstart.pipeline.findings import FIRST, Proof, constant
from headstart.pipeline.heads import FEATURES, head_of
from headstart.pipeline.prepare import random_init, task_name
from headstart.pipeline.provenance import Name, called, provenance
from headstart.pipeline.seeds import over_seeds
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.plan import FitPlan, splits_of
from headstart.report.page import write_page
from headstart.results import Result
from headstart.results.ranking import Ranking
from headstart.runtime.workspace import Workspace
from headstart.serve import Predictor

SIMPLE = ("naive", "features", "scratch")  # arms that stand beside the one asked for


@dataclass(frozen=True)
class Stage:
    """How far a run has come where its model and evidence are written.

    `doubt` stands in the record as long as the gain isn't known; `level` says which findings there
    is time for, by default those of the settings; `there` is what OUT holds already, checked.
    """

    ended: bool = True
    doubt: str = ""
    level: str | None = None
    there: Record | None = None


ENDED = Stage()


@dataclass(frozen=True)
class Choice:
    """The arm to hand over, how the scratch arm was trained, and what else was compared.

    `arm` is what choosing it so was worth, where folds say more of that than the arm itself.
    """

    kept: str
    protocol: str
    baseline: Arm | None = None
    ranking: Ranking | None = None
    arm: Arm | None = None


def finish(
    trial: StrategySearch,
    workspace: Workspace,
    arms: Mapping[str, ArmResult],
    choice: Choice,
    stage: Stage = ENDED,
) -> tuple[Result, Record]:
    """Write evidence and the winner on validation, check both, put them in place.

    A model that lies there already is not written again. Answers with its record, too.
    """
    experiment, winner = trial.experiment, arms[choice.kept]
    found = measured(trial, arms, choice, stage)
    found.made = _made(trial, workspace, arms)
    model = _calibrated(winner.model, found)
    backbone = random_init(trial.backbone)() if winner.arm.strategy == "scratch" else trial.backbone
    record = _record(experiment, backbone, found)
    if not isinstance(model.head, nn.Linear):
        record = replace(record, head={"name": head_of(winner.arm.strategy) or artifact.OF_TASK})
    folder = workspace.draft()
    record = artifact.save(folder, model, backbone, record, found.to_json())
    same = record == stage.there
    if same:
        folder = workspace.draft()
    if stage.ended or not same:
        check(workspace.out if same else folder, experiment, model, fresh=stage.ended)
        how = "in a fresh process" if stage.ended else "when opened again"
        found.checks[f"equal {how}"] = True
    result = Result(workspace.out, found, not stage.ended, stage.doubt)
    told = result.record()
    artifact.describe(folder, record, told, backbone.library)
    _plan(trial, arms["asked"]).write(folder)
    if stage.level != FIRST:
        page(folder, Proof(trial, arms, choice.kept), told, model, stage.ended)
    workspace.renew() if same else workspace.hand_over()
    if stage.ended:
        workspace.end()
    return result, record


def measured(
    trial: StrategySearch, arms: Mapping[str, ArmResult], choice: Choice, stage: Stage = ENDED
) -> Evidence:
    """The evidence, with trainings from other seeds and the findings that there is time for."""
    found = _evidence(trial, arms, choice)
    if choice.arm is not None:
        arms = {**arms, choice.kept: replace(arms[choice.kept], arm=choice.arm)}
    found.ranking = choice.ranking.to_json() if choice.ranking else None
    if trial.folding and found.ranking:
        found.warnings.append(
            "The backbone was chosen with all items in view, which flatters the scores a little. "
            "Name it with -b to have folds judge it alone."
        )
    found.tried = trial.judged
    found.warnings += Proof(trial, arms, choice.kept).doubts()
    found.by_seed = over_seeds(trial, arms, choice.kept) if stage.ended else None
    found.findings = Proof(trial, arms, choice.kept).findings(stage.level)
    return found


def page(
    folder: Path, proof: Proof, told: Mapping[str, Any], model: Model, explains: bool = True
) -> None:
    """Write the page of an evidence record, where one is wanted, with what `explains` mistakes."""
    experiment = proof.trial.experiment
    if experiment.settings.evidence == "none":
        return
    facts = {"seed": experiment.settings.seed, "versions": artifact.versions()}
    shown = proof.pictures(told) | (_why(experiment, model, told) if explains else {})
    write_page(folder, {**told, **facts}, shown)


def _calibrated(model: Model, found: Evidence) -> Model:
    """The model with probabilities that validation calibrated, where its head can hold that."""
    told = found.findings.get("calibration")
    scaled = folded(model, told["temperature"]) if told else None
    if told:
        told["kept"] = scaled is not None
    return scaled or model


def _made(
    trial: StrategySearch, workspace: Workspace, arms: Mapping[str, ArmResult]
) -> dict[str, Any]:
    """How the model was made; as a call in Python where no command was typed."""
    name = "fit" if FEATURES in trial.tried else "pretrain"
    origin, experiment = trial.backbone.origin, trial.experiment
    out, here = workspace.out, Path.cwd()
    place = out.relative_to(here) if out.is_relative_to(here) else out
    dataset = experiment.dataset
    data = Name("data") if dataset.in_memory else str(dataset.root)
    given = (data, origin.reference, str(place))
    strategy = {"strategy": trial.winner} if name == "fit" else {}
    call = called(name, *given, **strategy, settings=experiment.settings)
    return provenance(asdict(origin), trial.backbone.modality, experiment.dataset.root, call)


def _plan(trial: StrategySearch, asked: ArmResult) -> FitPlan:
    dataset = trial.experiment.dataset
    whole, used = trial.whole or dataset, {item.identity for item in dataset.items}
    return FitPlan(
        data=dataset.place,
        backbone=trial.backbone.origin.reference,
        weights=trial.backbone.origin.weights_hash,
        strategy=trial.winner,
        settings=asdict(trial.experiment.settings),
        fingerprint=dataset.fingerprint,
        splits=splits_of(dataset),
        versions=artifact.versions(),
        pace=tuple(asked.training.pace),
        left_out=sorted({item.identity for item in whole.items} - used),
    )


def _evidence(trial: StrategySearch, arms: Mapping[str, ArmResult], choice: Choice) -> Evidence:
    """The record of all arms, with what is to be said of the one that is handed over."""
    name, baseline, asked = (
        choice.kept,
        choice.baseline,
        arms["asked"],
    )  # the last: or the best tried
    winner, experiment = choice.arm or arms[name].arm, trial.seen
    folding, report = trial.folding, experiment.dataset.report
    learned = trial.experiment if folding is None else folding.parts[0]
    said = (experiment.objective(), choice.protocol)
    found = Evidence(
        metric=experiment.task.metric,
        arms={arm: made.arm for arm, made in arms.items() if arm in SIMPLE or made is not asked},
        backbone=trial.backbone.origin.reference,
        data=report.to_json() | {"fingerprint": experiment.dataset.fingerprint},
        seed=experiment.settings.seed,
        protocol=" ".join(filter(None, said)),
        checks=dict(asked.checks),
        warnings=[*report.warnings, *experiment.remarks()],
        epoch=learned.steps_per_epoch(),
        folds=None if folding is None else folding.folds,
        clusters=_clusters(experiment),
        spread=defaults.training_spread(len(learned.dataset.split("train"))),
    )
    found.arms["chosen"] = winner
    if baseline is not None:
        found.arms[baseline.strategy] = baseline
        found.baselines = ("naive", baseline.strategy)
        found.warnings += _beaten(winner, baseline)
    found.warnings += _diverged(arms)
    truth, kind = experiment.dataset.targets("test"), experiment.dataset.kind
    found.warnings += constant(winner.outputs["test"], truth, experiment.labels, kind)
    if asked.arm.strategy != winner.strategy:
        found.dropped = replace(asked.arm, note=_dropped(asked.arm, winner))
    return found


def _clusters(experiment: Experiment) -> np.ndarray | None:
    """Which held-out items belong together, (N,); None where each stands alone."""
    own = [item.cluster for item in experiment.dataset.split("test")]
    places = np.unique(own, return_inverse=True)[1]
    return places if len(np.unique(places)) < len(own) else None


def _beaten(winner: Arm, baseline: Arm) -> list[str]:
    """Whether validation prefers what needs no network to what is handed over."""
    if baseline.selection_key[0] <= winner.selection_key[0]:
        return []
    return [
        f"A linear model on {baseline.strategy} scored {baseline.selection_key[0]:.3f} on "
        f"validation, above the {winner.selection_key[0]:.3f} of the model handed over. "
        "Try another backbone or strategy, or use that one."
    ]


def _diverged(arms: Mapping[str, ArmResult]) -> list[str]:
    """Which trainings ended as their numbers were no longer finite."""
    return [
        f"The training of {made.arm.strategy} ended after {made.training.steps} steps, as its "
        "numbers were no longer finite; the best weights before that count. "
        "Give a lower --learning-rate."
        for name, made in arms.items()
        if made.training.diverged and name != "scratch"  # whose rates are not the user's
    ]


def _dropped(asked: Arm, winner: Arm) -> str:
    than = "no better than" if asked.selection_key[0] == winner.selection_key[0] else "below"
    note = (
        f"{asked.strategy} scored {asked.selection_key[0]:.3f} on validation, {than} "
        f"{winner.strategy} at {winner.selection_key[0]:.3f}, which is handed over."
    )
    return f"{note} ({asked.strategy} was {asked.note}.)" if asked.note else note


def _record(experiment: Experiment, backbone: Backbone, found: Evidence) -> Record:
    return Record(
        task=task_name(backbone, experiment.dataset, experiment.settings),
        modality=backbone.modality,
        architecture=artifact.portable(backbone),
        labels=tuple(experiment.labels),
        preprocess=dict(backbone.preprocess),
        origin=asdict(backbone.origin),
        strategy=found.strategy,
        settings=asdict(experiment.settings),
        data=found.data,
        weights_sha256="",
        versions=artifact.versions(),
        task_settings=experiment.task_settings,
    )


def _why(experiment: Experiment, model: Model, found: Mapping[str, Any]) -> dict[str, str]:
    """What explains the most confident mistakes, where there is time for it."""
    items = experiment.dataset.split(
        "test"
    )  # none where folds judge: other models were wrong there
    if not items or experiment.settings.evidence != "full" or experiment.budget.over():
        return {}
    here = Predictor(
        model, experiment.task, experiment.reader, experiment.labels, experiment.accelerator.device
    )
    return explanations(here, items, found, experiment.progress)
