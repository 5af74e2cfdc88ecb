"""The proof of a model that was saved before: on the same data and splits, with a network anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from headstart import artifact, evidence
from headstart.artifact import Record
from headstart.contracts import Backbone
from headstart.data import Data
from headstart.defaults import Settings
from headstart.errors import HeadstartError, WeightsError
from headstart.evidence import ArmResult, Experiment
from headstart.evidence.judging import judge
from headstart.pipeline.findings import Proof
from headstart.pipeline.finish import Choice, measured, page
from headstart.pipeline.folding import by_folds
from headstart.pipeline.heads import FEATURES
from headstart.pipeline.opening import load
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import prepare
from headstart.pipeline.proving import baseline_of, choice, rivals, with_scratch
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.plan import FitPlan
from headstart.plan import read as read_plan
from headstart.results import Result
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Show, as_progress
from headstart.runtime.workspace import Workspace
from headstart.serve import Predictor
from headstart.tracking import Followed, follow
from headstart.training import Training

KEPT = (
    "tried",
    "ranking",
    "dropped",
    "made",
)  # of the record before: what the choice was made from


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
    folder, asked = Path(model), settings_of(settings, options)
    with Workspace(folder, proves=True) as workspace:
        record, plan = artifact.read(folder), read_plan(folder)
        if record.strategy == "scratch":
            raise HeadstartError(
                f"{folder} was trained from random weights, so that there is no transfer to prove. "
                "Give a model that `fit` made from a backbone."
            )
        there = plan.data_from(data)
        given = {"plan": str(folder), "data": str(there), "backbone": plan.backbone}
        with follow(_settings(plan, asked), as_progress(progress), folder, given) as run:
            experiment, backbone, _ = planned(plan, there, run, workspace)
            workspace.claim_proof(
                {
                    "data": experiment.dataset.fingerprint,
                    "architecture": str(backbone.architecture),
                    "versions": artifact.versions(),
                }
            )
            saved = _Saved(load(folder), record, artifact.read_evidence(folder))
            return _proved(experiment, backbone, saved, workspace, run)


def planned(
    plan: FitPlan, data: Data, run: Followed, workspace: Workspace
) -> tuple[Experiment, Backbone, str]:
    """A plan's data in its splits, its backbone and its strategy, ready to work on.

    Raises WeightsError for other weights, and DataError for other data than the plan's.
    """
    given = (data, plan.reference(), plan.strategy, run.settings, run.progress)
    experiment, backbone, name = prepare(*given, workspace.folder)
    if backbone.origin.weights_hash != plan.weights:
        raise WeightsError(
            f"{plan.backbone} has other weights than when the plan was made. "
            "Name the same file or revision."
        )
    return (
        replace(experiment, dataset=plan.apply(experiment.dataset), pace=plan.pace),
        backbone,
        name,
    )


def _settings(plan: FitPlan, asked: Settings) -> Settings:
    """The plan's settings, with a network from scratch, and what may be asked for anew."""
    own, usual = plan.chosen(), Settings()
    return replace(
        own,
        scratch=True,
        budget=asked.budget,
        track=asked.track,
        offline=own.offline or asked.offline,
        evidence=own.evidence if asked.evidence == usual.evidence else asked.evidence,
        seeds=own.seeds if asked.seeds == usual.seeds else asked.seeds,
    )


@dataclass(frozen=True)
class _Saved:
    """A model that was saved, its record, and what was measured of it."""

    predictor: Predictor
    record: Record
    told: Mapping[str, Any]

    @property
    def temperature(self) -> float:
        """What its head was divided by when it was saved."""
        found = self.told.get("calibration") or {}
        return float(found["temperature"]) if found.get("kept") else 1.0

    def outcome(self, experiment: Experiment, features: ArmResult) -> ArmResult:
        """The model as an arm: judged anew, its cost as it was recorded.

        A probe that was saved has seen validation; there it answers as before it had.
        """
        cost = self.told["arms"]["chosen"]
        outputs = {
            name: found * self.temperature
            for name, found in judge(experiment, self.predictor.model).items()
        }
        if self.record.strategy == FEATURES:
            outputs |= {"validation": features.arm.outputs["validation"]}
        given = (self.record.strategy, outputs, float(cost["seconds"]), int(cost["steps"]))
        arm = evidence.arm_of(experiment, *given, note=str(cost.get("note", "")))
        return ArmResult(arm, self.predictor.model, Training(history=self._history()))

    def _history(self) -> list[dict[str, float]]:
        rows = (self.told.get("convergence") or {}).get("chosen", [])
        if len(rows) < 2:
            return []
        names = ("steps", "score")
        return [
            {name: float(row[name]) for name in names}
            | {"seconds": float(row["seconds"]) - float(rows[0]["seconds"])}
            for row in rows
        ]


def _proved(
    experiment: Experiment, backbone: Backbone, saved: _Saved, workspace: Workspace, run: Followed
) -> Result:
    """Train what the saved model must beat, and write the whole evidence beside it."""
    features = evidence.features_arm(replace(experiment, budget=Budget(None)), backbone)
    try:
        made, before = saved.outcome(experiment, features), saved.temperature
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise HeadstartError(
            f"{workspace.out / artifact.EVIDENCE} is not what `fit` writes "
            f"({type(error).__name__}: {error}). Copy it again, or make the model again."
        ) from error
    name = saved.record.strategy
    own = {"naive": {}, FEATURES: {FEATURES: made}}.get(name, {name: made})
    trial = StrategySearch(experiment, backbone, name, {FEATURES: features} | own)
    if by_folds(experiment):
        trial = strategy_search.run(experiment, backbone, name)
        made = replace(trial.tried[trial.winner], model=made.model)
    arms, kept = rivals(trial), "naive" if name == "naive" else "asked"
    arms, protocol = with_scratch(trial, arms | {kept: made})
    baseline = baseline_of(trial)
    found = measured(trial, arms, Choice(kept, protocol, baseline))
    if "calibration" in found.findings:
        found.findings["calibration"]["kept"] = before != 1.0
    found.checks |= {text: bool(right) for text, right in saved.told.get("checks", {}).items()}
    if choice(trial, arms)[0] == "scratch":
        found.warnings.append(
            f"The network from scratch did better on validation than the {name} that was handed "
            "over before, which stays. Fit again to be handed the better one."
        )
    result = Result(workspace.out, found)
    told = {key: saved.told[key] for key in KEPT if key in saved.told} | result.record()
    draft = workspace.draft()
    artifact.describe(draft, saved.record, told, backbone.library)
    page(draft, Proof(trial, arms, kept), told, made.model)
    workspace.renew()
    workspace.end()
    run.result(result.to_json)
    return result
