"""The end of a run: evidence and model written, checked in a fresh process, and put in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from headstart import artifact
from headstart.artifact import Record
from headstart.contracts import Backbone
from headstart.evidence import Arm, Evidence, Outcome, Target
from headstart.evidence.calibration import folded
from headstart.model import Model
from headstart.pipeline.affordable import shortened
from headstart.pipeline.explaining import explanations
from headstart.pipeline.findings import Proof, constant
from headstart.pipeline.heads import head_of
from headstart.pipeline.prepare import rebuild, task_name
from headstart.pipeline.provenance import called, provenance
from headstart.pipeline.seeds import over_seeds
from headstart.pipeline.trials import Trial
from headstart.plan import FitPlan, splits_of
from headstart.report.page import write_page
from headstart.results import Result
from headstart.results.ranking import Ranking
from headstart.serve import Predictor
from headstart.workspace import Workspace

SIMPLE = ("naive", "features", "scratch")  # arms that stand beside the one asked for
CHECKED = 8  # raw files that the saved model is compared on in a fresh process


def finish(
    trial: Trial,
    workspace: Workspace,
    arms: Mapping[str, Outcome],
    kept: tuple[str, str],
    words: Arm | None = None,
    ranking: Ranking | None = None,
) -> Result:
    """Write evidence and the winner on validation, check both, put them in place.

    `kept` is the arm to hand over, and a sentence on how the scratch arm was trained; `ranking`
    that of the backbones, where there were several.
    """
    target, source = trial.target, trial.source
    winner, proof = arms[kept[0]], Proof(trial, arms, kept[0])
    found = _evidence(target, source, arms, kept, words)
    found.ranking = ranking.to_json() if ranking else None
    found.tried = trial.judged
    found.warnings += filter(None, [shortened(target.dataset, trial.whole or target.dataset)])
    found.by_seed = over_seeds(trial, arms, kept[0])
    found.findings = proof.findings()
    model = _calibrated(winner.model, found)
    folder = workspace.draft()
    backbone = rebuild(source)() if winner.arm.strategy == "scratch" else source
    record = _record(target, backbone, found)
    head = head_of(winner.arm.strategy)
    if head is not None and not isinstance(model.head, nn.Linear):
        record = replace(record, head={"name": head})
    artifact.save(folder, model, backbone, record, found.to_json())
    _plan(trial, arms["asked"]).write(folder)
    _check(folder, target, model)
    found.checks["equal in a fresh process"] = True
    told = found.to_json() | {"made": _made(trial, workspace, arms)}
    artifact.write_evidence(folder, told)
    if target.settings.evidence != "none":
        facts = {"seed": target.settings.seed, "versions": artifact.versions()}
        write_page(
            folder, told | facts, proof.pictures(found.findings) | _why(target, model, found)
        )
    return Result(workspace.publish(), found)


def _calibrated(model: Model, found: Evidence) -> Model:
    """The model with probabilities that validation calibrated, where its head can hold that."""
    told = found.findings.get("calibration")
    scaled = folded(model, told["temperature"]) if told else None
    if told:
        told["kept"] = scaled is not None
    return scaled or model


def _made(trial: Trial, workspace: Workspace, arms: Mapping[str, Outcome]) -> dict[str, Any]:
    """How the model was made; as a call in Python where no command was typed."""
    name = "fit" if "features" in arms else "pretrain"
    origin, target = trial.source.origin, trial.target
    out, here = workspace.out, Path.cwd()
    place = out.relative_to(here) if out.is_relative_to(here) else out
    given = (str(target.dataset.root), origin.reference, str(place))
    strategy = {"strategy": trial.winner} if name == "fit" else {}
    call = called(name, *given, **strategy, settings=target.settings)
    return provenance(asdict(origin), trial.source.modality, target.dataset.root, call)


def _plan(trial: Trial, asked: Outcome) -> FitPlan:
    dataset = trial.target.dataset
    whole, used = trial.whole or dataset, {item.identity for item in dataset.items}
    return FitPlan(
        data=str(dataset.root.absolute()),
        backbone=trial.source.origin.reference,
        weights=trial.source.origin.weights_hash,
        strategy=trial.winner,
        settings=asdict(trial.target.settings),
        fingerprint=dataset.fingerprint,
        splits=splits_of(dataset),
        versions=artifact.versions(),
        pace=tuple(asked.training.pace),
        left_out=sorted({item.identity for item in whole.items} - used),
    )


def _evidence(
    target: Target,
    source: Backbone,
    arms: Mapping[str, Outcome],
    kept: tuple[str, str],
    words: Arm | None,
) -> Evidence:
    """The record of all arms, with what is to be said of the one that is handed over."""
    name, protocol = kept
    winner, asked = arms[name].arm, arms["asked"]  # asked for, or the best of those tried
    report = target.dataset.report
    found = Evidence(
        metric=target.task.metric,
        arms={arm: made.arm for arm, made in arms.items() if arm in SIMPLE or made is not asked},
        backbone=source.origin.reference,
        data=report.to_json() | {"fingerprint": target.dataset.fingerprint},
        seed=target.settings.seed,
        protocol=f"{target.objective()} {protocol}".strip(),
        checks=dict(asked.checks),
        warnings=[*report.warnings, *target.remarks()],
        epoch=target.steps_per_epoch(),
    )
    found.arms["chosen"] = winner
    if words is not None:
        found.arms[words.strategy] = words
        if words.merit[0] > winner.merit[0]:
            found.warnings.append(
                f"A linear model on {words.strategy} scored {words.merit[0]:.3f} on validation, "
                f"above the {winner.merit[0]:.3f} of the model handed over. "
                "Try another backbone or strategy, or use that one."
            )
    found.warnings += _diverged(arms)
    found.warnings += constant(
        winner.outputs["test"], target.dataset.targets("test"), target.labels
    )
    if name != "asked":
        found.dropped = replace(asked.arm, note=_dropped(asked.arm, winner))
    return found


def _diverged(arms: Mapping[str, Outcome]) -> list[str]:
    """Which trainings ended as their numbers were no longer finite."""
    return [
        f"The training of {made.arm.strategy} ended after {made.training.steps} steps, as its "
        "numbers were no longer finite; the best weights before that count. Give a lower --rate."
        for name, made in arms.items()
        if made.training.diverged and name != "scratch"  # whose rates are not the user's
    ]


def _dropped(asked: Arm, winner: Arm) -> str:
    note = (
        f"{asked.strategy} scored {asked.merit[0]:.3f} on validation, below "
        f"{winner.strategy} at {winner.merit[0]:.3f}, which is handed over."
    )
    return f"{note} ({asked.strategy} was {asked.note}.)" if asked.note else note


def _record(target: Target, backbone: Backbone, found: Evidence) -> Record:
    return Record(
        task=task_name(backbone, target.dataset, target.settings),
        modality=backbone.modality,
        architecture=artifact.portable(backbone),
        labels=tuple(target.labels),
        preprocess=dict(backbone.preprocess),
        origin=asdict(backbone.origin),
        strategy=found.strategy,
        settings=asdict(target.settings),
        data=found.data,
        weights_sha256="",
        versions=artifact.versions(),
        task_settings=target.task_settings,
    )


def _check(folder: Path, target: Target, model: Model) -> None:
    """Compare the model in this process with the saved one in a fresh process, on raw files."""
    items = target.dataset.split("test")[:CHECKED]
    target.progress.say("Opening the saved model in a fresh process to compare its answers.")
    here = Predictor(model, target.task, target.reader, target.labels, target.accelerator.device)
    answers = target.task.decode(here.outputs(items), target.labels)
    artifact.verify(folder, items, answers, min(target.reader.modality.suffixes))


def _why(target: Target, model: Model, found: Evidence) -> dict[str, str]:
    """What explains the most confident mistakes, where there is time for it."""
    if target.settings.evidence != "full" or target.budget.over():
        return {}
    here = Predictor(model, target.task, target.reader, target.labels, target.accelerator.device)
    return explanations(here, target.dataset.split("test"), found.findings, target.progress)
