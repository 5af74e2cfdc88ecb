"""The flow, top to bottom: data, backbone, arms, evidence, artifact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from headstart import catalog, defaults, evidence
from headstart.data import data_of, demand_data, load_labelled
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.evidence.by_class import within
from headstart.pipeline.asking import Asked, asked_schema
from headstart.pipeline.comparing import compare
from headstart.pipeline.demands import demand_steps, validate_strategy
from headstart.pipeline.extraction import cache_features, export_features, plan_features
from headstart.pipeline.finish import Choice, finish
from headstart.pipeline.heads import headed
from headstart.pipeline.later import planned, prove
from headstart.pipeline.listing import backbones, strategies
from headstart.pipeline.opening import load, reported
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import (
    RunContext,
    prepare,
    random_init,
    register_run,
    scratch_recipe,
)
from headstart.pipeline.proving import proved
from headstart.pipeline.reporting import report_on
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.choosing import check_ranking, rank
from headstart.pipeline.selection.shortlist import search
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.plan import read as read_plan
from headstart.plan import trained_on
from headstart.results import Evaluation, Result
from headstart.runtime.progress import Show, as_progress
from headstart.runtime.workspace import Workspace
from headstart.tracking import follow

__all__ = [
    "backbones",
    "cache_features",
    "check_ranking",
    "compare",
    "evaluate",
    "export_features",
    "fit",
    "load",
    "plan_features",
    "pretrain",
    "prove",
    "rank",
    "report_on",
    "reported",
    "reproduce",
    "strategies",
]


def fit(
    data: Any,
    backbone: str | Sequence[str] | None = None,
    out: str | Path = "model",
    *,
    strategy: str | None = None,
    download: bool = False,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Result:
    """Transfer a backbone to labelled data, prove what that was worth, save the model.

    Without a backbone all that are at hand are ranked, or a small one that is fetched, as are
    several references or a pattern with a `*`, and with `download` more that must be fetched; the
    best is gone on with, and several strategies are tried on it unless one is named. For a single
    backbone the policy names the strategy unless it is given; "auto" tries several. The first model
    lies at `out` within seconds of its features; an interrupt from then on ends the proof, and
    answers with what is known (`stopped`). A run that was killed goes on where it stopped when it
    is called again with the same arguments, and `prove` goes on with the proof alone. `data` is a
    path, or what `headstart.data.data_of` takes, as (X, y); keywords are settings, and count before
    those of `settings`. Raises HeadstartError for anything the user can mend.
    """
    data, chosen = data_of(data), settings_of(settings, options)
    told = {"data": str(data), "backbone": backbone, "strategy": strategy}
    following = follow(chosen, as_progress(progress), Path(out), told)
    with Workspace(Path(out)) as workspace, following as run:
        around = (run.settings, run.progress, workspace.folder)
        references = (
            [backbone] if isinstance(backbone, str) else list(dict.fromkeys(backbone or ()))
        )
        if len(references) == 1 and "*" not in references[0]:
            prepared = prepare(data, references[0], strategy, *around)
            register_run(workspace, *prepared)
            attempt = strategy_search.attempt(*prepared, named=strategy is not None)
            return proved(attempt, workspace, run)
        strategy = headed(strategy, run.settings)
        validate_strategy(strategy)
        given = (data, references, strategy, RunContext.of(*around), workspace, download)
        return proved(partial(search, *given), workspace, run)


def reproduce(
    plan: str | Path,
    out: str | Path,
    *,
    data: Any = None,
    track: str | None = None,
    progress: Show = None,
) -> Result:
    """Do again what a plan says, on the same data: the same model comes out.

    `plan` is the file that `fit` wrote, or the folder it lies in; `data` says where the data are
    now, if they moved, or gives them again where a program held them. Raises HeadstartError where
    data, labels or weights are not those of the plan.
    """
    made = read_plan(Path(plan))
    there = made.data_from(data)
    asked = {"plan": str(plan), "data": str(there), "backbone": made.backbone}
    settings = replace(made.chosen(), track=track)
    following = follow(settings, as_progress(progress), Path(out), asked)
    with Workspace(Path(out)) as workspace, following as run:
        experiment, backbone, name = planned(made, there, run, workspace)
        register_run(workspace, experiment, backbone, name)
        return proved(strategy_search.attempt(experiment, backbone, name), workspace, run)


def pretrain(
    data: Any,
    backbone: str,
    out: str | Path,
    *,
    anyway: bool = False,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Result:
    """Develop a source: train a backbone from random weights on a related, larger set, and save it.

    Raises HeadstartError where it does not beat the naive model by more than its interval, unless
    `anyway`.
    """
    data, chosen, show = data_of(data), settings_of(settings, options), as_progress(progress)
    following = follow(chosen, show, Path(out), {"data": str(data), "backbone": backbone})
    with Workspace(Path(out)) as workspace, following as run:
        around = (run.settings, run.progress, workspace.folder)
        experiment, network, name = prepare(data, backbone, "full-fine-tuning", *around)
        demand_steps(name, experiment, network)
        register_run(workspace, experiment, network, name)
        recipe = scratch_recipe(experiment, catalog.strategy(name), network)
        scratch = (random_init(network), recipe, defaults.scratch_rates(network.delicate))
        made, protocol = evidence.scratch_arm(experiment, *scratch)
        naive = evidence.naive_arm(experiment, made)
        lead = evidence.paired(made.arm.scores, naive.arm.scores, run.settings.seed)
        if lead.low <= 0:
            said = (
                f"The network does not beat the naive model: {lead.value:+.3f} "
                f"{experiment.task.metric}, 95 % interval {lead.low:+.3f} to {lead.high:+.3f}."
            )
            if not anyway:
                raise HeadstartError(f"{said} Give more data or epochs, or save it with --anyway.")
            run.progress.warn(said)
        search = StrategySearch(experiment, network, name, {name: made})
        arms = {"naive": naive, "asked": made}
        result, _ = finish(search, workspace, arms, Choice("asked", protocol))
        run.result(result.to_json)
        return result


def evaluate(
    model: str | Path,
    data: Any,
    *,
    progress: Show = None,
    **columns: Unpack[Asked],
) -> Evaluation:
    """Score a saved model on labelled data; overlaps with its training are named.

    `label`, `text` and `image` name the columns of a manifest, `delimiter` stands between an item's
    labels; `class_level` says which folders are the classes. What is not named is as it was in the
    training.
    """
    data, progress = data_of(data), as_progress(progress)
    predictor = load(model)
    demand_data(data)
    schema = asked_schema(Path(model), columns)
    dataset = load_labelled(
        data, predictor.reader.modality, predictor.labels, schema, progress=progress
    )
    items, targets = dataset.split("test"), dataset.targets("test")
    outputs = predictor.outputs(items)
    seen = trained_on(Path(model))
    overlap = None if seen is None else sum(item.identity in seen for item in items)
    scores = predictor.task.scores(outputs, targets)
    alone = within(predictor.task, outputs, targets, targets)  # among those of their label
    return Evaluation.of(predictor.task.metric, (scores, alone), targets, dataset, overlap)
