"""The end of a run: evidence and model written, checked in a fresh process, and put in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from headstart import artifact, defaults, evidence
from headstart.artifact import Record
from headstart.contracts import Backbone
from headstart.contracts.frozen import FrozenModel, Network, is_linear, is_native
from headstart.data import named
from headstart.evidence import Arm, Evidence, Experiment
from headstart.evidence.calibration import folded, settled
from headstart.evidence.doubt import OF_COLUMNS
from headstart.pipeline import cautions
from headstart.pipeline.checking import check
from headstart.pipeline.findings import FIRST, Proof
from headstart.pipeline.freezing import Earlier, with_engine
from headstart.pipeline.opening import load
from headstart.pipeline.pictures import explanations
from headstart.pipeline.prepare import random_init, task_name
from headstart.pipeline.provenance import Name, called, provenance
from headstart.pipeline.seeds import over_seeds
from headstart.pipeline.strategy_spec import FEATURES
from headstart.pipeline.yardstick import referenced
from headstart.plan import FitPlan, splits_of
from headstart.report.page import write_page
from headstart.results import Result
from headstart.runtime import installed
from headstart.runtime.workspace import Workspace
from headstart.serve import Predictor

SIMPLE = ("naive", FEATURES, "scratch")  # arms that stand beside the strategy's
_JSON = {FEATURES: "features"}  # arms that the record calls otherwise


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


def finish(proof: Proof, workspace: Workspace, stage: Stage = ENDED) -> tuple[Result, Record]:
    """Write evidence and the winner on validation, check both, put them in place.

    A model that lies there already is not written again. Answers with its record, too.
    """
    search, arm = proof.search, proof.model.arm
    evidence = measured(proof, stage)
    evidence.provenance = making_record(proof, workspace)
    model = settled(_calibrated(proof.model.network, evidence), search.experiment, arm)
    own = arm.strategy != "scratch"
    backbone = search.backbone if own else random_init(search.backbone)()
    record = _record(search.experiment, backbone, evidence)
    plain = is_linear(model.head) or is_native(model.head)
    if workspace.shares or not plain:  # a file of its own, so that the network's is the same
        head = search.chosen.head if arm.strategy == search.winner and not plain else None
        owned = {artifact.OWNED: backbone.library} if backbone.detector else {}
        record = replace(record, head={"name": head or artifact.OF_TASK, **owned})
    folder, reference = workspace.draft(), referenced(proof, evidence)
    record = artifact.save(folder, model, backbone, record, evidence.to_json(), reference)
    earlier = Earlier(workspace.out, stage.there) if stage.there else None
    record = with_engine(folder, record, search.experiment, model, earlier)
    same, fresh = record == stage.there, stage.ended and not workspace.shares
    if same:
        folder = workspace.draft()
    place = workspace.out if same else folder
    if stage.ended or not same:
        check(place, search.experiment, model, fresh=fresh)
        how = "in a fresh process" if fresh else "when opened again"
        evidence.checks[f"equal {how}"] = True
    result = Result(workspace.out, evidence, not stage.ended, stage.doubt)
    content = result.record()
    artifact.describe(folder, record, content, backbone.library)
    plan_of(proof).write(folder)
    if stage.level != FIRST:
        page(folder, proof, content, model, place if fresh else None)
    workspace.renew() if same else workspace.hand_over()
    if stage.ended:
        workspace.end()
    return result, record


def measured(proof: Proof, stage: Stage = ENDED) -> Evidence:
    """The evidence, with trainings from other seeds and the findings that there is time for."""
    evidence, search = _evidence(proof), proof.search
    if search.ranking is not None:
        evidence.ranking = search.ranking.to_json()
    if search.ranking is not None and search.folding:
        evidence.warnings.append(
            "The backbone was chosen with all items in view, which flatters the scores a little. "
            "Name it with -b to have folds judge it alone."
        )
    evidence.searched = search.compared
    evidence.warnings += proof.doubts()
    evidence.by_seed = over_seeds(proof) if stage.ended else None
    evidence.findings = proof.findings(stage.level)
    return evidence


def page(
    folder: Path,
    proof: Proof,
    content: Mapping[str, Any],
    model: Network,
    model_folder: Path | None = None,
) -> None:
    """Write the page of an evidence record, where one is wanted.

    It explains mistakes where the model lies `model_folder`.
    """
    settings = proof.search.experiment.settings
    if settings.evidence == "none":
        return
    facts = {"seed": settings.seed, "versions": installed.versions()}
    why = _why(proof.search.experiment, model, content, model_folder) if model_folder else {}
    write_page(folder, {**content, **facts}, proof.pictures(content) | why)


def _calibrated(model: Network, evidence: Evidence) -> Network:
    """The model with probabilities that validation calibrated, where its head can hold that."""
    calibration = evidence.findings.get("calibration")
    scaled = folded(model, calibration["temperature"]) if calibration else None
    if calibration:
        calibration["kept"] = scaled is not None
    return scaled or model


def _evidence(proof: Proof) -> Evidence:
    """The record of all arms, with what is to be said of the one that is handed over."""
    search, baseline, transfer = proof.search, proof.baseline, proof.transfer
    winner, experiment, folding = proof.model.arm, search.held_out_experiment, search.folding
    learned = search.experiment if folding is None else folding.parts[0]
    task = experiment.task
    clusters = evidence.families(experiment.dataset.split("test"))
    record = Evidence(
        metric=task.metric,
        arms=_others(proof) | {"chosen": winner},
        backbone=search.backbone.origin.reference,
        data=experiment.dataset.report.to_json() | {"fingerprint": experiment.dataset.fingerprint},
        seed=experiment.settings.seed,
        protocol=" ".join(filter(None, (experiment.objective(), proof.protocol))),
        checks=dict(transfer.checks),
        warnings=[*experiment.dataset.report.warnings, *experiment.remarks()],
        epoch=learned.steps_per_epoch(),
        folds=None if folding is None else folding.folds,
        clusters=clusters,
        spread=defaults.training_spread(len(learned.dataset.split("train"))),
        sign=task.sign,
        assessor=evidence.Assessor.of(experiment, spread=search.spread),
    )
    record.alone, record.sourced = _alone(search.backbone), proof.sourced
    if task.sign < 0:  # in the metric's own units, which the naive model gives the scale of
        record.spread *= abs(float(proof.arms["naive"].arm.scores.mean()))
    if baseline is not None:
        record.arms[baseline.strategy] = baseline
        record.baselines = ("naive", baseline.strategy)
        record.warnings += cautions.beaten(winner, baseline, task.sign)
    record.warnings += cautions.diverged(proof.arms)
    record.warnings += cautions.unmoved(proof.model, experiment, search.backbone)
    if proof.adaptation is not None:  # what source items are answered with says nothing then
        return record
    record.warnings += cautions.unvarying(experiment, winner.outputs["test"])
    if transfer.arm.strategy != winner.strategy:
        record.dropped = replace(transfer.arm, note=_dropped(transfer.arm, winner, task.sign))
    return record


def _others(proof: Proof) -> dict[str, Arm]:
    """The arms that are not handed over, by their names in the record, and all simple ones."""
    return {
        _JSON.get(name, name): result.arm
        for name, result in proof.arms.items()
        if name in SIMPLE or (result is not proof.transfer and name != proof.chosen)
    }


def _dropped(transfer: Arm, winner: Arm, sign: int) -> str:
    scores = [sign * arm.selection_key[0] for arm in (transfer, winner)]
    worse = "below" if sign > 0 else "worse than"
    note = (
        f"{transfer.strategy} scored {scores[0]:.3f} on validation, "
        f"{'no better than' if scores[0] == scores[1] else worse} "
        f"{winner.strategy} at {scores[1]:.3f}, which is handed over."
    )
    return f"{note} ({transfer.strategy} was {transfer.note}.)" if transfer.note else note


def _record(experiment: Experiment, backbone: Backbone, evidence: Evidence) -> Record:
    return Record(
        task=task_name(backbone, experiment.dataset, experiment.settings),
        modality=backbone.modality,
        architecture=artifact.portable(backbone),
        labels=tuple(experiment.labels),
        preprocess=dict(backbone.preprocess),
        origin=asdict(backbone.origin),
        strategy=evidence.strategy,
        settings=asdict(experiment.settings),
        data=evidence.data,
        weights_sha256="",
        versions=installed.versions(),
        task_settings=experiment.task_settings,
    )


def _why(
    experiment: Experiment, model: Network, content: Mapping[str, Any], folder: Path
) -> dict[str, str]:
    """What explains the most confident mistakes, where there is time for it."""
    items = experiment.dataset.split("test")  # none in folds, where other models were wrong
    if experiment.reader.modality.whole_rows:
        return {}
    if not items or experiment.settings.evidence != "full" or experiment.budget.over():
        return {}
    if isinstance(model, FrozenModel):  # which the saved one is, and may answer without torch
        here = load(folder, experiment.compute.device)
    else:
        here = Predictor(
            model,
            experiment.task,
            experiment.reader,
            experiment.labels,
            experiment.accelerator.device,
        )
    return explanations(here, items, content, experiment.progress)


def _alone(backbone: Backbone) -> bool | str:
    """What stands in the place of scratch, as the record says it."""
    return OF_COLUMNS if backbone.parts else bool(backbone.heads)


def making_record(proof: Proof, workspace: Workspace) -> dict[str, Any]:
    """How the model was made; as a call in Python where no command was typed."""
    search, fits = proof.search, FEATURES in proof.search.arms
    origin, dataset = search.backbone.origin, search.experiment.dataset
    out, here = workspace.out, Path.cwd()
    place = str(out.relative_to(here) if out.is_relative_to(here) else out)
    data = Name("data") if dataset.in_memory else named(dataset.root)
    strategy = {"strategy": search.winner} if fits else {}
    name, settings = "fit" if fits else "pretrain", search.experiment.settings
    call = called(name, data, origin.reference, place, settings=settings, **strategy)
    if proof.refit is not None:
        call = called("refit", Name("model"), proof.refit["data"], place)
    return provenance(asdict(origin), search.backbone.modality, dataset.root, call)


def plan_of(proof: Proof) -> FitPlan:
    """The plan that the folder of a model keeps."""
    search, dataset = proof.search, proof.search.experiment.dataset
    whole, used = search.whole or dataset, {item.identity for item in dataset.items}
    return FitPlan(
        data=dataset.place,
        backbone=search.backbone.origin.reference,
        weights=search.backbone.origin.weights_hash,
        strategy=search.winner,
        settings=asdict(search.experiment.settings),
        fingerprint=dataset.fingerprint,
        splits=splits_of(dataset),
        versions=installed.versions(),
        pace=tuple(proof.transfer.training.pace),
        left_out=sorted({item.identity for item in whole.items} - used),
        added=dataset.added,
    )
