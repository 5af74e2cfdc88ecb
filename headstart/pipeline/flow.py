"""Making models: data, backbone, arms, evidence, artifact, from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, overload

from headstart.data import data_of, named
from headstart.defaults import Settings
from headstart.pipeline.adapting import adapted, demand_adaptable, target_of
from headstart.pipeline.developing import pretrained
from headstart.pipeline.later import planned
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import RunContext, Transfer, register_run
from headstart.pipeline.proving import proved
from headstart.pipeline.selection.candidates import is_lone
from headstart.pipeline.selection.choosing import choose_backbone, prepare
from headstart.pipeline.selection.ranking import BackboneRanking
from headstart.pipeline.several.jointly import fit_jointly
from headstart.pipeline.several.members import Tasks
from headstart.pipeline.several.sources import pretrain_several
from headstart.pipeline.several.starting import demand_alone, members_of, together
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.plan import read as read_plan
from headstart.results import Result
from headstart.results.several import Results
from headstart.runtime.progress import Show, as_progress
from headstart.runtime.workspace import Workspace
from headstart.tracking import Followed, follow


@overload
def fit(
    data: Tasks,
    backbone: str | Sequence[str] | None = None,
    out: str | Path = "model",
    *,
    strategy: str | None = None,
    download: bool = False,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Results: ...
@overload
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
) -> Result: ...
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
) -> Result | Results:
    """Transfer a backbone to labelled data, prove what that was worth, save the model.

    Without a backbone all that are at hand are ranked, or a small one that is fetched, as are
    several references or a pattern with a `*`, and with `download` more that must be fetched; the
    best is gone on with, and several strategies are tried on it unless one is named. For a single
    backbone the policy names the strategy unless it is given; "auto" tries several. The first model
    lies at `out` within seconds of its features; an interrupt from then on ends the proof, and
    answers with what is known (`stopped`). A run that was killed goes on where it stopped when
    called again alike, `prove` with the proof alone. `data` is a path, or what `data_of` takes, as
    (X, y); keywords count before those of `settings`. With `adapt_to`, a path or what `predict`
    takes, the model answers on those data. For `Tasks`, as for a `label` of several columns that
    are no one task together, the answer is a `Results`: a head each on features that all share.
    Raises HeadstartError for anything the user can mend.
    """
    target, options = target_of(options, settings)
    all_settings, show, place = settings_of(settings, options), as_progress(progress), Path(out)
    names = [backbone] if isinstance(backbone, str) else list(dict.fromkeys(backbone or ()))
    if members := members_of(data, all_settings, show, names):
        several = together(members, names, place, strategy, show, download=download)
        return several.run() if all_settings.joint == "no" else fit_jointly(several)
    demand_alone(all_settings)
    data, strategy = data_of(data), demand_adaptable(all_settings, strategy)
    inputs = {"data": named(data), "backbone": backbone, "strategy": strategy}
    with Workspace(place) as workspace, follow(all_settings, show, place, inputs) as run:
        context = RunContext.of(run.settings, run.progress, workspace.folder)
        spec, lone = StrategySpec.of(strategy, run.settings), is_lone(names)
        ranking = BackboneRanking.at(data, names, context, spec, download=download, lone=lone)
        ranking.register(workspace)
        return _ended(choose_backbone(ranking), target, workspace, run)


def _ended(transfer: Transfer, target: Any, workspace: Workspace, run: Followed) -> Result:
    """The end of a fit: proved, or adapted where there is a target."""
    if target is None:
        return proved(transfer, workspace, run)
    return adapted(transfer, target, workspace, run)


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
    fit_plan = read_plan(Path(plan))
    place = fit_plan.data_from(data)
    inputs = {"plan": str(plan), "data": named(place), "backbone": fit_plan.backbone}
    settings = replace(fit_plan.chosen(), track=track)
    following = follow(settings, as_progress(progress), Path(out), inputs)
    with Workspace(Path(out)) as workspace, following as run:
        transfer = planned(fit_plan, place, run, workspace)
        register_run(workspace, transfer.experiment, transfer.identity)
        return _ended(transfer, settings.adapt_to, workspace, run)


@overload
def pretrain(
    data: Tasks,
    backbone: str,
    out: str | Path,
    *,
    anyway: bool = False,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Results: ...
@overload
def pretrain(
    data: Any,
    backbone: str,
    out: str | Path,
    *,
    anyway: bool = False,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Result: ...
def pretrain(
    data: Any,
    backbone: str,
    out: str | Path,
    *,
    anyway: bool = False,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Result | Results:
    """Develop a source: train a backbone from random weights on a related, larger set, and save it.

    For `Tasks` one network is trained for all of them, and the answer is a `Results`.
    Raises HeadstartError where it does not beat the naive model by more than its interval, unless
    `anyway`.
    """
    all_settings, show = settings_of(settings, options), as_progress(progress)
    members = members_of(data, all_settings, show, [backbone])
    if members:
        return pretrain_several(members, backbone, Path(out), all_settings, show, anyway)
    demand_alone(all_settings)
    data = data_of(data)
    following = follow(all_settings, show, Path(out), {"data": named(data), "backbone": backbone})
    with Workspace(Path(out)) as workspace, following as run:
        context = RunContext.of(run.settings, run.progress, workspace.folder)
        transfer = prepare(data, backbone, "full-fine-tuning", context)
        register_run(workspace, transfer.experiment, transfer.identity)
        result = pretrained(transfer, workspace, anyway)
        run.result(result.to_json)
        return result
