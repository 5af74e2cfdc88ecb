"""The proof of a model that was saved before: on the same data and splits, with a network anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from headstart import artifact, evidence
from headstart.artifact import Record
from headstart.data import Data, named
from headstart.defaults import Settings
from headstart.errors import HeadstartError, WeightsError
from headstart.evidence import ArmResult, Experiment
from headstart.evidence.judging import judge
from headstart.loading import members
from headstart.pipeline.findings import Proof
from headstart.pipeline.finish import measured, page
from headstart.pipeline.folding import by_folds
from headstart.pipeline.opening import load
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import RunContext, Transfer
from headstart.pipeline.proving import baseline_of, choice, rivals, with_scratch
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.choosing import prepare
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.pipeline.strategy_spec import FEATURES, StrategySpec
from headstart.plan import FitPlan
from headstart.plan import read as read_plan
from headstart.results import Result
from headstart.runtime import installed
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Show, as_progress
from headstart.runtime.workspace import Workspace
from headstart.serve import Predictor
from headstart.tracking import Followed, follow
from headstart.training import Training

_OF_THE_CHOICE = (
    "tried",
    "ranking",
    "dropped",
    "made",
    "reference",
)  # which stay as they were recorded


def prove(
    model: str | Path,
    data: Any = None,
    *,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Result:
    """Go on with the proof of a saved model, whose weights stay as they are.

    For one that was interrupted, fitted without a network from scratch, or with too small a budget.
    `data` says where the data are now, if they moved; of `settings` the budget, seeds, evidence and
    tracker count, all else is as the model's plan says. Raises HeadstartError where data, labels or
    weights are not those of the plan, or the model is no transfer.
    """
    folder, new = Path(model), settings_of(settings, options)
    members.demand_one(folder)
    with Workspace(folder, proves=True) as workspace:
        record, plan = artifact.read(folder), read_plan(folder)
        _demand_transfer(folder, record, plan)
        place = plan.data_from(data)
        inputs = {"plan": str(folder), "data": named(place), "backbone": plan.backbone}
        with follow(_settings(plan, new), as_progress(progress), folder, inputs) as run:
            transfer = planned(plan, place, run, workspace)
            workspace.claim_proof(
                {
                    "data": transfer.experiment.dataset.fingerprint,
                    "architecture": str(transfer.backbone.architecture),
                    "versions": installed.versions(),
                }
            )
            saved_model = _Saved(load(folder), record, artifact.read_evidence(folder))
            return _proved(transfer, saved_model, workspace, run)


def _demand_transfer(folder: Path, record: Record, plan: FitPlan) -> None:
    if record.strategy == "scratch":
        raise HeadstartError(
            f"{folder} was trained from random weights, so that there is no transfer to prove. "
            "Give a model that `fit` made from a backbone."
        )
    if plan.settings.get("adapt_to") is not None:
        raise HeadstartError(
            f"{folder} was adapted to {plan.settings['adapt_to']}, where a network from scratch "
            "proves nothing. Fit again with --target-labels to know its worth."
        )


def planned(plan: FitPlan, data: Data, run: Followed, workspace: Workspace) -> Transfer:
    """A plan's data in its splits, its backbone and its strategy, ready to work on.

    Raises WeightsError for other weights, DataError for other data than the plan's, and
    HeadstartError where items came later, as they did not make the network what it is.
    """
    if plan.added:
        raise HeadstartError(
            f"The model was refitted with {', '.join(plan.added)}, which is no fit to do again. "
            f"Fit anew with all items: headstart fit DATA -b {plan.reference()}"
        )
    context = RunContext.of(run.settings, run.progress, workspace.folder)
    transfer = prepare(data, plan.reference(), plan.strategy, context)
    if transfer.backbone.origin.weights_hash != plan.weights:
        raise WeightsError(
            f"{plan.backbone} has other weights than when the plan was made. "
            "Name the same file or revision."
        )
    dataset = plan.apply(transfer.experiment.dataset)
    experiment = replace(transfer.experiment, dataset=dataset, pace=plan.pace)
    return replace(transfer, experiment=experiment)


def _settings(plan: FitPlan, new: Settings) -> Settings:
    """The plan's settings, with a network from scratch, and what may be set anew."""
    own, usual = plan.chosen(), Settings()
    return replace(
        own,
        scratch=True,
        budget=new.budget,
        track=new.track,
        on=new.on,
        workers=new.workers,
        offline=own.offline or new.offline,
        evidence=own.evidence if new.evidence == usual.evidence else new.evidence,
        seeds=own.seeds if new.seeds == usual.seeds else new.seeds,
    )


@dataclass(frozen=True)
class _Saved:
    """A model that was saved, its record, and what was measured of it."""

    predictor: Predictor
    record: Record
    content: Mapping[str, Any]

    @property
    def temperature(self) -> float:
        """What its head was divided by when it was saved."""
        calibration = self.content.get("calibration") or {}
        return float(calibration["temperature"]) if calibration.get("kept") else 1.0

    def result(self, experiment: Experiment, features: ArmResult) -> ArmResult:
        """The model as an arm: judged anew, its cost as it was recorded.

        A probe that was saved has seen validation; there it answers as before it had.
        """
        cost, name = self.content["arms"]["chosen"], self.record.strategy
        outputs = {
            split: answers * self.temperature
            for split, answers in judge(experiment, self.predictor.model).items()
        }
        if name == FEATURES:
            outputs |= {"validation": features.arm.outputs["validation"]}
        seconds, steps, note = float(cost["seconds"]), int(cost["steps"]), cost.get("note", "")
        arm = evidence.arm_of(experiment, name, outputs, seconds, steps, note=str(note))
        return ArmResult(arm, self.predictor.model, Training(history=self._history()))

    def _history(self) -> list[dict[str, float]]:
        rows = (self.content.get("convergence") or {}).get("chosen", [])
        if len(rows) < 2:
            return []
        names = ("steps", "score")
        return [
            {name: float(row[name]) for name in names}
            | {"seconds": float(row["seconds"]) - float(rows[0]["seconds"])}
            for row in rows
        ]


def _proved(transfer: Transfer, saved_model: _Saved, workspace: Workspace, run: Followed) -> Result:
    """Train what the saved model must beat, and write the whole evidence beside it."""
    experiment, backbone, name = transfer.experiment, transfer.backbone, saved_model.record.strategy
    features = evidence.features_arm(replace(experiment, budget=Budget(None)), backbone)
    with artifact.as_written(workspace.out):
        model, temperature = saved_model.result(experiment, features), saved_model.temperature
    spec = StrategySpec.of(FEATURES if name == "naive" else name)
    if by_folds(experiment):
        search = strategy_search.run(replace(transfer, strategy=spec))
        model = replace(rivals(search)[name], network=model.network)
    else:
        own = {} if name == "naive" else {name: model}
        search = StrategySearch(experiment, backbone, spec, {FEATURES: features} | own)
    arms, protocol = with_scratch(search, rivals(search) | {name: model})
    proof = Proof(search, arms, name, None, protocol, baseline_of(search))
    new = measured(proof)
    if "calibration" in new.findings:
        new.findings["calibration"]["kept"] = temperature != 1.0
    checks = saved_model.content.get("checks", {})
    new.checks |= {text: bool(right) for text, right in checks.items()}
    if choice(search, arms)[0] == "scratch":
        new.warnings.append(
            f"The network from scratch did better on validation than the {name} that was handed "
            "over before, which stays. Fit again to be handed the better one."
        )
    result = Result(workspace.out, new)
    before = {key: saved_model.content[key] for key in _OF_THE_CHOICE if key in saved_model.content}
    content = before | result.record()
    draft = workspace.draft()
    artifact.describe(draft, saved_model.record, content, backbone.library)
    page(draft, proof, content, model.network, workspace.out)
    workspace.renew()
    workspace.end()
    run.result(result.to_json)
    return result
